package release

import (
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// finish sums up how far r has come as a whole.
func (d *decider) finish(r *journey) {
	stage, why := d.sum(r)
	ended := stage != v1alpha1.StageWaiting && stage != v1alpha1.StageRunning && stage != v1alpha1.StageVerifying
	if stage != r.status.Stage && stage == v1alpha1.StageDone {
		d.note(r, history.Done, "", "", "")
	}
	r.status.Stage = stage
	if why == "" {
		r.status.Why = nil
	} else {
		r.status.Why = v1alpha1.Because(r.status.Why, why, d.Now)
	}
	switch {
	case !ended:
		r.status.Ended = nil
	case r.status.Ended == nil:
		now := d.time()
		r.status.Ended = &now
	}
}

// sum returns the stage of r as a whole: that of the first environment where something goes on or may go on, or else
// that of the first where it stopped.
func (d *decider) sum(r *journey) (v1alpha1.Stage, string) {
	var going, stopped *v1alpha1.ReleaseEnvironmentStatus
	waits := map[v1alpha1.Stage]int{v1alpha1.StageWaiting: 1, v1alpha1.StageVerifying: 2, v1alpha1.StageRunning: 3}
	blocked := map[string]bool{}
	for _, env := range d.Fleet.Spec.Environments {
		blocked[env.Name] = slices.ContainsFunc(env.After, func(before string) bool { return blocked[before] })
		at := r.at(env.Name)
		if at == nil {
			continue
		}
		switch at.Stage {
		case v1alpha1.StageDone:
			blocked[env.Name] = false
		case v1alpha1.StageWaiting, v1alpha1.StageRunning, v1alpha1.StageVerifying:
			if blocked[env.Name] && at.Stage == v1alpha1.StageWaiting {
				continue
			}
			if going == nil || waits[at.Stage] > waits[going.Stage] {
				going = at
			}
		default:
			blocked[env.Name] = true
			if stopped == nil {
				stopped = at
			}
		}
	}
	for _, at := range []*v1alpha1.ReleaseEnvironmentStatus{going, stopped} {
		if at == nil {
			continue
		}
		why := ""
		if at.Why != nil {
			why = at.Name + ": " + at.Why.Message
		}
		return at.Stage, why
	}
	if d.left(r) {
		return v1alpha1.StageSuperseded, "the environments that it was for are no longer in the fleet"
	}
	return v1alpha1.StageDone, ""
}

// left reports whether r concerns environments that the Fleet no longer has, and never came to them.
func (d *decider) left(r *journey) bool {
	return slices.ContainsFunc(r.status.Environments, func(at v1alpha1.ReleaseEnvironmentStatus) bool {
		_, known := d.rules[at.Name]
		return !known && at.Stage != v1alpha1.StageDone
	})
}
