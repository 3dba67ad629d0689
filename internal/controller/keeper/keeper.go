// Package keeper writes to Git what each environment of a Fleet runs.
//
// It is responsible for one ref of each Fleet's repository, whose newest commit names what runs and whose ancestors
// include it. It refuses to hold anything up: a remote that takes no such ref costs the record, which is told, and
// nothing else.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	"github.com/sengu-dev/sengu/internal/standing"
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
	due time.Time
	// lease is the commit of the record as it was written or read last.
	lease string
	// failed is why it could not be written the last time.
	failed string
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.states = map[types.NamespacedName]*state{}
	r.alarm = wake.NewAlarm(r.Clock, r.waker.Wake)
	return ctrl.NewControllerManagedBy(mgr).
		Named("keeper").
		Watches(&v1alpha1.Fleet{}, handler.EnqueueRequestsFromMapFunc(r.changedFleet), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
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
	r.changed(client.ObjectKeyFromObject(fleet))
	return nil
}

func (r *Reconciler) changedApp(_ context.Context, obj client.Object) []reconcile.Request {
	if app, ok := obj.(*v1alpha1.App); ok && app.Spec.Service != "" {
		r.changed(types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet})
	}
	return nil
}

// changed makes the record of a Fleet be written soon.
func (r *Reconciler) changed(fleet types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state(fleet)
	if !st.due.IsZero() {
		return
	}
	st.due = r.Clock.Now().Add(settle)
	r.alarm.Set(fleet, st.due)
}

func (r *Reconciler) state(fleet types.NamespacedName) *state {
	st := r.states[fleet]
	if st == nil {
		st = &state{}
		r.states[fleet] = st
	}
	return st
}

// Reconcile writes the record of one Fleet.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.mu.Lock()
	st := r.state(req.NamespacedName)
	lease := st.lease
	st.due = time.Time{} // a change from here on is written by the next commit
	r.mu.Unlock()
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, req.NamespacedName, fleet); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// A Fleet that has not been compared yet may have a record that says what it has to begin with.
	if fleet.Status.Revision == "" || fleet.Spec.Suspend || !fleet.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	next, err := r.write(ctx, fleet, lease)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		st.lease, st.failed = next, ""
		return ctrl.Result{}, nil
	}
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	if st.failed != err.Error() {
		st.failed = err.Error()
		r.Log.Warn("what runs is not written to Git", "fleet", fleet.Name, "error", err)
		r.Events.Eventf(fleet, nil, "Warning", "StateNotPushed", "PushState", "%s", err.Error())
	}
	st.due = r.Clock.Now().Add(retry)
	r.alarm.Set(req.NamespacedName, st.due)
	return ctrl.Result{}, nil
}

// write pushes the record, and returns the commit that holds it.
func (r *Reconciler) write(ctx context.Context, fleet *v1alpha1.Fleet, lease string) (string, error) {
	var apps v1alpha1.AppList
	var clusters v1alpha1.ClusterList
	for _, list := range []client.ObjectList{&apps, &clusters} {
		if err := r.Client.List(ctx, list, client.InNamespace(fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return "", fmt.Errorf("list what fleet %s runs: %w", fleet.Name, err)
		}
	}
	record := standing.Of(fleet, apps.Items, clusters.Items)
	if len(record.Apps) == 0 {
		return lease, nil
	}
	files, err := record.Files()
	if err != nil {
		return "", err
	}
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return "", err
	}
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return "", err
	}
	update := gitrepo.StateUpdate{
		Ref: standing.Ref(fleet.Name), Files: files, Keep: r.known(ctx, repository, record.Revisions()), Lease: lease,
		Author: gitrepo.Identity{Name: "sengu", Email: "sengu@localhost"}, Message: "What fleet " + fleet.Name + " runs",
	}
	next, err := repository.PushState(ctx, update, auth)
	if !errors.Is(err, gitrepo.ErrRace) {
		return next, err
	}
	// After a start, or beside another Sengu, the ref is not where it was seen last.
	there, err := repository.FetchState(ctx, update.Ref, auth)
	if err != nil && !errors.Is(err, gitrepo.ErrStateMissing) {
		return "", err
	}
	update.Lease = there.Hash
	return repository.PushState(ctx, update, auth)
}

// known leaves out the commits that the mirror does not hold, which cannot be named as ancestors.
func (r *Reconciler) known(ctx context.Context, repository *gitrepo.Repository, revisions []string) []string {
	return slices.DeleteFunc(revisions, func(revision string) bool { return !repository.Has(ctx, revision) })
}
