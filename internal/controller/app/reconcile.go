package app

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Reconcile brings one App's cluster to what its revision says, or finds out that it is there already.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, req.NamespacedName, app); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	app = r.recent.Latest(app)
	before := app.DeepCopy()
	r.wavers.recall(app)
	defer func() {
		if wait := r.wavers.hold(app, &before.Status, time.Now()); wait > 0 && err == nil {
			result = ctrl.Result{RequeueAfter: wait}
			return
		}
		if patchErr := r.patchStatus(ctx, before, app); patchErr != nil && err == nil {
			err = patchErr
		}
	}()
	if app.Spec.Suspend {
		r.claimInventory(app)
		r.stopped(app, "Suspended", "the App is suspended: set spec.suspend to false to go on")
		return ctrl.Result{}, nil
	}
	t, reason := r.Targets.Get(types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Source.Cluster})
	if t == nil {
		return ctrl.Result{}, r.unconnected(ctx, app, reason)
	}
	return r.step(ctx, app, t)
}

// unconnected reports that the App's cluster cannot be written to. Right after a start nothing is known yet, and nothing
// is said: the Cluster's first answer wakes its Apps.
func (r *Reconciler) unconnected(ctx context.Context, app *v1alpha1.App, reason string) error {
	if reason == "" {
		name := app.Spec.Source.Cluster
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: name}, &v1alpha1.Cluster{})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read cluster %s: %w", name, err)
		}
		if err == nil {
			return nil
		}
		reason = fmt.Sprintf("there is no Cluster %s in namespace %s: create it, or correct the name in the Fleet's environment", name, app.Namespace)
	}
	r.claimInventory(app)
	r.stopped(app, "ClusterNotReady", reason)
	return nil
}

// step observes, decides and acts.
func (r *Reconciler) step(ctx context.Context, app *v1alpha1.App, t *target.Target) (ctrl.Result, error) {
	r.moveCluster(app)
	if kind, complete := r.watched(app, t); !complete {
		r.Log.Debug("live state is not complete yet", "app", app.Name, "kind", kind)
		return ctrl.Result{RequeueAfter: watchWait}, nil
	}
	if err := r.recallRules(ctx, app, t); err != nil {
		r.Log.Warn("health rules not read: health is judged without them", "app", app.Name, "error", err)
	}
	seen, err := observe(app, t)
	if err != nil {
		return ctrl.Result{}, err
	}
	key, now := client.ObjectKeyFromObject(app), r.Now()
	pin := app.Spec.Pin.ImageAt(now)
	work := decide(app, seen, r.tries.due(key, app.Generation, now), pin)
	if !work.Sync {
		r.claimInventory(app)
		return r.untilPinEnds(app, pin, r.rest(ctx, app, t, seen)), nil
	}
	r.Log.Debug("sync begins", "app", app.Name, "reason", work.Reason)
	result, err := r.sync(ctx, app, t, work, pin)
	return r.untilPinEnds(app, pin, result), err
}

// untilPinEnds makes an App look again when the pin ends that it was looked at with, at once if it has ended meanwhile.
func (r *Reconciler) untilPinEnds(app *v1alpha1.App, pin string, result ctrl.Result) ctrl.Result {
	if pin == "" {
		return result
	}
	left := max(app.Spec.Pin.Until.Sub(r.Now()), time.Second)
	if result.RequeueAfter == 0 || left < result.RequeueAfter {
		result.RequeueAfter = left
	}
	return result
}

// observe looks at the objects of app, and notes their health in its status.
func observe(app *v1alpha1.App, t *target.Target) (picture, error) {
	seen, err := look(string(app.UID), app.Status.Inventory, t.Live)
	if err != nil {
		return picture{}, err
	}
	app.Status.Health, app.Status.Inventory = seen.health, seen.entries
	return seen, nil
}

// watchWait is how long an App waits for the first complete list of the kinds that it holds.
const watchWait = 100 * time.Millisecond

// watched reports whether the live state of every kind in the inventory is complete. Until it is, nothing can be
// concluded from an object that is not seen.
func (r *Reconciler) watched(app *v1alpha1.App, t *target.Target) (string, bool) {
	for _, entry := range app.Status.Inventory {
		ref, err := manifest.ParseID(entry.ID)
		if err != nil {
			return "", true // look says what is wrong with it
		}
		if !t.Live.Synced(ref.GroupKind()) {
			return ref.Kind, false
		}
	}
	return "", true
}

// rest reports an App that needs no write.
func (r *Reconciler) rest(ctx context.Context, app *v1alpha1.App, t *target.Target, seen picture) ctrl.Result {
	if wait, waits := r.tries.wait(client.ObjectKeyFromObject(app), r.Now()); waits {
		// The last try failed, and has said why: that stands until the next.
		return ctrl.Result{RequeueAfter: wait}
	}
	r.tries.done(client.ObjectKeyFromObject(app)) // what the last try failed at is not needed any more
	r.report(ctx, app, t, seen)
	return ctrl.Result{}
}

// forget drops what is kept of an App that no longer exists. Its objects stay.
func (r *Reconciler) forget(app types.NamespacedName) {
	r.Ledger.Forget(app)
	r.tries.done(app)
	r.rules.forget(app)
	r.recent.Forget(app)
	r.wavers.forget(app)
}

// patchStatus writes the status if it changed. Nothing that was applied is lost if this fails: the objects carry their
// mark, and the next Reconcile finds them by it.
func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.App) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	written, err := record.Status(ctx, r.Records, after)
	if err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("write status of App %s: %w", after.Name, err)
	}
	r.recent.Keep(written)
	return nil
}

// moveCluster lets go of the objects in the cluster that the App has left. They run on: nobody has said that they
// should not.
func (r *Reconciler) moveCluster(app *v1alpha1.App) {
	st := &app.Status
	if st.Cluster == app.Spec.Source.Cluster {
		return
	}
	if st.Cluster != "" && len(st.Inventory) > 0 {
		r.event(app, warning, "Orphaned", "MoveCluster",
			fmt.Sprintf("the App moved from cluster %s to %s: its %d objects in %s run on and are no longer looked after", st.Cluster, app.Spec.Source.Cluster, len(st.Inventory), st.Cluster))
	}
	st.Cluster, st.Inventory, st.Revision = app.Spec.Source.Cluster, nil, ""
}
