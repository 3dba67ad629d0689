package sqlstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// spread is an event of 1,000 services in 5 environments.
func spread(n int) history.Event {
	return event(n, func(e *history.Event) {
		e.Service, e.Environment = fmt.Sprint("service-", n%1000), fmt.Sprint("environment-", n/1000%5)
		e.Release, e.Group = fmt.Sprint("release-", n/20), fmt.Sprint("group-", n/200)
		e.Why = "all 4 objects of 12 are healthy, and the soak of 10m0s has passed"
	})
}

// BenchmarkAppend records batches of 50, with two sinks registered.
func BenchmarkAppend(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			s := open(b, d.create(b))
			for _, sink := range []string{"slack", "webhook"} {
				if err := s.Register(b.Context(), sink); err != nil {
					b.Fatal(err)
				}
			}
			next := 0
			for b.Loop() {
				next = appendBatch(b, s, next, 50)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(next), "µs/event")
		})
	}
}

func appendBatch(b *testing.B, s *sqlstore.Store, next, n int) int {
	events := make([]history.Event, n)
	for i := range events {
		events[i] = spread(next + i)
	}
	mustAppend(b, s, events...)
	return next + n
}

// BenchmarkMillion reads from a record of 1,000,000 events.
func BenchmarkMillion(b *testing.B) {
	const million = 1_000_000
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			s := open(b, d.create(b))
			if err := s.Register(b.Context(), "slack"); err != nil {
				b.Fatal(err)
			}
			for next := 0; next < million; {
				next = appendBatch(b, s, next, 5000)
			}
			if err := s.Exec(b.Context(), "ANALYZE"); err != nil {
				b.Fatal(err)
			}
			middle := history.After(spread(million / 2))
			for name, f := range map[string]history.Filter{
				"Newest":      {},
				"Middle":      {Before: middle},
				"Fleet":       {Fleet: "shop"},
				"Service":     {Fleet: "shop", Service: "service-500"},
				"Environment": {Fleet: "shop", Environment: "environment-3"},
				"Release":     {Release: "release-2500"},
			} {
				b.Run("List/"+name, func(b *testing.B) {
					for b.Loop() {
						if page, err := s.List(b.Context(), f); err != nil || len(page.Events) == 0 {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("Pending", func(b *testing.B) {
				for b.Loop() {
					if got, err := s.Pending(b.Context(), "slack", 50); err != nil || len(got) != 50 {
						b.Fatal(err)
					}
				}
			})
			b.Run("Insights", func(b *testing.B) {
				for b.Loop() {
					m := history.NewMeasure(start, start.Add(million*time.Second), history.By{Service: true, Environment: true})
					if err := s.Walk(b.Context(), history.Filter{}, m.Add); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
