package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// AnnotationSync asks for every object to be sent again. Any new value does.
const AnnotationSync = "sengu.dev/sync"

// sync renders, plans and applies. The image that is pinned was found out once: a pin may end at any moment, and what is
// rendered and what is noted must not differ.
func (r *Reconciler) sync(ctx context.Context, app *v1alpha1.App, t *target.Target, w work, pin string) (ctrl.Result, error) {
	if begin(app, pin) {
		r.tries.done(client.ObjectKeyFromObject(app)) // what failed before says nothing about this
	}
	fleet, err := r.fleetOf(ctx, app)
	if err != nil {
		r.claimInventory(app)
		r.stopped(app, "FleetNotReadable", err.Error())
		return r.again(app, true), nil
	}
	d, err := r.desire(ctx, app, fleet, t, pin)
	app.Status.ObservedGeneration = app.Generation
	if d.Inputs != nil {
		app.Status.Inputs, app.Status.InputsDigest = d.Inputs.Paths(), d.Inputs.Digest()
		app.Status.Renderer = r.Renders
	}
	if err != nil {
		r.claimInventory(app)
		return r.unrendered(app, t, err)
	}
	r.reportRender(app, d)
	if why := otherwise(app, d); why != "" {
		r.claimInventory(app)
		if _, err := observe(app, t); err != nil {
			return ctrl.Result{}, err
		}
		r.stopped(app, v1alpha1.ReasonRenderedOtherwise, why)
		return r.again(app, false), nil
	}
	rendered(app, d.Digest, pin)
	r.claim(app, d.Set)
	changes, err := apply.Plan(r.input(ctx, app, d, t, w))
	if err != nil {
		return ctrl.Result{}, err
	}
	app.Status.PendingRemoval = changes.Pending
	return r.act(ctx, app, t, d, changes)
}

// again schedules the next try of an App that failed.
func (r *Reconciler) again(app *v1alpha1.App, retryable bool) ctrl.Result {
	return ctrl.Result{RequeueAfter: r.tries.failed(client.ObjectKeyFromObject(app), app.Generation, retryable, r.Now())}
}

// unrendered reports that the files could not be turned into objects. What runs stays as it is, and is still watched.
func (r *Reconciler) unrendered(app *v1alpha1.App, t *target.Target, err error) (ctrl.Result, error) {
	retryable := true
	if failure := (*render.Error)(nil); errors.As(err, &failure) {
		retryable = failure.Temporary
	}
	r.condition(app, v1alpha1.ConditionRendered, metav1.ConditionFalse, "RenderFailed", err.Error())
	if _, err := observe(app, t); err != nil {
		return ctrl.Result{}, err
	}
	r.stopped(app, "RenderFailed", err.Error())
	return r.again(app, retryable), nil
}

// reportRender reports a render that succeeded, with what people should know about it.
func (r *Reconciler) reportRender(app *v1alpha1.App, d origin.Desired) {
	if app.Spec.Removal != "" {
		return
	}
	r.condition(app, v1alpha1.ConditionRendered, metav1.ConditionTrue, "Rendered", "the files were turned into objects")
	if len(d.Degraded) > 0 {
		r.condition(app, v1alpha1.ConditionSandboxed, metav1.ConditionFalse, "LayerMissing",
			"the kernel lacks a layer of the render sandbox: "+strings.Join(d.Degraded, ", "))
	} else {
		meta.RemoveStatusCondition(&app.Status.Conditions, v1alpha1.ConditionSandboxed)
	}
	if len(d.Warnings) > 0 {
		r.condition(app, v1alpha1.ConditionHooksSkipped, metav1.ConditionTrue, "Skipped", strings.Join(d.Warnings, "; "))
	} else {
		meta.RemoveStatusCondition(&app.Status.Conditions, v1alpha1.ConditionHooksSkipped)
	}
}

// otherwise says why what was rendered must not be applied: it is not what the App's Release has locked, or, without a
// lock, not what the same revision rendered when it was applied. What runs changes by a Release only.
func otherwise(app *v1alpha1.App, d origin.Desired) string {
	locked := app.Spec.Digest
	if locked == "" && app.Spec.Service != "" && app.Status.Revision == app.Spec.Source.Revision {
		locked = app.Status.Digest
	}
	if locked == "" || locked == d.Digest || app.Spec.Removal != "" {
		return ""
	}
	return fmt.Sprintf("revision %.7s renders something else than when it was released, as after an upgrade of Sengu or of the cluster: what runs stays until a new Release brings it", app.Spec.Source.Revision)
}

// claim says what the App wants.
func (r *Reconciler) claim(app *v1alpha1.App, set manifest.Set) {
	refs := make([]manifest.Ref, 0, set.Len())
	for _, item := range set.Items() {
		refs = append(refs, item.Ref)
	}
	r.Ledger.Claim(fleetKey(app), client.ObjectKeyFromObject(app), app.Generation, app.Spec.Source.Cluster, refs)
}

// claimInventory says that the App wants what it has: it was not told otherwise, or cannot find out.
func (r *Reconciler) claimInventory(app *v1alpha1.App) {
	key := client.ObjectKeyFromObject(app)
	if r.Ledger.Claimed(key, app.Generation) {
		return
	}
	var refs []manifest.Ref
	if app.Spec.Removal == "" {
		for _, entry := range app.Status.Inventory {
			if ref, err := manifest.ParseID(entry.ID); err == nil {
				refs = append(refs, ref)
			}
		}
	}
	r.Ledger.Claim(fleetKey(app), key, app.Generation, app.Spec.Source.Cluster, refs)
}

func fleetKey(app *v1alpha1.App) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}
}

// input gathers what a plan is made from.
func (r *Reconciler) input(ctx context.Context, app *v1alpha1.App, d origin.Desired, t *target.Target, w work) apply.Input {
	key, cluster := client.ObjectKeyFromObject(app), app.Spec.Source.Cluster
	return apply.Input{
		Owner: origin.OwnerOf(app), Set: d.Set, Inventory: app.Status.Inventory, Ignored: d.Ignored, Key: r.Key,
		Live: t.Live.Live, Synced: t.Live.Synced, OwnedLive: t.Live.OwnedBy(string(app.UID)),
		Prune:     prune(d.Settings),
		Confirmed: app.Annotations[manifest.AnnotationConfirm], Removal: app.Spec.Removal, Resend: w.Resend,
		Claims: apply.Claims{
			Rival: func(ref manifest.Ref) (string, bool) {
				rival, ok := r.Ledger.Rival(key, cluster, ref)
				return rival.Name, ok
			},
			Decided: func(owner manifest.Owner, ref manifest.Ref) (wants, decided bool) {
				return r.decided(ctx, owner, cluster, ref)
			},
			Undecided: func() (string, bool) { return r.Ledger.Undecided(fleetKey(app), cluster) },
		},
	}
}

// decided says whether the App that owns an object wants it, and whether that is known. An App of another Sengu, or one
// that no longer exists, never says: what it left is only given away by adoption.
func (r *Reconciler) decided(ctx context.Context, owner manifest.Owner, cluster string, ref manifest.Ref) (wants, decided bool) {
	key := types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}
	if owner.Namespace != r.Namespace {
		return true, true
	}
	other := &v1alpha1.App{}
	if err := r.Client.Get(ctx, key, other); err != nil {
		gone := client.IgnoreNotFound(err) == nil
		return gone, gone
	}
	return r.Ledger.Decided(key, cluster, ref)
}

// prune translates what a Delivery says about deletion.
func prune(settings delivery.Settings) apply.Prune {
	switch settings.PruneMode() {
	case delivery.PruneNever:
		return apply.PruneNever
	case delivery.PruneConfirm:
		return apply.PruneConfirm
	default:
		return apply.PruneNormal
	}
}

// describe joins failures into one sentence: the first, and how many more there are.
func describe(failures []apply.Failure) string {
	text := failures[0].Sentence
	if more := len(failures) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
