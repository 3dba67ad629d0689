package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/history"
)

const (
	// maxName bounds the key, kind and every name of an event, in bytes.
	maxName = 512
	// maxTitle and maxWhy are what is kept of a title and a sentence, in bytes.
	maxTitle = 1 << 10
	maxWhy   = 4 << 10
	// maxBody bounds an event as JSON, in bytes.
	maxBody = 256 << 10
	// appendChunk is how many events go into one statement.
	appendChunk = 100
)

// Append records events in this order, all or none, and returns how many were new: an event whose key is recorded already
// changes nothing, whoever recorded it. What is older than what was pruned is taken for recorded. Titles over 1 KiB and
// sentences over 4 KiB are shortened. It fails with ErrRefused if an event can never be recorded, and with ErrUnavailable
// if the database cannot be used now; then the same events may be appended again.
func (s *Store) Append(ctx context.Context, events ...history.Event) (int, error) {
	rows := make([]row, len(events))
	for i, e := range events {
		r, err := rowOf(e)
		if err != nil {
			return 0, s.explain(ctx, "record event "+cut(e.Key, maxName), err)
		}
		rows[i] = r
	}
	if len(rows) == 0 {
		return 0, nil
	}
	appended := 0
	err := s.record(ctx, "record events", func(ctx context.Context, q queries) error {
		appended = 0
		var pruned int64
		if err := q.row(ctx, "SELECT time FROM horizon").Scan(&pruned); err != nil {
			return err
		}
		fresh := make([]row, 0, len(rows))
		for _, r := range rows {
			if r.time >= pruned {
				fresh = append(fresh, r)
			}
		}
		for len(fresh) > 0 {
			n := min(len(fresh), appendChunk)
			added, err := insert(ctx, q, fresh[:n])
			if err != nil {
				return err
			}
			appended += added
			fresh = fresh[n:]
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return appended, nil
}

// Recorded returns what is recorded under the keys, and the time before which anything may have been pruned.
func (s *Store) Recorded(ctx context.Context, keys ...string) (map[string]history.Event, time.Time, error) {
	found := map[string]history.Event{}
	args := make([]any, 0, len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	var pruned int64
	err := s.view(ctx, "look events up", func(ctx context.Context, q queries) error {
		if err := q.row(ctx, "SELECT time FROM horizon").Scan(&pruned); err != nil || len(keys) == 0 {
			return err
		}
		some := strings.TrimSuffix(strings.Repeat("?, ", len(keys)), ", ")
		events, err := readEvents(ctx, q, "SELECT body FROM events WHERE key IN ("+some+")", args...)
		for _, e := range events {
			found[e.Key] = e
		}
		return err
	})
	return found, time.Unix(0, pruned).UTC(), err
}

// row is an event as it is stored.
type row struct {
	time  int64
	event history.Event
	body  string
}

func rowOf(e history.Event) (row, error) {
	for _, name := range []struct{ field, value string }{
		{"key", e.Key}, {"kind", string(e.Kind)}, {"fleet", e.Fleet}, {"service", e.Service},
		{"environment", e.Environment}, {"release", e.Release}, {"group", e.Group},
	} {
		switch {
		case len(name.value) > maxName:
			return row{}, refuse("its %s has %d bytes, and %d are allowed", name.field, len(name.value), maxName)
		case !utf8.ValidString(name.value) || strings.ContainsRune(name.value, 0):
			return row{}, refuse("its %s is not text", name.field)
		}
	}
	if e.Key == "" || e.Kind == "" {
		return row{}, refuse("it has no key or no kind")
	}
	at, ok := nanoseconds(e.Time)
	if !ok {
		return row{}, refuse("its time, %s, is none that can be: it must lie between 1678 and 2261", e.Time.Format(time.RFC3339))
	}
	e.Time = e.Time.UTC()
	// Whoever commits chooses the date, and JSON has no years beyond four digits.
	if e.Committed = e.Committed.UTC(); e.Committed.Year() < 1 || e.Committed.Year() > 9999 {
		e.Committed = time.Time{}
	}
	e.Title, e.Why = cut(e.Title, maxTitle), cut(e.Why, maxWhy)
	body, err := json.Marshal(e)
	if err != nil {
		return row{}, refuse("it cannot be written as JSON: %s", line(err))
	}
	if len(body) > maxBody {
		return row{}, refuse("it has %d bytes, and %d are allowed: does it have very many images?", len(body), maxBody)
	}
	return row{at, e, string(body)}, nil
}

// nanoseconds is the Unix time in nanoseconds, if there is one for that time.
func nanoseconds(t time.Time) (int64, bool) {
	if t.Year() < 1678 || t.Year() > 2261 {
		return 0, false
	}
	return t.UnixNano(), true
}

// clamped is the Unix time in nanoseconds, or the nearest that there is.
func clamped(t time.Time) int64 {
	at, ok := nanoseconds(t)
	switch {
	case ok:
		return at
	case t.Year() < 1970:
		return math.MinInt64
	}
	return math.MaxInt64
}

// insert stores the rows that are new, with a delivery for each sink, and returns how many they are.
func insert(ctx context.Context, q queries, rows []row) (int, error) {
	const columns = 9
	args := make([]any, 0, columns*len(rows))
	for _, r := range rows {
		e := r.event
		args = append(args, e.Key, r.time, string(e.Kind), e.Fleet, e.Service, e.Environment, e.Release, e.Group, r.body)
	}
	values := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?), ", len(rows)), ", ")
	added, first, last := 0, int64(math.MaxInt64), int64(0)
	err := q.each(ctx, func(rows *sql.Rows) error {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return err
		}
		added, first, last = added+1, min(first, seq), max(last, seq)
		return nil
	}, "INSERT INTO events (key, time, kind, fleet, service, environment, release, release_group, body) VALUES "+values+
		" ON CONFLICT (key) DO NOTHING RETURNING seq", args...)
	if err != nil || added == 0 {
		return 0, err
	}
	// Nobody else records meanwhile: what lies between first and last is ours.
	_, err = q.exec(ctx, `INSERT INTO deliveries (sink, seq, line)
		SELECT sinks.name, events.seq, CASE events.release WHEN '' THEN '' ELSE events.fleet || '/' || events.release END
		FROM events CROSS JOIN sinks WHERE events.seq BETWEEN ? AND ?`, first, last)
	return added, err
}
