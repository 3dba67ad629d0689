package app

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// witnessed bounds how many drifted objects of an App are looked at before they are put back, so that a person can be
// told which field it was. The others are put back without that.
const witnessed = 10

// witness finds the objects that drifted as they are before they are put back: as the watch has shown them, or else by
// reading them.
func (r *Reconciler) witness(ctx context.Context, app *v1alpha1.App, t *target.Target, changes apply.ChangeSet) {
	if app.Status.Revision != app.Spec.Source.Revision {
		return
	}
	read := 0
	for i := range changes.Changes {
		c := &changes.Changes[i]
		if c.Action != apply.Update || !c.Listed() || !c.Known || c.Entry.Desired != c.Desired || c.Entry.Baseline == c.Live.Baseline {
			continue
		}
		if c.Before = t.Live.Found(c.Ref); c.Before != nil || read == witnessed {
			continue
		}
		read++
		var err error
		if c.Before, err = r.get(ctx, t, c.Item.GroupVersionKind(), c.Ref); err != nil {
			r.Log.Debug("drifted object not read before it is put back", "object", c.Ref.String(), "error", err)
		}
	}
}

// restored tells people which fields were put back, and who had changed them.
func (r *Reconciler) restored(app *v1alpha1.App, restored []apply.Restored) {
	for _, was := range restored {
		ref := was.Ref
		r.reverts.Undone(ref, was.Fields, r.Now())
		d := describeDrift(ref, was.Fields)
		// The object and its fields are part of what tells one Event from another: without them the second would be
		// counted as the first again, and its words would be lost.
		at := &corev1.ObjectReference{
			APIVersion: was.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, FieldPath: joined(d.Fields),
		}
		r.Events.Eventf(app, at, normal, "DriftUndone", "SelfHeal", "%s", ref.String()+": "+joined(d.Fields)+by(d.Manager)+" put back as Git says")
		r.Log.Info("drift undone", "app", app.Name, "object", ref.String(), "fields", d.Fields, "manager", d.Manager)
	}
}

// contested takes out of changes the objects of which somebody else changes a field again and again: they are put back
// less and less often, so that two controllers do not write against each other without end. It returns the sentence
// about the one that waits longest, and how long it does.
func (r *Reconciler) contested(ctx context.Context, app *v1alpha1.App, t *target.Target, d origin.Desired, changes apply.ChangeSet) (string, time.Duration) {
	sentence, longest := "", time.Duration(0)
	for i := range changes.Changes {
		c := &changes.Changes[i]
		if c.Action != apply.Update || !r.reverts.Contested(c.Ref, r.Now()) || app.Status.Revision != app.Spec.Source.Revision {
			continue
		}
		fields, err := r.driftOf(ctx, app, t, d, c.Ref)
		if err != nil {
			r.Log.Debug("contested object not compared", "object", c.Ref.String(), "error", err)
			continue
		}
		wait, cause := r.reverts.Wait(c.Ref, fields, r.Now())
		if wait <= 0 {
			continue
		}
		c.Action = apply.Unchanged
		if wait > longest {
			longest = wait
			sentence = c.Ref.String() + ": " + cause.Path + by(cause.Manager) + " again and again, and is put back less often: leave the field out of Git or name it in ignore of sengu.yaml, or stop the other"
		}
	}
	return sentence, longest
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
func (r *Reconciler) redesire(ctx context.Context, app *v1alpha1.App, t *target.Target) (origin.Desired, error) {
	fleet, err := r.fleetOf(ctx, app)
	if err != nil {
		return origin.Desired{}, err
	}
	return r.desire(ctx, app, fleet, t, app.Status.Pinned)
}

// explainDrift names the fields in which one object differs from what a dry run would make of it.
func (r *Reconciler) explainDrift(ctx context.Context, app *v1alpha1.App, t *target.Target, d origin.Desired, ref manifest.Ref) v1alpha1.Drift {
	fields, err := r.driftOf(ctx, app, t, d, ref)
	if err != nil {
		r.Log.Debug("drifted object not compared", "object", ref.String(), "error", err)
	}
	return describeDrift(ref, fields)
}

// driftOf compares one object with what a dry run would make of it.
func (r *Reconciler) driftOf(ctx context.Context, app *v1alpha1.App, t *target.Target, d origin.Desired, ref manifest.Ref) ([]manifest.FieldDrift, error) {
	item, wanted := d.Set.ByRef(ref)
	if !wanted {
		return nil, nil
	}
	live, err := r.get(ctx, t, item.GroupVersionKind(), ref)
	if err != nil {
		return nil, err
	}
	would, err := apply.DryRun(ctx, t.Conn, item, d.Ignored[ref], apply.Options{Owner: origin.OwnerOf(app), Key: r.Key, As: origin.As(app)})
	if err != nil {
		return nil, err
	}
	return manifest.DriftOf(live, would, origin.OwnerOf(app).Manager()), nil
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
