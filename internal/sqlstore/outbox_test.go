package sqlstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

func of(release string) func(*history.Event) {
	return func(e *history.Event) { e.Release = release }
}

func TestASinkIsToldWhatComesAfterIt(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		if _, err := s.Pending(ctx, "slack", 10); !errors.Is(err, sqlstore.ErrUnknownSink) {
			t.Errorf("pending for nobody: %v", err)
		}
		mustAppend(t, s, event(1))
		for _, sink := range []string{"slack", "webhook"} {
			if err := s.Register(ctx, sink); err != nil {
				t.Fatal(err)
			}
		}
		mustAppend(t, s, event(2), event(3))
		if err := s.Register(ctx, "slack"); err != nil { // again, which changes nothing
			t.Fatal(err)
		}
		want := []string{event(2).Key, event(3).Key}
		for _, sink := range []string{"slack", "webhook"} {
			if diff := cmp.Diff(want, pendingKeys(t, s, sink)); diff != "" {
				t.Errorf("%s, -want +got:\n%s", sink, diff)
			}
		}
		if got, err := s.Pending(ctx, "slack", 1); err != nil || len(got) != 1 || got[0].Event.Key != want[0] {
			t.Errorf("one pending: %+v, %v", got, err)
		}
		for range 2 {
			if err := s.Acknowledge(ctx, "slack", want[0]); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want[1:], pendingKeys(t, s, "slack")); diff != "" {
			t.Errorf("acknowledged, -want +got:\n%s", diff)
		}
		if diff := cmp.Diff(want, pendingKeys(t, s, "webhook")); diff != "" {
			t.Errorf("acknowledged by another, -want +got:\n%s", diff)
		}
		if err := s.Unregister(ctx, "webhook"); err != nil {
			t.Fatal(err)
		}
		if err := s.Register(ctx, "webhook"); err != nil {
			t.Fatal(err)
		}
		if got := pendingKeys(t, s, "webhook"); len(got) != 0 {
			t.Errorf("registered anew, pending %v", got)
		}
	})
}

func TestPostpone(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			ctx := t.Context()
			clock := clocktesting.NewFakePassiveClock(start)
			s := openAt(t, d.create(t), clock.Now)
			if err := s.Register(ctx, "slack"); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, s,
				event(1, of("a")), event(2, of("b")), event(3, of("a")), event(4, of("")), event(5, of("")), event(6, of("b")),
				event(7, of("a"), func(e *history.Event) { e.Fleet = "bank" }))
			put := func(n int, until time.Duration, reason string) {
				t.Helper()
				if err := s.Postpone(ctx, "slack", event(n).Key, start.Add(until), reason); err != nil {
					t.Fatal(err)
				}
			}
			check := func(why string, want ...int) []history.Delivery {
				t.Helper()
				var names []string
				for _, n := range want {
					names = append(names, event(n).Key)
				}
				got, err := s.Pending(ctx, "slack", 100)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(names, keys(got, func(d history.Delivery) string { return d.Event.Key })); diff != "" {
					t.Errorf("%s, -want +got:\n%s", why, diff)
				}
				return got
			}
			put(1, time.Minute, "slack says: 429 \xff\x00")
			check("what follows in the Release waits, and nothing else", 2, 4, 5, 6, 7)
			put(4, time.Minute, "")
			check("what names no Release waits for nobody", 2, 5, 6, 7)
			put(6, time.Hour, "")
			check("what went before is not held", 2, 5, 7)
			clock.SetTime(start.Add(time.Minute))
			got := check("due again, in its place", 1, 2, 3, 4, 5, 7)
			if got[0].Attempt != 1 || got[0].Reason != "slack says: 429 �" || got[1].Attempt != 0 {
				t.Errorf("attempts %d (%q) and %d, want 1 and 0", got[0].Attempt, got[0].Reason, got[1].Attempt)
			}
			put(1, 2*time.Minute, strings.Repeat("x", 5000))
			clock.SetTime(start.Add(time.Hour))
			if got := check("everything", 1, 2, 3, 4, 5, 6, 7); got[0].Attempt != 2 || len(got[0].Reason) > 1<<10 {
				t.Errorf("attempt %d, a reason of %d bytes", got[0].Attempt, len(got[0].Reason))
			}
			if err := s.Acknowledge(ctx, "slack", event(1).Key); err != nil {
				t.Fatal(err)
			}
			put(1, 5*time.Hour, "too late")
			check("what is acknowledged is not put off", 2, 3, 4, 5, 6, 7)
			if err := s.Postpone(ctx, "slack", event(2).Key, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "never"); err != nil {
				t.Fatal(err)
			}
			check("put off for ever", 3, 4, 5, 7)

			sinks, err := s.Sinks(ctx)
			want := []history.Sink{{Name: "slack", Registered: start, Pending: 6, Oldest: event(2).Time, Reason: "never"}}
			if diff := cmp.Diff(want, sinks); diff != "" || err != nil {
				t.Errorf("sinks (%v), -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestSinksThatAreUpToDate(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		if sinks, err := s.Sinks(t.Context()); err != nil || len(sinks) != 0 {
			t.Errorf("%v, %v", sinks, err)
		}
		for _, sink := range []string{"b", "a"} {
			if err := s.Register(t.Context(), sink); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Sinks(t.Context())
		if diff := cmp.Diff([]history.Sink{{Name: "a", Registered: start}, {Name: "b", Registered: start}}, got); diff != "" || err != nil {
			t.Errorf("sinks (%v), -want +got:\n%s", err, diff)
		}
	})
}

func TestRemember(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, _ string) {
		ctx := t.Context()
		if err := s.Remember(ctx, "slack", "k", []byte("v")); !errors.Is(err, sqlstore.ErrUnknownSink) {
			t.Errorf("a sink that is not registered remembers: %v", err)
		}
		for _, sink := range []string{"slack", "webhook"} {
			if err := s.Register(ctx, sink); err != nil {
				t.Fatal(err)
			}
		}
		big := bytes.Repeat([]byte{0, 255}, sqlstore.MaxState/2)
		for _, value := range [][]byte{[]byte("first"), {}, big} {
			if err := s.Remember(ctx, "slack", "k", value); err != nil {
				t.Fatal(err)
			}
			got, found, err := s.Recall(ctx, "slack", "k")
			if err != nil || !found || !bytes.Equal(got, value) {
				t.Errorf("%d bytes came back as %d (%v): %v", len(value), len(got), found, err)
			}
		}
		if got, found, err := s.Recall(ctx, "webhook", "k"); found || err != nil {
			t.Errorf("another sink recalls %q: %v", got, err)
		}
		if err := s.Remember(ctx, "slack", "k", append(big, 0)); !errors.Is(err, sqlstore.ErrRefused) {
			t.Errorf("too much: %v", err)
		}
		if err := s.Remember(ctx, "slack", "k", nil); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Recall(ctx, "slack", "k"); found || err != nil {
			t.Errorf("forgotten, and %q came back: %v", got, err)
		}
		if err := errors.Join(
			s.Remember(ctx, "slack", "k", []byte("v")), s.Unregister(ctx, "slack"), s.Register(ctx, "slack"),
		); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Recall(ctx, "slack", "k"); found || err != nil {
			t.Errorf("registered anew, and %q came back: %v", got, err)
		}
	})
}

// TestNoSinkMissesARow has several writers record, over two Stores, while sinks register and read. Whatever is recorded after
// a sink has registered reaches it, and each Release in order.
func TestNoSinkMissesARow(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, url string) {
		stores := []*sqlstore.Store{s, open(t, url)}
		const writers, batches, perBatch = 4, 25, 3
		var written [writers]atomic.Int64 // batches whose Append has begun
		var ended atomic.Int64
		g, ctx := errgroup.WithContext(t.Context())
		for w := range writers {
			g.Go(func() error {
				defer ended.Add(1)
				for b := range batches {
					written[w].Store(int64(b) + 1)
					var list []history.Event
					for i := range perBatch {
						list = append(list, event((b*writers+w)*perBatch+i, of(fmt.Sprint(w)), func(e *history.Event) {
							e.Why = fmt.Sprint(b*perBatch + i)
						}))
					}
					if _, err := stores[w%2].Append(ctx, list...); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for n := range 3 {
			g.Go(func() error {
				sink := fmt.Sprint("sink-", n)
				// Registered in the middle of it, not before.
				for n > 0 && written[0].Load() < int64(5*n) {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := s.Ping(ctx); err != nil {
						return err
					}
				}
				if err := stores[n%2].Register(ctx, sink); err != nil {
					return err
				}
				var owed [writers]int // the first event that must come
				for w := range writers {
					owed[w] = int(written[w].Load()) * perBatch
				}
				got := map[string]int{} // how far each Release has come
				for last := false; ; {
					deliveries, err := stores[(n+1)%2].Pending(ctx, sink, 7)
					if err != nil {
						return err
					}
					for _, d := range deliveries {
						var number int
						if _, err := fmt.Sscan(d.Event.Why, &number); err != nil {
							return err
						}
						if before, ok := got[d.Event.Release]; ok && number != before+1 {
							return fmt.Errorf("%s: of Release %s event %d came after %d", sink, d.Event.Release, number, before)
						}
						got[d.Event.Release] = number
						if err := stores[n%2].Acknowledge(ctx, sink, d.Event.Key); err != nil {
							return err
						}
						var w int
						_, _ = fmt.Sscan(d.Event.Release, &w)
						if number <= owed[w] {
							owed[w] = -1
						}
					}
					if len(deliveries) > 0 {
						continue
					}
					if last {
						break
					}
					last = ended.Load() == writers
				}
				for w := range writers {
					if owed[w] >= 0 && owed[w] < batches*perBatch || owed[w] < 0 && got[fmt.Sprint(w)] != batches*perBatch-1 {
						return fmt.Errorf("%s was not told all of Release %d: owed from %d, got up to %d", sink, w, owed[w], got[fmt.Sprint(w)])
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
}
