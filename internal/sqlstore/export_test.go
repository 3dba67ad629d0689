package sqlstore

import (
	"context"
	"database/sql"

	"github.com/sengu-dev/sengu/internal/history"
)

// Statements that tests have the database explain.
const (
	SelectPending = selectPending
	DeleteEvents  = deleteEvents
	PruneEnd      = pruneEnd
	NewestTop     = newestTop

	SelectBeginnings = selectBeginnings
)

// BeginRecording takes the lock of recording in PostgreSQL.
var BeginRecording = beginRecording

// SelectEvents is the statement of a filter, without order and limit.
func SelectEvents(f history.Filter) (string, []any) { return selectEvents(f) }

// Exec runs a statement with the writer.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	_, err := queries{s.write, s.dialect}.exec(ctx, query, args...)
	return err
}

// Each runs a query with the writer.
func (s *Store) Each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	return queries{s.write, s.dialect}.each(ctx, scan, query, args...)
}

// OpenAt opens a database and brings it to a version of the schema, up from nothing.
func OpenAt(ctx context.Context, databaseURL string, version int64) (*Store, error) {
	s := &Store{log: discard(), recording: make(chan struct{}, 1)}
	connect, err := s.choose(databaseURL)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx); err != nil {
		return nil, err
	}
	provider, err := s.provider()
	if err != nil {
		return nil, err
	}
	_, err = provider.UpTo(ctx, version)
	return s, err
}
