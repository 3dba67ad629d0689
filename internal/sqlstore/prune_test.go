package sqlstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

const day = 24 * time.Hour

func TestPrune(t *testing.T) {
	aged := func(key string, age time.Duration, kind history.Kind, environment string) history.Event {
		return history.Event{
			Key: key, Time: start.Add(-age), Kind: kind, Fleet: "shop", Service: "checkout", Environment: environment, Release: key,
		}
	}
	old := []history.Event{
		aged("started", 100*day, history.Started, "production"),
		aged("older-done", 99*day, history.Done, "production"),
		aged("staging-done", 98*day, history.Done, "staging"),
		aged("newest-done", 97*day, history.Done, "production"),
		aged("failed", 96*day, history.Failed, "production"),
		aged("at-the-limit", 90*day, history.Started, "production"),
		aged("young", day, history.Started, "production"),
		aged("young-staging-done", day, history.Done, "staging"),
	}
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		mustAppend(t, s, old...)
		n, err := s.Prune(ctx, start.Add(-90*day))
		if err != nil || n != 4 {
			t.Errorf("%d removed, want 4: %v", n, err)
		}
		want := []string{"newest-done", "at-the-limit", "young", "young-staging-done"}
		if diff := cmp.Diff(want, eventKeys(all(t, s, history.Filter{}))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if err := s.Register(ctx, "slack"); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Append(ctx, old...); n != 0 || err != nil {
			t.Errorf("what was pruned is recorded again: %d, %v", n, err)
		}
		if got := pendingKeys(t, s, "slack"); len(got) != 0 {
			t.Errorf("old stories are told: %v", got)
		}
		// Keeping for longer from now on brings nothing back, and harms nothing.
		if n, err := s.Prune(ctx, start.Add(-200*day)); n != 0 || err != nil {
			t.Errorf("%d removed: %v", n, err)
		}
		if n, err := s.Append(ctx, old[0]); n != 0 || err != nil {
			t.Errorf("what was pruned is recorded again: %d, %v", n, err)
		}
	})
}

func TestPruneWaitsForSinks(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			ctx := t.Context()
			clock := clocktesting.NewFakePassiveClock(start)
			var logs strings.Builder
			s, err := sqlstore.Open(ctx, d.create(t), sqlstore.Options{Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Register(ctx, "slack"); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, s, event(1, of("a")), event(2, of("b")), event(3, of("c")))
			if err := s.Acknowledge(ctx, "slack", event(2).Key); err != nil {
				t.Fatal(err)
			}
			keep := 10 * day
			clock.SetTime(start.Add(keep + sqlstore.Unacknowledged))
			if n, err := s.Prune(ctx, clock.Now().Add(-keep)); n != 1 || err != nil {
				t.Errorf("%d removed, want the acknowledged one: %v", n, err)
			}
			if diff := cmp.Diff([]string{event(1).Key, event(3).Key}, pendingKeys(t, s, "slack")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(logs.String(), "not acknowledged") {
				t.Errorf("a loss is logged: %s", logs.String())
			}
			clock.SetTime(clock.Now().Add(2 * time.Second))
			if n, err := s.Prune(ctx, clock.Now().Add(-keep)); n != 1 || err != nil {
				t.Errorf("%d removed, want the one beyond the hard bound: %v", n, err)
			}
			if diff := cmp.Diff([]string{event(3).Key}, pendingKeys(t, s, "slack")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if want := `level=WARN msg="events were removed that sinks had not acknowledged" deliveries=1`; !strings.Contains(logs.String(), want) {
				t.Errorf("no line says %s:\n%s", want, logs.String())
			}
		})
	}
}

// TestPruneManySteps removes more than one step does, with what stays spread among it.
func TestPruneManySteps(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		var kept []string
		for chunk := range slices.Chunk(slices.Collect(numbers(2300)), 500) {
			var events []history.Event
			for _, n := range chunk {
				events = append(events, event(n, func(e *history.Event) {
					e.Time = e.Time.Add(-100 * day)
					if n%7 == 0 {
						e.Kind, e.Service = history.Done, fmt.Sprint("service-", n)
						kept = append(kept, e.Key)
					}
				}))
			}
			mustAppend(t, s, events...)
		}
		n, err := s.Prune(t.Context(), start.Add(-2*day))
		if err != nil || n != 2300-len(kept) {
			t.Errorf("%d removed, want %d: %v", n, 2300-len(kept), err)
		}
		if diff := cmp.Diff(kept, eventKeys(all(t, s, history.Filter{}))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n, err := s.Prune(t.Context(), start.Add(-day)); n != 0 || err != nil {
			t.Errorf("%d removed again: %v", n, err)
		}
	})
}

func numbers(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestPruneLogsAndWhatSinksRemember(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			ctx := t.Context()
			clock := clocktesting.NewFakePassiveClock(start)
			s := openAt(t, d.create(t), clock.Now)
			if err := s.Register(ctx, "slack"); err != nil {
				t.Fatal(err)
			}
			write := func(name string) {
				t.Helper()
				if err := errors.Join(
					s.SaveLog(ctx, history.LogKey{Release: name}, []byte("text")),
					s.Remember(ctx, "slack", name, []byte("ts")),
				); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 250 {
				write(fmt.Sprint("old-", n))
			}
			write("renewed")
			clock.SetTime(start.Add(10 * day))
			write("renewed")
			clock.SetTime(start.Add(20 * day))
			if n, err := s.Prune(ctx, start.Add(5*day)); n != 0 || err != nil {
				t.Errorf("%d events removed: %v", n, err)
			}
			for name, want := range map[string]bool{"old-0": false, "old-249": false, "renewed": true} {
				_, err := s.Log(ctx, history.LogKey{Release: name})
				_, found, _ := s.Recall(ctx, "slack", name)
				if (err == nil) != want || found != want {
					t.Errorf("%s: log kept %v (%v), remembered %v; want %v", name, err == nil, err, found, want)
				}
			}
		})
	}
}

func TestPruneRefusesToRemoveEverything(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		mustAppend(t, s, event(-1000))
		for _, olderThan := range []time.Time{start.Add(day), start, start.Add(-day + time.Second)} {
			if n, err := s.Prune(t.Context(), olderThan); n != 0 || !errors.Is(err, sqlstore.ErrRefused) {
				t.Errorf("older than %s: %d removed, %v", olderThan, n, err)
			}
		}
		if n, err := s.Prune(t.Context(), time.Time{}); n != 0 || err != nil {
			t.Errorf("older than the year 1: %d removed, %v", n, err)
		}
		if n, err := s.Prune(t.Context(), time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC)); n != 0 || err != nil {
			t.Errorf("older than 1678: %d removed, %v", n, err)
		}
		if n := len(all(t, s, history.Filter{})); n != 1 {
			t.Errorf("%d events are left of one", n)
		}
	})
}
