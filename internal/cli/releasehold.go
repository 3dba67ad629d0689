package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
)

// heldOptions are the flags of the verbs that act on an environment of a service.
type heldOptions struct {
	scope  scope
	reason string
	to     string
}

func (p *program) holdFlags(cmd *cobra.Command, o *heldOptions) {
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the record")
	cmd.ValidArgsFunction = p.completeApp
}

func (p *program) releaseHoldCommand() *cobra.Command {
	var o heldOptions
	cmd := &cobra.Command{
		Use:   "hold SERVICE -e ENVIRONMENT",
		Short: "Keep every change of a service out of an environment until somebody resumes it",
		Long: `Holds a service in an environment: what runs there stays, and is kept as it is, while
changes wait before it, the newest taking the place of older ones. Only ` + "`sengu release resume`" + `
ends it.`,
		Example: "  sengu release hold checkout -e production --reason \"sale until Monday\"",
		Args:    exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.hold(cmd.Context(), v1alpha1.VerbHold, a[0], o)
		},
	}
	p.holdFlags(cmd, &o)
	return cmd
}

func (p *program) releaseResumeCommand() *cobra.Command {
	var o heldOptions
	cmd := &cobra.Command{
		Use:   "resume SERVICE -e ENVIRONMENT",
		Short: "Let changes of a service into an environment again",
		Long: `Ends a hold: one that a person made, one that Sengu made after a failure, or that of a
roll-back. The newest change that waits goes in if its other gates are open; if none waits,
the one that was stopped is tried again.`,
		Example: "  sengu release resume checkout -e production",
		Args:    exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.hold(cmd.Context(), v1alpha1.VerbResume, a[0], o)
		},
	}
	p.holdFlags(cmd, &o)
	return cmd
}

func (p *program) releaseRollbackCommand() *cobra.Command {
	var o heldOptions
	cmd := &cobra.Command{
		Use:   "rollback SERVICE -e ENVIRONMENT [--to RELEASE|REVISION]",
		Short: "Bring a service in an environment back to what was good, at once, and hold it there",
		Long: `Goes back to the revision that ran before and was good, or with --to to that of an earlier
Release, by applying it: at once, through no gate, without any Job. The environment is held
from then on, until ` + "`sengu release resume`" + `. It is refused, with the reason, where the
service's sengu.yaml says that one cannot go back.`,
		Example: "  sengu release rollback checkout -e production --reason \"errors since 14:02\"\n  sengu release rollback checkout -e production --to checkout.shop.3fa9c21.17",
		Args:    exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.hold(cmd.Context(), v1alpha1.VerbRollback, a[0], o)
		},
	}
	p.holdFlags(cmd, &o)
	cmd.Flags().StringVar(&o.to, "to", "", "Release or revision to go back to; what ran before by default")
	return cmd
}

// hold records what the person does to an environment of a service.
func (p *program) hold(ctx context.Context, verb v1alpha1.Verb, word string, o heldOptions) error {
	pl, snap, app, err := p.find(ctx, word, o.scope)
	if err != nil {
		return err
	}
	if app.Spec.Service == "" {
		return fmt.Errorf("%s was written by hand: it has no Releases", app.Name)
	}
	person, err := pl.whoAmI(ctx)
	if err != nil {
		return err
	}
	if err := pl.may(ctx, verb, app.Spec.Environment, app.Spec.Fleet, person); err != nil {
		return err
	}
	if verb == v1alpha1.VerbRollback {
		if o.to, err = act.GoodTarget(app, snap.releases, snap.releaseAt(app, o.to)); err != nil {
			return err
		}
	}
	err = pl.changeApp(ctx, app, func(fresh *v1alpha1.App) error {
		return act.Hold(fresh, verb, person.Username, o.reason, o.to, p.now())
	})
	if err != nil {
		return err
	}
	p.notef("%s: %s %s, as %s\n", app.Spec.Service, done[verb], app.Spec.Environment, person.Username)
	switch verb {
	case v1alpha1.VerbRollback:
		return p.wentBack(ctx, pl, app.Name)
	case v1alpha1.VerbResume:
		return p.goesOn(ctx, pl, app, snap)
	}
	return nil
}

// goesOn says which change goes on where a hold has ended.
func (p *program) goesOn(ctx context.Context, pl *plane, app *v1alpha1.App, before snapshot) error {
	was, at := before.coming(app)
	if was == nil {
		p.notef("No change waits: the next one goes in\n")
		return nil
	}
	stage := at.Stage
	limited, cancel := context.WithTimeout(ctx, takeIn)
	defer cancel()
	told := ""
	err := pl.follow(limited, func(error) {}, func(snap snapshot) (bool, error) {
		now, is := snap.coming(app)
		switch {
		case now == nil:
			told = was.Name + " is live now"
			return true, nil
		case now.Name == was.Name && is.Stage == stage && held(is):
			return false, nil // not taken in yet
		}
		told = fmt.Sprintf("%s is %s", now.Name, stageWord(is.Stage))
		if why := waitsFor(now, is); why != "" {
			told += ": " + why
		}
		return true, nil
	})
	if err != nil && limited.Err() == nil {
		return err
	}
	if told == "" {
		told = fmt.Sprintf("It is recorded, and Sengu has not taken it in yet: `sengu why %s -e %s` shows when it does", app.Spec.Service, app.Spec.Environment)
	}
	p.notef("%s\n", told)
	return nil
}

// held reports whether a Release is where a hold leaves it.
func held(is *v1alpha1.ReleaseEnvironmentStatus) bool {
	switch is.Stage {
	case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
		return true
	case v1alpha1.StageWaiting:
		return slices.ContainsFunc(is.Gates, func(g v1alpha1.Gate) bool { return !g.Open && g.Name == "hold" })
	}
	return false
}

// changeApp writes an App as change leaves it.
func (pl *plane) changeApp(ctx context.Context, app *v1alpha1.App, change func(*v1alpha1.App) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var refused error
	err := act.OnApp(ctx, pl, client.ObjectKeyFromObject(app), func(fresh *v1alpha1.App) error {
		refused = change(fresh)
		return refused
	})
	if refused != nil {
		return refused
	}
	return pl.explain("write App "+app.Name, err)
}

// shortest is how much of a revision has to be said.
const shortest = 7

// releaseAt returns the newest Release of an App's service that brought the revision which asked begins, or asked itself.
func (s snapshot) releaseAt(app *v1alpha1.App, asked string) string {
	if len(asked) < shortest {
		return asked
	}
	for _, r := range s.newest(app.Spec.Fleet, app.Spec.Service) {
		if is := at(r, app.Spec.Environment); strings.HasPrefix(r.Spec.Revision, asked) && is != nil && is.Stage == v1alpha1.StageDone {
			return r.Name
		}
	}
	return asked
}

// wentBack says how a roll-back goes.
func (p *program) wentBack(ctx context.Context, pl *plane, name string) error {
	limited, cancel := context.WithTimeout(ctx, takeIn)
	defer cancel()
	var last *v1alpha1.App
	err := pl.follow(limited, func(error) {}, func(snap snapshot) (bool, error) {
		app, err := snap.find(name, scope{})
		if err != nil {
			return false, err
		}
		last = app
		return app.Spec.Hold != nil && (app.Spec.Hold.Refused != "" || app.Spec.Hold.Release != ""), nil
	})
	switch {
	case last != nil && last.Spec.Hold != nil && last.Spec.Hold.Refused != "":
		return fmt.Errorf("it was refused: %s", last.Spec.Hold.Refused)
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		p.notef("It is recorded, and Sengu has not taken it in yet: `sengu why %s` shows when it does.\n", name)
		return nil
	case err != nil:
		return err
	}
	p.notef("It goes back to %s, and is held there until `sengu release resume %s -e %s`\n", short(last.Spec.Source.Revision), last.Spec.Service, last.Spec.Environment)
	return nil
}
