package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
)

// Notice is an event on its way to a sink.
type Notice struct {
	history.Event
	// Quiet is true for an event that the filter of the route leaves out: it brings up to date what has been told
	// before, and nothing new is told. Only a Follower ever sees one.
	Quiet bool
}

// Sink tells events to one place outside.
type Sink interface {
	// Tell tells notices, of which there is at least one, oldest first. It returns how many of them, from the first, are
	// told, which may be fewer than it was given and is at least one when there is no error. The error is about the
	// first that is not told: a *RefusedError if this event will never be taken, a *BusyError if the place asked to be
	// left alone for a while, and anything else if it makes sense to try again. It is one sentence without secrets.
	//
	// Tell is called by one goroutine at a time. The same event may come again after a crash, and an older one after a
	// newer one: neither may be told twice or undo the newer one, as far as the place outside permits.
	Tell(ctx context.Context, memory Memory, notices []Notice) (told int, err error)
}

// Follower is a Sink that keeps up to date what it has told.
type Follower interface {
	Sink
	// Follows is there to tell a Follower from other sinks.
	Follows()
}

// Memory keeps what a sink has to know after a restart, such as where its message about a Release is: values of at most
// MaxMemory bytes under keys of any length.
type Memory interface {
	// Remember keeps a value under a key of the sink, in the place of an earlier one.
	Remember(ctx context.Context, key string, value []byte) error
	// Recall returns what was remembered under a key, or nil.
	Recall(ctx context.Context, key string) ([]byte, error)
}

// Store keeps, for each sink by its name, which events it has still to be told. Each method is done or not done when
// it returns, whatever happens to the process.
type Store interface {
	// Register makes a sink known: events recorded from then on are pending for it. Registering it again does nothing.
	Register(ctx context.Context, sink string) error
	// Pending returns up to limit events that are neither acknowledged nor postponed to a time to come, in the order in
	// which they were recorded. It may leave out what follows a postponed event in the same Release.
	Pending(ctx context.Context, sink string, limit int) ([]history.Delivery, error)
	// Acknowledge marks an event as told.
	Acknowledge(ctx context.Context, sink, key string) error
	// Postpone keeps an event from being pending until a time, counts an attempt, and keeps the reason, a sentence.
	Postpone(ctx context.Context, sink, key string, until time.Time, reason string) error
	// Remember and Recall are as in Memory, for each sink apart. Found is false if there is nothing under the key.
	Remember(ctx context.Context, sink, key string, value []byte) error
	Recall(ctx context.Context, sink, key string) (value []byte, found bool, err error)
}

// RefusedError says that a place will never take an event, however often it is tried.
type RefusedError struct {
	// Reason is one sentence.
	Reason string
}

// Error is the reason.
func (e *RefusedError) Error() string { return e.Reason }

// Refused makes a RefusedError.
func Refused(format string, args ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, args...)}
}

// BusyError says that a place takes nothing for a while.
type BusyError struct {
	// After is how long it asked to be left alone.
	After time.Duration
	// Reason is one sentence.
	Reason string
}

// Error is the reason.
func (e *BusyError) Error() string { return e.Reason }

// MaxMemory is the largest value that a Memory keeps, in bytes.
const MaxMemory = 60 << 10

// memory is the part of a Store that belongs to one sink.
type memory struct {
	store Store
	sink  string
}

func (m memory) Remember(ctx context.Context, key string, value []byte) error {
	return m.store.Remember(ctx, m.sink, Key(key), value)
}

func (m memory) Recall(ctx context.Context, key string) ([]byte, error) {
	value, found, err := m.store.Recall(ctx, m.sink, Key(key))
	if err != nil || !found {
		return nil, err
	}
	return value, nil
}
