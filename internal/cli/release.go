package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
)

const releaseLong = `A Release is one change of one service on its way through the environments. Sengu makes
it when a commit changes what the service renders somewhere, and takes it from environment
to environment as far as the gates are open. These verbs show where it is, and are how a
person moves it, stops it or takes it back.

What a person does is recorded in the Release or the App under the name that the plane
knows the person by. Whoever may do it has the verb (approve, abort, promote, hold, resume,
rollback) on the resource environments of the group sengu.dev, with the name
ENVIRONMENT.FLEET: an ordinary Role.`

const releaseExample = `  # what is on its way, and what it waits for
  sengu release list
  sengu release show checkout --watch

  # let it into the environment that it waits before, or take it back from there
  sengu release approve checkout
  sengu release rollback checkout -e production --reason "errors since 14:02"`

// releaseCommand is `sengu release`, with a verb for everything that is done to Releases.
func (p *program) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "release",
		Aliases: []string{"releases"},
		Short:   "Changes on their way: where they are, what they wait for; approve, hold, roll back",
		Long:    releaseLong,
		Example: releaseExample,
		GroupID: groupAct,
		Args:    p.noVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		p.releaseListCommand(),
		p.releaseShowCommand(),
		p.releaseLogsCommand(),
		p.releaseApproveCommand(),
		p.releaseAbortCommand(),
		p.releasePromoteCommand(),
		p.releaseHoldCommand(),
		p.releaseResumeCommand(),
		p.releaseRollbackCommand(),
	)
	return cmd
}

// newest lists the Releases of a fleet and a service, or of all with "", the newest first.
func (s snapshot) newest(fleet, service string) []*v1alpha1.Release {
	var found []*v1alpha1.Release
	for i := range s.releases {
		r := &s.releases[i]
		if (fleet == "" || r.Spec.Fleet == fleet) && (service == "" || r.Spec.Service == service) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *v1alpha1.Release) int {
		return cmp.Or(cmp.Compare(b.CreationTimestamp.Unix(), a.CreationTimestamp.Unix()), cmp.Compare(b.Spec.Sequence, a.Spec.Sequence), cmp.Compare(a.Name, b.Name))
	})
	return found
}

// at returns how far r has come in an environment, nil if r is not for it.
func at(r *v1alpha1.Release, environment string) *v1alpha1.ReleaseEnvironmentStatus {
	return act.At(r, environment)
}

// release returns the Release that word means: by its name, or the one of a service that fits best, which fits says,
// or else the newest of the service.
func (s snapshot) release(word, fleet string, fits func(*v1alpha1.Release) bool) (*v1alpha1.Release, error) {
	for i := range s.releases {
		if s.releases[i].Name == word {
			return &s.releases[i], nil
		}
	}
	all := s.newest(fleet, word)
	for _, r := range all {
		if r.Spec.Fleet != all[0].Spec.Fleet {
			return nil, fmt.Errorf("%s is a service of the fleets %s and %s: say which with -f", word, all[0].Spec.Fleet, r.Spec.Fleet)
		}
	}
	for _, r := range all {
		if fits(r) {
			return r, nil
		}
	}
	if len(all) > 0 {
		return all[0], nil
	}
	services := serviceNames(s.apps, fleet)
	if slices.Contains(services, word) {
		return nil, fmt.Errorf("service %s has no Release: nothing of it has changed since it was first delivered", word)
	}
	return nil, oneOf("service or Release", word, services)
}

// anyRelease takes the newest.
func anyRelease(*v1alpha1.Release) bool { return true }

// completeRelease completes one argument that is a Release or a service.
func (p *program) completeRelease(cmd *cobra.Command, a []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(a) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeFrom(func(s snapshot) []string {
		words := serviceNames(s.apps, "")
		for _, r := range s.newest("", "") {
			words = append(words, r.Name)
		}
		return words
	})(cmd, a, word)
}

// stageMark is one character for a stage, and how it looks.
func stageMark(at *v1alpha1.ReleaseEnvironmentStatus) (string, style) {
	if at == nil {
		return "·", dim
	}
	switch at.Stage {
	case v1alpha1.StageDone:
		if at.Unchanged {
			return "=", dim
		}
		return "✓", green
	case v1alpha1.StageRunning, v1alpha1.StageVerifying:
		return "●", cyan
	case v1alpha1.StageFailed:
		return "✗", red
	case v1alpha1.StageRolledBack:
		return "↩", red
	case v1alpha1.StageSuperseded:
		return "»", dim
	}
	if person(at) {
		return "?", yellow
	}
	return "…", dim
}

// person reports whether a Release waits for a person.
func person(at *v1alpha1.ReleaseEnvironmentStatus) bool {
	return slices.ContainsFunc(at.Gates, func(g v1alpha1.Gate) bool {
		return !g.Open && (g.Name == "approval" || g.Name == "removal" || g.Name == "hold")
	})
}

func stageStyle(s v1alpha1.Stage) style {
	switch s {
	case v1alpha1.StageDone:
		return green
	case v1alpha1.StageRunning, v1alpha1.StageVerifying:
		return cyan
	case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
		return red
	case v1alpha1.StageSuperseded:
		return dim
	}
	return yellow
}

// stageWord says a stage as the program prints it.
func stageWord(s v1alpha1.Stage) string { return act.StageWord(s) }

// snap connects to the plane and reads what it holds.
func (p *program) snap(ctx context.Context) (*plane, snapshot, error) {
	pl, err := p.plane()
	if err != nil {
		return nil, snapshot{}, err
	}
	snap, err := pl.snapshot(ctx)
	return pl, snap, err
}
