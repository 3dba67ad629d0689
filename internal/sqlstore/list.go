package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sengu-dev/sengu/internal/history"
)

const (
	// defaultLimit and maxLimit bound a page.
	defaultLimit = 50
	maxLimit     = 1000
	// walkStep is how many events Walk reads at a time.
	walkStep = 500
)

// The order of events in SQL, which is that of history.Compare, and the place of one in it.
const (
	inOrder    = " ORDER BY time, octet_length(key), key"
	newestTop  = " ORDER BY time DESC, octet_length(key) DESC, key DESC"
	eventPlace = "(time, octet_length(key), key)"
)

// placeOf are the arguments that eventPlace is compared with.
func placeOf(time int64, key string) []any { return []any{time, len(key), key} }

// List returns the events that the filter wants, newest first: Filter.Limit of them, 50 if it is zero, never more than
// 1,000. What is recorded meanwhile changes no page that follows, unless it happened before what the page shows.
func (s *Store) List(ctx context.Context, f history.Filter) (history.Page, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	query, args := selectEvents(f)
	page := history.Page{Events: []history.Event{}}
	err := s.view(ctx, "list events", func(ctx context.Context, q queries) error {
		events, err := readEvents(ctx, q, query+newestTop+" LIMIT ?", append(args, limit+1)...)
		if len(events) > limit {
			events = events[:limit]
			page.Next = history.After(events[limit-1])
		}
		page.Events = append(page.Events, events...)
		return err
	})
	if err != nil {
		return history.Page{}, err
	}
	return page, nil
}

// Walk calls visit for every event that the filter wants, oldest first, at most Filter.Limit of them if that is not zero. It
// ends with the first error of visit, which it returns as it is. Memory is bounded, and nothing is held while visit runs:
// it may take its time and use the Store. It is no snapshot: what is recorded meanwhile is visited if it happened later than
// what was visited before.
func (s *Store) Walk(ctx context.Context, f history.Filter, visit func(history.Event) error) error {
	query, args := selectEvents(f)
	after, afterArgs := "", []any(nil)
	for left := f.Limit; ; {
		step := walkStep
		if f.Limit > 0 {
			step = min(step, left)
		}
		var events []history.Event
		err := s.view(ctx, "read events", func(ctx context.Context, q queries) (err error) {
			all := append(append(append([]any{}, args...), afterArgs...), step)
			events, err = readEvents(ctx, q, query+after+inOrder+" LIMIT ?", all...)
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := visit(e); err != nil {
				return err
			}
		}
		left -= len(events)
		if len(events) < step || f.Limit > 0 && left <= 0 {
			return nil
		}
		last := events[len(events)-1]
		after, afterArgs = " AND "+eventPlace+" > (?, ?, ?)", placeOf(last.Time.UnixNano(), last.Key)
	}
}

// selectEvents is the statement of a filter, without order and limit.
func selectEvents(f history.Filter) (string, []any) {
	var b strings.Builder
	b.WriteString("SELECT body FROM events WHERE 1 = 1")
	var args []any
	// There is an index by each of these columns and time. The one that leaves the fewest events is to be used, which comes
	// first; SQLite chooses any, and joined with '' a column has no index.
	indexed := true
	for _, c := range []struct{ column, value string }{
		{"release", f.Release}, {"release_group", f.Group}, {"service", f.Service}, {"environment", f.Environment}, {"fleet", f.Fleet},
	} {
		if c.value == "" {
			continue
		}
		b.WriteString(" AND " + c.column)
		if !indexed {
			b.WriteString(" || ''")
		}
		b.WriteString(" = ?")
		args = append(args, c.value)
		indexed = false
	}
	if len(f.Kinds) > 0 {
		b.WriteString(" AND kind IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(f.Kinds)), ", ") + ")")
		for _, kind := range f.Kinds {
			args = append(args, string(kind))
		}
	}
	if !f.From.IsZero() {
		b.WriteString(" AND time >= ?")
		args = append(args, clamped(f.From))
	}
	if !f.To.IsZero() {
		b.WriteString(" AND time < ?")
		args = append(args, clamped(f.To))
	}
	if !f.Before.IsZero() {
		b.WriteString(" AND " + eventPlace + " < (?, ?, ?)")
		args = append(args, placeOf(clamped(f.Before.Time), f.Before.Key)...)
	}
	return b.String(), args
}

func readEvents(ctx context.Context, q queries, query string, args ...any) ([]history.Event, error) {
	var events []history.Event
	err := q.each(ctx, func(rows *sql.Rows) error {
		var body string
		if err := rows.Scan(&body); err != nil {
			return err
		}
		e, err := eventOf(body)
		events = append(events, e)
		return err
	}, query, args...)
	return events, err
}

func eventOf(body string) (history.Event, error) {
	var e history.Event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return e, fmt.Errorf("a recorded event cannot be read: %w", err)
	}
	return e, nil
}
