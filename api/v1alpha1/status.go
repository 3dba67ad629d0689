package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition types. Ready is on every kind and sums the others up.
const (
	// ConditionReady says whether the object does what its spec asks.
	ConditionReady = "Ready"
	// ConditionReachable says, on a Cluster, whether its API server answers.
	ConditionReachable = "Reachable"
	// ConditionIdentified says, on a Cluster, whether it is still the cluster that it was first seen to be.
	ConditionIdentified = "Identified"
	// ConditionFetched says, on a Fleet, whether its Git repository could be read at the last try.
	ConditionFetched = "Fetched"
	// ConditionNotifying says, on a Fleet with notifications, whether every route can be told to.
	ConditionNotifying = "Notifying"
	// ConditionRendered says, on an App, whether its files could be turned into objects.
	ConditionRendered = "Rendered"
	// ConditionSandboxed says, on an App, whether every layer of the render sandbox was in force.
	ConditionSandboxed = "Sandboxed"
	// ConditionHooksSkipped says, on an App, that its chart has hooks that Sengu does not run, and names them.
	ConditionHooksSkipped = "HooksSkipped"
)

// ReasonRenderedOtherwise is the reason of an App's Ready condition when its source renders something else than its
// Release has locked.
const ReasonRenderedOtherwise = "RenderedOtherwise"

// SyncStatus says whether what runs is what Git says.
// +kubebuilder:validation:Enum=Synced;OutOfSync;Unknown
type SyncStatus string

// The states of sync.
const (
	Synced      SyncStatus = "Synced"
	OutOfSync   SyncStatus = "OutOfSync"
	SyncUnknown SyncStatus = "Unknown"
)

// HealthStatus says whether what runs does its work.
// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;Suspended;Missing;Unknown
type HealthStatus string

// The states of health.
const (
	Healthy       HealthStatus = "Healthy"
	Progressing   HealthStatus = "Progressing"
	Degraded      HealthStatus = "Degraded"
	Suspended     HealthStatus = "Suspended"
	Missing       HealthStatus = "Missing"
	HealthUnknown HealthStatus = "Unknown"
)

// Why is one sentence that says what an object that is not done waits for, and who or what can move it.
type Why struct {
	// message is the sentence. It carries no times, so that it does not change while nothing changes.
	Message string `json:"message"`
	// since is when this began to be the reason.
	Since metav1.Time `json:"since"`
}

// SecretReference names a Secret in the namespace of the object that refers to it.
type SecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// Because returns the Why for message: old if that is still the reason, so that since stays, or a new one.
func Because(old *Why, message string, now time.Time) *Why {
	if old != nil && old.Message == message {
		return old
	}
	return &Why{Message: message, Since: metav1.NewTime(now.Truncate(time.Second))}
}
