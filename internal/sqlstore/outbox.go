package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/history"
)

const (
	// maxPending bounds what Pending returns, and maxReason what is kept of a reason, in bytes.
	maxPending = 1000
	maxReason  = 1 << 10
	// MaxState bounds what a sink may remember under one key, in bytes.
	MaxState = 64 << 10
)

// Register makes a sink known: it is told every event that is recorded after Register has returned, and none that was
// recorded before it began. A sink that is registered already stays as it is.
func (s *Store) Register(ctx context.Context, sink string) error {
	if sink == "" || len(sink) > maxName || !utf8.ValidString(sink) {
		return s.explain(ctx, "register a sink", refuse("its name is empty, too long or not text"))
	}
	return s.record(ctx, "register sink "+sink, func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, "INSERT INTO sinks (name, registered) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", sink, s.now().UnixNano())
		return err
	})
}

// Unregister forgets a sink, what it has not acknowledged and what it remembers. Nothing happens if there is none.
func (s *Store) Unregister(ctx context.Context, sink string) error {
	what := "unregister sink " + sink
	// There may be a great many that it has not acknowledged; few are left for the transaction that nobody else writes
	// beside.
	if _, err := s.inSteps(ctx, what, `DELETE FROM deliveries WHERE sink = ? AND seq IN
		(SELECT seq FROM deliveries WHERE sink = ? ORDER BY seq LIMIT 5000)`, sink, sink); err != nil {
		return err
	}
	return s.record(ctx, what, func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, "DELETE FROM sinks WHERE name = ?", sink)
		return err
	})
}

// Sinks lists who is registered and how far behind each is, by name.
func (s *Store) Sinks(ctx context.Context) ([]history.Sink, error) {
	var sinks []history.Sink
	err := s.view(ctx, "list sinks", func(ctx context.Context, q queries) error {
		sinks = nil
		return q.each(ctx, func(rows *sql.Rows) error {
			var sink history.Sink
			var registered int64
			var oldest sql.NullInt64
			var reason sql.NullString
			if err := rows.Scan(&sink.Name, &registered, &sink.Pending, &oldest, &reason); err != nil {
				return err
			}
			sink.Registered, sink.Reason = time.Unix(0, registered).UTC(), reason.String
			if oldest.Valid {
				sink.Oldest = time.Unix(0, oldest.Int64).UTC()
			}
			sinks = append(sinks, sink)
			return nil
		}, `SELECT name, registered, pending.n, events.time, deliveries.reason
			FROM sinks
			JOIN (SELECT sinks.name AS sink, COUNT(deliveries.seq) AS n, MIN(deliveries.seq) AS seq
				FROM sinks LEFT JOIN deliveries ON deliveries.sink = sinks.name GROUP BY sinks.name) pending ON pending.sink = sinks.name
			LEFT JOIN events ON events.seq = pending.seq
			LEFT JOIN deliveries ON deliveries.sink = sinks.name AND deliveries.seq = pending.seq
			ORDER BY name`)
	})
	return sinks, err
}

// Pending returns events that the sink has not acknowledged, in the order of recording, at most limit of them (never more
// than 1,000). Left out are those that were put off until later, and what follows them in the same Release; whoever puts one
// off leaves alone what follows in its Release in the same answer too. Events that name no Release wait for nobody. It
// fails with ErrUnknownSink if the sink is not registered.
func (s *Store) Pending(ctx context.Context, sink string, limit int) ([]history.Delivery, error) {
	var deliveries []history.Delivery
	err := s.view(ctx, "read what is pending for "+sink, func(ctx context.Context, q queries) error {
		deliveries = nil
		now := s.now().UnixNano()
		err := q.each(ctx, func(rows *sql.Rows) error {
			var d history.Delivery
			var body string
			if err := rows.Scan(&body, &d.Attempt, &d.Reason); err != nil {
				return err
			}
			var err error
			d.Event, err = eventOf(body)
			deliveries = append(deliveries, d)
			return err
		}, selectPending, sink, now, now, min(max(limit, 1), maxPending))
		if err != nil || len(deliveries) > 0 {
			return err
		}
		return known(ctx, q, sink)
	})
	return deliveries, err
}

const selectPending = `SELECT events.body, d.attempt, d.reason
	FROM deliveries d JOIN events ON events.seq = d.seq
	WHERE d.sink = ? AND d.due <= ? AND NOT EXISTS (
		SELECT 1 FROM deliveries p
		WHERE p.sink = d.sink AND p.line = d.line AND p.seq < d.seq AND p.due > ? AND p.attempt > 0 AND p.line <> '')
	ORDER BY d.seq LIMIT ?`

func known(ctx context.Context, q queries, sink string) error {
	var name string
	err := q.row(ctx, "SELECT name FROM sinks WHERE name = ?", sink).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return &failure{fmt.Sprintf("sink %s is not registered", sink), ErrUnknownSink}
	}
	return err
}

// Acknowledge says that the sink has told the event of that key, which is then never pending for it again. Nothing happens if
// it was acknowledged before.
func (s *Store) Acknowledge(ctx context.Context, sink, key string) error {
	return s.update(ctx, "acknowledge for "+sink, func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, "DELETE FROM deliveries WHERE sink = ? AND seq = (SELECT seq FROM events WHERE key = ?)", sink, key)
		return err
	})
}

// Postpone puts the event of that key off until a time, with the reason in one sentence. Events of other Releases go on
// meanwhile. Nothing happens if it was acknowledged.
func (s *Store) Postpone(ctx context.Context, sink, key string, until time.Time, reason string) error {
	return s.update(ctx, "put off for "+sink, func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, `UPDATE deliveries SET attempt = attempt + 1, due = ?, reason = ?
			WHERE sink = ? AND seq = (SELECT seq FROM events WHERE key = ?)`, clamped(until), clean(cut(reason, maxReason)), sink, key)
		return err
	})
}

// Remember keeps a value for a sink under a key, such as the message that tells of a Release, in place of the value before.
// No value at all forgets the key. It fails with ErrRefused above 64 KiB, and with ErrUnknownSink if the sink is not
// registered. What is not written anew for as long as events are kept goes with Prune.
func (s *Store) Remember(ctx context.Context, sink, key string, value []byte) error {
	what := "remember for " + sink
	if len(value) > MaxState || key == "" || len(key) > maxName {
		return s.explain(ctx, what, refuse("a key has 1 to %d bytes, and a value at most %d", maxName, MaxState))
	}
	return s.update(ctx, what, func(ctx context.Context, q queries) error {
		if err := known(ctx, q, sink); err != nil {
			return err
		}
		if value == nil {
			_, err := q.exec(ctx, "DELETE FROM sink_state WHERE sink = ? AND key = ?", sink, key)
			return err
		}
		_, err := q.exec(ctx, `INSERT INTO sink_state (sink, key, value, touched) VALUES (?, ?, ?, ?)
			ON CONFLICT (sink, key) DO UPDATE SET value = excluded.value, touched = excluded.touched`, sink, key, value, s.now().UnixNano())
		return err
	})
}

// Recall returns what the sink remembers under the key, and whether there is anything.
func (s *Store) Recall(ctx context.Context, sink, key string) (value []byte, found bool, err error) {
	err = s.view(ctx, "recall for "+sink, func(ctx context.Context, q queries) error {
		err := q.row(ctx, "SELECT value FROM sink_state WHERE sink = ? AND key = ?", sink, key).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	})
	return value, found, err
}
