package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
	"github.com/sengu-dev/sengu/internal/sqlstore/postgrestest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(appendForever); url != "" {
		os.Exit(appendUntilKilled(url))
	}
	code := m.Run()
	if err := stopServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// server is the one PostgreSQL server of this package, started when a test first asks for it.
var server struct {
	mu      sync.Mutex
	running *postgrestest.Server
}

func postgres(t testing.TB) *postgrestest.Server {
	t.Helper()
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.running == nil {
		s, err := postgrestest.Start(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		server.running = s
	}
	return server.running
}

func stopServer() error {
	if server.running == nil {
		return nil
	}
	return server.running.Close()
}

// database is a kind of database that a Store may have.
type database struct {
	name string
	// create makes an empty database and returns its URL.
	create func(t testing.TB) string
}

var databases = []database{
	{"SQLite", func(t testing.TB) string { return filepath.Join(t.TempDir(), "a b%20?#.db") }},
	{"PostgreSQL", func(t testing.TB) string { return postgres(t).Database(t) }},
}

// inEach runs a test once for each kind of database, with a Store over an empty one.
func inEach(t *testing.T, test func(t *testing.T, s *sqlstore.Store, url string)) {
	t.Helper()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			url := d.create(t)
			test(t, open(t, url), url)
		})
	}
}

var (
	start = time.Date(2030, time.April, 1, 9, 0, 0, 123456789, time.UTC)
	clock = clocktesting.NewFakePassiveClock(start)
)

// open opens the database with a clock that stands still at start.
func open(t testing.TB, url string) *sqlstore.Store {
	t.Helper()
	return openAt(t, url, clock.Now)
}

func openAt(t testing.TB, url string, now func() time.Time) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), url, sqlstore.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// event is the event with that number: a second later than the one before.
func event(n int, change ...func(*history.Event)) history.Event {
	e := history.Event{
		Key: fmt.Sprintf("shop/checkout/%06d", n), Time: start.Add(time.Duration(n) * time.Second), Kind: history.Started,
		Fleet: "shop", Service: "checkout", Environment: "staging", Release: "checkout-1", Group: "g1",
		Revision: strings.Repeat("a", 40), Title: "Take cards", By: "sengu",
		Images: []history.Image{{Name: "registry.example.com/shop/checkout", Tag: "1.2.3"}},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func mustAppend(t testing.TB, s *sqlstore.Store, events ...history.Event) {
	t.Helper()
	n, err := s.Append(t.Context(), events...)
	if err != nil || n != len(events) {
		t.Fatalf("%d of %d events were new: %v", n, len(events), err)
	}
}

// all walks everything.
func all(t testing.TB, s *sqlstore.Store, f history.Filter) []history.Event {
	t.Helper()
	var events []history.Event
	err := s.Walk(t.Context(), f, func(e history.Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func keys[T any](list []T, key func(T) string) []string {
	all := make([]string, 0, len(list))
	for _, e := range list {
		all = append(all, key(e))
	}
	return all
}

func eventKeys(events []history.Event) []string {
	return keys(events, func(e history.Event) string { return e.Key })
}

func pendingKeys(t testing.TB, s *sqlstore.Store, sink string) []string {
	t.Helper()
	deliveries, err := s.Pending(t.Context(), sink, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return keys(deliveries, func(d history.Delivery) string { return d.Event.Key })
}
