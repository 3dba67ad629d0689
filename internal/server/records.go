package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// records is the history, in a database that need not be there yet: nothing is delivered later because of it.
type records struct {
	url       string
	retention time.Duration
	clock     clock.WithDelayedExecution
	log       *slog.Logger

	mu     sync.Mutex
	store  *sqlstore.Store
	closed bool

	sinks sinks
}

// historyFile is the database in the data folder, if no other is named.
const historyFile = "history.db"

// openRecords opens the history. A database that does not answer is opened when it does; one that never can be is an
// error.
func openRecords(ctx context.Context, o Options) (*records, error) {
	url := o.Database
	if url == "" {
		url = filepath.Join(o.DataDir, historyFile)
	}
	r := &records{url: url, retention: o.Retention, clock: o.Clock, log: o.Logger}
	if _, err := r.open(ctx); err != nil {
		if !errors.Is(err, sqlstore.ErrUnavailable) {
			return nil, err
		}
		o.Logger.Warn("the history is not written yet", "error", err)
	}
	return r, nil
}

// open returns the store, and opens it first if it is not open.
func (r *records) open(ctx context.Context) (*sqlstore.Store, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, sqlstore.ErrClosed
	}
	if r.store != nil {
		return r.store, nil
	}
	store, err := sqlstore.Open(ctx, r.url, sqlstore.Options{Logger: r.log, Now: r.clock.Now})
	if err != nil {
		return nil, err
	}
	r.store = store
	return store, nil
}

// Close closes the store.
func (r *records) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.store == nil {
		return nil
	}
	return r.store.Close()
}

// Append keeps events, for the sinks too that could not be registered so far.
func (r *records) Append(ctx context.Context, events ...history.Event) (int, error) {
	store, err := r.open(ctx)
	if err != nil {
		return 0, err
	}
	for _, sink := range r.sinks.missing() {
		if err := r.Register(ctx, sink); err != nil {
			return 0, err
		}
	}
	return store.Append(ctx, events...)
}

// Recorded returns what is recorded under the keys, and the time before which anything may have been pruned.
func (r *records) Recorded(ctx context.Context, keys ...string) (map[string]history.Event, time.Time, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return store.Recorded(ctx, keys...)
}

// SaveLog keeps the log of a Job.
func (r *records) SaveLog(ctx context.Context, key history.LogKey, text []byte) error {
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.SaveLog(ctx, key, text)
}

// insights measures what has happened between two moments.
func (r *records) insights(ctx context.Context, f history.Filter, by history.By) ([]history.Insight, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	measure := history.NewMeasure(f.From, f.To, by)
	// A service that seldom changes may have no event in all of the time that is read below.
	beginnings, err := store.Beginnings(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	for _, b := range beginnings {
		measure.Known(b)
	}
	// What happened before tells in what state the environments were.
	f.From = f.From.Add(-lookBack)
	if err := store.Walk(ctx, f, measure.Add); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	return measure.Insights(), nil
}

// lookBack is how long before the time that is measured a change may lie that is rolled back in it.
const lookBack = 30 * 24 * time.Hour

// jobLog returns the log of a Job.
func (r *records) jobLog(ctx context.Context, key history.LogKey) ([]byte, error) {
	store, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return store.Log(ctx, key)
}

// pruneEvery is how often what is older than the retention is removed.
const pruneEvery = 6 * time.Hour

// Start removes what is older than the retention, again and again, until ctx ends.
func (r *records) Start(ctx context.Context) error {
	due := make(chan struct{}, 1)
	for {
		timer := r.clock.AfterFunc(pruneEvery, func() {
			select {
			case due <- struct{}{}:
			default:
			}
		})
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-due:
			r.prune(ctx)
		}
	}
}

func (r *records) prune(ctx context.Context) {
	store, err := r.open(ctx)
	if err == nil {
		_, err = store.Prune(ctx, r.clock.Now().Add(-r.retention))
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("old history was not removed: it is tried again later", "error", err)
	}
}
