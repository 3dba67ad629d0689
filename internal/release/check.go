package release

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// check asks every check, all at once, and reports whether all have passed. One that failed fails r.
func (d *decider) check(r *journey, name string, p *place, checks []Check) bool {
	undecided := ""
	for _, c := range checks {
		var step v1alpha1.StepStatus
		if c.Job {
			step = d.job(r, name, c.Name)
		} else {
			step = d.ask(r, name, c)
		}
		switch step.Phase {
		case v1alpha1.StepFailed:
			d.fail(r, name, p, fmt.Sprintf("check %s failed%s%s", c.Name, after(step.Message), also(unseen(r.at(name)))))
			return false
		case v1alpha1.StepRunning:
			if undecided == "" {
				undecided = fmt.Sprintf("check %s is not decided%s", c.Name, after(step.Message))
			}
		}
	}
	if undecided != "" {
		d.because(r.at(name), undecided)
		return false
	}
	return true
}

// ask returns a check that is asked again and again as its answers so far decide it, and asks again when that is due.
func (d *decider) ask(r *journey, name string, c Check) v1alpha1.StepStatus {
	at := r.at(name)
	i := slices.IndexFunc(at.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == c.Name })
	if i < 0 {
		now := d.time()
		at.Steps = append(at.Steps, v1alpha1.StepStatus{Name: c.Name, Phase: v1alpha1.StepRunning, Started: &now, Next: &now})
		i = len(at.Steps) - 1
	}
	step := &at.Steps[i]
	switch {
	case step.Phase != v1alpha1.StepRunning:
	case step.Failures > c.Failures:
		d.end(r, name, step, v1alpha1.StepFailed, step.Message)
	case step.Passes >= max(c.Successes, 1):
		d.end(r, name, step, v1alpha1.StepSucceeded, step.Message)
	case step.Next == nil || !d.Now.Before(step.Next.Time):
		d.checks = append(d.checks, StepKey{r.Name, name, c.Name, at.Attempt})
	default:
		d.wakeAt(step.Next.Time)
	}
	return *step
}

// count adds an answer to a check. Nothing learnt counts as an answer that failed: it never passes.
func (d *decider) count(r *journey, name string, step *v1alpha1.StepStatus, look Look) {
	step.Message = look.Message
	if !look.Evidence {
		step.Message = "not enough evidence" + after(look.Message)
	}
	if look.Passed && look.Evidence {
		step.Passes++
	} else {
		step.Passes = 0
		step.Failures++
	}
	interval := time.Second
	for _, c := range d.Plans[Place{r.Name, name}].Checks {
		if c.Name == step.Name {
			interval = max(c.Interval, interval)
		}
	}
	next := metav1.NewTime(d.Now.Add(interval).Truncate(time.Second))
	step.Next = &next
}
