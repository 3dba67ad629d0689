package chronicle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// release writes down what has happened to a Release since it was last asked.
func (r *Reconciler) release(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	one := &v1alpha1.Release{}
	if err := r.Client.Get(ctx, req.NamespacedName, one); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	journal := one.Status.Journal
	if len(journal) == 0 {
		return ctrl.Result{}, nil
	}
	last := journal[len(journal)-1].Number
	if known := r.known(one.UID); known < last {
		events := release.Story(one)
		fresh := slices.IndexFunc(journal, func(t v1alpha1.Transition) bool { return t.Number > known })
		if err := r.write(ctx, events[fresh:]); err != nil {
			return ctrl.Result{}, fmt.Errorf("write down what happened to Release %s: %w", one.Name, err)
		}
		r.know(one.UID, last)
	}
	if one.Status.Ended == nil {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.tidy(ctx, one)
}

func (r *Reconciler) write(ctx context.Context, events []history.Event) error {
	if len(events) == 0 {
		return nil
	}
	n, err := r.Store.Append(ctx, events...)
	if err != nil {
		return err
	}
	if n > 0 {
		r.Told()
	}
	return nil
}

// tidy deletes Releases of the service of one that are over for long, written down, and that no App refers to. One of which
// a Job still runs stays: nobody would see how it ends, and the next Release would begin its own beside it.
func (r *Reconciler) tidy(ctx context.Context, one *v1alpha1.Release) error {
	var all v1alpha1.ReleaseList
	err := r.Client.List(ctx, &all, client.InNamespace(one.Namespace), origin.OfService(one.Spec.Fleet, one.Spec.Service), client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("list the Releases of %s: %w", one.Spec.Service, err)
	}
	worth := quarantined(all.Items, r.Keep)
	ended := slices.DeleteFunc(all.Items, func(other v1alpha1.Release) bool { return other.Status.Ended == nil || !r.whole(&other) })
	if len(ended) <= r.Keep {
		return nil
	}
	needed, err := r.needed(ctx, one)
	if err != nil {
		return err
	}
	slices.SortFunc(ended, func(a, b v1alpha1.Release) int { return cmp.Compare(b.Spec.Sequence, a.Spec.Sequence) })
	for i := range ended[r.Keep:] {
		old := &ended[r.Keep+i]
		if needed[old.Name] || worth[old.Name] || busy(old) {
			continue
		}
		if err := r.Client.Delete(ctx, old.DeepCopy(), client.Preconditions{UID: &old.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Release %s, which is over: %w", old.Name, err)
		}
		r.forget(old.UID)
	}
	return nil
}

// busy reports whether a Job of a Release has not ended.
func busy(one *v1alpha1.Release) bool {
	return slices.ContainsFunc(one.Status.Environments, func(at v1alpha1.ReleaseEnvironmentStatus) bool {
		return slices.ContainsFunc(at.Steps, func(step v1alpha1.StepStatus) bool {
			return step.Job != "" && step.Phase == v1alpha1.StepRunning
		})
	})
}

// needed names the Releases that the Apps of a service refer to: what runs, what ran before and was good, and what failed.
func (r *Reconciler) needed(ctx context.Context, one *v1alpha1.Release) (map[string]bool, error) {
	names := map[string]bool{}
	for _, env := range one.Spec.Environments {
		app := &v1alpha1.App{}
		key := types.NamespacedName{Namespace: one.Namespace, Name: layout.NameOfApp(one.Spec.Fleet, one.Spec.Service, env.Name)}
		if err := r.Client.Get(ctx, key, app); err != nil {
			if client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("read App %s: %w", key.Name, err)
			}
			continue
		}
		names[app.Spec.Release] = true
		if app.Spec.LastGood != nil {
			names[app.Spec.LastGood.Release] = true
		}
		if app.Spec.Hold != nil {
			names[app.Spec.Hold.Release] = true
		}
	}
	return names, nil
}

// whole reports whether all that a Release has to tell is written down.
func (r *Reconciler) whole(one *v1alpha1.Release) bool {
	n := len(one.Status.Journal)
	return n == 0 || r.known(one.UID) >= one.Status.Journal[n-1].Number
}

func (r *Reconciler) known(uid types.UID) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[uid]
}

func (r *Reconciler) know(uid types.UID, number int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[uid] = max(r.told[uid], number)
}

func (r *Reconciler) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.told, uid)
}
