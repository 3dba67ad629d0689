package keeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/standing"
)

// write pushes what is out of date, and returns the commit that holds it.
func (r *Reconciler) write(ctx context.Context, fleet *v1alpha1.Fleet, what stale, lease string) (string, error) {
	var apps []standing.App
	var files map[string][]byte
	var err error
	if !what.all {
		apps, files, err = r.some(ctx, fleet, what.services)
		// Nothing left of what changed may be nothing left of the fleet, and that is not what it is brought back to.
		what.all = len(apps) == 0
	}
	if what.all && err == nil {
		apps, files, err = r.all(ctx, fleet)
	}
	if err != nil || len(apps) == 0 {
		return lease, err
	}
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return "", err
	}
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return "", err
	}
	keep, err := r.kept(ctx, fleet, repository, standing.Revisions(apps))
	if err != nil {
		return "", err
	}
	update := gitrepo.StateUpdate{
		Ref: standing.Ref(fleet.Name), Files: files, Changes: !what.all, Lease: lease,
		Keep:   keep,
		Author: gitrepo.Identity{Name: "sengu", Email: "sengu@localhost"}, Message: "What fleet " + fleet.Name + " runs",
	}
	next, err := repository.PushState(ctx, update, auth)
	if !errors.Is(err, gitrepo.ErrRace) {
		return next, err
	}
	// After a start, or beside another Sengu, the ref is not where it was seen last.
	if !what.all {
		return r.write(ctx, fleet, stale{all: true}, lease)
	}
	there, err := repository.FetchState(ctx, update.Ref, auth)
	if err != nil && !errors.Is(err, gitrepo.ErrStateMissing) {
		return "", err
	}
	if other := standing.WriterOf(there.Files); standing.WriterFor(fleet).YieldsTo(other) {
		return "", fmt.Errorf("another fleet %s, made at %s in another place where Sengu runs, writes to %s of the same repository what it runs: give one of the two another name",
			fleet.Name, other.Created.UTC().Format(time.RFC3339), update.Ref)
	}
	update.Lease = there.Hash
	return repository.PushState(ctx, update, auth)
}

// some reads the Apps of services, and makes their files.
func (r *Reconciler) some(ctx context.Context, fleet *v1alpha1.Fleet, services map[string]bool) ([]standing.App, map[string][]byte, error) {
	var all []standing.App
	for service := range services {
		var apps v1alpha1.AppList
		err := r.Client.List(ctx, &apps, client.InNamespace(fleet.Namespace), origin.OfService(fleet.Name, service), client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, nil, fmt.Errorf("list what fleet %s runs of %s: %w", fleet.Name, service, err)
		}
		all = append(all, standing.AppsOf(fleet.Name, apps.Items)...)
	}
	files, err := standing.FilesOf(slices.Collect(maps.Keys(services)), all)
	return all, files, err
}

// all reads everything that a record holds.
func (r *Reconciler) all(ctx context.Context, fleet *v1alpha1.Fleet) ([]standing.App, map[string][]byte, error) {
	var apps v1alpha1.AppList
	var clusters v1alpha1.ClusterList
	for _, list := range []client.ObjectList{&apps, &clusters} {
		if err := r.Client.List(ctx, list, client.InNamespace(fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return nil, nil, fmt.Errorf("list what fleet %s runs: %w", fleet.Name, err)
		}
	}
	record := standing.Of(fleet, apps.Items, clusters.Items)
	files, err := record.Files()
	return record.Apps, files, err
}

// manyCommits is how many commits a record keeps each by itself.
const manyCommits = 256

// kept returns the commits by which all revisions are kept: each by itself or, if there are many, those that are not on the
// branch, and the head of that. A commit has no thousand parents.
func (r *Reconciler) kept(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, revisions []string) ([]string, error) {
	revisions = r.known(ctx, repository, revisions)
	head, ok := repository.Head(fleet.Spec.Git.Branch)
	if len(revisions) <= manyCommits || !ok {
		return revisions, nil
	}
	beside, err := repository.Beside(ctx, head, revisions)
	return append(beside, head), err
}

// known leaves out the commits that the mirror does not hold, which cannot be named as ancestors.
func (r *Reconciler) known(ctx context.Context, repository *gitrepo.Repository, revisions []string) []string {
	return slices.DeleteFunc(revisions, func(revision string) bool { return !repository.Has(ctx, revision) })
}
