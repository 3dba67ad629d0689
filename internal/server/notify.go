package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

// notifications makes what tells the history.
func notifications(past *records, o Options) (*notify.Dispatcher, error) {
	d, err := notify.New(notify.Options{Store: past, Clock: o.Clock, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("set up the notifications: %w", err)
	}
	return d, nil
}

// dispatching tells the history while this process is the one that works: two would tell everything twice.
type dispatching struct{ *notify.Dispatcher }

// NeedLeaderElection is true.
func (dispatching) NeedLeaderElection() bool { return true }

// Start tells until ctx ends.
func (d dispatching) Start(ctx context.Context) error {
	d.Run(ctx)
	return nil
}

// pressing acts on the buttons of Slack.
type pressing struct{ *slack.Handler }

// NeedLeaderElection is false: whichever process Slack reaches writes what a person asks for.
func (pressing) NeedLeaderElection() bool { return false }

// Start acts until ctx ends.
func (p pressing) Start(ctx context.Context) error {
	p.Run(ctx)
	return nil
}

// records is where the dispatcher's events wait.
var _ notify.Store = (*records)(nil)

// sinks are those that are meant to be registered, and whether each is.
type sinks struct {
	mu    sync.Mutex
	known map[string]bool
}

func (s *sinks) set(name string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[name] = known || s.known[name]
}

func (s *sinks) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, name)
}

// missing are those that could not be registered so far.
func (s *sinks) missing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, known := range s.known {
		if !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Register makes a sink known. If the database is away, it is made known before the next event is kept.
func (r *records) Register(ctx context.Context, sink string) error {
	r.sinks.set(sink, false)
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	if err := store.Register(ctx, sink); err != nil {
		return err
	}
	r.sinks.set(sink, true)
	return nil
}

// Unregister forgets a sink, and what waits for it.
func (r *records) Unregister(ctx context.Context, sink string) error {
	r.sinks.drop(sink)
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Unregister(ctx, sink)
}

// Sinks lists who is known, and how far behind each is.
func (r *records) Sinks(ctx context.Context) ([]history.Sink, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return store.Sinks(ctx)
}

// Pending returns what a sink has still to be told.
func (r *records) Pending(ctx context.Context, sink string, limit int) ([]history.Delivery, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return store.Pending(ctx, sink, limit)
}

// Acknowledge marks an event as told.
func (r *records) Acknowledge(ctx context.Context, sink, key string) error {
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Acknowledge(ctx, sink, key)
}

// Postpone keeps an event from being told until a time.
func (r *records) Postpone(ctx context.Context, sink, key string, until time.Time, reason string) error {
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Postpone(ctx, sink, key, until, reason)
}

// Remember keeps a value for a sink.
func (r *records) Remember(ctx context.Context, sink, key string, value []byte) error {
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Remember(ctx, sink, key, value)
}

// Recall returns what a sink remembers.
func (r *records) Recall(ctx context.Context, sink, key string) ([]byte, bool, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, false, err
	}
	return store.Recall(ctx, sink, key)
}
