package release

import (
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// stop ends r in an environment.
func (d *decider) stop(r *journey, name string, stage v1alpha1.Stage, why string) {
	d.becomes(r, name, stage, why)
	kind := history.Failed
	if stage == v1alpha1.StageRolledBack {
		kind = history.RolledBack
	}
	r.at(name).Promotion = ""
	d.note(r, kind, name, "", why)
	last := &r.status.Journal[len(r.status.Journal)-1]
	last.Untouched = kind == history.Failed && r.at(name).Moved == nil
	if kind == history.RolledBack {
		last.Revision = d.places[name].Source.Revision
	}
}

// fail stops r in an environment, brings the environment back to what was good, and holds it. A person's hold stays; see
// [decider.remember].
func (d *decider) fail(r *journey, name string, p *place, why string) {
	intent := r.intent(name)
	told := why + d.retire(r, name, p)
	if p.app != nil && (!p.Hold.Active() || p.Hold.By == "") {
		p.Hold = &v1alpha1.Hold{At: d.time(), Reason: why, Release: r.Name, Own: intent.Own, Images: intent.Images}
	}
	if intent.Promote != "" && r.Spec.Step(name) != "" && r.at(name).Moved != nil && p.app != nil && p.Release != r.Name {
		r.at(name).Proposal = &v1alpha1.ProposalStatus{Revert: true} // Git says still what has failed
	}
	d.stop(r, name, v1alpha1.StageFailed, told)
	r.at(name).Resumed = nil // from here on, it is kept out
}

// retire brings an environment that r leaves back to what was good there if what it runs was not, and says what keeps it
// from that.
func (d *decider) retire(r *journey, name string, p *place) string {
	by := d.byName[p.Release]
	if p.app == nil || by == nil || by.stage(name) == v1alpha1.StageDone || by != r && working(by.stage(name)) {
		return "" // what runs has passed, or was there before any Release, or another one looks after it
	}
	intent := by.intent(name)
	switch {
	case p.LastGood != nil:
		d.goBack(p, *p.LastGood)
	case intent != nil && intent.RollbackBlocked != "":
		return fmt.Sprintf("; it is not rolled back, as sengu.yaml blocks that: %s", intent.RollbackBlocked)
	case intent != nil && intent.Gone:
		p.Removal = ""
		return "; what ran there before is kept, though it was not good"
	default:
		return "; nothing that it could go back to was good here, so it stays as it is"
	}
	return ""
}

// goBack makes an App what it was.
func (d *decider) goBack(p *place, to v1alpha1.GoodSource) {
	p.Source, p.Digest, p.Release, p.Removal = to.Source, to.Digest, to.Release, ""
}

// rollback carries out what a person asked for by a hold with a target, and notes when an environment is back.
func (d *decider) rollback(name string, p *place) {
	d.isBack(name, p)
	h := p.Hold
	if !h.Active() || h.RollbackTo == "" || h.Refused != "" || h.Release != "" {
		return
	}
	if inside := d.inside(name); inside != nil && inside.at(name).Moved == nil {
		if job := d.busyJob(inside, inside.at(name)); job != "" {
			inside.wish(inside.at(name), "%s asked to roll back, which waits for Job %s: it is not interrupted", h.By, job)
			return
		}
	}
	to, why := d.target(name, p)
	if why != "" {
		h.Refused = why
		return
	}
	d.retreat(name, p, to)
}

const backAgain = "; the environment runs what it ran before"

// isBack notes when an environment runs well again what it was brought back to after a failure.
func (d *decider) isBack(name string, p *place) {
	for _, r := range slices.Backward(d.releases) {
		at := r.at(name)
		if at == nil || at.Moved == nil || p.Release == r.Name || !stopped(at.Stage) {
			continue
		}
		if at.Stage == v1alpha1.StageFailed && p.app != nil && d.back(p) {
			why := ""
			if at.Why != nil {
				why = at.Why.Message
			}
			d.stop(r, name, v1alpha1.StageRolledBack, why+backAgain)
		}
		return
	}
}

// back reports whether an App runs what it was brought back to.
func (d *decider) back(p *place) bool {
	return p.was.Source == p.Source && applied(p.app) && p.app.Status.Unfinished == nil && well(p.app) && p.LastGood != nil && p.Source == p.LastGood.Source
}

// retreat brings an environment back because a person asked for it.
func (d *decider) retreat(name string, p *place, to v1alpha1.GoodSource) {
	left := d.byName[p.Release]
	if inside := d.inside(name); inside != nil {
		left = inside
	}
	d.goBack(p, to)
	p.LastGood = &to
	// What is left is noted in the hold, which also says that this was carried out.
	if left == nil || left.Name == to.Release {
		p.Hold.Release = "-"
		return
	}
	p.Hold.Release = left.Name
	d.rolledBack(left, name, p)
}

// target finds what a person asked to go back to, or says why it cannot be.
func (d *decider) target(name string, p *place) (v1alpha1.GoodSource, string) {
	asked := p.Hold.RollbackTo
	if good := p.LastGood; good != nil && (good.Release == asked || good.Source.Revision == asked) {
		return *good, d.blockedSince(good, name, p)
	}
	refusal := fmt.Sprintf("%s is no revision that was good in %s: `sengu release list %s` shows those that were", asked, name, d.Name)
	for _, r := range slices.Backward(d.releases) {
		intent := r.intent(name)
		if r.Name != asked && r.Spec.Revision != asked && r.Spec.RevisionIn(name) != asked || intent == nil {
			continue
		}
		switch {
		case intent.Gone:
			refusal = fmt.Sprintf("%s removes the service from %s: there is nothing to go back to", r.Name, name)
		case r.stage(name) != v1alpha1.StageDone:
			refusal = fmt.Sprintf("%s has not passed %s: `sengu release list %s` shows those that have", r.Name, name, d.Name)
		default:
			good := v1alpha1.GoodSource{
				Source: v1alpha1.AppSource{Revision: r.Spec.RevisionIn(name), Path: intent.Path, Cluster: intent.Cluster, Namespace: intent.Namespace},
				Digest: intent.Digest, Release: r.Name,
			}
			return good, d.blockedSince(&good, name, p)
		}
	}
	return v1alpha1.GoodSource{}, refusal
}

// blockedSince says which Release after to, that was in the environment, cannot be gone back behind.
func (d *decider) blockedSince(to *v1alpha1.GoodSource, name string, p *place) string {
	if p.Source == to.Source {
		return ""
	}
	from := int64(-1)
	if r := d.byName[to.Release]; r != nil {
		from = r.Spec.Sequence
	}
	for _, later := range d.releases {
		intent := later.intent(name)
		if later.Spec.Sequence <= from || intent == nil || intent.RollbackBlocked == "" {
			continue
		}
		if at := later.at(name); at.Moved != nil || later.Name == p.Release {
			return fmt.Sprintf("%s cannot be rolled back: %s", later.Name, intent.RollbackBlocked)
		}
	}
	return ""
}
