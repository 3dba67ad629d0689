package app

import (
	"fmt"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// liveState is what the watches of a cluster know.
type liveState interface {
	Live(manifest.Ref) (manifest.Live, bool)
}

// picture is how an App's objects are, by the watches alone: it costs no request.
type picture struct {
	uid string
	// drifted lists the objects that are not as they were applied: changed, gone, or robbed of their mark.
	drifted []manifest.Ref
	health  v1alpha1.HealthStatus
	// worst is the object that the health is due to, and message what it says.
	worst   manifest.Ref
	message string
	// unready lists the objects that are Progressing, Degraded or Missing.
	unready []manifest.Ref
	// entries is the inventory with the health of now.
	entries []v1alpha1.InventoryEntry
}

// look compares the inventory of the App with that UID with what runs.
func look(uid string, inventory []v1alpha1.InventoryEntry, live liveState) (picture, error) {
	p := picture{uid: uid, health: v1alpha1.Healthy, entries: make([]v1alpha1.InventoryEntry, 0, len(inventory))}
	for _, entry := range inventory {
		ref, err := manifest.ParseID(entry.ID)
		if err != nil {
			return picture{}, fmt.Errorf("status.inventory: %w", err)
		}
		status, message := p.judge(entry, ref, live)
		entry.Health = status
		if status == v1alpha1.Healthy {
			entry.Health = ""
		}
		p.entries = append(p.entries, entry)
		if worse(status, v1alpha1.Suspended) {
			p.unready = append(p.unready, ref)
		}
		if worse(status, p.health) {
			p.health, p.worst, p.message = status, ref, message
		}
	}
	return p, nil
}

// worse reports whether a is worse than b.
func worse(a, b v1alpha1.HealthStatus) bool {
	return a != b && health.Worst([]health.Status{{Status: a}, {Status: b}}) == a
}

// judge says how one object is, and notes it if it drifted.
func (p *picture) judge(entry v1alpha1.InventoryEntry, ref manifest.Ref, live liveState) (v1alpha1.HealthStatus, string) {
	is, found := live.Live(ref)
	if !found {
		p.drifted = append(p.drifted, ref)
		return v1alpha1.Missing, "it is gone from the cluster"
	}
	if is.Baseline != entry.Baseline || !is.Owned || is.Owner.UID != p.uid || is.UID != entry.UID {
		p.drifted = append(p.drifted, ref)
	}
	if is.Deleting {
		return v1alpha1.Progressing, "it is being deleted"
	}
	return is.Health, is.Message
}

// work is what an App needs.
type work struct {
	// Sync asks for a render, a plan and what follows from it.
	Sync bool
	// Reason is why.
	Reason string
	// Resend sends every object again, whatever the hashes say.
	Resend bool
}

// decide says what an App needs, given how its objects are and which image is pinned. due is false while an earlier try
// failed and the next is not due.
func decide(app *v1alpha1.App, p picture, due bool, pin string) work {
	st := &app.Status
	switch {
	case app.Annotations[AnnotationSync] != st.HandledSync:
		return work{Sync: true, Reason: "a sync was asked for", Resend: true}
	case st.ObservedGeneration != app.Generation:
		return work{Sync: true, Reason: "the spec changed"}
	case st.PendingRemoval != nil && app.Annotations[manifest.AnnotationConfirm] == st.PendingRemoval.Token:
		return work{Sync: true, Reason: "the deletion was confirmed"}
	case app.Spec.Removal == "" && pin != pinBegun(st):
		return work{Sync: true, Reason: "a pin began or ended"}
	case !due:
		return work{}
	case app.Spec.Removal != "":
		if len(st.Inventory) > 0 && st.PendingRemoval == nil {
			return work{Sync: true, Reason: "the App is being removed"}
		}
		return work{}
	case !whole(app):
		if readyReason(app) == reasonWave && len(p.unready) > 0 && len(p.drifted) == 0 {
			return work{}
		}
		return work{Sync: true, Reason: "what was begun has not been applied whole"}
	case len(p.drifted) > 0 && selfHeals(app):
		return work{Sync: true, Reason: "objects drifted"}
	}
	return work{}
}

func selfHeals(app *v1alpha1.App) bool { return app.Spec.SelfHeal == nil || *app.Spec.SelfHeal }
