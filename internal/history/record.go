package history

import "time"

// Page is a part of a list of events, newest first.
type Page struct {
	Events []Event `json:"events"`
	// Next is Filter.Before of the page that follows; zero if there is none.
	Next Cursor `json:"next,omitzero"`
}

// Beginning is when the record of a service in an environment begins.
type Beginning struct {
	Fleet, Service, Environment string
	// Time of the oldest event that is kept.
	Time time.Time
}

// Delivery is an event that a sink of notifications has not acknowledged.
type Delivery struct {
	Event Event
	// Attempt is how often it was put off before: 0 the first time. Reason is why, the last time.
	Attempt int
	Reason  string
}

// Sink is one whom events are told to, and how far behind it is.
type Sink struct {
	Name       string    `json:"name"`
	Registered time.Time `json:"registered"`
	// Pending is how many events it has not acknowledged, and Oldest the time of the oldest; zero if there is none.
	Pending int       `json:"pending"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Reason is why the oldest was put off the last time; empty if it was not.
	Reason string `json:"reason,omitempty"`
}

// LogKey names the log of one Job or check of a Release.
type LogKey struct {
	Release, Environment, Step string
}
