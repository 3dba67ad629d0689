package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const (
	// maxPlaces is how many places are compared for one pull request.
	maxPlaces = 400
	// renders is how many are compared at once.
	renders = 2
)

// longest that one pull request is looked at. What there is no time for is left out, and said to be.
const (
	patience       = 10 * time.Minute
	patienceOfFork = 3 * time.Minute
)

// examination is one look at a pull request.
type examination struct {
	*Reconciler
	// fleet is the Fleet, as far as the pull request may make use of it.
	fleet   *v1alpha1.Fleet
	pr      forge.PullRequest
	at, was *gitrepo.Tree
	changes gitrepo.Changes
	apps    map[string]*v1alpha1.App
}

// finding is what was found out about a subject.
type finding struct {
	subject
	place
	app       *v1alpha1.App
	target    *target.Target
	next, old origin.Desired
	jobs      [2]map[string]manifest.Object // of next and old
}

// examine compares a pull request with what it was made from, by their full hashes.
func (r *Reconciler) examine(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, pr forge.PullRequest, base string) (report, error) {
	limit := patience
	if pr.Fork {
		limit = patienceOfFork
	}
	hurry, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	e := &examination{Reconciler: r, fleet: allowance(fleet, pr.Fork), pr: pr}
	told := report{
		Fleet: fleet.Name, Branch: fleet.Spec.Git.Branch, Head: pr.HeadSHA, Base: base, Fork: pr.Fork, Environments: fleet.Spec.Environments,
	}
	var err error
	if e.at, err = e.tree(ctx, repository, pr.HeadSHA); err != nil {
		return told, err
	}
	if e.was, err = e.tree(ctx, repository, base); err != nil {
		return told, err
	}
	if e.changes, err = repository.Diff(ctx, base, pr.HeadSHA); err != nil {
		return told, err
	}
	if err := e.list(ctx); err != nil {
		return told, err
	}
	subjects, err := e.subjects()
	if err != nil {
		return told, err
	}
	told.Left = max(0, len(subjects)-maxPlaces)
	found := e.compareAll(hurry, subjects[:len(subjects)-told.Left])
	if ctx.Err() != nil {
		return told, ctx.Err()
	}
	told.Left += len(subjects) - told.Left - len(found)
	told.Untried = e.judge(hurry, found)
	for _, f := range found {
		told.Places = append(told.Places, f.place)
	}
	return told, ctx.Err()
}

// allowance is the Fleet as a pull request may make use of it. Whoever has a fork may not write to the repository: what
// the Fleet may fetch with a credential, submodules among it, would be shown to him.
func allowance(fleet *v1alpha1.Fleet, fork bool) *v1alpha1.Fleet {
	fleet = fleet.DeepCopy()
	if fork {
		fleet.Spec.Remotes = slices.DeleteFunc(fleet.Spec.Remotes, func(remote v1alpha1.Remote) bool { return remote.SecretRef != nil })
	}
	return fleet
}

// tree opens a revision, with the submodules that the pull request may make use of.
func (e *examination) tree(ctx context.Context, repository *gitrepo.Repository, revision string) (*gitrepo.Tree, error) {
	return origin.Tree(ctx, e.Client, e.fleet, repository, revision)
}

// list reads the Apps of the Fleet.
func (e *examination) list(ctx context.Context) error {
	var apps v1alpha1.AppList
	if err := e.Client.List(ctx, &apps, client.InNamespace(e.fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Apps of fleet %s: %w", e.fleet.Name, err)
	}
	e.apps = map[string]*v1alpha1.App{}
	for i := range apps.Items {
		if app := &apps.Items[i]; app.Spec.Fleet == e.fleet.Name && app.Spec.Service != "" {
			e.apps[app.Name] = app
		}
	}
	return nil
}

// compareAll compares as many subjects as there is time for, and returns them in the order of services.
func (e *examination) compareAll(ctx context.Context, subjects []subject) []*finding {
	var mu sync.Mutex
	var found []*finding
	var group errgroup.Group
	group.SetLimit(renders)
	for _, s := range subjects {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			f := e.compare(ctx, s)
			if ctx.Err() != nil {
				return nil // what it says is that there was no time
			}
			mu.Lock()
			defer mu.Unlock()
			found = append(found, f)
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in each finding
	slices.SortFunc(found, func(a, b *finding) int { return e.order(a.Service, a.Environment, b.Service, b.Environment) })
	return found
}

// compare renders a place at both revisions, and says what differs.
func (e *examination) compare(ctx context.Context, s subject) *finding {
	name := layout.NameOfApp(e.fleet.Name, s.service, s.env.Name)
	f := &finding{subject: s, app: e.apps[name]}
	f.place = place{Service: s.service, Environment: s.env.Name, Cluster: s.env.Cluster, Namespace: e.spec(s).Source.Namespace}
	t, _ := e.Targets.Get(types.NamespacedName{Namespace: e.fleet.Namespace, Name: s.env.Cluster})
	if t == nil { // why is nothing for everybody who may read a pull request
		f.Fate, f.Reason = unknown, "cluster "+s.env.Cluster+" cannot be used now"
		return f
	}
	f.target = t
	var broke error // the revision before
	if s.was != nil {
		f.old, f.jobs[1], broke = e.make(ctx, f, e.was, *s.was)
	}
	if s.at == nil {
		f.Fate = removed
		f.differ()
		return f
	}
	next, jobs, err := e.make(ctx, f, e.at, *s.at)
	f.next, f.jobs[0] = next, jobs
	f.steps()
	alike := err != nil && broke != nil && err.Error() == broke.Error()
	switch {
	case origin.Passing(err):
		f.Fate, f.Reason = unknown, err.Error()
		return f
	case err == nil && origin.Passing(broke):
		f.Fate, f.Reason = unknown, broke.Error()
		return f
	case err != nil && next.Digest == "" && alike && e.pr.Fork:
		f.Fate, f.Reason = unknown, err.Error() // it may be for lack of what a fork is not given
		return f
	case err != nil && next.Digest == "":
		f.Fate, f.Reason = broken, err.Error()
		if alike {
			f.Notes = append(f.Notes, "it cannot be rendered without this pull request either")
		}
		return f
	case err != nil: // it renders, and no cluster would take it
		f.Refused = strings.Split(err.Error(), "\n")
	}
	f.weigh(broke)
	return f
}

// weigh says what becomes of a place that can be rendered. broke is why it could not be made before.
func (f *finding) weigh(broke error) {
	switch {
	case f.was == nil:
		f.Fate = added
	case f.old.Digest == f.next.Digest:
		f.Fate = same
		if broke != nil {
			f.Refused = nil // nothing of it is this pull request's
		}
		return
	default:
		f.Fate = altered
	}
	f.Images = swaps(f.old.Images, f.next.Images)
	if f.app != nil && f.app.Spec.Hold.Active() {
		f.Notes = append(f.Notes, "it is held, and stays as it is until it is resumed")
	}
	if reason := f.next.Settings.Rollback.Blocked; reason != "" && f.was != nil {
		f.Notes = append(f.Notes, "there is no way back from it, because sengu.yaml blocks a rollback: "+reason)
	}
	for _, warning := range f.next.Warnings {
		if !slices.Contains(f.old.Warnings, warning) {
			f.say(&f.Notes, warning)
		}
	}
	switch {
	case broke != nil:
		f.Notes = append(f.Notes, "there is nothing to compare with, because it is broken without this pull request: "+first(broke.Error()))
	case len(f.Refused) == 0:
		f.differ()
	}
}

// steps lists what is run around a place.
func (f *finding) steps() {
	for _, step := range f.next.Settings.Before {
		f.Before = append(f.Before, step.Name)
	}
	for _, step := range f.next.Settings.After {
		f.After = append(f.After, step.Name)
	}
	for _, check := range f.next.Settings.Checks {
		f.Checks = append(f.Checks, check.Name)
	}
}

// spec is what the App of a subject should be.
func (e *examination) spec(s subject) v1alpha1.AppSpec {
	at := s.at
	if at == nil {
		at = s.was
	}
	return layout.SpecOf(e.fleet, s.env, *at, e.pr.HeadSHA)
}

// object is the App of a subject. One that does not exist yet has a UID that no App has.
func (e *examination) object(f *finding) *v1alpha1.App {
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: e.fleet.Namespace, Name: layout.NameOfApp(e.fleet.Name, f.service, f.env.Name), UID: "new"}}
	if f.app != nil {
		app.UID = f.app.UID
	}
	app.Spec = e.spec(f.subject)
	return app
}

// make renders a place from a tree. The Desired has a digest as soon as it was rendered, also with an error.
func (e *examination) make(ctx context.Context, f *finding, tree *gitrepo.Tree, at layout.Place) (origin.Desired, map[string]manifest.Object, error) {
	app := e.object(f)
	app.Spec.Source.Path, app.Spec.Source.Revision = at.Path, tree.Revision()
	order := origin.Order{App: app, Fleet: e.fleet, Source: tree, Conn: f.target.Conn, Capabilities: f.target.Capabilities}
	d, err := e.Maker.Make(ctx, order)
	if err != nil || len(d.Settings.Jobs()) == 0 {
		return d, nil, err
	}
	all, err := e.Maker.Jobs(ctx, order)
	if err != nil {
		return d, nil, err
	}
	jobs := map[string]manifest.Object{}
	for _, name := range d.Settings.Jobs() {
		if job, ok := all[name]; ok {
			jobs[name] = job
		}
	}
	return d, jobs, nil
}
