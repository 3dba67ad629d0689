package health

import (
	"fmt"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func deployment(o object) Status {
	if c, ok := o.condition("ReplicaFailure"); ok && c.isTrue() {
		return degraded("cannot make its Pods: %s", c.because())
	}
	if o.flag("spec.paused") {
		return suspended("is paused: spec.paused is true")
	}
	if o.unseen() {
		return progressing(waitsForController)
	}
	if c, ok := o.condition("Progressing"); ok && c.reason == "ProgressDeadlineExceeded" {
		return degraded("has made no progress within its deadline: %s", o.replicas("status.updatedReplicas"))
	}
	s := ofKstatus(o)
	if s.Status == v1alpha1.Progressing {
		s.Message = o.replicas("status.updatedReplicas")
	}
	return s
}

// replicas says how far the Pods of a workload are, from what it counts in its status.
func (o object) replicas(updated string) string {
	return counts(o.number("spec.replicas", 1), o.number("status.replicas", 0), o.number(updated, 0), o.number("status.availableReplicas", 0))
}

func counts(want, have, updated, available int64) string {
	switch {
	case updated < want:
		return fmt.Sprintf("%d of %d Pods are of the new version", updated, want)
	case available < want:
		return fmt.Sprintf("%d of %d Pods are available", available, want)
	case have > want:
		return "waits for " + some(have-want) + " of the old version to end"
	default:
		return "waits for its controller to call the rollout complete"
	}
}

// some counts Pods.
func some(n int64) string {
	if n == 1 {
		return "1 Pod"
	}
	return fmt.Sprintf("%d Pods", n)
}

func statefulSet(o object) Status {
	if o.unseen() {
		return progressing(waitsForController)
	}
	want := o.number("spec.replicas", 1)
	ready := o.number("status.readyReplicas", 0)
	updated := o.number("status.updatedReplicas", 0)
	if o.text("spec.updateStrategy.type") == "OnDelete" {
		if ready < want {
			return progressing("%d of %d Pods are ready", ready, want)
		}
		if old := want - updated; old > 0 && o.text("status.currentRevision") != o.text("status.updateRevision") {
			return Status{v1alpha1.Healthy, "keeps " + some(old) + " of the old version until somebody deletes them (OnDelete)"}
		}
		return healthy()
	}
	s := ofKstatus(o)
	if s.Status == v1alpha1.Progressing {
		newest := max(want-o.number("spec.updateStrategy.rollingUpdate.partition", 0), 0)
		switch {
		case ready < want:
			s.Message = fmt.Sprintf("%d of %d Pods are ready", ready, want)
		case updated < newest:
			s.Message = fmt.Sprintf("%d of %d Pods are of the new version", updated, newest)
		default:
			s.Message = counts(want, o.number("status.replicas", 0), want, want)
		}
	}
	return s
}

func daemonSet(o object) Status {
	if o.unseen() {
		return progressing(waitsForController)
	}
	want := o.number("status.desiredNumberScheduled", 0)
	available := o.number("status.numberAvailable", 0)
	updated := o.number("status.updatedNumberScheduled", 0)
	onDelete := o.text("spec.updateStrategy.type") == "OnDelete"
	switch {
	case updated < want && !onDelete:
		return progressing("%d of %d Pods are of the new version", updated, want)
	case available < want:
		return progressing("%d of %d Pods are available", available, want)
	case updated < want:
		return Status{v1alpha1.Healthy, "keeps " + some(want-updated) + " of the old version until somebody deletes them (OnDelete)"}
	}
	return healthy()
}

func replicaSet(o object) Status {
	if c, ok := o.condition("ReplicaFailure"); ok && c.isTrue() {
		return degraded("cannot make its Pods: %s", c.because())
	}
	if o.unseen() {
		return progressing(waitsForController)
	}
	want, available := o.number("spec.replicas", 1), o.number("status.availableReplicas", 0)
	if available < want {
		return progressing("%d of %d Pods are available", available, want)
	}
	if have := o.number("status.replicas", 0); have > want {
		return progressing("waits for %s to end", some(have-want))
	}
	return healthy()
}

func pod(o object) Status {
	switch phase := o.text("status.phase"); phase {
	case "Succeeded":
		return healthy()
	case "Failed":
		return degraded("has failed%s", suffix(o.text("status.reason")))
	case "Running":
		if c, ok := o.condition("Ready"); ok && c.isTrue() {
			return healthy()
		}
		if name, reason, ok := o.waiting(); ok && reason == "CrashLoopBackOff" {
			return degraded("has the container %s in CrashLoopBackOff", name)
		}
		return progressing("runs but is not ready")
	case "Unknown":
		return unknown("is on a node that does not answer")
	default:
		if name, reason, ok := o.waiting(); ok && stuck(reason) {
			return degraded("has the container %s in %s", name, reason)
		}
		if c, ok := o.condition("PodScheduled"); ok && c.isFalse() {
			return progressing("is not scheduled: %s", c.because())
		}
		return progressing("has not started yet")
	}
}

// waiting returns the first container of a Pod that waits for something that went wrong.
func (o object) waiting() (name, reason string, ok bool) {
	for _, field := range []string{"status.initContainerStatuses", "status.containerStatuses"} {
		for _, item := range o.list(field) {
			m, _ := item.(map[string]any)
			state, _ := m["state"].(map[string]any)
			wait, _ := state["waiting"].(map[string]any)
			reason, _ := wait["reason"].(string)
			if stuck(reason) {
				name, _ := m["name"].(string)
				return name, reason, true
			}
		}
	}
	return "", "", false
}

func suffix(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func job(o object) Status {
	for _, kind := range []string{"Complete", "SuccessCriteriaMet"} {
		if c, ok := o.condition(kind); ok && c.isTrue() {
			return healthy()
		}
	}
	for _, kind := range []string{"Failed", "FailureTarget"} {
		if c, ok := o.condition(kind); ok && c.isTrue() {
			return degraded("has failed: %s", c.because())
		}
	}
	if o.flag("spec.suspend") {
		return suspended("is suspended: spec.suspend is true")
	}
	if o.text("status.startTime") == "" {
		return progressing("has not started yet")
	}
	if failed := o.number("status.failed", 0); failed > 0 {
		return progressing("is running, after %s failed", some(failed))
	}
	return progressing("is running")
}

// cronJob is Degraded if the last run did not succeed. Its status names the last run and the last success; a run that
// is over without being the last success has failed. A run of before the last change says nothing about what is there
// now: otherwise the commit that mends a CronJob would be taken for one that breaks it.
func cronJob(o object) Status {
	if o.flag("spec.suspend") {
		return suspended("is suspended: spec.suspend is true")
	}
	last, success := o.text("status.lastScheduleTime"), o.text("status.lastSuccessfulTime")
	running := len(o.list("status.active")) > 0
	// Times are RFC 3339 in UTC, which sorts as text.
	if last == "" || running || success >= last {
		return healthy()
	}
	if o.changed() > last {
		return Status{v1alpha1.Healthy, "did not succeed in its last run, which was before it was changed"}
	}
	return degraded("did not succeed in its last run")
}
