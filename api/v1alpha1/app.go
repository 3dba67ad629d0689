package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AppSource is what an App should run, and where. It is one value, changed as one, by one writer: the Release that brings
// it there, or the person who wrote the App by hand.
//
// +structType=atomic
type AppSource struct {
	// revision is the full hash of the commit to render.
	// +kubebuilder:validation:Pattern=`^([0-9a-f]{40}|[0-9a-f]{64})$`
	Revision string `json:"revision"`
	// path of the folder to render.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(p, p == '..')",message="source.path must be a path within the repository"
	Path string `json:"path"`
	// cluster is the name of a Cluster of this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Cluster string `json:"cluster"`
	// namespace that objects without one go to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
}

// Removal says how far the end of an App has come.
// +kubebuilder:validation:Enum=Pending;Approved
type Removal string

// The steps of a removal.
const (
	// RemovalPending: the folder is gone. The App wants nothing any more, so others may take its objects over, but
	// nothing is deleted.
	RemovalPending Removal = "Pending"
	// RemovalApproved: what is left of the App's objects is deleted, and then the App.
	RemovalApproved Removal = "Approved"
)

// AppSpec says what one service should run in one environment.
//
// +kubebuilder:validation:XValidation:rule="has(self.service) == has(self.environment)",message="an App made by a Fleet has both service and environment; one written by hand has neither and names a serviceAccountName"
// +kubebuilder:validation:XValidation:rule="has(self.service) || (has(self.serviceAccountName) && self.serviceAccountName.size() > 0)",message="an App written by hand must name a serviceAccountName: the service account of its own namespace that it deploys as"
type AppSpec struct {
	// fleet is the name of the Fleet of this namespace whose repository holds the App's files.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Fleet string `json:"fleet"`
	// service that this App is of. Set by the Fleet.
	// +optional
	Service string `json:"service,omitempty"`
	// environment that this App is in. Set by the Fleet.
	// +optional
	Environment string `json:"environment,omitempty"`
	// source is what to run, and where.
	Source AppSource `json:"source"`
	// digest is the keyed hash of what the source has to render, as its Release has locked it. If it renders anything else,
	// nothing is applied. Set by the Release.
	// +optional
	Digest string `json:"digest,omitempty"`
	// release is the name of the Release that brought the App to its source.
	// +optional
	Release string `json:"release,omitempty"`
	// lastGood is what ran before, and was good.
	// +optional
	LastGood *GoodSource `json:"lastGood,omitempty"`
	// hold keeps Releases out.
	// +optional
	Hold *Hold `json:"hold,omitempty"`
	// pin overrides an image, for a time.
	// +optional
	Pin *Pin `json:"pin,omitempty"`
	// serviceAccountName is the service account that Sengu acts as when it applies this App.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// selfHeal undoes drift at once. If false, drift is shown and left.
	// +kubebuilder:default=true
	// +optional
	SelfHeal *bool `json:"selfHeal,omitempty"`
	// removal is set by the Fleet when the service's folder is gone at source.revision. Without it, a folder that is
	// missing is an error and nothing is deleted.
	// +optional
	Removal Removal `json:"removal,omitempty"`
	// suspend stops every write of this App.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// GoodSource is what an App ran when it was good.
type GoodSource struct {
	// source is what ran, and where.
	Source AppSource `json:"source"`
	// digest is what it rendered.
	// +optional
	Digest string `json:"digest,omitempty"`
	// release is the name of the Release that brought it.
	// +optional
	Release string `json:"release,omitempty"`
}

// Hold keeps Releases out of one environment of a service. A hold that Sengu made after a failure ends when a Release
// that changes the service's own files or images has passed the earlier environments; a person's ends by resume only.
type Hold struct {
	// by is the person who asked for it; empty if Sengu holds after a failure.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	By string `json:"by,omitempty"`
	// at is when it began.
	At metav1.Time `json:"at"`
	// reason is why.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`
	// rollbackTo is the name of the Release whose revision a person asked to go back to, or the full hash of a revision
	// that ran here before.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	RollbackTo string `json:"rollbackTo,omitempty"`
	// refused is why Sengu did not go back.
	// +optional
	Refused string `json:"refused,omitempty"`
	// release is the name of the Release that failed.
	// +optional
	Release string `json:"release,omitempty"`
	// own and images are the service's own files and images that failed.
	// +optional
	Own string `json:"own,omitempty"`
	// +listType=atomic
	// +optional
	Images []string `json:"images,omitempty"`
	// ended is who ended the hold. A hold that has ended is kept for the record, and holds nothing.
	// +optional
	Ended *HoldEnd `json:"ended,omitempty"`
}

// Pin runs another tag or digest of an image than Git says, until a time. It is never promoted: Releases go on as if it
// were not there.
//
// +kubebuilder:validation:XValidation:rule="self.until > self.at && self.until - self.at <= duration('720h')",message="pin: until must be after at, by no more than thirty days"
type Pin struct {
	// by is the person who asked for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	By string `json:"by"`
	// at is when it began, and until when it ends by itself.
	At    metav1.Time `json:"at"`
	Until metav1.Time `json:"until"`
	// image that runs in every container that Git gives another tag or digest of it: repository:tag or repository@digest.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@:/]+(:[0-9]+)?(/[^@:/]+)*(:[A-Za-z0-9_.-]+)?(@sha256:[0-9a-f]{64})?$') && (self.contains('@') || self.matches(':[A-Za-z0-9_.-]+$'))",message="pin.image must be an image with a tag or a digest, such as registry.example.com/shop/checkout:pr-123"
	Image string `json:"image"`
	// reason is why.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`
	// ended is who took it back before its time. A pin that has ended is kept for the record.
	// +optional
	Ended *HoldEnd `json:"ended,omitempty"`
}

// ClockSkew is how far the clock of a person may be ahead of Sengu's. What a person is said to have done later than that has
// not been done yet: times are what who writes them says.
const ClockSkew = 5 * time.Minute

// ImageAt returns the image that p pins at a time, "" if it pins none.
func (p *Pin) ImageAt(now time.Time) string {
	if p == nil || p.Ended != nil || !now.Before(p.Until.Time) || p.At.After(now.Add(ClockSkew)) {
		return ""
	}
	return p.Image
}

// HoldEnd says who ended a hold or a pin.
type HoldEnd struct {
	// by is the person; empty if Sengu did, because a Release that changes the service itself came.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	By string `json:"by,omitempty"`
	// at is when.
	At metav1.Time `json:"at"`
	// reason is why.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`
}

// Active reports whether h keeps Releases out.
func (h *Hold) Active() bool { return h != nil && h.Ended == nil }

// InventoryEntry is one object that an App has applied.
type InventoryEntry struct {
	// id of the object: group/Kind/namespace/name.
	ID string `json:"id"`
	// version of the API that the object was applied in.
	V string `json:"v"`
	// uid of the object.
	UID string `json:"uid,omitempty"`
	// desired is the keyed hash of what was sent.
	Desired string `json:"desired,omitempty"`
	// baseline is the keyed hash of what Sengu owns of the answer. A live object with another hash has drifted.
	Baseline string `json:"baseline,omitempty"`
	// wave in which the object is applied.
	// +optional
	Wave int32 `json:"wave,omitempty"`
	// health of the object when it is not Healthy.
	// +optional
	Health HealthStatus `json:"health,omitempty"`
}

// HealthRule judges objects of one kind by CEL expressions over self, the object. The first expression that is true
// decides, in the order degraded, suspended, progressing, healthy.
type HealthRule struct {
	// group of the objects, every group if it is empty.
	// +optional
	Group string `json:"group,omitempty"`
	// kind of the objects.
	Kind string `json:"kind"`
	// healthy is true when the object does its work.
	// +optional
	Healthy string `json:"healthy,omitempty"`
	// degraded is true when the object has failed.
	// +optional
	Degraded string `json:"degraded,omitempty"`
	// progressing is true when the object is on its way.
	// +optional
	Progressing string `json:"progressing,omitempty"`
	// suspended is true when the object waits for somebody to let it go on.
	// +optional
	Suspended string `json:"suspended,omitempty"`
	// message gives the reason as text.
	// +optional
	Message string `json:"message,omitempty"`
}

// Unfinished is what an App was brought to last and has not been applied whole.
type Unfinished struct {
	// pinned is the image that is being pinned, empty if none is: then every object runs what Git says in the end.
	// +optional
	Pinned string `json:"pinned,omitempty"`
}

// Drift is a field that is not as Git says.
type Drift struct {
	// id of the object: group/Kind/namespace/name.
	ID string `json:"id"`
	// fields that differ, as paths. Values are never shown.
	// +optional
	Fields []string `json:"fields,omitempty"`
	// manager that changed them, as the API server recorded it.
	// +optional
	Manager string `json:"manager,omitempty"`
}

// AppStatus is what an App is. It has one writer and is replaced as a whole, so that the API server keeps no books about
// its fields.
//
// +structType=atomic
type AppStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions: Ready, Rendered, and where they apply Sandboxed and HooksSkipped.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// revision whose objects have all been applied. While there is something unfinished, what the spec or a pin has changed
	// since of how it is rendered has been applied in part only.
	// +optional
	Revision string `json:"revision,omitempty"`
	// sync says whether what runs is what Git says.
	// +optional
	Sync SyncStatus `json:"sync,omitempty"`
	// health says whether what runs does its work.
	// +optional
	Health HealthStatus `json:"health,omitempty"`
	// why the App is not synced and healthy.
	// +optional
	Why *Why `json:"why,omitempty"`
	// lastSynced is when the revision was last applied.
	// +optional
	LastSynced *metav1.Time `json:"lastSynced,omitempty"`
	// inputs are the paths that the last render read, or found absent.
	// +optional
	// +listType=atomic
	Inputs []string `json:"inputs,omitempty"`
	// inputsDigest is the digest of what was read there. A revision with the same digest renders the same.
	// +optional
	InputsDigest string `json:"inputsDigest,omitempty"`
	// digest is the keyed hash of what was last rendered.
	// +optional
	Digest string `json:"digest,omitempty"`
	// pinned is the image that runs in place of what Git says, by spec.pin: since the first object runs it, and until none
	// does.
	// +optional
	Pinned string `json:"pinned,omitempty"`
	// unfinished is there while not all objects are applied as the spec and its pin have them: a wave waits for another, or
	// an object was refused.
	// +optional
	Unfinished *Unfinished `json:"unfinished,omitempty"`
	// renderer is the fingerprint of what rendered the objects: `sengu version -o yaml` says what it stands for.
	// +optional
	Renderer string `json:"renderer,omitempty"`
	// cluster is the name of the Cluster that the inventory is about.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// judgedBy are the health rules of the service's sengu.yaml, by which the health of the inventory is judged before what Sengu
	// knows of its kinds. The last one for a kind counts.
	// +optional
	// +listType=atomic
	JudgedBy []HealthRule `json:"judgedBy,omitempty"`
	// inventory lists the objects that the App has applied.
	// +optional
	// +listType=atomic
	Inventory []InventoryEntry `json:"inventory,omitempty"`
	// drift lists objects that are not as Git says, at most twenty.
	// +optional
	// +listType=atomic
	Drift []Drift `json:"drift,omitempty"`
	// pendingRemoval is a deletion that waits for a person.
	// +optional
	PendingRemoval *PendingRemoval `json:"pendingRemoval,omitempty"`
	// handledSync is the value of the annotation sengu.dev/sync that was last acted on.
	// +optional
	HandledSync string `json:"handledSync,omitempty"`
}

// App is one service in one environment: what it should be, what it is, and why they differ. Fleets make Apps;
// deleting one leaves everything that it applied running.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=sengu
// +kubebuilder:selectablefield:JSONPath=`.spec.fleet`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Sync",type=string,JSONPath=`.status.sync`
// +kubebuilder:printcolumn:name="Health",type=string,JSONPath=`.status.health`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.status.why.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type App struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec AppSpec `json:"spec"`
	// +optional
	Status AppStatus `json:"status,omitempty"`
}

// AppList is a list of Apps.
//
// +kubebuilder:object:root=true
type AppList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []App `json:"items"`
}
