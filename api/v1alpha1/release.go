package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Commit is what is known of the commit that a Release brings.
type Commit struct {
	// title is the first line of the message.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Title string `json:"title,omitempty"`
	// author of the commit, as name <address>.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Author string `json:"author,omitempty"`
	// committed is when the commit was made, as it says itself.
	// +optional
	Committed *metav1.Time `json:"committed,omitempty"`
	// images that the Release brings, as they are rendered, with the digests that the commit says their tags led to. It may
	// say anything.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Images []string `json:"images,omitempty"`
}

// WithDigest returns an image with the digest that the commit says its tag led to, or as it is if it does not say.
func (c *Commit) WithDigest(image string) string {
	for _, told := range c.Images {
		if strings.HasPrefix(told, image+"@") {
			return told
		}
	}
	return image
}

// ReleaseEnvironment is what a Release intends for one environment. It is locked: if the same revision comes to render
// anything else, that is a new Release.
type ReleaseEnvironment struct {
	// name of the environment.
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// path of the folder to render.
	// +optional
	Path string `json:"path,omitempty"`
	// cluster is the name of a Cluster of this namespace.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// namespace that objects without one go to.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// digest is the keyed hash of what the revision renders here. Without one, nothing could be rendered when the Release
	// was made, and problem says why unless that may pass by itself.
	// +optional
	Digest string `json:"digest,omitempty"`
	// problem is why the revision cannot be rendered here.
	// +optional
	Problem string `json:"problem,omitempty"`
	// own is the hash of the service's own files.
	// +optional
	Own string `json:"own,omitempty"`
	// images that the revision runs here.
	// +optional
	// +listType=atomic
	Images []string `json:"images,omitempty"`
	// gone is true when the service's folder is not there any more: what it ran is removed.
	// +optional
	Gone bool `json:"gone,omitempty"`
	// promote is set if images come here by a change that Sengu writes to Git: commit or pullRequest. The digest is then
	// that of the change, and steps tell which commit has it.
	// +optional
	Promote Promote `json:"promote,omitempty"`
	// wanted are the images that the change writes.
	// +optional
	// +listType=atomic
	Wanted []WantedImage `json:"wanted,omitempty"`
	// rollbackBlocked is why what runs after this Release cannot be rolled back to an earlier revision.
	// +optional
	RollbackBlocked string `json:"rollbackBlocked,omitempty"`
}

// WantedImage is an image that a change writes.
type WantedImage struct {
	// name of the image in sengu.yaml.
	Name string `json:"name"`
	// image with its tag or digest.
	Image string `json:"image"`
}

// Verb is what a person may do to a Release or to an environment of a service.
type Verb string

// The verbs. Each is asked for as a verb on the resource environments of the group sengu.dev, with the name
// ENVIRONMENT.FLEET, so that an ordinary Role says who may.
const (
	// VerbApprove lets a Release into an environment, as far as its other gates let it.
	VerbApprove Verb = "approve"
	// VerbAbort ends a Release: what it has not verified is brought back.
	VerbAbort Verb = "abort"
	// VerbPromote lets a Release into an environment that it was stopped at or has not come to.
	VerbPromote Verb = "promote"
	// VerbHold keeps every Release out of an environment.
	VerbHold Verb = "hold"
	// VerbResume ends a hold.
	VerbResume Verb = "resume"
	// VerbRollback brings an environment back to an earlier revision, and holds it.
	VerbRollback Verb = "rollback"
	// VerbPin overrides an image in an environment, for a time.
	VerbPin Verb = "pin"
)

// ReleaseAction is what a person did to a Release. Who is recorded is who asked: an admission policy sees to it.
//
// +kubebuilder:validation:XValidation:rule="self.verb != 'promote' || !has(self.skipGates) || !self.skipGates || (has(self.reason) && self.reason.size() > 0)",message="actions: gates are skipped only with a reason"
type ReleaseAction struct {
	// verb is what was done.
	// +kubebuilder:validation:Enum=approve;abort;promote
	Verb Verb `json:"verb"`
	// environment that it was done to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Environment string `json:"environment"`
	// by is the user who did it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	By string `json:"by"`
	// groups that the user was in.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=atomic
	// +optional
	Groups []string `json:"groups,omitempty"`
	// at is when it was done.
	At metav1.Time `json:"at"`
	// reason is why.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`
	// group makes it count for every Release of the same commit.
	// +optional
	Group bool `json:"group,omitempty"`
	// skipGates lets the Release past every gate but a hold.
	// +optional
	SkipGates bool `json:"skipGates,omitempty"`
}

// ReleaseStep is a commit that renders what a Release intends for an environment.
type ReleaseStep struct {
	// environment that the commit brings the Release to.
	// +kubebuilder:validation:MaxLength=40
	Environment string `json:"environment"`
	// revision is the full hash of the commit.
	// +kubebuilder:validation:Pattern=`^([0-9a-f]{40}|[0-9a-f]{64})$`
	Revision string `json:"revision"`
}

// ReleaseSpec is one change of one service: what it brings to each environment, and what people did to it.
//
// +kubebuilder:validation:XValidation:rule="self.fleet == oldSelf.fleet && self.service == oldSelf.service && self.revision == oldSelf.revision && self.sequence == oldSelf.sequence && self.group == oldSelf.group && self.environments == oldSelf.environments && has(self.commit) == has(oldSelf.commit) && (!has(self.commit) || self.commit == oldSelf.commit)",message="a Release is what it was made for: only actions may be added to it"
// +kubebuilder:validation:XValidation:rule="(has(oldSelf.actions) ? oldSelf.actions.size() : 0) <= (has(self.actions) ? self.actions.size() : 0) && (!has(oldSelf.actions) || oldSelf.actions.all(i, a, self.actions[i] == a))",message="actions can only be added to, not changed or taken back"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.steps) || has(self.steps) && oldSelf.steps.all(s, self.steps.exists(n, n == s))",message="steps can only be added to, not changed or taken back"
type ReleaseSpec struct {
	// fleet is the name of the Fleet of this namespace that the service is of.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Fleet string `json:"fleet"`
	// service that changes.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Service string `json:"service"`
	// revision is the full hash of the commit that is brought.
	// +kubebuilder:validation:Pattern=`^([0-9a-f]{40}|[0-9a-f]{64})$`
	Revision string `json:"revision"`
	// sequence orders the Releases of a Fleet: what was observed later on the branch is newer.
	Sequence int64 `json:"sequence"`
	// group names the Releases that are made for the same commit.
	// +kubebuilder:validation:MaxLength=128
	Group string `json:"group"`
	// commit is what is known of the commit.
	// +optional
	Commit Commit `json:"commit,omitempty"`
	// environments are what the Release intends, in the order of the Fleet.
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	Environments []ReleaseEnvironment `json:"environments"`
	// steps are the commits of the branch by which the Release comes to environments that are reached through Git.
	// +kubebuilder:validation:MaxItems=256
	// +listType=map
	// +listMapKey=environment
	// +optional
	Steps []ReleaseStep `json:"steps,omitempty"`
	// actions are what people did, the oldest first.
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	// +optional
	Actions []ReleaseAction `json:"actions,omitempty"`
}

// Step is the commit by which the Release comes to an environment that is reached through Git, "" if there is none yet.
func (s *ReleaseSpec) Step(environment string) string {
	for _, step := range s.Steps {
		if step.Environment == environment {
			return step.Revision
		}
	}
	return ""
}

// RevisionIn is the commit that a Release brings an environment to.
func (s *ReleaseSpec) RevisionIn(environment string) string {
	if step := s.Step(environment); step != "" {
		return step
	}
	return s.Revision
}

// Stage says how far a Release has come, as a whole or in one environment.
// +kubebuilder:validation:Enum=Waiting;Running;Verifying;Done;Failed;RolledBack;Superseded
type Stage string

// The stages of a Release.
const (
	// StageWaiting: it stands before the environment.
	StageWaiting Stage = "Waiting"
	// StageRunning: its before-jobs run, or the environment is being brought to its revision.
	StageRunning Stage = "Running"
	// StageVerifying: what was applied is healthy; after-jobs, checks and the soak go on.
	StageVerifying Stage = "Verifying"
	// StageDone: it has passed the environment.
	StageDone Stage = "Done"
	// StageFailed: it stopped there, or was aborted.
	StageFailed Stage = "Failed"
	// StageRolledBack: it stopped there, and the environment runs what it ran before.
	StageRolledBack Stage = "RolledBack"
	// StageSuperseded: a newer Release took its place.
	StageSuperseded Stage = "Superseded"
)

// Promotion is what a person asked for by promoting a Release.
// +kubebuilder:validation:Enum=Asked;SkipsGates
type Promotion string

// The kinds of promotion.
const (
	// PromotionAsked: it tries again, through the gates.
	PromotionAsked Promotion = "Asked"
	// PromotionSkipsGates: it goes past every gate but a person's hold, a Job that runs, a plan that cannot be made, and a
	// change that is not in Git yet.
	PromotionSkipsGates Promotion = "SkipsGates"
)

// StepPhase is how far a Job or check of a Release has come.
// +kubebuilder:validation:Enum=Running;Succeeded;Failed
type StepPhase string

// The phases of a step.
const (
	StepRunning   StepPhase = "Running"
	StepSucceeded StepPhase = "Succeeded"
	StepFailed    StepPhase = "Failed"
)

// StepStatus is a Job or a check of a Release in an environment. Its outcome stays when the Job is gone.
type StepStatus struct {
	// name of the step in the service's sengu.yaml.
	Name string `json:"name"`
	// phase says how far it has come.
	Phase StepPhase `json:"phase"`
	// job is the name of the Job, if it is one, and uid the one that it was made with: it is never made again.
	// +optional
	Job string `json:"job,omitempty"`
	// +optional
	UID string `json:"uid,omitempty"`
	// started is when it began. A Job that is only asked for has not.
	// +optional
	Started *metav1.Time `json:"started,omitempty"`
	// finished is when it ended.
	// +optional
	Finished *metav1.Time `json:"finished,omitempty"`
	// message says what is known of it.
	// +optional
	Message string `json:"message,omitempty"`
	// passes counts the looks of a check that passed one after the other.
	// +optional
	Passes int32 `json:"passes,omitempty"`
	// failures counts all looks of a check that failed or learnt nothing.
	// +optional
	Failures int32 `json:"failures,omitempty"`
	// next is when a check is asked again.
	// +optional
	Next *metav1.Time `json:"next,omitempty"`
}

// Gate is one thing that lets a Release into an environment, or does not.
type Gate struct {
	// name of the gate: after, hold, turn, plan, removal, windows, approval, failures, group, parallel, git or merge.
	Name string `json:"name"`
	// open is true when the gate lets the Release through.
	Open bool `json:"open"`
	// message says what it waits for and who or what can move it, if it is closed.
	// +optional
	Message string `json:"message,omitempty"`
}

// ReleaseEnvironmentStatus is how far a Release has come in one environment.
type ReleaseEnvironmentStatus struct {
	// name of the environment.
	Name string `json:"name"`
	// stage is how far the Release has come here.
	Stage Stage `json:"stage"`
	// since is when this stage began.
	Since metav1.Time `json:"since"`
	// why it is not further.
	// +optional
	Why *Why `json:"why,omitempty"`
	// unchanged is true if the environment was passed because it renders the same.
	// +optional
	Unchanged bool `json:"unchanged,omitempty"`
	// gates that the Release stands before.
	// +optional
	// +listType=atomic
	Gates []Gate `json:"gates,omitempty"`
	// attempt counts how often a person asked to try again here.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// promotion is set while a person's promotion into this environment has not been carried out.
	// +optional
	Promotion Promotion `json:"promotion,omitempty"`
	// resumed is the end of the hold after which it was tried again.
	// +optional
	Resumed *metav1.Time `json:"resumed,omitempty"`
	// previous is the revision that ran before.
	// +optional
	Previous string `json:"previous,omitempty"`
	// moved is when the App was brought to the revision.
	// +optional
	Moved *metav1.Time `json:"moved,omitempty"`
	// healthy is since when what was applied is healthy.
	// +optional
	Healthy *metav1.Time `json:"healthy,omitempty"`
	// unhealthy is since when it could be healthy and is not: nothing outside of it is waited for.
	// +optional
	Unhealthy *metav1.Time `json:"unhealthy,omitempty"`
	// degraded is since when it is in a state that does not mend itself.
	// +optional
	Degraded *metav1.Time `json:"degraded,omitempty"`
	// pinned is the image that a person had pinned while the Release was at work here: what was seen to run, or to fail, was
	// that one and not what the Release brings.
	// +optional
	Pinned string `json:"pinned,omitempty"`
	// proposal is the change that Sengu has written to Git for this environment.
	// +optional
	Proposal *ProposalStatus `json:"proposal,omitempty"`
	// steps are the Jobs and checks that have begun.
	// +optional
	// +listType=atomic
	Steps []StepStatus `json:"steps,omitempty"`
}

// ProposalStatus is a change that Sengu has written to Git for an environment.
type ProposalStatus struct {
	// commit that holds the change.
	// +optional
	Commit string `json:"commit,omitempty"`
	// branch of a pull request.
	// +optional
	Branch string `json:"branch,omitempty"`
	// number and url of the pull request.
	// +optional
	Number int64 `json:"number,omitempty"`
	// +optional
	URL string `json:"url,omitempty"`
	// closed is true if somebody has closed the pull request without merging it.
	// +optional
	Closed bool `json:"closed,omitempty"`
	// revert is true if the change takes back what has failed.
	// +optional
	Revert bool `json:"revert,omitempty"`
}

// Transition is one thing that happened to a Release.
type Transition struct {
	// number counts the transitions of the Release, from 1.
	Number int64 `json:"number"`
	// kind is what happened, in the words of the history.
	Kind string `json:"kind"`
	// environment that it happened in; empty if it is about the whole Release.
	// +optional
	Environment string `json:"environment,omitempty"`
	// at is when it happened.
	At metav1.Time `json:"at"`
	// by is the person who did it; empty if Sengu did.
	// +optional
	By string `json:"by,omitempty"`
	// why is one sentence.
	// +optional
	Why string `json:"why,omitempty"`
	// revision that the environment was brought back to.
	// +optional
	Revision string `json:"revision,omitempty"`
	// loud marks what must not be overlooked.
	// +optional
	Loud bool `json:"loud,omitempty"`
	// untouched is true if it failed before anything was applied.
	// +optional
	Untouched bool `json:"untouched,omitempty"`
}

// ReleaseStatus is how far a Release has come. It has one writer and is replaced as a whole.
//
// +structType=atomic
type ReleaseStatus struct {
	// stage of the Release as a whole.
	// +optional
	Stage Stage `json:"stage,omitempty"`
	// why it is not done: the one thing that it waits for.
	// +optional
	Why *Why `json:"why,omitempty"`
	// supersededBy is the name of the newer Release that took its place.
	// +optional
	SupersededBy string `json:"supersededBy,omitempty"`
	// ended is when nothing more could happen to it by itself.
	// +optional
	Ended *metav1.Time `json:"ended,omitempty"`
	// environments are how far it has come in each.
	// +optional
	// +listType=atomic
	Environments []ReleaseEnvironmentStatus `json:"environments,omitempty"`
	// handledActions is how many of spec.actions have been looked at.
	// +optional
	HandledActions int32 `json:"handledActions,omitempty"`
	// journal lists what happened, the oldest first.
	// +optional
	// +listType=atomic
	Journal []Transition `json:"journal,omitempty"`
}

// Release is one change of one service on its way through the environments. Sengu makes Releases; people approve, abort
// and promote them. Deleting one changes nothing that runs.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=sengu
// +kubebuilder:selectablefield:JSONPath=`.spec.fleet`
// +kubebuilder:selectablefield:JSONPath=`.spec.service`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.spec.revision`,priority=1
// +kubebuilder:printcolumn:name="Change",type=string,JSONPath=`.spec.commit.title`
// +kubebuilder:printcolumn:name="Stage",type=string,JSONPath=`.status.stage`
// +kubebuilder:printcolumn:name="Why",type=string,JSONPath=`.status.why.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ReleaseSpec `json:"spec"`
	// +optional
	Status ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}

// Labels of Releases, by which people and Sengu find them.
const (
	// LabelFleet names the Fleet, LabelService the service and LabelGroup the Releases of one commit.
	LabelFleet   = "sengu.dev/fleet"
	LabelService = "sengu.dev/service"
	LabelGroup   = "sengu.dev/group"
)
