package job

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sengu-dev/sengu/internal/kube"
)

// Phase says how far a Job has come.
type Phase string

// The phases of a Job.
const (
	Running   Phase = "running"
	Succeeded Phase = "succeeded"
	Failed    Phase = "failed"
)

// State is what is known of a Job.
type State struct {
	// Phase is Running until Kubernetes says that the Job is over and its Pods have ended. A Job that was deleted
	// before its outcome was seen has failed.
	Phase Phase
	// Started and Finished are when, as far as it has; zero if not, or if nobody knows.
	Started, Finished time.Time
	// Message goes on where the Job's name ends, as in "has failed: …" or "is running; Pod …: ImagePullBackOff: …". It
	// never holds the environment, a Secret or the output of a container.
	Message string
	// UID of the Job.
	UID string
	// Gone says that the Job failed only because it is not there any more, and nobody has seen its outcome.
	Gone bool
}

// Done says whether nothing more can happen to the Job.
func (s State) Done() bool { return s.Phase == Succeeded || s.Phase == Failed }

var (
	jobs = kube.Resource{Kind: batchv1.SchemeGroupVersion.WithKind("Job"), Name: "jobs", Namespaced: true, Watchable: true}
	pods = kube.Resource{Kind: corev1.SchemeGroupVersion.WithKind("Pod"), Name: "pods", Namespaced: true, Watchable: true}
)

// stateOf reads the state of a Job from what the API server says of it.
func stateOf(u *unstructured.Unstructured) (State, error) {
	var job batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &job); err != nil {
		return State{}, fmt.Errorf("what the API server says of Job %s/%s cannot be read", u.GetNamespace(), u.GetName())
	}
	s := State{Phase: Running, UID: string(job.UID)}
	if job.Status.StartTime != nil {
		s.Started = job.Status.StartTime.Time
	}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			s.Phase, s.Finished, s.Message = Succeeded, c.LastTransitionTime.Time, "has succeeded"
			if job.Status.CompletionTime != nil {
				s.Finished = job.Status.CompletionTime.Time
			}
			return s, nil
		case batchv1.JobFailed:
			s.Phase, s.Finished, s.Message = Failed, c.LastTransitionTime.Time, "has failed: "+because(&job, c)
			return s, nil
		}
	}
	s.Message = progress(&job)
	return s, nil
}

// because says why a Job has failed, or is about to.
func because(job *batchv1.Job, c batchv1.JobCondition) string {
	switch c.Reason {
	case batchv1.JobReasonDeadlineExceeded:
		if seconds := job.Spec.ActiveDeadlineSeconds; seconds != nil {
			return fmt.Sprintf("it did not end within its timeout of %s", time.Duration(*seconds)*time.Second)
		}
		return "it did not end within its timeout"
	case batchv1.JobReasonBackoffLimitExceeded:
		if job.Status.Failed > 1 {
			return fmt.Sprintf("%d of its Pods failed, which is more than its backoffLimit allows", job.Status.Failed)
		}
		return "its Pod failed"
	}
	text := strings.Join(strings.Fields(c.Message), " ")
	switch {
	case text == "" && c.Reason == "":
		return "Kubernetes gives no reason"
	case text == "":
		return c.Reason
	case c.Reason == "":
		return cut(text)
	default:
		return c.Reason + ": " + cut(text)
	}
}

// progress says what a Job does that is not over.
func progress(job *batchv1.Job) string {
	ending := ""
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobFailureTarget:
			ending = "fails, and waits for its Pods to end: " + because(job, c)
		case batchv1.JobSuccessCriteriaMet:
			ending = "has succeeded, and waits for its Pods to end"
		case batchv1.JobSuspended:
			ending = "is suspended: whoever suspended it has to start it"
		}
	}
	switch failed := job.Status.Failed; {
	case job.DeletionTimestamp != nil:
		return "is being deleted"
	case ending != "":
		return ending
	case job.Status.StartTime == nil:
		return "has not started yet"
	case failed == 1:
		return "is running, after 1 Pod failed"
	case failed > 1:
		return fmt.Sprintf("is running, after %d Pods failed", failed)
	default:
		return "is running"
	}
}

// gone is the state of a Job that is not there, and of which nobody has seen the outcome.
func gone(before State, uid string, now time.Time) State {
	before.Phase, before.UID, before.Gone, before.Finished = Failed, uid, true, now
	before.Message = "has failed: it was deleted before its outcome was seen, so nobody knows whether it succeeded"
	return before
}

// maxText bounds what is told of the words of others, in bytes.
const maxText = 600

// cut bounds s.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
