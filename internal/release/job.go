package release

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// run takes Jobs one after the other, and reports whether all have passed. A Job that failed fails r. While held says
// that a person holds the environment, none is begun.
func (d *decider) run(r *journey, name string, p *place, steps []string, held string) bool {
	at := r.at(name)
	for _, step := range steps {
		unmade := d.Jobs[StepKey{r.Name, name, step, at.Attempt}].Unmade
		begun := !unmade && slices.ContainsFunc(at.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step })
		if held != "" && !begun {
			d.because(at, held)
			return false
		}
		switch state := d.job(r, name, step); state.Phase {
		case v1alpha1.StepSucceeded:
			continue
		case v1alpha1.StepFailed:
			d.fail(r, name, p, fmt.Sprintf("Job %s failed%s%s", step, after(state.Message), also(unseen(at))))
		default:
			does := "runs"
			if unmade {
				does = "could not be made yet"
			}
			d.because(at, fmt.Sprintf("Job %s %s%s", step, does, after(state.Message)))
		}
		return false
	}
	return true
}

// after puts what is known of something behind it.
func after(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// also puts another sentence behind one.
func also(sentence string) string {
	if sentence == "" {
		return ""
	}
	return "; " + sentence
}

// job returns a step that is a Job, and asks for it to be started if it was not.
func (d *decider) job(r *journey, name, step string) v1alpha1.StepStatus {
	at := r.at(name)
	i := slices.IndexFunc(at.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == step })
	if i < 0 {
		at.Steps = append(at.Steps, v1alpha1.StepStatus{Name: step, Phase: v1alpha1.StepRunning, Job: step})
		i = len(at.Steps) - 1
	}
	if at.Steps[i].Phase == v1alpha1.StepRunning && at.Steps[i].Started == nil {
		d.jobs = append(d.jobs, StepKey{r.Name, name, step, at.Attempt})
	}
	return at.Steps[i]
}

// listen takes in how the Jobs of r are that have not ended, also where r has stopped, and what its checks have
// answered. A step that was noted and never begun, and cannot be now, is forgotten.
func (d *decider) listen(r *journey) {
	for i := range r.status.Environments {
		at := &r.status.Environments[i]
		at.Steps = slices.DeleteFunc(at.Steps, func(step v1alpha1.StepStatus) bool {
			_, seen := d.Jobs[StepKey{r.Name, at.Name, step.Name, at.Attempt}]
			return step.Job != "" && step.Phase == v1alpha1.StepRunning && step.Started == nil && !seen &&
				(!working(at.Stage) || d.unplanned(r, at.Name) != "")
		})
		for j := range at.Steps {
			d.hear(r, at, &at.Steps[j])
		}
	}
}

// hear takes in what is new of a step. A Job that was seen and is no more has failed: it is not started again.
func (d *decider) hear(r *journey, at *v1alpha1.ReleaseEnvironmentStatus, step *v1alpha1.StepStatus) {
	if step.Phase != v1alpha1.StepRunning {
		return
	}
	key := StepKey{r.Name, at.Name, step.Name, at.Attempt}
	if step.Job == "" {
		if look, answered := d.Looks[key]; answered {
			d.count(r, at.Name, step, look)
		}
		return
	}
	switch state, seen := d.Jobs[key]; {
	case seen && state.Unmade:
		step.Message, step.Started = state.Message, nil
	case seen:
		d.follow(r, at.Name, step, state)
	case step.Started != nil:
		d.end(r, at.Name, step, v1alpha1.StepFailed, "it was deleted before anybody saw how it ended")
	}
}

// follow takes in how a Job is.
func (d *decider) follow(r *journey, name string, step *v1alpha1.StepStatus, state JobState) {
	step.Message = state.Message
	if state.Job != "" {
		step.Job, step.UID = state.Job, state.UID
	}
	if step.Started == nil {
		started := d.stored(state.Started)
		step.Started = &started
	}
	if state.Phase == v1alpha1.StepSucceeded || state.Phase == v1alpha1.StepFailed {
		d.end(r, name, step, state.Phase, state.Message)
		finished := d.stored(state.Finished)
		step.Finished = &finished
	}
}

// stored is t as the API stores it, and now if nobody knows it.
func (d *decider) stored(t time.Time) metav1.Time {
	if t.IsZero() {
		return d.time()
	}
	return metav1.NewTime(t.Truncate(time.Second))
}

// end notes how a Job or check has ended.
func (d *decider) end(r *journey, name string, step *v1alpha1.StepStatus, phase v1alpha1.StepPhase, message string) {
	now := d.time()
	step.Phase, step.Message, step.Finished, step.Next = phase, message, &now, nil
	words := map[v1alpha1.StepPhase]string{v1alpha1.StepSucceeded: "passed", v1alpha1.StepFailed: "failed"}
	d.note(r, history.JobFinished, name, "", step.Name+" "+words[phase]+after(message))
}

// busyJob returns the step of an environment of r that is a Job and has not ended, "" if there is none. One that is known
// not to be there holds nothing up.
func (d *decider) busyJob(r *journey, at *v1alpha1.ReleaseEnvironmentStatus) string {
	for _, step := range at.Steps {
		if step.Job != "" && step.Phase == v1alpha1.StepRunning && !d.Jobs[StepKey{r.Name, at.Name, step.Name, at.Attempt}].Unmade {
			return step.Name
		}
	}
	return ""
}

// busy returns the Release that has a Job running in an environment, at work there or not, and the Job's step.
func (d *decider) busy(name string) (*journey, string) {
	for _, r := range d.releases {
		if at := r.at(name); at != nil {
			if job := d.busyJob(r, at); job != "" {
				return r, job
			}
		}
	}
	return nil, ""
}
