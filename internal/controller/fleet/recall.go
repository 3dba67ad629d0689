package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/standing"
)

// recallStanding reads, until a Fleet has compared everything once, what it ran before its cluster was lost, if that is
// written in its repository: that is what its environments are brought to first, and not the head of the branch. It has to be
// known: without an answer nothing is begun. Apps that are there already do not answer it: they may be those of a restore
// that was cut off.
func (r *Reconciler) recallStanding(ctx context.Context, fleet *v1alpha1.Fleet, st *state, repository *gitrepo.Repository, head string) error {
	if fleet.Status.Revision != "" || st.recalled {
		return nil
	}
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return err
	}
	written, err := repository.FetchState(ctx, standing.Ref(fleet.Name), auth)
	switch {
	case errors.Is(err, gitrepo.ErrStateMissing):
	case err != nil:
		return fmt.Errorf("find out what the fleet ran before: %w", err)
	default:
		record, err := standing.Read(written.Files)
		if err != nil {
			return fmt.Errorf("the record at %s of what the fleet ran before: %w", standing.Ref(fleet.Name), err)
		}
		if err := believe(ctx, fleet, repository, head, written.Hash, record); err != nil {
			return err
		}
		st.standing = record.Apps
		r.Log.Info("fleet begins with what it ran before", "fleet", fleet.Name, "apps", len(record.Apps))
	}
	st.recalled = true
	return nil
}

// believe refuses a record that a person has to look at first. Whoever may push to any ref of the repository can write
// one, also those who may not push to the branch: without the word of `sengu restore`, an environment is brought to nothing
// that was never on the branch, and nowhere but where the Fleet has it.
func believe(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, head, hash string, record standing.Record) error {
	if fleet.Annotations[standing.AnnotationRestore] == hash {
		return nil
	}
	folders, err := layout.Parse(fleet.Spec.Layout)
	if err != nil {
		return err
	}
	here := slices.DeleteFunc(standing.Revisions(record.Apps), func(revision string) bool { return !repository.Has(ctx, revision) })
	beside, err := repository.Beside(ctx, head, here)
	if err != nil {
		return fmt.Errorf("find out what was on branch %s: %w", fleet.Spec.Git.Branch, err)
	}
	for _, was := range record.Apps {
		wrong, revision := misplaced(fleet, folders, was), was.Source.Revision
		if wrong == "" && (!slices.Contains(here, revision) || slices.Contains(beside, revision)) {
			wrong = fmt.Sprintf("ran %.7s, which is not on branch %s", revision, fleet.Spec.Git.Branch)
		}
		if _, known := layout.Environment(fleet, was.Environment); known && wrong != "" {
			return fmt.Errorf("the record at %s says that %s in %s %s: `sengu restore %s --fleet %s` shows it and brings it back; "+
				"delete the ref to begin with the branch", standing.Ref(fleet.Name), was.Service, was.Environment, wrong, fleet.Spec.Git.URL, fleet.Name)
		}
	}
	return nil
}

// misplaced says where an App of a record ran, if that is not where a Fleet has it.
func misplaced(fleet *v1alpha1.Fleet, folders layout.Layout, was standing.App) string {
	env, _ := layout.Environment(fleet, was.Environment)
	at := layout.Place{Service: was.Service, Environment: was.Environment, Path: was.Source.Path}
	if place, ok := folders.Place(was.Source.Path); !ok || place != at {
		return fmt.Sprintf("ran from %q, which the layout of this fleet does not give it", was.Source.Path)
	}
	want := layout.SpecOf(fleet, env, at, was.Source.Revision).Source
	if want != was.Source {
		return fmt.Sprintf("ran in namespace %s of cluster %s, and this fleet delivers it to %s of %s", was.Source.Namespace, was.Source.Cluster, want.Namespace, want.Cluster)
	}
	return ""
}
