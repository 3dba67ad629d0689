package release

import (
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// remember notes in a person's hold which Release it keeps out, so that the end of the hold brings that one back: a
// person who holds what is held after a failure, or rolls it back further, replaces the hold that knew.
func (d *decider) remember(name string, p *place) {
	h := p.Hold
	if h == nil || h.By == "" {
		return
	}
	goesBack := h.RollbackTo != "" && h.Refused == ""
	noted := d.byName[h.Release]
	switch {
	case h.Active() && goesBack && h.Release == "":
		return // what it leaves is noted first
	case noted != nil && goesBack && !stopped(noted.was(name)):
		return // that it was left is written first
	case h.Ended != nil && h.Release != "" && (noted == nil || noted.at(name) == nil || noted.at(name).Resumed.Equal(&h.Ended.At)):
		return // the end was taken in
	}
	switch kept := d.kept(name); {
	case kept != nil && (noted == nil || kept.Spec.Sequence > noted.Spec.Sequence):
		intent := kept.intent(name)
		h.Release, h.Own, h.Images = kept.Name, intent.Own, intent.Images
	case h.Ended != nil && h.Ended.By != "" && h.Release == "":
		h.Release = "-" // what stops later has nothing to do with it
	}
}

// kept returns the newest Release that has failed in an environment, or was rolled back from, and that nobody let in
// again since; nil if something newer is there.
func (d *decider) kept(name string) *journey {
	for _, r := range slices.Backward(d.releases) {
		at := r.at(name)
		if at == nil || !stopped(at.Stage) || at.Resumed != nil || r.aborted(name) {
			continue
		}
		if d.newerThan(r, name) != nil {
			return nil
		}
		return r
	}
	return nil
}

// stopped reports whether a Release of that stage has stopped in its environment, and its end is no other Release.
func stopped(stage v1alpha1.Stage) bool {
	return stage == v1alpha1.StageFailed || stage == v1alpha1.StageRolledBack
}

// was returns how far r had come in an environment before the decision.
func (r *journey) was(name string) v1alpha1.Stage {
	if at := environmentOf(&r.Status, name); at != nil {
		return at.Stage
	}
	return ""
}

// aborted reports whether r has stopped in an environment because a person ended it there.
func (r *journey) aborted(name string) bool {
	for _, t := range slices.Backward(r.status.Journal) {
		if kind := history.Kind(t.Kind); t.Environment == name && (kind == history.Aborted || kind == history.Failed || kind == history.Done) {
			return kind == history.Aborted
		}
	}
	return false
}

// retry lets what a hold has stopped stand before the environment again once a person has ended the hold. One that
// Sengu has ended for another Release keeps it out no more.
func (d *decider) retry(name string, p *place) {
	h := p.Hold
	if h == nil || h.Ended == nil {
		return
	}
	r := d.byName[h.Release]
	if r == nil {
		return
	}
	at := r.at(name)
	if at == nil || at.Resumed.Equal(&h.Ended.At) || !stopped(at.Stage) && at.Promotion == "" {
		return
	}
	if h.Ended.By == "" || !stopped(at.Stage) {
		at.Resumed = &h.Ended.At // it was let go, or a person has put it there already
		return
	}
	if job := d.busyJob(r, at); job != "" {
		d.because(at, fmt.Sprintf("%s resumed it, which waits for Job %s of its last try: it is not interrupted", h.Ended.By, job))
		return
	}
	at.Resumed = &h.Ended.At
	d.note(r, history.Resumed, name, h.Ended.By, h.Ended.Reason)
	if d.newerThan(r, name) == nil {
		d.again(r, name)
	}
}

// again puts r back before an environment. Jobs that passed are not run again; those that did not are, under another
// name, since a person asked for it.
func (d *decider) again(r *journey, name string) {
	d.becomes(r, name, v1alpha1.StageWaiting, "")
	at := r.at(name)
	at.Healthy, at.Unhealthy, at.Degraded, at.Unchanged, at.Pinned = nil, nil, nil, false, ""
	if d.places[name].Release != r.Name {
		at.Moved = nil
	}
	r.status.SupersededBy = ""
	at.Attempt++
	at.Steps = slices.DeleteFunc(at.Steps, func(s v1alpha1.StepStatus) bool { return s.Phase != v1alpha1.StepSucceeded || s.Job == "" })
}
