package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long one call, or one step of Walk and Prune, may take.
const patience = 30 * time.Second

// tries is how often a transaction is begun anew when it was cut off or lost against another.
const tries = 3

// Options of a Store. The zero value is usable.
type Options struct {
	// Logger gets migrations and what Prune removed; none when nil. It never gets a password.
	Logger *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Store is the record in one database. It is safe for concurrent use, and several processes may have one database.
type Store struct {
	dialect dialect
	// read and write are the same for PostgreSQL. SQLite has one writer.
	read, write *sql.DB
	// name is how sentences call the database: no user, no password.
	name string
	// path and file are the database file of SQLite as it was opened.
	path string
	file os.FileInfo
	// recording holds a token while events or sinks are recorded, so that not every connection waits for its turn.
	recording chan struct{}
	log       *slog.Logger
	now       func() time.Time
	closed    atomic.Bool
}

// dialect is what differs between the databases in a statement.
type dialect struct {
	// numbered: parameters are $1, $2, … and not ?.
	numbered bool
	// begin is run first in every transaction that writes events or sinks.
	begin string
	// isolation of transactions.
	isolation sql.IsolationLevel
	// explain says what an error of the driver means for whoever runs the database; "" if it is none of its errors, or is
	// a fault of ours.
	explain func(name string, err error) string
	// again reports whether a transaction that failed so is worth another try at once.
	again func(err error) bool
}

// Open opens the database of the URL and brings its schema up to date: postgres://user:password@host/database?…,
// sqlite:///path/file.db, or a path. A file that does not exist is made, its folder is not. It fails with
// ErrUnavailable if the database cannot be used now, and otherwise if it never will be.
func Open(ctx context.Context, databaseURL string, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = discard()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{log: o.Logger, now: o.Now, recording: make(chan struct{}, 1)}
	connect, err := s.choose(databaseURL)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx); err != nil {
		return nil, s.explain(ctx, "open the record", err)
	}
	from, to, err := s.migrate(ctx)
	if err != nil {
		_ = s.closePools()
		return nil, s.explain(ctx, "open the record", err)
	}
	s.log.Info("record opened", "database", s.name, "schema", to, "schemaBefore", from)
	return s, nil
}

// choose finds the dialect that a URL asks for. No error repeats the URL, which may hold a password.
func (s *Store) choose(databaseURL string) (func(context.Context) error, error) {
	scheme, rest, isURL := strings.Cut(databaseURL, "://")
	switch {
	case databaseURL == "":
		return nil, fmt.Errorf("open the record: no database is named: give a path, or postgres://user:password@host/database")
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return s.postgres(databaseURL)
	case isURL && scheme == "sqlite":
		u, err := url.Parse(databaseURL)
		if err != nil || u.Host != "" || u.RawQuery != "" || u.Fragment != "" || !strings.HasPrefix(rest, "/") {
			return nil, fmt.Errorf("open the record: a SQLite URL is sqlite:///path/file.db, with three slashes and nothing after the path")
		}
		return s.sqlite(u.Path)
	case isURL:
		return nil, fmt.Errorf("open the record: databases of the kind %q are not known: use sqlite:///path/file.db or postgres://user:password@host/database", scheme)
	}
	return s.sqlite(databaseURL)
}

// Close lets the database go. Calls that still run end first or fail; later ones fail with ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.closePools()
}

func (s *Store) closePools() error {
	err := s.write.Close()
	if s.read != s.write {
		if e := s.read.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("close %s: %w", s.name, err)
	}
	return nil
}

// Ping asks whether the database can be used now. It fails with ErrUnavailable if not.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, "ask the record", func(ctx context.Context, q queries) error {
		var one int64
		return q.row(ctx, "SELECT one FROM horizon").Scan(&one)
	})
}

// queries runs statements, in a transaction or not. Parameters are written as ?.
type queries struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	dialect dialect
}

func (q queries) exec(ctx context.Context, query string, args ...any) (int, error) {
	result, err := q.on.ExecContext(ctx, q.dialect.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (q queries) row(ctx context.Context, query string, args ...any) *sql.Row {
	return q.on.QueryRowContext(ctx, q.dialect.rebind(query), args...)
}

// each calls scan for every row.
func (q queries) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.on.QueryContext(ctx, q.dialect.rebind(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// rebind writes the parameters as the database wants them. No statement of ours has a ? that is none.
func (d dialect) rebind(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// view runs do, which only reads.
func (s *Store) view(ctx context.Context, what string, do func(context.Context, queries) error) error {
	return s.try(ctx, what, func(ctx context.Context) error {
		return do(ctx, queries{s.read, s.dialect})
	})
}

// update runs do in a transaction.
func (s *Store) update(ctx context.Context, what string, do func(context.Context, queries) error) error {
	return s.try(ctx, what, func(ctx context.Context) error {
		return s.transact(ctx, func(q queries) error { return do(ctx, q) })
	})
}

// record runs do in a transaction, alone among all that use record, in whatever process.
func (s *Store) record(ctx context.Context, what string, do func(context.Context, queries) error) error {
	return s.try(ctx, what, func(ctx context.Context) error {
		select {
		case s.recording <- struct{}{}:
			defer func() { <-s.recording }()
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.transact(ctx, func(q queries) error {
			if s.dialect.begin != "" {
				if _, err := q.exec(ctx, s.dialect.begin); err != nil {
					return err
				}
			}
			return do(ctx, q)
		})
	})
}

func (s *Store) transact(ctx context.Context, do func(queries) error) error {
	tx, err := s.write.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.isolation})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := do(queries{tx, s.dialect}); err != nil {
		return err
	}
	return tx.Commit()
}

// try runs do, again if that is worth it, and makes its error a sentence. Do must bear being run again after it has
// succeeded: a connection may be lost before the answer has come.
func (s *Store) try(parent context.Context, what string, do func(context.Context) error) error {
	if s.closed.Load() {
		return fmt.Errorf("%s: %w", what, ErrClosed)
	}
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	err := s.present()
	for n := 1; err == nil; n++ {
		err = do(ctx)
		if err == nil {
			// A file that was deleted meanwhile takes writes as if nothing were wrong.
			return s.explain(parent, what, s.present())
		}
		if n < tries && ctx.Err() == nil && s.dialect.again(err) {
			err = nil
		}
	}
	return s.explain(parent, what, err)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
