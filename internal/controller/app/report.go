package app

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// reasonWave is the reason of Ready while a wave is waited for.
const reasonWave = "WaitsForWave"

// shownDrift is how many drifted objects the status names.
const shownDrift = 20

const (
	normal  = corev1.EventTypeNormal
	warning = corev1.EventTypeWarning
)

// report says how an App is whose plan, as far as it goes now, has been carried out.
func (r *Reconciler) report(ctx context.Context, app *v1alpha1.App, t *target.Target, seen picture) {
	st := &app.Status
	st.Drift = r.drift(ctx, app, t, seen)
	switch {
	case app.Spec.Removal != "":
		r.reportRemoval(app)
	case !whole(app):
		// An earlier try has said why, and the next one is due later.
		st.Sync = v1alpha1.OutOfSync
	case len(st.Drift) > 0:
		st.Sync = v1alpha1.OutOfSync
		r.stopped(app, "Drifted", driftSentence(app.Name, st.Drift))
		st.Sync = v1alpha1.OutOfSync
	case st.PendingRemoval != nil:
		st.Sync = v1alpha1.OutOfSync
		r.notReady(app, "WaitsForConfirmation", fmt.Sprintf("%d objects that are no longer in Git are deleted when somebody runs `sengu confirm app/%s %s`: %s",
			st.PendingRemoval.Count, app.Name, st.PendingRemoval.Token, joined(st.PendingRemoval.Examples)))
	case worse(seen.health, v1alpha1.Suspended):
		st.Sync = v1alpha1.Synced
		r.notReady(app, string(seen.health), seen.worst.String()+": "+seen.message)
	default:
		st.Sync = v1alpha1.Synced
		st.Why = nil
		r.condition(app, v1alpha1.ConditionReady, metav1.ConditionTrue, "Synced", "what runs is what Git says, and it is healthy")
	}
}

func (r *Reconciler) reportRemoval(app *v1alpha1.App) {
	st := &app.Status
	st.Sync = v1alpha1.OutOfSync
	switch {
	case st.PendingRemoval != nil:
		r.notReady(app, "WaitsForConfirmation", fmt.Sprintf("the service is gone from Git, and %d of its objects are deleted when somebody runs `sengu confirm app/%s %s`: %s",
			st.PendingRemoval.Count, app.Name, st.PendingRemoval.Token, joined(st.PendingRemoval.Examples)))
	case app.Spec.Removal == v1alpha1.RemovalPending:
		r.notReady(app, "Removing", "the service is gone from Git: its objects run on until its Fleet approves the removal")
	default:
		r.notReady(app, "Removing", fmt.Sprintf("the service is gone from Git: %d of its objects are still being deleted", len(st.Inventory)))
	}
}

func joined(examples []string) string {
	const shown = 3
	text := ""
	for i, example := range examples {
		if i == shown {
			return text + " …"
		}
		if i > 0 {
			text += ", "
		}
		text += example
	}
	return text
}

// stopped reports why an App does not go on, when what that means for sync is not known.
func (r *Reconciler) stopped(app *v1alpha1.App, reason, message string) {
	app.Status.Sync = v1alpha1.SyncUnknown
	if app.Status.Health == "" {
		app.Status.Health = v1alpha1.HealthUnknown
	}
	r.notReady(app, reason, message)
}

func (r *Reconciler) notReady(app *v1alpha1.App, reason, message string) {
	if len(message) > maxMessage {
		message = message[:maxMessage] + " …"
	}
	if alarming[reason] && readyReason(app) != reason {
		r.event(app, warning, reason, "Sync", message)
	}
	r.condition(app, v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	app.Status.Why = v1alpha1.Because(app.Status.Why, message, r.Now())
}

// alarming are the reasons that are worth an Event: something went wrong. That an App is on its way is none.
var alarming = map[string]bool{
	"RenderFailed": true, "ApplyFailed": true, "Conflict": true, "WaitsForConfirmation": true, "Drifted": true,
	string(v1alpha1.Degraded): true, string(v1alpha1.Missing): true,
}

// maxMessage bounds a sentence in bytes, so that a status stays small whatever an API server answered.
const maxMessage = 2000

func (r *Reconciler) condition(app *v1alpha1.App, kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: app.Generation,
	})
}

func readyReason(app *v1alpha1.App) string {
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

// event tells the API server that something happened to app.
func (r *Reconciler) event(app *v1alpha1.App, kind, reason, action, message string) {
	r.Events.Eventf(app, nil, kind, reason, action, "%s", message)
}

// driftSentence says what is not as Git says, and who made it so.
func driftSentence(app string, drift []v1alpha1.Drift) string {
	d := drift[0]
	ref, err := manifest.ParseID(d.ID)
	name := d.ID
	if err == nil {
		name = ref.String()
	}
	text := name + " is not as Git says"
	if len(d.Fields) > 0 {
		text += " in " + joined(d.Fields)
	}
	if d.Manager != "" {
		text += ", changed by " + d.Manager
	}
	if more := len(drift) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more objects)", more)
	}
	return text + ": `sengu sync " + app + "` puts it back, as selfHeal is off"
}
