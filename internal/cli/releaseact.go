package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
)

// acted are the flags of the verbs that act on a Release.
type acted struct {
	scope  scope
	reason string
	group  bool
	skip   bool
	wait   bool
}

func (p *program) actFlags(cmd *cobra.Command, o *acted) {
	p.scopeFlags(cmd, &o.scope)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the record")
	cmd.Flags().BoolVarP(&o.wait, "wait", "w", false, "follow the Release until it has ended or waits for a person")
}

const releaseApproveExample = `  # let the change of a service that waits before production in
  sengu release approve checkout -e production

  # all changes of the same commit
  sengu release approve checkout -e production --group`

func (p *program) releaseApproveCommand() *cobra.Command {
	var o acted
	cmd := &cobra.Command{
		Use:   "approve RELEASE|SERVICE [-e ENVIRONMENT]",
		Short: "Let a change into an environment that asks for an approval",
		Long: `Approves the Release, or the newest one of the service that waits for an approval. Without
-e it is for the environment that it waits before. Other gates stay as they are: a change
that is approved at night still waits for its window.`,
		Example:           releaseApproveExample,
		Args:              exactly("RELEASE or SERVICE"),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.act(cmd.Context(), v1alpha1.VerbApprove, a[0], o)
		},
	}
	p.actFlags(cmd, &o)
	cmd.Flags().BoolVar(&o.group, "group", false, "for every Release of the same commit")
	return cmd
}

func (p *program) releaseAbortCommand() *cobra.Command {
	var o acted
	cmd := &cobra.Command{
		Use:   "abort RELEASE|SERVICE [-e ENVIRONMENT]",
		Short: "End a change: what it has not finished is brought back",
		Long: `Ends the Release in the environment where it is or waits, and so in those that come after
it. What it has applied there and not verified is brought back to what ran before; what it
has finished stays. A Job that runs is not interrupted: the Release ends after it.`,
		Example:           "  sengu release abort checkout --reason \"wrong branch\"",
		Args:              exactly("RELEASE or SERVICE"),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.act(cmd.Context(), v1alpha1.VerbAbort, a[0], o)
		},
	}
	p.actFlags(cmd, &o)
	return cmd
}

const releasePromoteExample = `  # try again what failed in staging, through every gate
  sengu release promote checkout -e staging

  # past every gate: recorded, and loud
  sengu release promote checkout -e production --skip-gates --reason "incident 42"`

func (p *program) releasePromoteCommand() *cobra.Command {
	var o acted
	cmd := &cobra.Command{
		Use:   "promote RELEASE|SERVICE -e ENVIRONMENT",
		Short: "Try a change again that stopped, or let it past its gates",
		Long: `Puts the Release before an environment again in which it failed, was rolled back or was
superseded. Approvals that it had still count; to promote is not to approve. Jobs that have
passed are not run again.

With --skip-gates it goes in at once: past the environments before it, soak, windows,
approvals and limits, but not past a person's hold, a Job that runs there, or a plan that
cannot be read, nor past Git. That needs a --reason, and is recorded where everybody sees it.`,
		Example:           releasePromoteExample,
		Args:              exactly("RELEASE or SERVICE"),
		ValidArgsFunction: p.completeRelease,
		RunE: func(cmd *cobra.Command, a []string) error {
			if o.skip && o.reason == "" {
				return usageError{errors.New("--skip-gates needs a --reason: it is recorded")}
			}
			if o.scope.env == "" {
				return usageError{errors.New("say into which environment with -e")}
			}
			return p.act(cmd.Context(), v1alpha1.VerbPromote, a[0], o)
		},
	}
	p.actFlags(cmd, &o)
	cmd.Flags().BoolVar(&o.skip, "skip-gates", false, "go in past every gate but a hold, a running Job and an unreadable plan; needs a --reason")
	return cmd
}

// act records what the person does to a Release, and says what that leads to.
func (p *program) act(ctx context.Context, verb v1alpha1.Verb, word string, o acted) error {
	pl, snap, err := p.snap(ctx)
	if err != nil {
		return err
	}
	r, err := snap.release(word, o.scope.fleet, func(r *v1alpha1.Release) bool { return fitting(verb, r, o.scope.env) })
	if err != nil {
		return err
	}
	env, err := environmentFor(verb, r, o.scope.env)
	if err != nil {
		return err
	}
	person, err := pl.whoAmI(ctx)
	if err != nil {
		return err
	}
	if err := pl.may(ctx, verb, env, r.Spec.Fleet, person); err != nil {
		return err
	}
	action := v1alpha1.ReleaseAction{
		Verb: verb, Environment: env, By: person.Username, Groups: act.GroupsFor(verb, snap.fleet(r.Spec.Fleet), env, person.Groups),
		At: metav1.NewTime(p.now().Truncate(time.Second)), Reason: o.reason, Group: o.group, SkipGates: o.skip,
	}
	if err := pl.record(ctx, r, action); err != nil {
		return err
	}
	c := p.painter(p.err)
	if o.skip {
		p.notef("%s\n", c.paint(red, fmt.Sprintf("%s goes into %s past its gates: %s", r.Name, env, o.reason)))
	} else {
		p.notef("%s: %s %s, as %s\n", r.Name, done[verb], env, person.Username)
	}
	if o.wait {
		return p.watchRelease(ctx, pl, r.Name, lastOf(r))
	}
	return p.outcome(ctx, pl, r.Name, len(r.Spec.Actions)+1)
}

// lastOf is the number of the last thing that is known to have happened to r.
func lastOf(r *v1alpha1.Release) int64 {
	if n := len(r.Status.Journal); n > 0 {
		return r.Status.Journal[n-1].Number
	}
	return 0
}

// done says what a verb did, before the name of an environment.
var done = map[v1alpha1.Verb]string{
	v1alpha1.VerbApprove: "approved for", v1alpha1.VerbAbort: "aborted in", v1alpha1.VerbPromote: "promoted to",
	v1alpha1.VerbHold: "held in", v1alpha1.VerbResume: "resumed in", v1alpha1.VerbRollback: "is being rolled back in",
}

// fitting reports whether r is what a person means who names its service.
func fitting(verb v1alpha1.Verb, r *v1alpha1.Release, environment string) bool {
	return slices.ContainsFunc(r.Status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool {
		if environment != "" && e.Name != environment {
			return false
		}
		switch verb {
		case v1alpha1.VerbApprove:
			return e.Stage == v1alpha1.StageWaiting && act.Asks(&e)
		case v1alpha1.VerbAbort:
			return r.Status.Ended == nil && e.Stage != v1alpha1.StageDone
		}
		return e.Stage != v1alpha1.StageDone
	})
}

// environmentFor returns the environment that is meant without -e: the one where r is or waits.
func environmentFor(verb v1alpha1.Verb, r *v1alpha1.Release, named string) (string, error) {
	var names []string
	for i := range r.Status.Environments {
		e := &r.Status.Environments[i]
		names = append(names, e.Name)
		switch {
		case named != "" && e.Name == named:
			return named, act.Idle(verb, r, e)
		case named != "":
		case verb == v1alpha1.VerbApprove && e.Stage == v1alpha1.StageWaiting && act.Asks(e),
			verb == v1alpha1.VerbAbort && (e.Stage == v1alpha1.StageRunning || e.Stage == v1alpha1.StageVerifying || e.Stage == v1alpha1.StageWaiting && len(e.Gates) > 0):
			return e.Name, nil
		}
	}
	if named != "" {
		return "", oneOf("environment of "+r.Name, named, names)
	}
	if verb == v1alpha1.VerbApprove {
		return "", fmt.Errorf("%s waits for no approval: it is %s%s; with -e it is approved ahead of time", r.Name, stageWord(r.Status.Stage), bracketed(told(r.Status.Why)))
	}
	return "", fmt.Errorf("%s is %s: there is nothing to end", r.Name, stageWord(r.Status.Stage))
}

// whoAmI asks the plane whom it takes the person for.
func (pl *plane) whoAmI(ctx context.Context) (authenticationv1.UserInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	person, err := act.WhoAmI(ctx, pl)
	return person, pl.explain("ask the plane who you are", err)
}

// may asks whether the person has a verb on an environment, so that it is said clearly who grants it.
func (pl *plane) may(ctx context.Context, verb v1alpha1.Verb, environment, fleet string, person authenticationv1.UserInfo) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	allowed, err := act.May(ctx, pl, pl.namespace, verb, environment, fleet)
	if err != nil {
		return pl.explain("ask whether you may", err)
	}
	if !allowed {
		return act.Denied(person.Username, pl.namespace, verb, environment, fleet)
	}
	return nil
}

// record adds an action to a Release.
func (pl *plane) record(ctx context.Context, r *v1alpha1.Release, action v1alpha1.ReleaseAction) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := act.OnRelease(ctx, pl, client.ObjectKeyFromObject(r), action)
	return pl.explain(fmt.Sprintf("%s %s", action.Verb, r.Name), err)
}

// takeIn is how long a verb waits for Sengu to act on what was recorded.
const takeIn = 5 * time.Second

// outcome says what an action led to, once Sengu has taken it in.
func (p *program) outcome(ctx context.Context, pl *plane, name string, actions int) error {
	limited, cancel := context.WithTimeout(ctx, takeIn)
	defer cancel()
	var last *v1alpha1.Release
	err := pl.follow(limited, func(error) {}, func(snap snapshot) (bool, error) {
		r, err := snap.release(name, "", anyRelease)
		if err != nil {
			return false, err
		}
		last = r
		return int(r.Status.HandledActions) >= actions, nil
	})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		p.notef("It is recorded, and Sengu has not taken it in yet: `sengu release show %s --watch` shows when it does.\n", name)
		return nil
	}
	if err != nil || last == nil {
		return err
	}
	if why := told(last.Status.Why); why != "" {
		p.notef("It is %s now: %s\n", stageWord(last.Status.Stage), why)
	} else {
		p.notef("It is %s now: `sengu release show %s --watch` follows it\n", stageWord(last.Status.Stage), name)
	}
	return nil
}
