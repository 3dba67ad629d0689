// Package fleet turns a Fleet's Git repository into Apps: it fetches, finds the services and environments that the
// layout describes, and moves each App that a commit touches to that commit.
//
// It is responsible for the spec of the Apps that it made and for what becomes of them when their folder disappears.
// It refuses to render and to touch a target cluster: that is for the App controller. A remote that cannot be read
// changes nothing.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
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
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
)

// AnnotationSync asks for a fetch or a sync at once. Any new value does.
const AnnotationSync = "sengu.dev/sync"

// Reconciler makes a Fleet's Apps follow its repository.
type Reconciler struct {
	// Client reads Fleets and Apps from the cache and Secrets from the API server.
	Client client.Client
	// Records writes Apps.
	Records *record.Writer
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	// Ledger is told which Apps were moved.
	Ledger *handover.Ledger
	Log    *slog.Logger
	// Now is the clock.
	Now func() time.Time

	waker wake.Waker

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

	// mu is held by the Reconcile of the Fleet, which may take as long as a fetch: nothing else waits for it.
	mu sync.Mutex
	// listed is true once roster holds every App of the Fleet.
	listed bool
	// compared is the revision that every App has been compared with.
	compared string
	memo     layout.Memo
	layout   string
	// nextPoll is when the remote is asked again by itself.
	nextPoll time.Time
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
	return ctrl.NewControllerManagedBy(mgr).
		Named("fleet").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.fleetsOfSecret)).
		Watches(&v1alpha1.App{}, r.appEvents()).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
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
		st.roster.put(memberOf(app))
		if st.removing.Load() {
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
			r.state(key).roster.remove(app.Name, app.UID)
			r.waker.Wake(key)
		},
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
		if ref := fleet.Spec.Git.SecretRef; ref != nil && ref.Name == secret.GetName() {
			key := client.ObjectKeyFromObject(fleet)
			r.state(key).pushed.Store(true)
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}
