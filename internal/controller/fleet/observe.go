package fleet

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

// fetch returns the revision to compare the Apps with. It asks the remote only when something says that there may be
// news: a webhook, the interval, a person, or a changed spec. If the remote cannot be read, the last head that was
// seen stays the one to compare with, and st.fetchErr says why.
func (r *Reconciler) fetch(ctx context.Context, fleet *v1alpha1.Fleet, st *state) (string, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return "", err
	}
	requested := fleet.Annotations[AnnotationSync]
	now := r.Now()
	due := st.pushed.Load() || !now.Before(st.nextPoll) || st.fetchedGeneration != fleet.Generation || st.handledSync != requested
	if due {
		// Taken back before the fetch: a push that arrives during it asks for another.
		st.pushed.Store(false)
		st.nextPoll = now.Add(interval(fleet))
		st.fetchedGeneration, st.handledSync = fleet.Generation, requested
		st.fetchErr = r.ask(ctx, fleet, st, repository)
	}
	head, ok := repository.Head(fleet.Spec.Git.Branch)
	if !ok || refused(st.fetchErr) {
		return "", st.fetchErr
	}
	return head, nil
}

// refused reports whether the remote did not let the Fleet in. The mirror may hold what another Fleet was let in for.
func refused(err error) bool {
	return errors.Is(err, gitrepo.ErrAuth) || errors.Is(err, gitrepo.ErrHostKey) || errors.Is(err, gitrepo.ErrRemoteMissing)
}

// ask fetches the branch.
func (r *Reconciler) ask(ctx context.Context, fleet *v1alpha1.Fleet, st *state, repository *gitrepo.Repository) error {
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return err
	}
	revision, err := repository.Fetch(ctx, fleet.Spec.Git.Branch, auth)
	if err != nil {
		return err
	}
	if revision.Changed() {
		st.rewritten = revision.Forced
	}
	return nil
}

// observe gathers what decide needs: the places of the revision, the Apps there are, and which of them it touches.
func (r *Reconciler) observe(ctx context.Context, fleet *v1alpha1.Fleet, st *state, revision string) (observation, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return observation{}, err
	}
	tree, err := repository.Tree(ctx, revision)
	if err != nil {
		return observation{}, err
	}
	if st.layout != fleet.Spec.Layout {
		st.layout, st.memo = fleet.Spec.Layout, nil
	}
	parsed, err := layout.Parse(fleet.Spec.Layout)
	if err != nil {
		return observation{}, err
	}
	places, fresh, err := parsed.Discover(tree, st.memo)
	if err != nil {
		return observation{}, err
	}
	st.memo = fresh
	if err := r.list(ctx, fleet, st); err != nil {
		return observation{}, err
	}
	touched, err := r.touched(ctx, st, repository, tree, revision)
	if err != nil {
		return observation{}, err
	}
	return observation{
		fleet: fleet, revision: revision, places: places, members: st.roster.all(),
		touched: touched, confirmed: confirmed(fleet),
	}, nil
}

// list fills the roster once: the watch may not have delivered every App yet, but the cache it fills has.
func (r *Reconciler) list(ctx context.Context, fleet *v1alpha1.Fleet, st *state) error {
	if st.listed {
		return nil
	}
	var apps v1alpha1.AppList
	if err := r.Client.List(ctx, &apps, client.InNamespace(fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Apps of fleet %s: %w", fleet.Name, err)
	}
	for i := range apps.Items {
		if app := &apps.Items[i]; app.Spec.Fleet == fleet.Name && app.Spec.Service != "" {
			st.roster.put(memberOf(app))
		}
	}
	st.listed = true
	return nil
}

// touched names the Apps that would read something else at revision than what they were rendered from.
func (r *Reconciler) touched(ctx context.Context, st *state, repository *gitrepo.Repository, tree *gitrepo.Tree, revision string) (map[string]bool, error) {
	touched := map[string]bool{}
	var candidates []member
	switch st.compared {
	case revision:
		return touched, nil
	case "":
		for _, m := range st.roster.all() {
			candidates = append(candidates, m)
		}
	default:
		changes, err := repository.Diff(ctx, st.compared, revision)
		if err != nil {
			return nil, err
		}
		candidates = st.roster.concerned(changes)
	}
	for _, m := range candidates {
		if m.Source.Revision == revision {
			continue
		}
		if m.Inputs == nil {
			touched[m.Name] = true
			continue
		}
		digest, err := render.DigestOf(tree, m.Inputs)
		if err != nil {
			return nil, fmt.Errorf("compare the inputs of App %s with %.7s: %w", m.Name, revision, err)
		}
		if digest != m.InputsDigest {
			touched[m.Name] = true
		}
	}
	return touched, nil
}
