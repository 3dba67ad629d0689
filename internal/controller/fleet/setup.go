// Package fleet turns a Fleet's Git repository into Apps and Releases: it fetches, finds the services and environments
// that the layout describes, delivers what it finds the first time as it is, and from then on makes a Release of each
// service that a commit changes.
//
// It is responsible for the existence of Apps and Releases, and for what becomes of an App that is on its way out. It
// refuses to move an App to another revision, which is for its Release, and to touch a target cluster, which is for the
// App controller. A remote that cannot be read changes nothing.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/handover"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
	"github.com/sengu-dev/sengu/internal/standing"
)

// AnnotationSync asks for a fetch or a sync at once. Any new value does.
const AnnotationSync = "sengu.dev/sync"

// Reconciler makes a Fleet's Apps follow its repository.
type Reconciler struct {
	// Client reads Fleets and Apps from the cache and Secrets from the API server.
	Client client.Client
	// Records writes Apps and Releases.
	Records *record.Writer
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	// Renderer says what a revision means a service to be, for the clusters that Targets knows. Renders is its fingerprint,
	// and Key keys the digests of what it makes.
	Renderer *render.Renderer
	Renders  string
	Targets  *target.Registry
	Key      manifest.Key
	// Ledger is told which Apps were made.
	Ledger *handover.Ledger
	Log    *slog.Logger
	// Now is the clock.
	Now func() time.Time

	waker   wake.Waker
	planner *planner
	// written are the Fleets as their statuses were written last. Compared with an older one, a status that has come to be as
	// it was before would not be written again.
	written record.Recent[*v1alpha1.Fleet]

	mu     sync.Mutex
	states map[types.NamespacedName]*state
}

// state is what the Reconciler keeps in mind of one Fleet. All of it can be made again.
type state struct {
	roster *roster
	// looked is true once a Reconcile has ended, well or not.
	looked atomic.Bool
	// pushed is true when something announced that the remote may have news: a webhook, or changed credentials.
	pushed atomic.Bool
	// removing is true while something that disappeared waits, so that every App's progress matters.
	removing atomic.Bool
	// planFailure is why the last service that could not be looked at could not, if there is one.
	planFailure atomic.Pointer[string]

	// mu is held by the Reconcile of the Fleet, which may take as long as a fetch: nothing else waits for it.
	mu sync.Mutex
	// listed is true once roster holds every App of the Fleet.
	listed bool
	// atlas holds the services of the branch, and census counts their Apps.
	atlas  origin.Atlas
	census census
	// compared is the revision that every App has been compared with, and decided the generation of the Fleet by which it was
	// decided about each; 0 if it was not.
	compared string
	decided  int64
	// recalled is true once it is known what the Fleet ran before, and standing is that.
	recalled bool
	standing []standing.App
	// nextPoll is when the remote is asked again by itself, and failures how often the Fleet could not be looked at since it
	// last could.
	nextPoll time.Time
	failures int
	// fetchedGeneration and handledSync are the spec and the request that the last fetch was for.
	fetchedGeneration int64
	handledSync       string
	// fetchErr is why the last fetch failed.
	fetchErr error
	// rewritten is true while the head is one that a force-push put there.
	rewritten bool
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.states = map[types.NamespacedName]*state{}
	r.planner = newPlanner()
	r.Targets.Subscribe(r.clusterChanged)
	return ctrl.NewControllerManagedBy(mgr).
		Named("fleet").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.fleetsOfSecret)).
		Watches(&v1alpha1.App{}, r.appEvents()).
		Watches(&v1alpha1.Release{}, r.releaseEvents()).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
}

// clusterChanged wakes the Fleets that deliver to a cluster: after a start, they wait to hear of each.
func (r *Reconciler) clusterChanged(cluster types.NamespacedName) {
	fleets, err := origin.FleetsOn(context.Background(), r.Client, cluster) // a read of the cache
	if err != nil {
		r.Log.Error("wake the Fleets of a cluster that changed", "error", err)
		return
	}
	for _, fleet := range fleets {
		r.waker.Wake(fleet)
	}
}

// Close waits until nothing is compared any more. Call it when the controller has ended.
func (r *Reconciler) Close() {
	if r.planner != nil {
		r.planner.close()
	}
}

// Pushed tells the Reconciler that a commit has arrived for a repository. Every Fleet that reads it fetches at once.
func (r *Reconciler) Pushed(ctx context.Context, url string) error {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets); err != nil {
		return fmt.Errorf("list fleets of %s: %w", url, err)
	}
	for i := range fleets.Items {
		if gitrepo.NormalizeURL(fleets.Items[i].Spec.Git.URL) != gitrepo.NormalizeURL(url) {
			continue
		}
		key := client.ObjectKeyFromObject(&fleets.Items[i])
		r.state(key).pushed.Store(true)
		r.waker.Wake(key)
	}
	return nil
}

// Ready says which Fleet has not been looked at since the start, if there is one.
func (r *Reconciler) Ready(ctx context.Context) error {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets); err != nil {
		return fmt.Errorf("list fleets: %w", err)
	}
	for i := range fleets.Items {
		st := r.state(client.ObjectKeyFromObject(&fleets.Items[i]))
		if !st.looked.Load() {
			return fmt.Errorf("fleet %s has not been compared with its repository yet", fleets.Items[i].Name)
		}
	}
	return nil
}

func (r *Reconciler) state(key types.NamespacedName) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.states[key]
	if st == nil {
		st = &state{roster: newRoster()}
		r.states[key] = st
	}
	return st
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.states, key)
	r.written.Forget(key)
}

// appEvents keeps the rosters, and wakes a Fleet only for what it has to act on: an App that somebody deleted, or
// progress that a removal waits for.
func (r *Reconciler) appEvents() handler.EventHandler {
	seen := func(obj client.Object) {
		app, ok := obj.(*v1alpha1.App)
		if !ok || app.Spec.Service == "" {
			return
		}
		key := types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}
		st := r.state(key)
		suspect := st.roster.put(memberOf(app))
		if suspect || st.removing.Load() || app.Spec.Removal != "" {
			r.waker.Wake(key)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, _ queue) { seen(e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ queue) { seen(e.ObjectNew) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) {
			app, ok := e.Object.(*v1alpha1.App)
			if !ok || app.Spec.Service == "" {
				return
			}
			key := types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}
			r.state(key).roster.lose(app)
			r.state(key).roster.remove(app.Name, app.UID)
			r.waker.Wake(key)
		},
	}
}

// releaseEvents keeps the rosters. While something is on its way out, the end of a Release may be what that waits for.
func (r *Reconciler) releaseEvents() handler.EventHandler {
	seen := func(obj client.Object) {
		release, ok := obj.(*v1alpha1.Release)
		if !ok {
			return
		}
		key := types.NamespacedName{Namespace: release.Namespace, Name: release.Spec.Fleet}
		st := r.state(key)
		st.roster.steer(release.Spec.Service, courseOf(release))
		if st.removing.Load() && release.Status.Ended != nil {
			r.waker.Wake(key)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, _ queue) { seen(e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ queue) { seen(e.ObjectNew) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, _ queue) {
			if release, ok := e.Object.(*v1alpha1.Release); ok {
				r.releaseDeleted(ctx, release)
			}
		},
	}
}

// releaseDeleted looks at a service anew whose newest Release somebody has deleted: what Git says is still to be delivered.
func (r *Reconciler) releaseDeleted(ctx context.Context, gone *v1alpha1.Release) {
	key := types.NamespacedName{Namespace: gone.Namespace, Name: gone.Spec.Fleet}
	var left v1alpha1.ReleaseList
	if err := r.Client.List(ctx, &left, client.InNamespace(gone.Namespace), origin.OfService(gone.Spec.Fleet, gone.Spec.Service), client.UnsafeDisableDeepCopy); err != nil {
		r.Log.Error("look at a service whose Release was deleted", "release", gone.Name, "error", err)
		return
	}
	var newest course
	for i := range left.Items {
		if c := courseOf(&left.Items[i]); c.Sequence > newest.Sequence {
			newest = c
		}
	}
	if r.state(key).roster.unsteer(gone.Spec.Service, gone.Name, newest) {
		r.waker.Wake(key)
	}
}

// fleetsOfSecret names the Fleets that read a Secret.
func (r *Reconciler) fleetsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets, client.InNamespace(secret.GetNamespace())); err != nil {
		r.Log.Error("list fleets of a changed Secret", "namespace", secret.GetNamespace(), "error", err)
		return nil
	}
	var requests []reconcile.Request
	for i := range fleets.Items {
		fleet := &fleets.Items[i]
		key := client.ObjectKeyFromObject(fleet)
		named := func(ref *v1alpha1.SecretReference) bool { return ref != nil && ref.Name == secret.GetName() }
		switch {
		case named(fleet.Spec.Git.SecretRef):
			r.state(key).pushed.Store(true)
		case slices.ContainsFunc(fleet.Spec.Remotes, func(remote v1alpha1.Remote) bool { return named(remote.SecretRef) }):
			r.state(key).roster.suspectBroken()
		default:
			continue
		}
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}
