package release

import (
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Service is everything that a decision about one service of a Fleet rests on. Nothing in it is changed.
type Service struct {
	Now time.Time
	// Watched is since when the caller has seen every change of the service's App, by environment: now, if it does not. What
	// lasted while nobody looked is not held against a Release, nor in its favour.
	Watched map[string]time.Time
	Fleet   *v1alpha1.Fleet
	// Name of the service.
	Name string
	// Releases of the service that have not ended, and those that ended which an environment may go back to. In any order.
	Releases []*v1alpha1.Release
	// Apps of the service, by environment.
	Apps map[string]*v1alpha1.App
	// Windows say whether a Release may go into an environment now. An environment that is not there has no windows.
	Windows map[string]Window
	// Plans say what is to be done besides applying, by Release and environment. Where one is missing, nothing is begun and
	// nothing is judged, except for a removal, which needs none.
	Plans map[Place]Plan
	// Jobs are the states of the Jobs that were started, by Release, environment and step, also of those of a Release that
	// has stopped. One that was here once and is missing was deleted: it has failed.
	Jobs map[StepKey]JobState
	// Looks are the answers of the checks that were asked since the last decision. One may be lost, but is not given twice.
	Looks map[StepKey]Look
	// Written is what has become of the changes that were to be written to Git, as far as it is news.
	Written map[Place]Written
	// Peers are how the other Releases of a group fare, by group and environment. They have to be of now: a limit is kept
	// as far as they are.
	Peers map[Peer]Peers
	// Approvals are what people approved for a whole group, by group.
	Approvals map[string][]v1alpha1.ReleaseAction
}

// Place is a Release in an environment.
type Place struct{ Release, Environment string }

// StepKey is a step of a Release in an environment, the n-th time that the Release is there.
type StepKey struct {
	Release, Environment, Step string
	Attempt                    int32
}

// Written is what has become of a change that was to be written to Git for a Release in an environment.
type Written struct {
	v1alpha1.ProposalStatus
	// Problem is why it could not be written yet. It is tried again.
	Problem string
}

// Peer is a group of Releases in an environment.
type Peer struct{ Group, Environment string }

// Peers count the Releases of a group in an environment, without those of the service itself.
type Peers struct {
	// Busy are being brought there or verified. One whose App names its Release counts before the Release's status says so.
	Busy int
	// Failed have stopped there.
	Failed int
}

// Window is the answer of an environment's calendar.
type Window struct {
	Open bool
	// Rule that decided, as it is written in the Fleet.
	Rule string
	// Until is when the answer changes; zero if it never does.
	Until time.Time
}

// Plan is what a Release does in an environment besides applying.
type Plan struct {
	// Before are the Jobs that run before anything is applied, one after the other, and After those that run once it is
	// healthy.
	Before, After []string
	// Checks are asked once the after-jobs have passed.
	Checks []Check
	// FailAfter is how long it may be degraded, and Deadline how long it may take to become healthy.
	FailAfter, Deadline time.Duration
	// Problem is why the plan cannot be made: nothing is begun then.
	Problem string
}

// Check is a question that is asked until it has passed or failed.
type Check struct {
	Name string
	// Job is true for a check that is a Job.
	Job bool
	// Interval between two looks, a second at least. Successes one after the other pass, more than Failures in all fail.
	Interval            time.Duration
	Successes, Failures int32
}

// JobState is how a Job is.
type JobState struct {
	Phase v1alpha1.StepPhase
	// Unmade is true of one that runs in name only: it is known that there is none, and Message is what keeps it from being
	// made. It may be made any time, and holds nothing up until it is.
	Unmade   bool
	Job      string
	UID      string
	Started  time.Time
	Finished time.Time
	Message  string
}

// Look is one answer of a check.
type Look struct {
	Passed bool
	// Evidence is false if nothing could be learnt. That never passes, and counts as a look that failed.
	Evidence bool
	Message  string
}

// Decision is what to do. Carry out Moves first, then write Statuses, then start Jobs and ask Checks: each may be
// repeated.
type Decision struct {
	// Moves say what the Apps should be, by environment. Only those that change are there.
	Moves map[string]Move
	// Statuses are the next statuses of Releases, by name. Only those that change are there.
	Statuses map[string]v1alpha1.ReleaseStatus
	// Jobs that should exist, and Checks that are to be asked now.
	Jobs, Checks []StepKey
	// Writes are the changes that Git should hold, each to be made, or to be brought up to date if it was. A Release that
	// failed in an environment asks there for its change to be taken back.
	Writes []Place
	// Look is when to decide again if nothing happens until then; zero if there is no such time.
	Look time.Time
}

// Move is the part of an App's spec that its Release owns.
type Move struct {
	// Create is true if there is no App yet.
	Create   bool
	Source   v1alpha1.AppSource
	Digest   string
	Release  string
	LastGood *v1alpha1.GoodSource
	Hold     *v1alpha1.Hold
	Removal  v1alpha1.Removal
}
