package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// mixed makes events of several Fleets, services, environments and kinds; some happen at the same moment.
func mixed(n int) []history.Event {
	random := rand.New(rand.NewPCG(5, 6))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	events := make([]history.Event, n)
	for i := range events {
		// Keys that a language sorts otherwise than bytes.
		events[i] = event(random.IntN(n/2), func(e *history.Event) {
			e.Key = pick("a", "B", "ä", "_", "Z", "z") + fmt.Sprint(i)
			e.Fleet, e.Service = pick("shop", "bank"), pick("checkout", "cart", "stock")
			e.Environment, e.Release, e.Group = pick("", "staging", "production"), pick("", "r1", "r2", "r3"), pick("", "g1", "g2")
			e.Kind = history.Kind(pick("started", "done", "failed", "rolled-back"))
		})
	}
	return events
}

// TestListIsTheFilter compares what the database finds with what Filter.Match says, page by page, for many filters.
func TestListIsTheFilter(t *testing.T) {
	events := mixed(400)
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		mustAppend(t, s, events...)
		random := rand.New(rand.NewPCG(7, 8))
		maybe := func(list ...string) string {
			if random.IntN(3) > 0 {
				return ""
			}
			return list[random.IntN(len(list))]
		}
		for range 80 {
			f := history.Filter{
				Fleet: maybe("shop", "bank"), Service: maybe("checkout", "cart", "none"), Environment: maybe("staging", "production"),
				Release: maybe("r1", "r2"), Group: maybe("g1"), Limit: 1 + random.IntN(40),
			}
			if random.IntN(3) == 0 {
				f.Kinds = []history.Kind{history.Done, history.Failed}[:1+random.IntN(2)]
			}
			if random.IntN(20) == 0 {
				f.From, f.To = time.Date(1500+500*random.IntN(4), 1, 1, 0, 0, 0, 0, time.UTC), time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)
			} else if random.IntN(3) == 0 {
				f.From = start.Add(time.Duration(random.IntN(150)) * time.Second)
				f.To = f.From.Add(time.Duration(random.IntN(100)) * time.Second)
			}
			var want []history.Event
			for _, e := range events {
				if f.Match(e) {
					want = append(want, e)
				}
			}
			slices.SortFunc(want, history.Compare)
			walked := f
			walked.Limit = 0
			if diff := cmp.Diff(eventKeys(want), eventKeys(all(t, s, walked))); diff != "" {
				t.Fatalf("walk %+v: -want +got:\n%s", walked, diff)
			}
			if diff := cmp.Diff(eventKeys(want[:min(len(want), f.Limit)]), eventKeys(all(t, s, f))); diff != "" {
				t.Fatalf("walk %+v: -want +got:\n%s", f, diff)
			}
			slices.Reverse(want)
			if diff := cmp.Diff(eventKeys(want), eventKeys(pages(t, s, f))); diff != "" {
				t.Fatalf("list %+v: -want +got:\n%s", f, diff)
			}
		}
	})
}

// pages lists page after page, with the cursor as text in between.
func pages(t *testing.T, s *sqlstore.Store, f history.Filter) []history.Event {
	t.Helper()
	var events []history.Event
	for {
		page, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) > f.Limit || len(page.Events) == 0 && !page.Next.IsZero() {
			t.Fatalf("a page of %d events, limit %d, next %q", len(page.Events), f.Limit, page.Next)
		}
		events = append(events, page.Events...)
		if page.Next.IsZero() {
			return events
		}
		if f.Before, err = history.ParseCursor(page.Next.String()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLimits(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		page, err := s.List(t.Context(), history.Filter{})
		if err != nil || page.Events == nil || len(page.Events) != 0 || !page.Next.IsZero() {
			t.Errorf("an empty record lists %+v: %v", page, err)
		}
		for n := range 12 {
			var events []history.Event
			for i := range 100 {
				events = append(events, event(100*n+i))
			}
			mustAppend(t, s, events...)
		}
		for limit, want := range map[int]int{0: 50, -1: 50, 7: 7, 5000: 1000} {
			page, err := s.List(t.Context(), history.Filter{Limit: limit})
			if err != nil || len(page.Events) != want {
				t.Errorf("limit %d: %d events, want %d: %v", limit, len(page.Events), want, err)
			}
		}
		if n := len(all(t, s, history.Filter{Limit: 501})); n != 501 {
			t.Errorf("walked over %d events, want 501", n)
		}
	})
}

// TestWalkHoldsNothing uses the Store while it walks, and stops in the middle.
func TestWalkHoldsNothing(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for n := range 20 {
			mustAppend(t, s, event(n))
		}
		stop := errors.New("enough")
		seen := 0
		err := s.Walk(t.Context(), history.Filter{}, func(history.Event) error {
			seen++
			if seen == 15 {
				return stop
			}
			_, err := s.Append(t.Context(), event(1000+seen))
			return err
		})
		if !errors.Is(err, stop) || seen != 15 {
			t.Errorf("%d events seen, error %v", seen, err)
		}
		if n := len(all(t, s, history.Filter{})); n != 34 {
			t.Errorf("%d events, want 34", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Walk(ctx, history.Filter{}, func(history.Event) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled walk ends with %v", err)
		}
	})
}

func TestInsightsFromTheRecord(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		day := 24 * time.Hour
		for i := range 10 {
			at := start.Add(time.Duration(i) * day)
			release := fmt.Sprintf("checkout-%d", i)
			kind := history.Done
			if i%5 == 4 {
				kind = history.Failed
			}
			mustAppend(t, s, event(0, func(e *history.Event) {
				e.Key, e.Release, e.Kind, e.Time, e.Committed = release, release, kind, at, at.Add(-3*time.Hour)
			}))
		}
		m := history.NewMeasure(start, start.Add(10*day), history.By{Service: true, Environment: true})
		if err := s.Walk(t.Context(), history.Filter{Fleet: "shop", Kinds: history.MeasuredKinds()}, m.Add); err != nil {
			t.Fatal(err)
		}
		got := m.Insights()
		if len(got) != 1 || got[0].Deployments != 8 || *got[0].ChangeFailureRate.Value != 0.2 || *got[0].LeadTime.Value != 3*60*60 {
			t.Errorf("%+v", got)
		}
	})
}

// TestEveryQueryHasAnIndex has the database explain how it answers.
func TestEveryQueryHasAnIndex(t *testing.T) {
	filters := map[string]history.Filter{
		"Everything":  {},
		"Fleet":       {Fleet: "fleet-33"},
		"Service":     {Fleet: "fleet-33", Service: "service-33"},
		"Place":       {Fleet: "fleet-33", Service: "service-33", Environment: "tenant-33"},
		"Environment": {Fleet: "fleet-33", Environment: "tenant-33"},
		"Release":     {Fleet: "fleet-33", Service: "service-33", Release: "release-33"},
		"Group":       {Fleet: "fleet-33", Group: "group-33"},
	}
	index := map[string]string{
		"Everything": "events_time", "Fleet": "events_fleet", "Service": "events_service", "Place": "events_service",
		"Environment": "events_environment", "Release": "events_release", "Group": "events_group",
	}
	inEach(t, func(t *testing.T, s *sqlstore.Store, url string) {
		populate(t, s)
		for name, f := range filters {
			for _, paged := range []bool{false, true} {
				f.Kinds, f.From = []history.Kind{history.Done, history.Failed}, start.Add(-time.Hour)
				if paged {
					f.Before = history.Cursor{Time: start.Add(time.Hour), Key: "x"}
				}
				query, args := sqlstore.SelectEvents(f)
				plan := explained(t, s, url, query+" ORDER BY time DESC, key DESC LIMIT ?", append(args, 51)...)
				if !strings.Contains(plan, index[name]) || scans(plan) {
					t.Errorf("%s is not answered by the index %s alone:\n%s", name, index[name], plan)
				}
			}
		}
		others := map[string]struct {
			query   string
			args    []any
			indexes []string
		}{
			"Pending": {sqlstore.SelectPending, []any{"slack", 1, 1, 50}, []string{"deliveries_postponed"}},
			"Prune": {
				sqlstore.DeleteEvents, []any{start.UnixNano(), start.UnixNano() - 1e9, "", start.UnixNano(), ""},
				[]string{"events_time", "events_done", "deliveries_event"},
			},
			"PruneEnd": {sqlstore.PruneEnd, []any{start.UnixNano(), 0, "", 999}, []string{"events_time"}},
		}
		for name, tc := range others {
			plan := explained(t, s, url, tc.query, tc.args...)
			for _, index := range tc.indexes {
				if !strings.Contains(plan, index) || scans(plan) {
					t.Errorf("%s does not use the index %s:\n%s", name, index, plan)
				}
			}
		}
	})
}

// populate records enough for a planner to prefer indexes.
func populate(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	if err := s.Register(t.Context(), "slack"); err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(slices.Collect(func(yield func(int) bool) {
		for i := range 6000 {
			if !yield(i) {
				return
			}
		}
	}), 1000) {
		var events []history.Event
		for _, i := range chunk {
			events = append(events, event(i, func(e *history.Event) {
				e.Fleet, e.Service = fmt.Sprint("fleet-", i%100), fmt.Sprint("service-", i%300)
				e.Environment = fmt.Sprint("tenant-", i%100)
				e.Release, e.Group, e.Kind = fmt.Sprint("release-", i/10), fmt.Sprint("group-", i/100), history.Done
			}))
		}
		mustAppend(t, s, events...)
	}
	for i := range 50 {
		if err := s.Postpone(t.Context(), "slack", event(i).Key, start.Add(time.Hour), "later"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Exec(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// scans reports whether the plan reads a whole table, or sorts more than the few rows that an index has found.
func scans(plan string) bool {
	return strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN events\n") || strings.Contains(plan, "Seq Scan") ||
		strings.Contains(plan, "Sort") && !strings.Contains(plan, "Bitmap Index Scan")
}

func explained(t *testing.T, s *sqlstore.Store, url, query string, args ...any) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if strings.HasPrefix(url, "postgres") {
		explain = "EXPLAIN "
	}
	var plan strings.Builder
	err := s.Each(t.Context(), func(rows *sql.Rows) error {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		err = rows.Scan(values...)
		fmt.Fprintf(&plan, "%v\n", *values[len(values)-1].(*any))
		return err
	}, explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
