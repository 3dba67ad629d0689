package release

import (
	"fmt"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// act takes in what people did to r since the last decision. What waits for a Job that may not be interrupted, and what
// was done after it, is taken in later.
func (d *decider) act(r *journey) {
	for i, action := range r.Spec.Actions {
		if int32(i) < r.status.HandledActions {
			continue
		}
		if !d.handle(r, action) {
			return
		}
		r.status.HandledActions = int32(i) + 1
	}
}

// handle takes in one action, and reports whether it could.
func (d *decider) handle(r *journey, action v1alpha1.ReleaseAction) bool {
	at := r.at(action.Environment)
	if at == nil {
		return true
	}
	switch action.Verb {
	case v1alpha1.VerbApprove:
		d.note(r, history.Approved, action.Environment, action.By, action.Reason)
	case v1alpha1.VerbAbort:
		if job := d.busyJob(r, at); job != "" && at.Moved == nil {
			r.wish(at, "%s aborted it, which waits for Job %s: it is not interrupted", action.By, job)
			return false
		}
		d.abort(r, action)
	case v1alpha1.VerbPromote:
		return d.promote(r, at, action)
	}
	return true
}

// wish keeps why what a person asked for is not done yet.
func (r *journey) wish(at *v1alpha1.ReleaseEnvironmentStatus, format string, args ...any) {
	r.wishes[at.Name] = fmt.Sprintf(format, args...)
}

// promote lets r stand before an environment where it has stopped, or past the gates that it stands before.
func (d *decider) promote(r *journey, at *v1alpha1.ReleaseEnvironmentStatus, action v1alpha1.ReleaseAction) bool {
	over := stopped(at.Stage) || at.Stage == v1alpha1.StageSuperseded
	if job := d.busyJob(r, at); job != "" && over {
		d.because(at, fmt.Sprintf("%s promoted it, which waits for Job %s of its last try: it is not interrupted", action.By, job))
		return false
	}
	d.note(r, history.Promoted, action.Environment, action.By, action.Reason)
	r.status.Journal[len(r.status.Journal)-1].Loud = action.SkipGates
	switch newer := d.newerThan(r, at.Name); {
	case newer != nil && over:
		d.because(at, fmt.Sprintf("%s promoted it, and %s, which is newer, is there: `sengu release rollback %s -e %s` goes back", action.By, newer.Name, d.Name, at.Name))
		return true
	case over:
		d.again(r, at.Name)
	case at.Stage != v1alpha1.StageWaiting:
		return true // it is there already
	}
	at.Promotion = v1alpha1.PromotionAsked
	if action.SkipGates {
		at.Promotion = v1alpha1.PromotionSkipsGates
	}
	return true
}

// abort ends r in an environment: what it has not verified there is brought back.
func (d *decider) abort(r *journey, action v1alpha1.ReleaseAction) {
	name := action.Environment
	why := action.By + " aborted it" + because(action.Reason)
	switch stage := r.stage(name); {
	case stage == v1alpha1.StageWaiting:
	case working(stage):
		why += d.retire(r, name, d.places[name])
	default:
		return
	}
	d.becomes(r, name, v1alpha1.StageFailed, why)
	r.at(name).Promotion = ""
	d.note(r, history.Aborted, name, action.By, action.Reason)
}
