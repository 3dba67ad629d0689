package release

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// A decision compares every status of a service with what it was, and most are the same. Comparing them field by field
// takes a tenth of what reflection does. A time is the moment that it names, and an empty list is none; a test finds the
// field that is forgotten here.

func sameStatus(a, b *v1alpha1.ReleaseStatus) bool {
	return a.Stage == b.Stage && a.SupersededBy == b.SupersededBy && a.HandledActions == b.HandledActions &&
		sameWhy(a.Why, b.Why) && a.Ended.Equal(b.Ended) &&
		slices.EqualFunc(a.Environments, b.Environments, sameEnvironment) && sameJournal(a.Journal, b.Journal)
}

func sameEnvironment(a, b v1alpha1.ReleaseEnvironmentStatus) bool {
	return a.Name == b.Name && a.Stage == b.Stage && a.Unchanged == b.Unchanged && a.Attempt == b.Attempt &&
		a.Promotion == b.Promotion && a.Previous == b.Previous && a.Pinned == b.Pinned && a.Since.Equal(&b.Since) && sameWhy(a.Why, b.Why) &&
		a.Resumed.Equal(b.Resumed) && a.Moved.Equal(b.Moved) && a.Healthy.Equal(b.Healthy) &&
		a.Unhealthy.Equal(b.Unhealthy) && a.Degraded.Equal(b.Degraded) &&
		sameProposal(a.Proposal, b.Proposal) && slices.Equal(a.Gates, b.Gates) && slices.EqualFunc(a.Steps, b.Steps, sameStep)
}

func sameProposal(a, b *v1alpha1.ProposalStatus) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameStep(a, b v1alpha1.StepStatus) bool {
	return a.Name == b.Name && a.Phase == b.Phase && a.Job == b.Job && a.UID == b.UID && a.Message == b.Message &&
		a.Passes == b.Passes && a.Failures == b.Failures &&
		a.Started.Equal(b.Started) && a.Finished.Equal(b.Finished) && a.Next.Equal(b.Next)
}

func sameWhy(a, b *v1alpha1.Why) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Message == b.Message && a.Since.Equal(&b.Since)
}

// sameJournal compares no more than it must: a journal that nothing was added to is the very same memory.
func sameJournal(a, b []v1alpha1.Transition) bool {
	if len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] {
		return true
	}
	return slices.EqualFunc(a, b, func(x, y v1alpha1.Transition) bool {
		at := x.At.Equal(&y.At)
		x.At, y.At = metav1.Time{}, metav1.Time{}
		return at && x == y
	})
}

func sameMove(a, b *Move) bool {
	return a.Create == b.Create && a.Source == b.Source && a.Digest == b.Digest && a.Release == b.Release &&
		a.Removal == b.Removal && sameGood(a.LastGood, b.LastGood) && sameHold(a.Hold, b.Hold)
}

func sameGood(a, b *v1alpha1.GoodSource) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func sameHold(a, b *v1alpha1.Hold) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.By == b.By && a.At.Equal(&b.At) && a.Reason == b.Reason && a.RollbackTo == b.RollbackTo &&
		a.Refused == b.Refused && a.Release == b.Release && a.Own == b.Own && slices.Equal(a.Images, b.Images) &&
		sameEnd(a.Ended, b.Ended)
}

func sameEnd(a, b *v1alpha1.HoldEnd) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.By == b.By && a.At.Equal(&b.At) && a.Reason == b.Reason
}
