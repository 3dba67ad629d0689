package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClusterSpec says how to reach a cluster.
type ClusterSpec struct {
	// kubeconfigSecretRef names a Secret of this namespace whose key "kubeconfig" holds a kubeconfig. Without it, the
	// cluster is the one that Sengu itself runs in. Exec plugins run only if Sengu was started with an allowance
	// for their command.
	// +optional
	KubeconfigSecretRef *SecretReference `json:"kubeconfigSecretRef,omitempty"`

	// identity is the UID of the cluster's kube-system namespace. Sengu records what it sees first in
	// status.identity and from then on writes to no other cluster. To confirm that this name now stands for another
	// cluster, set identity to the UID of the new one.
	// +optional
	Identity string `json:"identity,omitempty"`

	// suspend stops every write to the cluster. What is seen of it is still reported.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ClusterStatus is what Sengu sees of a cluster.
type ClusterStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready, Reachable, Identified.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// version of the Kubernetes API server, such as v1.37.2.
	// +optional
	Version string `json:"version,omitempty"`
	// identity is the UID of the kube-system namespace of the cluster that this name stands for.
	// +optional
	Identity string `json:"identity,omitempty"`
	// kinds that hold, or may hold, objects that Sengu applied. A kind is added before its first object is applied,
	// so that after a crash Sengu knows where to look for its own. Written as Kind.version.group.
	// +optional
	// +listType=set
	Kinds []string `json:"kinds,omitempty"`
	// why the cluster is not ready.
	// +optional
	Why *Why `json:"why,omitempty"`
}

// Cluster is a Kubernetes cluster that Sengu deploys to.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=sengu
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.status.why.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec ClusterSpec `json:"spec,omitempty"`
	// +optional
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterList is a list of Clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
