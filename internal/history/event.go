// Package history says what is worth remembering of a delivery, and what can be concluded from it.
//
// It is responsible for the words of the record (one Event is one transition of one service in one environment) and for
// the figures that are made from it. It is pure: where events are kept is for a store, whom they are told to is for a
// notifier. It refuses values of Secrets: an Event holds names, revisions, images and sentences.
package history

import "time"

// Kind is what happened.
type Kind string

// The kinds of events. An event without an environment is about the Release as a whole.
const (
	// Created: a Release was made.
	Created Kind = "created"
	// Waiting: a Release stands before an environment and waits for a gate that a person can move.
	Waiting Kind = "waiting"
	// Approved: a person let a Release into an environment.
	Approved Kind = "approved"
	// Started: the environment is being brought to the Release's revision, or its before-jobs run.
	Started Kind = "started"
	// Verifying: what was applied is healthy, and after-jobs, checks or the soak go on.
	Verifying Kind = "verifying"
	// JobFinished: a Job or check of a Release ended, well or not.
	JobFinished Kind = "job-finished"
	// Done: the Release has passed the environment; without an environment: it has passed all.
	Done Kind = "done"
	// Passed: the environment was passed without a change, because it renders the same.
	Passed Kind = "passed"
	// Failed: the Release stopped in the environment. Untouched says whether anything had been applied by then.
	Failed Kind = "failed"
	// RolledBack: the environment was brought back to an earlier revision, which Revision names. Release is the one that
	// was taken back.
	RolledBack Kind = "rolled-back"
	// Superseded: a newer Release took this one's place.
	Superseded Kind = "superseded"
	// Aborted: a person ended the Release.
	Aborted Kind = "aborted"
	// Promoted: a person let the Release past its gates.
	Promoted Kind = "promoted"
	// Held: an environment of a service takes no Releases until it is resumed.
	Held Kind = "held"
	// Resumed: a hold ended.
	Resumed Kind = "resumed"
	// Pinned: an image of a service was overridden in an environment.
	Pinned Kind = "pinned"
	// Unpinned: the override ended.
	Unpinned Kind = "unpinned"
)

// Image is an image that a revision runs.
type Image struct {
	// Name of the repository, without tag and digest.
	Name string `json:"name"`
	// Tag and Digest as rendered; either may be empty.
	Tag    string `json:"tag,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Event is one transition: what happened to a service in an environment, when, by whom and why.
type Event struct {
	// Key identifies the event: the same transition always has the same key, whoever records it and how often.
	Key string `json:"key"`
	// Time at which it happened.
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	// Fleet, Service and Environment that it happened to. Environment is empty if it is about the whole Release.
	Fleet       string `json:"fleet"`
	Service     string `json:"service"`
	Environment string `json:"environment,omitempty"`
	// Release is the name of the Release, and Group names the Releases of one commit.
	Release string `json:"release,omitempty"`
	Group   string `json:"group,omitempty"`
	// Revision is the full hash of the commit that the event is about; Previous that which the environment ran before.
	Revision string `json:"revision,omitempty"`
	Previous string `json:"previous,omitempty"`
	// Title is the first line of the commit's message, Author its author, and Committed when it was committed.
	Title     string    `json:"title,omitempty"`
	Author    string    `json:"author,omitempty"`
	Committed time.Time `json:"committed,omitzero"`
	Images    []Image   `json:"images,omitempty"`
	// By is the person who did it, or "sengu".
	By string `json:"by"`
	// Why is one sentence.
	Why string `json:"why,omitempty"`
	// Loud is true for what must not be overlooked, such as gates that were skipped.
	Loud bool `json:"loud,omitempty"`
	// Untouched is true for a Failed that came before anything was applied, as when a before-job fails: the environment
	// still runs Previous, and there is nothing to restore.
	Untouched bool `json:"untouched,omitempty"`
}
