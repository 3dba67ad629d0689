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

// TestEventsOfOneSecondAreInTheOrderInWhichTheyHappened reads a Release whose journal passes from number 9 to 10 in a second,
// whole and page by page.
func TestEventsOfOneSecondAreInTheOrderInWhichTheyHappened(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		var want []history.Event
		for n := range 120 {
			want = append(want, event(0, func(e *history.Event) { e.Key = fmt.Sprintf("uid/checkout-1/%d", n+1) }))
		}
		mustAppend(t, s, want...)
		if diff := cmp.Diff(eventKeys(want), eventKeys(all(t, s, history.Filter{}))); diff != "" {
			t.Errorf("walk: -want +got:\n%s", diff)
		}
		slices.Reverse(want)
		if diff := cmp.Diff(eventKeys(want), eventKeys(pages(t, s, history.Filter{Service: "checkout", Limit: 7}))); diff != "" {
			t.Errorf("list: -want +got:\n%s", diff)
		}
	})
}

// TestPruneKeepsTheNewerDoneOfOneSecond keeps the one that happened last.
func TestPruneKeepsTheNewerDoneOfOneSecond(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for n := 9; n <= 10; n++ {
			mustAppend(t, s, event(0, func(e *history.Event) {
				e.Key, e.Kind, e.Time = fmt.Sprintf("uid/checkout-1/%d", n), history.Done, start.Add(-10*day)
			}))
		}
		if n, err := s.Prune(t.Context(), start.Add(-2*day)); n != 1 || err != nil {
			t.Errorf("%d removed: %v", n, err)
		}
		if diff := cmp.Diff([]string{"uid/checkout-1/10"}, eventKeys(all(t, s, history.Filter{}))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// TestBeginnings compares what the database finds with what the events say.
func TestBeginnings(t *testing.T) {
	events := mixed(300)
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		if got, err := s.Beginnings(t.Context(), history.Filter{}); len(got) != 0 || err != nil {
			t.Errorf("an empty record begins with %v: %v", got, err)
		}
		mustAppend(t, s, events...)
		for name, f := range map[string]history.Filter{
			"Everything": {}, "Fleet": {Fleet: "shop"}, "Service": {Fleet: "bank", Service: "cart"}, "Environment": {Environment: "staging"},
			"Place": {Fleet: "bank", Service: "cart", Environment: "production"}, "Nothing": {Fleet: "none"},
			"OfAnyTime": {Fleet: "shop", From: start.Add(time.Hour), To: start.Add(2 * time.Hour), Kinds: []history.Kind{history.Done}},
		} {
			place := history.Filter{Fleet: f.Fleet, Service: f.Service, Environment: f.Environment}
			want := map[history.Beginning]bool{}
			oldest := map[[3]string]time.Time{}
			for _, e := range events {
				at := [3]string{e.Fleet, e.Service, e.Environment}
				if was, ok := oldest[at]; e.Environment != "" && place.Match(e) && (!ok || e.Time.Before(was)) {
					oldest[at] = e.Time
				}
			}
			for at, first := range oldest {
				want[history.Beginning{Fleet: at[0], Service: at[1], Environment: at[2], Time: first}] = true
			}
			beginnings, err := s.Beginnings(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			got := map[history.Beginning]bool{}
			for _, b := range beginnings {
				got[b] = true
			}
			if diff := cmp.Diff(want, got); diff != "" || len(got) != len(beginnings) {
				t.Errorf("%s: %d beginnings, -want +got:\n%s", name, len(beginnings), diff)
			}
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
				plan := explained(t, s, url, query+sqlstore.NewestTop+" LIMIT ?", append(args, 51)...)
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
				sqlstore.DeleteEvents, []any{start.UnixNano(), start.UnixNano() - 1e9, 0, "", start.UnixNano(), 0, ""},
				[]string{"events_time", "events_done", "deliveries_event"},
			},
			"PruneEnd":   {sqlstore.PruneEnd, []any{start.UnixNano(), 0, 0, "", 999}, []string{"events_time"}},
			"Beginnings": {sqlstore.SelectBeginnings, nil, []string{"events_place"}},
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
