package release

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/release"
)

// pauseFirst and pauseLast bound how long it lasts until a Job is tried again that could not be prepared, made or read,
// which doubles each time.
const pauseFirst, pauseLast = 2 * time.Second, time.Minute

// pause is the time between two tries with one Job.
type pause struct {
	// since is when the first of them failed, and until when the next one is due.
	since, until time.Time
	tries        int
	state        release.JobState
	timer        clock.Timer
}

// rest says that a Job could not be got further with, for what may pass, and since when. What is known of the Job by its
// spec is told, so that its status names it. Its service is woken when it is to be tried again: no watch does that.
func (r *Reconciler) rest(a asked, spec job.Spec, err error, there existence) (is release.JobState, since time.Time) {
	now := r.Clock.Now()
	j := &r.jobs
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pauses == nil {
		j.pauses = map[release.StepKey]*pause{}
	}
	p := j.pauses[a.key]
	if p == nil {
		p = &pause{since: now}
		j.pauses[a.key] = p
	} else {
		p.timer.Stop()
	}
	wait := min(pauseFirst<<min(p.tries, 10), pauseLast)
	p.tries++
	p.until = now.Add(wait)
	p.state = release.JobState{Phase: v1alpha1.StepRunning, Unmade: there == nowhere, Job: spec.Name, UID: spec.UID, Message: err.Error()}
	p.timer = r.Clock.AfterFunc(wait, func() { r.waker.Wake(keyOf(a.one.Namespace, a.one.Spec.Fleet, a.one.Spec.Service)) })
	if j.closed {
		p.timer.Stop()
	}
	return p.state, p.since
}

// rests returns what was said of a Job that is to be tried again later.
func (j *jobs) rests(a asked, now time.Time) (release.JobState, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.pauses[a.key]
	if p == nil || !now.Before(p.until) {
		return release.JobState{}, false
	}
	return p.state, true
}

// rested ends the pauses of a Job.
func (j *jobs) rested(key release.StepKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.drop(key)
}

// drop is rested with the lock held.
func (j *jobs) drop(key release.StepKey) {
	if p := j.pauses[key]; p != nil {
		p.timer.Stop()
		delete(j.pauses, key)
	}
}
