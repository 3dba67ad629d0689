package sqlstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

func TestAnEventComesBackAsItWas(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		tokyo := time.FixedZone("JST", 9*60*60)
		e := history.Event{
			Key: "k'; DROP TABLE events; --", Time: start.In(tokyo), Kind: history.Promoted,
			Fleet: "店", Service: "お会計", Environment: "production", Release: "r-1", Group: "g",
			Revision: "b", Previous: "a", Title: "\x00 \"quoted\" \u2028 ?", Author: "a@example.com",
			Committed: start.Add(-time.Hour).In(tokyo), Images: []history.Image{{Name: "i", Tag: "t", Digest: "sha256:0"}},
			By: "b@example.com", Why: "because\nso", Loud: true, Untouched: true,
		}
		bare := history.Event{Key: "bare", Time: start.Add(time.Hour), Kind: history.Held}
		mustAppend(t, s, e, bare)
		got := all(t, s, history.Filter{})
		if diff := cmp.Diff([]history.Event{e, bare}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if zone := got[0].Time.Location(); zone != time.UTC {
			t.Errorf("times come back in %v, want UTC", zone)
		}
	})
}

func TestAppendingAgainChangesNothing(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		if err := s.Register(t.Context(), "slack"); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, event(1), event(2))
		other := event(2, func(e *history.Event) { e.Kind, e.Why = history.Failed, "another story" })
		// The third is new, and comes twice in one batch.
		n, err := s.Append(t.Context(), other, event(3), event(1), event(3))
		if err != nil || n != 1 {
			t.Errorf("%d events were new, want 1: %v", n, err)
		}
		if n, err := s.Append(t.Context()); n != 0 || err != nil {
			t.Errorf("no events: %d were new: %v", n, err)
		}
		if diff := cmp.Diff([]history.Event{event(1), event(2), event(3)}, all(t, s, history.Filter{})); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff(eventKeys([]history.Event{event(1), event(2), event(3)}), pendingKeys(t, s, "slack")); diff != "" {
			t.Errorf("pending, -want +got:\n%s", diff)
		}
	})
}

func TestRecorded(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		mustAppend(t, s, event(1), event(2), event(3))
		got, pruned, err := s.Recorded(t.Context(), event(1).Key, "none", event(3).Key)
		if err != nil || pruned.Year() > 1700 {
			t.Errorf("pruned until %s: %v", pruned, err)
		}
		want := map[string]history.Event{event(1).Key: event(1), event(3).Key: event(3)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if _, err := s.Prune(t.Context(), start.Add(-2*day)); err != nil {
			t.Fatal(err)
		}
		if got, pruned, err = s.Recorded(t.Context()); len(got) != 0 || !pruned.Equal(start.Add(-2*day)) || err != nil {
			t.Errorf("without keys %v, pruned until %s: %v", got, pruned, err)
		}
	})
}

func TestWhatCannotBeRecordedIsRefusedWhole(t *testing.T) {
	cases := map[string]struct {
		spoil func(*history.Event)
		says  string
	}{
		"NoKey":       {func(e *history.Event) { e.Key = "" }, "it has no key or no kind"},
		"NoKind":      {func(e *history.Event) { e.Kind = "" }, "it has no key or no kind"},
		"LongName":    {func(e *history.Event) { e.Service = strings.Repeat("x", 513) }, "its service has 513 bytes, and 512 are allowed"},
		"Zero":        {func(e *history.Event) { e.Release = "a\x00b" }, "its release is not text"},
		"NotText":     {func(e *history.Event) { e.Fleet = "\xff" }, "its fleet is not text"},
		"NoTime":      {func(e *history.Event) { e.Time = time.Time{} }, "its time, 0001-01-01T00:00:00Z, is none that can be"},
		"FarTime":     {func(e *history.Event) { e.Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }, "is none that can be"},
		"ManyImages":  {func(e *history.Event) { e.Images = make([]history.Image, 30_000) }, "does it have very many images?"},
		"HugeAuthor":  {func(e *history.Event) { e.Author = strings.Repeat("x", 300<<10) }, "and 262144 are allowed"},
		"HugeRelease": {func(e *history.Event) { e.Release = strings.Repeat("x", 1<<20) }, "its release has 1048576 bytes"},
	}
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				n, err := s.Append(t.Context(), event(1), event(2, tc.spoil), event(3))
				if !errors.Is(err, sqlstore.ErrRefused) || n != 0 || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%d were new, error %v; want one that is ErrRefused and says %q", n, err, tc.says)
				}
			})
		}
		if got := all(t, s, history.Filter{}); len(got) != 0 {
			t.Errorf("%d events were recorded beside refused ones", len(got))
		}
	})
}

func TestWhatPeopleWroteIsNotRefused(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		mustAppend(t, s, event(1, func(e *history.Event) {
			e.Title = strings.Repeat("あ", 1000)
			e.Why = "\xff" + strings.Repeat("x", 5000)
			e.Committed = time.Unix(1<<40, 0)
		}))
		got := all(t, s, history.Filter{})[0]
		if want := strings.Repeat("あ", 340) + "…"; got.Title != want {
			t.Errorf("title of %d bytes: %q", len(got.Title), got.Title)
		}
		if !strings.HasSuffix(got.Why, "x…") || !got.Committed.IsZero() {
			t.Errorf("why of %d bytes, committed %v", len(got.Why), got.Committed)
		}
	})
}

// TestConcurrentAppends has several writers over two Stores record the same events in batches of their own.
func TestConcurrentAppends(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, url string) {
		if err := s.Register(t.Context(), "slack"); err != nil {
			t.Fatal(err)
		}
		stores := []*sqlstore.Store{s, open(t, url)}
		const events, writers = 120, 6
		counts := make([]int, writers)
		g, ctx := errgroup.WithContext(t.Context())
		for w := range writers {
			g.Go(func() error {
				order := rand.New(rand.NewPCG(1, uint64(w))).Perm(events)
				for batch := range slices.Chunk(order, 7) {
					var list []history.Event
					for _, n := range batch {
						list = append(list, event(n))
					}
					n, err := stores[w%2].Append(ctx, list...)
					if err != nil {
						return err
					}
					counts[w] += n
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range counts {
			sum += n
		}
		pending := pendingKeys(t, s, "slack")
		slices.Sort(pending)
		recorded := eventKeys(all(t, s, history.Filter{}))
		if sum != events || len(recorded) != events {
			t.Errorf("%d were said to be new and %d are recorded, want %d", sum, len(recorded), events)
		}
		if diff := cmp.Diff(recorded, pending); diff != "" {
			t.Errorf("pending is not what is recorded, -recorded +pending:\n%s", diff)
		}
	})
}

// TestManyEventsAtOnce goes over the size of one statement.
func TestManyEventsAtOnce(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		if err := s.Register(t.Context(), "slack"); err != nil {
			t.Fatal(err)
		}
		var events []history.Event
		for i := range 1001 {
			// Recorded in another order than that of their times.
			events = append(events, event(1000-i, func(e *history.Event) { e.Release = fmt.Sprint(i) }))
		}
		mustAppend(t, s, events...)
		if diff := cmp.Diff(eventKeys(events)[:1000], pendingKeys(t, s, "slack")); diff != "" {
			t.Errorf("not in the order of recording: -want +got:\n%s", diff)
		}
		slices.Reverse(events)
		if diff := cmp.Diff(eventKeys(events), eventKeys(all(t, s, history.Filter{}))); diff != "" {
			t.Errorf("not in the order of time: -want +got:\n%s", diff)
		}
	})
}
