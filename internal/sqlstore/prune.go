package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"
)

const (
	// Unacknowledged is how much longer an event is kept for a sink that does not acknowledge it. Then it goes all the
	// same: a sink that is out of order for that long must not fill the disk.
	Unacknowledged = 30 * 24 * time.Hour
	// LeastKept is the shortest time for which events are kept.
	LeastKept = 24 * time.Hour
	// pruneStep is how many events one transaction looks at.
	pruneStep = 1000
)

// Prune removes events that are older than a time, and logs and what sinks remember that were written before it. It
// returns how many events it removed. It never removes the newest Done of a service in an environment, nor an event that a
// sink has not acknowledged, unless that is another 30 days older. It works in small steps, between which others write, and
// when it fails the next call goes on. It fails with ErrRefused if the time is less than a day ago.
func (s *Store) Prune(ctx context.Context, olderThan time.Time) (int, error) {
	const what = "prune the record"
	if olderThan.After(s.now().Add(-LeastKept)) {
		return 0, s.explain(ctx, what, refuse("everything that is older than %s would go: keep events for %s at least",
			olderThan.UTC().Format(time.RFC3339), LeastKept))
	}
	limit, ok := nanoseconds(olderThan)
	if !ok {
		return 0, nil // nothing can be as old
	}
	err := s.record(ctx, what, func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, "UPDATE horizon SET time = ? WHERE time < ?", limit, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	hard, ok := nanoseconds(olderThan.Add(-Unacknowledged))
	if !ok {
		hard = math.MinInt64
	}
	removed, dropped, err := s.pruneEvents(ctx, what, limit, hard)
	if dropped > 0 {
		s.log.Warn("events were removed that sinks had not acknowledged", "deliveries", dropped, "olderThan", olderThan.Add(-Unacknowledged).UTC())
	}
	if err != nil {
		return removed, err
	}
	logs, err := s.inSteps(ctx, what, deleteLogs, limit)
	if err != nil {
		return removed, err
	}
	state, err := s.inSteps(ctx, what, deleteState, limit)
	if removed+logs+state > 0 {
		s.log.Info("record pruned", "olderThan", olderThan.UTC(), "events", removed, "logs", logs, "remembered", state)
	}
	return removed, err
}

const (
	// pruneEnd finds where a step ends: the last of the next pruneStep events that are old enough.
	pruneEnd = `SELECT time, key FROM events WHERE time < ? AND ` + eventPlace + ` > (?, ?, ?)` + inOrder + ` LIMIT 1 OFFSET ?`

	pruneRange = ` WHERE time < ? AND ` + eventPlace + ` > (?, ?, ?) AND ` + eventPlace + ` <= (?, ?, ?)`

	deleteDeliveries = `DELETE FROM deliveries WHERE seq IN (SELECT seq FROM events` + pruneRange + `)`

	deleteEvents = `DELETE FROM events` + pruneRange + `
		AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.seq = events.seq)
		AND (kind <> 'done' OR EXISTS (SELECT 1 FROM events n WHERE n.kind = 'done' AND n.fleet = events.fleet
			AND n.service = events.service AND n.environment = events.environment
			AND (n.time, octet_length(n.key), n.key) > (events.time, octet_length(events.key), events.key)))`

	deleteLogs = `DELETE FROM job_logs WHERE (release, environment, step) IN
		(SELECT release, environment, step FROM job_logs WHERE saved < ? ORDER BY saved LIMIT 100)`

	deleteState = `DELETE FROM sink_state WHERE (sink, key) IN
		(SELECT sink, key FROM sink_state WHERE touched < ? ORDER BY touched LIMIT 1000)`
)

func (s *Store) pruneEvents(ctx context.Context, what string, limit, hard int64) (removed, dropped int, err error) {
	fromTime, fromKey := int64(math.MinInt64), ""
	for more := true; more; {
		toTime, toKey, n, m := limit, "", 0, 0
		err := s.update(ctx, what, func(ctx context.Context, q queries) error {
			toTime, toKey = limit, ""
			from := placeOf(fromTime, fromKey)
			err := q.row(ctx, pruneEnd, slices.Concat([]any{limit}, from, []any{pruneStep - 1})...).Scan(&toTime, &toKey)
			if more = err == nil; err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			step := slices.Concat(from, placeOf(toTime, toKey))
			n, err = q.exec(ctx, deleteDeliveries, slices.Concat([]any{hard}, step)...)
			if err != nil {
				return err
			}
			m, err = q.exec(ctx, deleteEvents, slices.Concat([]any{limit}, step)...)
			return err
		})
		if err != nil {
			return removed, dropped, err
		}
		dropped, removed = dropped+n, removed+m
		fromTime, fromKey = toTime, toKey
	}
	return removed, dropped, nil
}

// inSteps runs a statement that removes a few rows, again and again until it finds none.
func (s *Store) inSteps(ctx context.Context, what, statement string, args ...any) (removed int, err error) {
	for {
		n := 0
		err := s.update(ctx, what, func(ctx context.Context, q queries) (err error) {
			n, err = q.exec(ctx, statement, args...)
			return err
		})
		removed += n
		if err != nil || n == 0 {
			return removed, err
		}
	}
}
