package app

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// witnessed bounds how many drifted objects of an App are looked at before they are put back, so that a person can be
// told which field it was. The others are put back without that.
const witnessed = 10

// witness reads the objects that drifted, as they are before they are put back.
func (r *Reconciler) witness(ctx context.Context, app *v1alpha1.App, t *target.Target, changes apply.ChangeSet) []*unstructured.Unstructured {
	if app.Status.Revision != app.Spec.Source.Revision {
		return nil
	}
	var drifted []*unstructured.Unstructured
	for _, c := range changes.Of(apply.Update) {
		if !c.Listed() || !c.Known || c.Entry.Desired != c.Desired || c.Entry.Baseline == c.Live.Baseline {
			continue
		}
		if len(drifted) == witnessed {
			break
		}
		if u, err := r.get(ctx, t, c.Item.GroupVersionKind(), c.Ref); err == nil {
			drifted = append(drifted, u)
		} else {
			r.Log.Debug("drifted object not read before it is put back", "object", c.Ref.String(), "error", err)
		}
	}
	return drifted
}

// restored tells people which fields were put back, and who had changed them.
func (r *Reconciler) restored(ctx context.Context, app *v1alpha1.App, t *target.Target, drifted []*unstructured.Unstructured) {
	manager := ownerOf(app).Manager()
	for _, before := range drifted {
		ref := manifest.RefOf(before)
		after, err := r.get(ctx, t, before.GroupVersionKind(), ref)
		if err != nil {
			r.Log.Debug("restored object not read", "object", ref.String(), "error", err)
			continue
		}
		fields := manifest.DriftOf(before, after, manager)
		if len(fields) == 0 {
			continue // nothing but the baseline was renewed
		}
		d := describeDrift(ref, fields)
		r.event(app, normal, "DriftUndone", "SelfHeal", ref.String()+": "+joined(d.Fields)+by(d.Manager)+" put back as Git says")
		r.Log.Info("drift undone", "app", app.Name, "object", ref.String(), "fields", d.Fields, "manager", d.Manager)
	}
}

func by(manager string) string {
	if manager == "" {
		return ""
	}
	return ", changed by " + manager + ","
}

func describeDrift(ref manifest.Ref, fields []manifest.FieldDrift) v1alpha1.Drift {
	d := v1alpha1.Drift{ID: ref.ID()}
	for i, f := range fields {
		if i < shownDrift {
			d.Fields = append(d.Fields, f.Path)
		}
		if d.Manager == "" {
			d.Manager = f.Manager
		}
	}
	return d
}

// drift says for the status what is not as Git says. With selfHeal on there is nothing to say: it is put back.
func (r *Reconciler) drift(ctx context.Context, app *v1alpha1.App, t *target.Target, seen picture) []v1alpha1.Drift {
	if selfHeals(app) || len(seen.drifted) == 0 || app.Spec.Removal != "" {
		return nil
	}
	if same := sameObjects(app.Status.Drift, seen.drifted); same && readyReason(app) == "Drifted" {
		return app.Status.Drift
	}
	d, err := r.redesire(ctx, app, t)
	if err != nil {
		r.Log.Warn("drift cannot be explained", "app", app.Name, "error", err)
	}
	var drift []v1alpha1.Drift
	for _, ref := range seen.drifted {
		if len(drift) == shownDrift {
			break
		}
		drift = append(drift, r.explainDrift(ctx, app, t, d, ref))
	}
	return drift
}

// redesire renders again what the App should be: from the cache, as its inputs are unchanged.
func (r *Reconciler) redesire(ctx context.Context, app *v1alpha1.App, t *target.Target) (desired, error) {
	fleet, err := r.fleetOf(ctx, app)
	if err != nil {
		return desired{}, err
	}
	return r.desire(ctx, app, fleet, t)
}

// explainDrift compares one object with what a dry run would make of it.
func (r *Reconciler) explainDrift(ctx context.Context, app *v1alpha1.App, t *target.Target, d desired, ref manifest.Ref) v1alpha1.Drift {
	item, wanted := d.set.ByRef(ref)
	if !wanted {
		return v1alpha1.Drift{ID: ref.ID()}
	}
	live, err := r.get(ctx, t, item.GroupVersionKind(), ref)
	if err != nil {
		return v1alpha1.Drift{ID: ref.ID()}
	}
	would, err := apply.DryRun(ctx, t.Conn, item, d.ignored[ref], apply.Options{Owner: ownerOf(app), Key: r.Key, As: as(app)})
	if err != nil {
		return v1alpha1.Drift{ID: ref.ID()}
	}
	return describeDrift(ref, manifest.DriftOf(live, would, ownerOf(app).Manager()))
}

func sameObjects(shown []v1alpha1.Drift, drifted []manifest.Ref) bool {
	if len(shown) != min(len(drifted), shownDrift) {
		return false
	}
	for i, d := range shown {
		if d.ID != drifted[i].ID() {
			return false
		}
	}
	return true
}

func (r *Reconciler) get(ctx context.Context, t *target.Target, gvk schema.GroupVersionKind, ref manifest.Ref) (*unstructured.Unstructured, error) {
	resource, err := t.Conn.Mapping(ctx, gvk)
	if err != nil {
		return nil, err
	}
	return t.Conn.Get(ctx, resource, ref.Namespace, ref.Name, kube.As{})
}
