// Package keeper writes to Git what each environment of a Fleet runs.
//
// It is responsible for one ref of each Fleet's repository, whose newest commit names what runs and whose ancestors
// include it. It refuses to hold anything up: a remote that takes no such ref costs the record, which is told, and
// nothing else.
package keeper

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

const (
	// settle is how long a burst of changes is gathered into one commit.
	settle = 5 * time.Second
	// retry is how long a remote is left alone that did not take the record.
	retry = 5 * time.Minute
)

// Reconciler writes the records of Fleets.
type Reconciler struct {
	// Client reads Fleets, Apps and Clusters from the cache and Secrets from the API server.
	Client client.Client
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	Events       events.EventRecorder
	Log          *slog.Logger
	// Clock tells the time, and wakes what waits for a time.
	Clock clock.WithDelayedExecution

	waker wake.Waker
	alarm *wake.Alarm

	mu     sync.Mutex
	states map[types.NamespacedName]*state
}

// state is what is kept in mind of one Fleet's record.
type state struct {
	// due is when it is written, zero if nothing has changed since it was.
	due   time.Time
	stale stale
	// lease is the commit of the record as it was written or read last.
	lease string
	// failed is why it could not be written the last time.
	failed string
}

// stale is what of a record is out of date: all of it may be, or the files of services are.
type stale struct {
	all      bool
	services map[string]bool
}

func (s *stale) any() bool { return s.all || len(s.services) > 0 }

// Setup registers r with mgr, whose cache is one of origin.IndexServices.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.states = map[types.NamespacedName]*state{}
	r.alarm = wake.NewAlarm(r.Clock, r.waker.Wake)
	return ctrl.NewControllerManagedBy(mgr).
		Named("keeper").
		Watches(&v1alpha1.Fleet{}, handler.EnqueueRequestsFromMapFunc(r.changedFleet), builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, begins()))).
		Watches(&v1alpha1.Cluster{}, handler.EnqueueRequestsFromMapFunc(r.changedCluster), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.App{}, handler.EnqueueRequestsFromMapFunc(r.changedApp), builder.WithPredicates(moves())).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 2}).
		Complete(r)
}

// Close stops what wakes the controller.
func (r *Reconciler) Close() {
	if r.alarm != nil {
		r.alarm.Close()
	}
}

// begins lets a Fleet through when it is compared for the first time.
func begins() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.Fleet)
			after, ok2 := e.ObjectNew.(*v1alpha1.Fleet)
			return ok1 && ok2 && before.Status.Revision == "" && after.Status.Revision != ""
		},
	}
}

// moves lets the changes of Apps through that are part of the record.
func moves() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.App)
			after, ok2 := e.ObjectNew.(*v1alpha1.App)
			return ok1 && ok2 && (before.Spec.Source != after.Spec.Source || revisionOf(before) != revisionOf(after))
		},
	}
}

func revisionOf(app *v1alpha1.App) string {
	if app.Spec.LastGood == nil {
		return ""
	}
	return app.Spec.LastGood.Source.Revision
}

func (r *Reconciler) changedFleet(_ context.Context, fleet client.Object) []reconcile.Request {
	r.changed(client.ObjectKeyFromObject(fleet), everything)
	return nil
}

func (r *Reconciler) changedCluster(ctx context.Context, cluster client.Object) []reconcile.Request {
	fleets, err := origin.FleetsOn(ctx, r.Client, client.ObjectKeyFromObject(cluster))
	if err != nil {
		r.Log.Error("note that a cluster has changed", "error", err)
		return nil
	}
	for _, fleet := range fleets {
		r.changed(fleet, everything)
	}
	return nil
}

func (r *Reconciler) changedApp(_ context.Context, obj client.Object) []reconcile.Request {
	if app, ok := obj.(*v1alpha1.App); ok && app.Spec.Service != "" {
		r.changed(types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}, app.Spec.Service)
	}
	return nil
}

// everything is named where a service is, and is the name of none.
const everything = ""

// changed makes what a record says of a service be written soon.
func (r *Reconciler) changed(fleet types.NamespacedName, service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state(fleet)
	switch {
	case st.stale.all || service == everything:
		st.stale = stale{all: true}
	case st.stale.services == nil:
		st.stale.services = map[string]bool{service: true}
	default:
		st.stale.services[service] = true
	}
	if st.due.IsZero() {
		r.wakeAt(fleet, st, r.Clock.Now().Add(settle))
	}
}

func (r *Reconciler) state(fleet types.NamespacedName) *state {
	st := r.states[fleet]
	if st == nil {
		st = &state{}
		r.states[fleet] = st
	}
	return st
}

func (r *Reconciler) wakeAt(fleet types.NamespacedName, st *state, due time.Time) {
	st.due = due
	r.alarm.Set(fleet, due)
}

// Reconcile writes the record of one Fleet.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, req.NamespacedName, fleet); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// A Fleet that has not been compared yet may have a record that says what it has to begin with.
	may := fleet.Status.Revision != "" && !fleet.Spec.Suspend && fleet.DeletionTimestamp.IsZero()
	what, lease := r.take(req.NamespacedName, may)
	if !what.any() {
		return ctrl.Result{}, nil
	}
	next, err := r.write(ctx, fleet, what, lease)
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state(req.NamespacedName)
	if err == nil {
		st.lease, st.failed = next, ""
		return ctrl.Result{}, nil
	}
	st.stale = stale{all: true}
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	if st.failed != err.Error() {
		st.failed = err.Error()
		r.Log.Warn("what runs is not written to Git", "fleet", fleet.Name, "error", err)
		r.Events.Eventf(fleet, nil, "Warning", "StateNotPushed", "PushState", "%s", err.Error())
	}
	r.wakeAt(req.NamespacedName, st, r.Clock.Now().Add(retry))
	return ctrl.Result{}, nil
}

// forget drops what is kept in mind of a Fleet that is gone.
func (r *Reconciler) forget(fleet types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.states, fleet)
}

// take returns what of a record is to be written now, which is nothing if it may not be, and what it is written onto.
func (r *Reconciler) take(fleet types.NamespacedName, may bool) (stale, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state(fleet)
	st.due = time.Time{} // a change from here on is written by the next commit
	if !may {
		return stale{}, ""
	}
	what := st.stale
	st.stale = stale{}
	what.all = what.all || what.any() && st.lease == ""
	return what, st.lease
}
