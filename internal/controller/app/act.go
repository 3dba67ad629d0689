package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// handoverWait is how soon an App looks again that waits for another App to say what it wants, or to take over.
const handoverWait = time.Second

// act carries out a plan, wave by wave, and then removes what is no longer wanted.
func (r *Reconciler) act(ctx context.Context, app *v1alpha1.App, t *target.Target, d origin.Desired, changes apply.ChangeSet) (ctrl.Result, error) {
	if err := r.prepare(ctx, app, t, d, changes); err != nil {
		r.stopped(app, "NotPrepared", err.Error())
		return r.again(app, true), nil
	}
	fight, wait := r.contested(ctx, app, t, d, changes)
	r.witness(ctx, app, t, changes)
	options := apply.Options{Owner: origin.OwnerOf(app), Key: r.Key, As: origin.As(app), Health: r.Health}
	waves := changes.Waves()
	for i, wave := range waves {
		result := apply.Do(ctx, t.Conn, wave.Changes, options)
		r.absorb(app, t, result)
		r.restored(app, result.Restored)
		if len(result.Failed) > 0 {
			return r.unapplied(app, t, result.Failed)
		}
		if waiting := first(wave.Changes, apply.Wait); waiting != nil {
			return r.waits(app, *waiting), nil
		}
		if i < len(waves)-1 {
			if why, ready := r.waveReady(app, t, wave.Number); !ready {
				return r.holdWave(app, t, wave.Number, why)
			}
		}
	}
	if fight != "" {
		r.stopped(app, "Contested", fight)
		app.Status.Sync = v1alpha1.OutOfSync
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return r.remove(ctx, app, t, changes, options)
}

// remove prunes what the plan allows, and ends the sync.
func (r *Reconciler) remove(ctx context.Context, app *v1alpha1.App, t *target.Target, changes apply.ChangeSet, options apply.Options) (ctrl.Result, error) {
	removals := changes.Removals()
	result := apply.Do(ctx, t.Conn, removals, options)
	r.absorb(app, t, result)
	if len(result.Failed) > 0 {
		return r.unapplied(app, t, result.Failed)
	}
	r.offer(app, removals)
	i := slices.IndexFunc(removals, func(c apply.Change) bool { return c.Others })
	if i >= 0 && app.Spec.Removal == "" {
		return r.waits(app, removals[i]), nil // it is not applied whole, so that this comes again
	}
	r.tries.done(client.ObjectKeyFromObject(app))
	app.Status.HandledSync = app.Annotations[AnnotationSync]
	finish(app, r.Now())
	seen, err := observe(app, t)
	if err != nil {
		return ctrl.Result{}, err
	}
	r.report(ctx, app, t, seen)
	if first(removals, apply.Wait) != nil && app.Status.PendingRemoval == nil {
		return ctrl.Result{RequeueAfter: handoverWait}, nil
	}
	return ctrl.Result{}, nil
}

// offer makes the Apps look at once that want what app no longer does: an earlier conflict may have told them to wait
// long.
func (r *Reconciler) offer(app *v1alpha1.App, removals []apply.Change) {
	key := client.ObjectKeyFromObject(app)
	for _, c := range removals {
		if c.Action != apply.Wait {
			continue
		}
		if rival, wanted := r.Ledger.Rival(key, app.Spec.Source.Cluster, c.Ref); wanted {
			r.tries.done(rival)
			r.waker.Wake(rival)
		}
	}
}

func first(changes []apply.Change, action apply.Action) *apply.Change {
	i := slices.IndexFunc(changes, func(c apply.Change) bool { return c.Action == action })
	if i < 0 {
		return nil
	}
	return &changes[i]
}

// absorb notes what was written: in the status, and in the live state, so that the echo of a write is no news.
func (r *Reconciler) absorb(app *v1alpha1.App, t *target.Target, result apply.Result) {
	for _, live := range result.Live {
		t.Live.Observe(live)
	}
	app.Status.Inventory = result.Inventory(app.Status.Inventory)
}

// prepare does what has to be done before the first write: the kinds that will be written are noted, so that after a
// crash their objects are found, and the namespace is made if the Delivery says so.
func (r *Reconciler) prepare(ctx context.Context, app *v1alpha1.App, t *target.Target, d origin.Desired, changes apply.ChangeSet) error {
	var kinds []schema.GroupVersionKind
	for _, c := range changes.Changes {
		if !c.Wanted || !c.Sends() {
			continue
		}
		if gvk := c.Item.GroupVersionKind(); !slices.Contains(kinds, gvk) {
			kinds = append(kinds, gvk)
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	if err := r.Targets.Remember(ctx, t, kinds); err != nil {
		return err
	}
	if !d.Settings.CreatesNamespace() {
		return nil
	}
	return t.EnsureNamespace(ctx, app.Spec.Source.Namespace, origin.As(app), app.Name)
}

// waveReady reports whether every object up to a wave is healthy, and if not, which is not.
func (r *Reconciler) waveReady(app *v1alpha1.App, t *target.Target, wave int32) (string, bool) {
	for _, entry := range app.Status.Inventory {
		ref, err := manifest.ParseID(entry.ID)
		if err != nil || entry.Wave > wave {
			continue
		}
		is, found := t.Live.Live(ref)
		if !found {
			return ref.String() + " is not seen yet", false
		}
		if worse(is.Health, v1alpha1.Suspended) {
			return ref.String() + ": " + is.Message, false
		}
	}
	return "", true
}

// holdWave ends this Reconcile because a wave is not healthy yet. The watch of its objects goes on from here.
func (r *Reconciler) holdWave(app *v1alpha1.App, t *target.Target, wave int32, why string) (ctrl.Result, error) {
	if _, err := observe(app, t); err != nil {
		return ctrl.Result{}, err
	}
	r.stopped(app, reasonWave, fmt.Sprintf("wave %d waits until it is healthy before the next begins: %s", wave, why))
	app.Status.Sync = v1alpha1.OutOfSync
	return ctrl.Result{}, nil
}

// waits ends this Reconcile because another App has to decide first.
func (r *Reconciler) waits(app *v1alpha1.App, c apply.Change) ctrl.Result {
	r.stopped(app, "Waits", c.Ref.String()+" "+c.Reason)
	app.Status.Sync = v1alpha1.OutOfSync
	return ctrl.Result{RequeueAfter: handoverWait}
}

// unapplied reports what could not be written, and when it is tried again.
func (r *Reconciler) unapplied(app *v1alpha1.App, t *target.Target, failures []apply.Failure) (ctrl.Result, error) {
	t.ForgetNamespace(app.Spec.Source.Namespace) // it may be what is missing
	reason, retryable := "ApplyFailed", false
	for _, f := range failures {
		retryable = retryable || f.Retryable
		if f.Conflict {
			reason = "Conflict"
		}
	}
	if _, err := observe(app, t); err != nil {
		return ctrl.Result{}, err
	}
	r.stopped(app, reason, describe(failures))
	app.Status.Sync = v1alpha1.OutOfSync
	app.Status.HandledSync = app.Annotations[AnnotationSync]
	return r.again(app, retryable), nil
}
