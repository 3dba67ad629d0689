package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Promote says how the image of a service comes to the next environment of a Fleet.
// +kubebuilder:validation:Enum=revision;commit;pullRequest
type Promote string

// The ways of promotion.
const (
	// PromoteRevision: every environment advances by revision, and nothing is written for it.
	PromoteRevision Promote = "revision"
	// PromoteCommit: Sengu commits the image that the environment before runs to the files of the next one.
	PromoteCommit Promote = "commit"
	// PromotePullRequest: Sengu opens a pull request with that commit, and merging it is the approval.
	PromotePullRequest Promote = "pullRequest"
)

// CommitRule says how Sengu makes the commits that it writes.
type CommitRule struct {
	// name of the author.
	// +kubebuilder:default=Sengu
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.matches('[<>\\n\\r]')",message="commits.name must be a name on one line, without < and >"
	// +optional
	Name string `json:"name,omitempty"`
	// email of the author.
	// +kubebuilder:default="sengu@localhost"
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^<>\\\\s]+@[^<>\\\\s]+$')",message="commits.email must be an address, such as sengu@example.com"
	// +optional
	Email string `json:"email,omitempty"`
	// signingKeySecretRef names a Secret of this namespace whose key "key" is the ssh or OpenPGP private key that signs
	// commits, and "passphrase" what opens it. Without it, commits are not signed.
	// +optional
	SigningKeySecretRef *SecretReference `json:"signingKeySecretRef,omitempty"`
}

// ForgeSource says on which forge the repository of a Fleet is, for pull requests and what is shown on commits.
type ForgeSource struct {
	// kind of the forge. It is found out from git.url for github.com and gitlab.com.
	// +kubebuilder:validation:Enum=github;gitlab;gitea
	// +optional
	Kind string `json:"kind,omitempty"`
	// api is the address of the forge's API, such as https://git.example.com/api/v4. Without it, that of the host of git.url.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/@]+')",message="forge.api must begin with https:// or http://, and name no user"
	// +optional
	API string `json:"api,omitempty"`
	// secretRef names a Secret of this namespace whose "token" the API takes, or which holds a GitHub App as git.secretRef
	// does. Without it, that of git.secretRef is shown.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
	// comment on every pull request to the branch says what it would change in each environment.
	// +kubebuilder:default=true
	// +optional
	Comment *bool `json:"comment,omitempty"`
}

// ImageRule says how the registries are read whose images the services of a Fleet track.
type ImageRule struct {
	// interval between two looks at a repository. A webhook makes it instant.
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="images.interval must be at least 10s"
	// +optional
	Interval metav1.Duration `json:"interval,omitempty"`
	// pullSecretRefs name Secrets of this namespace of the types kubernetes.io/dockerconfigjson and dockercfg.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	PullSecretRefs []SecretReference `json:"pullSecretRefs,omitempty"`
	// cloud lets the registries of Amazon and Google be read with the identity that Sengu runs with there.
	// +optional
	Cloud bool `json:"cloud,omitempty"`
	// webhookSecretRef names a Secret of this namespace whose key "secret" a registry has to show when it announces a push
	// to /webhooks/FLEET/images. Without it, such webhooks are refused and only polling notices images.
	// +optional
	WebhookSecretRef *SecretReference `json:"webhookSecretRef,omitempty"`
}
