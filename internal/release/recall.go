package release

import (
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// recall finds again, after a crash, what was done to the App and not written into the statuses. The App is written first.
func (d *decider) recall(name string, p *place) {
	if r := d.byName[p.Release]; r != nil && r.stage(name) == v1alpha1.StageWaiting && !p.Hold.Active() && r.intent(name).Gone == (p.Removal != "") {
		if _, job := d.busy(name); job == "" {
			d.enter(r, name, revisionOf(p.LastGood))
			d.moved(r, name)
		}
	}
	newest := d.inside(name)
	for _, r := range d.releases {
		at := r.at(name)
		switch {
		case at == nil:
		case r.wentBack(at, p):
			d.rolledBack(r, name, p)
		case !working(at.Stage) && at.Stage != v1alpha1.StageWaiting:
		case p.Hold.Active() && p.Hold.By == "" && p.Hold.Release == r.Name && at.Promotion == "":
			d.stop(r, name, v1alpha1.StageFailed, p.Hold.Reason)
			at.Resumed = nil
		case r == newest && at.Moved != nil && p.app != nil && p.Release != r.Name && d.newerThan(r, name) == nil:
			d.stop(r, name, v1alpha1.StageFailed, "the environment was brought to something else")
		}
	}
}

// wentBack reports whether a person had an environment rolled back from r, and nobody asked for r since.
func (r *journey) wentBack(at *v1alpha1.ReleaseEnvironmentStatus, p *place) bool {
	h := p.Hold
	if h == nil || h.RollbackTo == "" || h.Refused != "" || h.Release != r.Name || p.Release == r.Name || at.Promotion != "" {
		return false
	}
	if at.Stage == v1alpha1.StageRolledBack || at.Stage == v1alpha1.StageSuperseded {
		return false
	}
	return h.Ended == nil || !at.Resumed.Equal(&h.Ended.At)
}

// newerThan returns the Release that has taken the place of everything older than it in an environment, nil if r may
// still come to it: the one that is at work there, or that has passed and is what runs there.
func (d *decider) newerThan(r *journey, name string) *journey {
	p := d.places[name]
	for _, other := range slices.Backward(d.releases) {
		if other.Spec.Sequence <= r.Spec.Sequence {
			break
		}
		switch stage := other.stage(name); {
		case working(stage):
			return other
		case stage == v1alpha1.StageDone && (p.app != nil && p.Release == other.Name || other.intent(name).Gone && p.app == nil):
			return other
		case stage == v1alpha1.StageDone && other.at(name).Unchanged && p.outputs(other.intent(name).Digest):
			return other
		}
	}
	return nil
}

// outputs reports whether what runs in an environment is an output.
func (p *place) outputs(digest string) bool {
	if p.app == nil || digest == "" {
		return false
	}
	if p.Digest == "" {
		return applied(p.app) && p.app.Status.Digest == digest
	}
	return p.Digest == digest
}

// overtake supersedes what stands before an environment, or is in it, while a newer one has taken its place.
func (d *decider) overtake(name string, p *place) {
	for _, r := range d.releases {
		stage := r.stage(name)
		if stage != v1alpha1.StageWaiting && !working(stage) || r == d.inside(name) && p.Release == r.Name {
			continue
		}
		newer := d.newerThan(r, name)
		if failed := d.holder(p); newer == nil && working(stage) && failed != nil && failed.Spec.Sequence > r.Spec.Sequence {
			newer = failed
		}
		if newer != nil {
			d.supersede(r, newer, name)
		}
	}
}

// holder returns the Release whose failure holds an environment.
func (d *decider) holder(p *place) *journey {
	if !p.Hold.Active() || p.Hold.By != "" {
		return nil
	}
	return d.byName[p.Hold.Release]
}

// rolledBack notes that a person had an environment rolled back from r.
func (d *decider) rolledBack(r *journey, name string, p *place) {
	d.becomes(r, name, v1alpha1.StageRolledBack, fmt.Sprintf("%s rolled %s back to %.7s%s", p.Hold.By, name, p.Source.Revision, because(p.Hold.Reason)))
	r.at(name).Promotion, r.at(name).Resumed = "", nil
	d.note(r, history.RolledBack, name, p.Hold.By, p.Hold.Reason)
	r.status.Journal[len(r.status.Journal)-1].Revision = p.Source.Revision
}
