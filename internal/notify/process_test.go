package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// journal is a log that a test can read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// setAside are the keys of the events that were given up, by the log.
func (j *journal) setAside() []string {
	var keys []string
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, "level=ERROR") && strings.Contains(line, "notification set aside") {
			_, rest, _ := strings.Cut(line, " event=")
			key, _, _ := strings.Cut(rest, " ")
			keys = append(keys, key)
		}
	}
	return keys
}

// world is what outlives a process: the clock, the store and the log.
type world struct {
	t       *testing.T
	clock   *testenv.Clock
	store   *memoryStore
	journal *journal
}

func newWorld(t *testing.T) *world {
	clock := testenv.NewClock()
	return &world{t: t, clock: clock, store: newMemoryStore(clock.Now), journal: &journal{}}
}

// process is one life of Sengu.
type process struct {
	dispatcher *notify.Dispatcher
	cancel     context.CancelFunc
	done       chan struct{}
}

// start runs a dispatcher until the test ends or stop is called.
func (w *world) start(opts notify.Options) *process {
	w.t.Helper()
	opts.Store, opts.Clock, opts.Logger = w.store, w.clock, w.journal.logger()
	d, err := notify.New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &process{d, cancel, make(chan struct{})}
	go func() {
		defer close(p.done)
		d.Run(ctx)
	}()
	w.t.Cleanup(p.stop)
	for _, s := range opts.Sinks {
		w.eventually(func() error {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			if w.store.sinks[s.Name] == nil && !w.store.dead {
				return errors.New("the sink is not registered")
			}
			return nil
		})
	}
	return p
}

func (p *process) stop() {
	p.cancel()
	<-p.done
}

// eventually waits for a condition while the clock stands still.
func (w *world) eventually(check func() error) {
	w.t.Helper()
	testenv.Eventually(w.t, patience, check)
}

// drive waits for a condition and moves the clock by a second whenever somebody waits for it.
func (w *world) drive(check func() error) {
	w.t.Helper()
	w.driveBy(time.Second, check)
}

func (w *world) driveBy(step time.Duration, check func() error) {
	w.t.Helper()
	testenv.Eventually(w.t, patience, func() error {
		err := check()
		if err != nil && w.clock.HasWaiters() {
			w.clock.Step(step)
		}
		return err
	})
}

func (w *world) finished(sink string) func() error {
	return func() error {
		if left := w.store.unfinished(sink); len(left) > 0 {
			return fmt.Errorf("not told yet: %s", strings.Join(left, ", "))
		}
		return nil
	}
}

func same(got, want []string) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

const revision = "0123456789abcdef0123456789abcdef01234567"

// events are n events of one Release, each in an environment of its own.
func events(n int) []history.Event {
	out := make([]history.Event, 0, n)
	for i := range n {
		out = append(out, history.Event{
			Key: fmt.Sprintf("shop/checkout/%d", i), Time: time.Date(2030, time.April, 1, 8, 0, i, 0, time.UTC), Kind: history.Done,
			Fleet: "shop", Service: "checkout", Environment: fmt.Sprintf("env-%d", i), Release: "checkout-1",
			Revision: revision, Title: "Round the cart", Author: "Somebody", By: "sengu",
		})
	}
	return out
}

func keys(list []history.Event) []string {
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, e.Key)
	}
	return out
}
