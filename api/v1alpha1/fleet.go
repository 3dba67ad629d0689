package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GitSource says where a repository is and how to read it.
type GitSource struct {
	// url of the repository: https://, ssh:// or git@host:path. http:// and file:// are for tests and local planes.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|ssh|file)://') || self.matches('^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:')",message="git.url must begin with https://, ssh://, http:// or file://, or be of the form git@host:path"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https?://[^/]*@')",message="git.url must not carry a user or a password: put them into the Secret that git.secretRef names"
	URL string `json:"url"`

	// branch that the fleet follows.
	// +kubebuilder:default=main
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('-') && !self.contains('..')",message="git.branch must be the name of a branch"
	// +optional
	Branch string `json:"branch,omitempty"`

	// secretRef names a Secret of this namespace with what the remote asks for: "token", or "username" and
	// "password"; or "identity" (an ssh private key) and "known_hosts"; or "githubAppID",
	// "githubAppInstallationID" and "githubAppPrivateKey".
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// webhookSecretRef names a Secret of this namespace whose key "secret" signs the webhooks of this repository.
	// Without it, webhooks for the repository are refused and only polling notices commits.
	// +optional
	WebhookSecretRef *SecretReference `json:"webhookSecretRef,omitempty"`

	// interval between two polls of the remote. A webhook makes it instant.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5s')",message="git.interval must be at least 5s"
	// +optional
	Interval metav1.Duration `json:"interval,omitempty"`
}

// Environment is one place where the services of a fleet run.
type Environment struct {
	// name of the environment, as the layout spells it.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`

	// cluster is the name of a Cluster of this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Cluster string `json:"cluster"`

	// namespace that objects without one go to. {service} and {environment} are replaced.
	// +kubebuilder:default="{service}"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// after names the environments that come before this one.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=40
	// +listType=set
	// +optional
	After []string `json:"after,omitempty"`

	// soak is how long what a Release has applied must stay healthy here before it goes on.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="environments[].soak must be between 0s and 720h"
	// +optional
	Soak *metav1.Duration `json:"soak,omitempty"`

	// approval is what people have to agree to before a Release goes in.
	// +optional
	Approval *ApprovalRule `json:"approval,omitempty"`

	// windows are the times at which a Release may go in: "allow Mon-Thu 10:00-17:00 Asia/Tokyo", "deny
	// 2026-12-24/2027-01-04 Asia/Tokyo". A deny wins; without any allow, every time that is not denied is allowed.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=atomic
	// +optional
	Windows []string `json:"windows,omitempty"`

	// promote here, in the place of the Fleet's own.
	// +optional
	Promote Promote `json:"promote,omitempty"`
	// maxConcurrent is how many services of one change may be brought here at once. Without it, all of them.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxConcurrent int32 `json:"maxConcurrent,omitempty"`

	// maxFailures is how many services of one change may fail here before no other begins. Without it, one in an environment
	// that comes after another, and any number in one that is the first.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxFailures int32 `json:"maxFailures,omitempty"`
}

// ApprovalRule says who has to agree before a Release goes into an environment.
type ApprovalRule struct {
	// required is how many different people have to approve.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	Required int32 `json:"required,omitempty"`
	// groups that an approver has to be in one of. Without any, whoever may approve does.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=set
	// +optional
	Groups []string `json:"groups,omitempty"`
	// notAuthor refuses the approval of whoever made the commit: the user whose name is the address or the name of its author.
	// +optional
	NotAuthor bool `json:"notAuthor,omitempty"`
	// expires is how long an approval counts. Without it, until the Release is through or superseded.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="environments[].approval.expires must be at least 1m"
	// +optional
	Expires *metav1.Duration `json:"expires,omitempty"`
}

// Remote is a place outside of the repository that a render may fetch from: a repository of charts, or a Git
// repository for a remote base or a submodule.
type Remote struct {
	// prefix is the beginning of the URLs that may be fetched, such as https://charts.example.com,
	// oci://registry.example.com/charts or https://git.example.com/platform.
	// +kubebuilder:validation:MinLength=8
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|oci|ssh)://[^/@]+')",message="remotes[].prefix must begin with https://, oci://, ssh:// or http://, and name no user: put credentials into the Secret that secretRef names"
	Prefix string `json:"prefix"`

	// secretRef names a Secret of this namespace with "username" and "password", or "token", and optionally "caFile".
	// It is sent to the host of the prefix only.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// FleetSpec says where the repository is, how it is laid out, and the order of its environments.
//
// +kubebuilder:validation:XValidation:rule="self.layout.contains('{service}')",message="layout must contain {service}: the folder of one service, as in apps/{service}/overlays/{environment}"
// +kubebuilder:validation:XValidation:rule="self.layout.contains('{environment}')",message="layout must contain {environment}: the folder of one environment, as in apps/{service}/overlays/{environment}"
// +kubebuilder:validation:XValidation:rule="self.environments.all(e, !has(e.after) || e.after.all(a, self.environments.exists(o, o.name == a)))",message="environments: an environment is after one that this fleet does not have: correct the name in its after, or add the environment"
// +kubebuilder:validation:XValidation:rule="self.environments.all(i, e, !has(e.after) || !e.after.exists(a, self.environments.exists(j, o, o.name == a && j >= i)))",message="environments: an environment is after itself or one listed below it: list every environment below those that it is after, which also rules out a cycle"
type FleetSpec struct {
	// git is the repository that holds the manifests.
	Git GitSource `json:"git"`

	// layout is the path of the folder that holds one service in one environment. It contains {service} and
	// {environment} once each, each as a whole path element or part of one.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.endsWith('/') && !self.split('/').exists(p, p == '' || p == '.' || p == '..')",message="layout must be a path within the repository, without a leading or trailing slash and without . or .."
	// +kubebuilder:validation:XValidation:rule="self.split('{service}').size() <= 2 && self.split('{environment}').size() <= 2",message="layout may contain {service} and {environment} once each"
	Layout string `json:"layout"`

	// environments, each listed below those that it is after.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	Environments []Environment `json:"environments"`

	// selfHeal undoes drift at once. If false, drift is shown and left.
	// +kubebuilder:default=true
	// +optional
	SelfHeal *bool `json:"selfHeal,omitempty"`

	// serviceAccountName is a service account of each App's target namespace that Sengu acts as when it applies.
	// Without it, Sengu acts with the rights of the Cluster's own credentials.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// remotes lists what may be fetched from outside the repository: nothing, unless it is named here.
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=prefix
	// +optional
	Remotes []Remote `json:"remotes,omitempty"`

	// maxParallel is how many environments one Release may be in at once. Without it, every one whose gates are open.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxParallel int32 `json:"maxParallel,omitempty"`

	// promote says how the image of a service comes from one environment to the next: by revision, as everything else does,
	// or by a commit or a pull request to the next environment's own files, for repositories whose environments each carry
	// their own tag. The images of a service's sengu.yaml are promoted so.
	// +kubebuilder:default=revision
	// +optional
	Promote Promote `json:"promote,omitempty"`
	// commits says how Sengu makes the commits that it writes.
	// +optional
	Commits CommitRule `json:"commits,omitzero"`
	// forge is where the repository's pull requests are. Without it, and outside of github.com and gitlab.com, none is used.
	// +optional
	Forge *ForgeSource `json:"forge,omitempty"`
	// images says how the registries are read whose images the services track.
	// +optional
	Images *ImageRule `json:"images,omitempty"`
	// notifications say which events are told where.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Notifications []Notification `json:"notifications,omitempty"`
	// suspend stops the fleet: no commit moves any App. Drift is still undone.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// DeliversTo says whether an environment of the Fleet is in a cluster.
func (s *FleetSpec) DeliversTo(cluster string) bool {
	return slices.ContainsFunc(s.Environments, func(e Environment) bool { return e.Cluster == cluster })
}

// LetIn reports whether the repository has let the Fleet in, by a fetch that ended well since it is the one of the spec. What
// a mirror holds may be there because another Fleet was let in.
func (f *Fleet) LetIn() bool {
	return f.Status.Repository != "" && f.Status.Repository == f.Spec.Git.URL
}

// FleetStatus is what Sengu has found in the repository.
type FleetStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready, Fetched, Notifying.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// revision of the branch that the Apps have last been compared with.
	// +optional
	Revision string `json:"revision,omitempty"`
	// repository that revision is of, as git.url names it: it has let the Fleet in.
	// +optional
	Repository string `json:"repository,omitempty"`
	// comparing is how many services are still being compared with that revision.
	// +optional
	Comparing int32 `json:"comparing,omitempty"`
	// sequence is that of the Releases of the last commit that there was anything to compare of.
	// +optional
	Sequence int64 `json:"sequence,omitempty"`
	// services found in the repository.
	// +optional
	Services int32 `json:"services,omitempty"`
	// apps of this fleet.
	// +optional
	Apps int32 `json:"apps,omitempty"`
	// pendingRemoval is what disappeared from the repository and waits, with the token that confirms it.
	// +optional
	PendingRemoval *PendingRemoval `json:"pendingRemoval,omitempty"`
	// why the fleet is not ready.
	// +optional
	Why *Why `json:"why,omitempty"`
}

// PendingRemoval is a deletion that waits for a person.
type PendingRemoval struct {
	// count of what would be deleted.
	Count int32 `json:"count"`
	// examples of what would be deleted, at most ten.
	// +optional
	Examples []string `json:"examples,omitempty"`
	// token confirms exactly this deletion, as the value of the annotation sengu.dev/confirm.
	Token string `json:"token"`
}

// Fleet is one Git repository laid out as services and environments.
//
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && !self.metadata.name.contains('.')",message="metadata.name of a Fleet must have at most 40 characters and no dot: the names of its Apps end in it"
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=sengu
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Services",type=integer,JSONPath=`.status.services`
// +kubebuilder:printcolumn:name="Apps",type=integer,JSONPath=`.status.apps`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.status.why.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FleetSpec `json:"spec"`
	// +optional
	Status FleetStatus `json:"status,omitempty"`
}

// FleetList is a list of Fleets.
//
// +kubebuilder:object:root=true
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}
