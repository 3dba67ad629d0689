package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Trouble is what keeps one Pod from doing its work.
type Trouble struct {
	// Namespace and Pod name the Pod.
	Namespace, Pod string
	// Container is the container in trouble, empty if it is the Pod as a whole.
	Container string
	// Reason is the word for it, as Kubernetes writes it: ImagePullBackOff, CrashLoopBackOff, OOMKilled, Unschedulable …
	Reason string
	// Message says more. It never holds the environment, a Secret or the output of a container.
	Message string
	// Log says that the last lines of the container's log are likely to tell more, and Previous that they are those
	// of the run before.
	Log, Previous bool

	rank int
}

// String returns t as one sentence: "Pod checkout-6d4c: CrashLoopBackOff: container app exited with code 1".
func (t Trouble) String() string {
	s := "Pod " + t.Pod + ": " + t.Reason
	if t.Message != "" {
		s += ": " + t.Message
	}
	return oneLine(s)
}

// How telling a reason is: the lower, the nearer to what somebody has to mend.
const (
	rankImage = iota
	rankConfig
	rankCrash
	rankFailed
	rankUnschedulable
	rankInit
	rankEnding
	rankUnready
	rankSlow
)

const (
	// grace is how long a container may run before it is told that it is not ready.
	grace = 10 * time.Second
	// slowStart is how long a Pod may take to get its volumes and its network.
	slowStart = 30 * time.Second
)

// Pods names the Pod that best tells why a workload is not ready, and its reason, as one sentence. It is false if
// nothing is wrong with any of them, or nothing yet.
func Pods(pods []corev1.Pod, now time.Time) (reason string, ok bool) {
	t, ok := WorstPod(pods, now)
	if !ok {
		return "", false
	}
	return t.String(), true
}

// WorstPod is as [Pods], for callers that want to fetch the log. Of equally telling Pods it takes the newest, and of
// equally new ones the first by name, so that the answer is that of the latest version and stays the same.
func WorstPod(pods []corev1.Pod, now time.Time) (Trouble, bool) {
	var worst Trouble
	var of *corev1.Pod
	for i := range pods {
		t, ok := troubleOf(&pods[i], now)
		if !ok || (of != nil && !worse(t, &pods[i], worst, of)) {
			continue
		}
		t.Namespace, t.Pod = pods[i].Namespace, pods[i].Name
		worst, of = t, &pods[i]
	}
	return worst, of != nil
}

func worse(t Trouble, pod *corev1.Pod, than Trouble, other *corev1.Pod) bool {
	return cmp.Or(
		cmp.Compare(t.rank, than.rank),
		other.CreationTimestamp.Compare(pod.CreationTimestamp.Time),
		cmp.Compare(pod.Name, other.Name),
	) < 0
}

func troubleOf(pod *corev1.Pod, now time.Time) (Trouble, bool) {
	if pod.DeletionTimestamp != nil {
		// The timestamp is when the Pod should be gone, its grace period included.
		if now.Sub(pod.DeletionTimestamp.Time) > slowStart {
			return Trouble{Reason: "Terminating", Message: "it has not ended within its grace period", rank: rankEnding}, true
		}
		return Trouble{}, false
	}
	if pod.Status.Phase == corev1.PodSucceeded {
		return Trouble{}, false
	}
	var found []Trouble
	for i := range pod.Status.InitContainerStatuses {
		if t, ok := troubleIn(pod, &pod.Status.InitContainerStatuses[i], "init container"); ok {
			found = append(found, t)
		}
	}
	for i := range pod.Status.ContainerStatuses {
		if t, ok := troubleIn(pod, &pod.Status.ContainerStatuses[i], "container"); ok {
			found = append(found, t)
		}
	}
	if t, ok := troubleWith(pod); ok {
		found = append(found, t)
	}
	if len(found) == 0 {
		return unready(pod, now)
	}
	return slices.MinFunc(found, func(a, b Trouble) int { return cmp.Compare(a.rank, b.rank) }), true
}

// stuck says whether a container that waits for this reason will not start by itself.
func stuck(reason string) bool {
	_, ok := stuckRanks[reason]
	return ok
}

var stuckRanks = map[string]int{
	"ImagePullBackOff":           rankImage,
	"ErrImagePull":               rankImage,
	"InvalidImageName":           rankImage,
	"ErrImageNeverPull":          rankImage,
	"ImageInspectError":          rankImage,
	"RegistryUnavailable":        rankImage,
	"SignatureValidationFailed":  rankImage,
	"CreateContainerConfigError": rankConfig,
	"CreateContainerError":       rankConfig,
	"RunContainerError":          rankConfig,
	"PreCreateHookError":         rankConfig,
	"PreStartHookError":          rankConfig,
	"PostStartHookError":         rankConfig,
	"CrashLoopBackOff":           rankCrash,
}

// troubleIn looks at one container.
func troubleIn(pod *corev1.Pod, c *corev1.ContainerStatus, what string) (Trouble, bool) {
	name := what + " " + c.Name
	if w := c.State.Waiting; w != nil && stuck(w.Reason) {
		t := Trouble{Container: c.Name, Reason: w.Reason, rank: stuckRanks[w.Reason]}
		switch t.rank {
		case rankImage:
			t.Message = "image " + imageOf(pod, c) + " of " + name + colon(w.Message)
		case rankCrash:
			t.Message, t.Log, t.Previous = name+" keeps "+ending(c.LastTerminationState.Terminated), true, true
		default:
			t.Message = name + colon(w.Message)
		}
		return t, true
	}
	if end := c.State.Terminated; end != nil && end.ExitCode != 0 {
		return Trouble{Container: c.Name, Reason: ended(end), Message: name + " has " + exited(end), rank: rankCrash, Log: true}, true
	}
	if last := c.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 && !c.Ready {
		return Trouble{
			Container: c.Name, Reason: ended(last), Message: name + " has been started again after it " + exited(last),
			rank: rankCrash, Log: true, Previous: true,
		}, true
	}
	if what == "init container" && c.State.Running != nil && c.RestartCount > 0 && !c.Ready {
		return Trouble{Container: c.Name, Reason: "Initializing", Message: name + " has been started again", rank: rankInit, Log: true}, true
	}
	return Trouble{}, false
}

// imageOf returns the image that the Pod asks for, which the status may lack while it is not pulled.
func imageOf(pod *corev1.Pod, c *corev1.ContainerStatus) string {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == c.Name && list[i].Image != "" {
				return list[i].Image
			}
		}
	}
	return c.Image
}

func ended(end *corev1.ContainerStateTerminated) string {
	return cmp.Or(end.Reason, "Error")
}

func exited(end *corev1.ContainerStateTerminated) string {
	if end.Reason == "OOMKilled" {
		return "used more memory than its limit allows"
	}
	if end.Signal != 0 {
		return fmt.Sprintf("ended by signal %d", end.Signal)
	}
	return fmt.Sprintf("exited with code %d", end.ExitCode)
}

// ending is [exited] for what happens again and again.
func ending(end *corev1.ContainerStateTerminated) string {
	switch {
	case end == nil:
		return "ending"
	case end.Reason == "OOMKilled":
		return "being killed for using more memory than its limit allows (OOMKilled)"
	case end.ExitCode == 0:
		return "ending with exit code 0, though it should run on"
	default:
		return fmt.Sprintf("ending with exit code %d", end.ExitCode)
	}
}

// troubleWith looks at the Pod as a whole.
func troubleWith(pod *corev1.Pod) (Trouble, bool) {
	if pod.Status.Phase == corev1.PodFailed {
		return Trouble{Reason: cmp.Or(pod.Status.Reason, "Failed"), Message: pod.Status.Message, rank: rankFailed}, true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return Trouble{Reason: cmp.Or(c.Reason, "Unschedulable"), Message: c.Message, rank: rankUnschedulable}, true
		}
	}
	return Trouble{}, false
}

// unready looks for what is not wrong yet but takes long.
func unready(pod *corev1.Pod, now time.Time) (Trouble, bool) {
	for _, c := range pod.Status.InitContainerStatuses {
		if run := c.State.Running; run != nil && !c.Ready && now.Sub(run.StartedAt.Time) > slowStart && !sidecar(pod, c.Name) {
			return Trouble{Container: c.Name, Reason: "Initializing", Message: "init container " + c.Name + " has not ended yet", rank: rankInit, Log: true}, true
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if run := c.State.Running; run != nil && !c.Ready && now.Sub(run.StartedAt.Time) > grace {
			return Trouble{Container: c.Name, Reason: "NotReady", Message: "container " + c.Name + " runs, but " + probe(pod, &c), rank: rankUnready, Log: true}, true
		}
		if wait := c.State.Waiting; wait != nil && wait.Reason == "ContainerCreating" && now.Sub(pod.CreationTimestamp.Time) > slowStart {
			return Trouble{Container: c.Name, Reason: wait.Reason, Message: "its volumes or its network are not there yet", rank: rankSlow}, true
		}
	}
	for _, gate := range pod.Spec.ReadinessGates {
		if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		}) && pod.Status.Phase == corev1.PodRunning {
			return Trouble{Reason: "NotReady", Message: "its readiness gate " + string(gate.ConditionType) + " is not open", rank: rankUnready}, true
		}
	}
	return Trouble{}, false
}

// sidecar says whether an init container is one that runs beside the others, and so never ends.
func sidecar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

// probe says which probe a running container has not passed.
func probe(pod *corev1.Pod, c *corev1.ContainerStatus) string {
	if c.Started != nil && !*c.Started {
		return "has not passed its startup probe"
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == c.Name && pod.Spec.Containers[i].ReadinessProbe != nil {
			return "does not pass its readiness probe"
		}
	}
	return "is not ready"
}

// colon puts a message behind what it is about.
func colon(message string) string {
	if message = strings.TrimSpace(message); message == "" {
		return ""
	}
	return ": " + message
}
