package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

// receiver is a real HTTP server that answers as a test says, by event.
type receiver struct {
	*httptest.Server
	world *world

	mu     sync.Mutex
	calls  []call
	answer func(key string, n int) (status int, after string) // n counts the calls for the key, from 1
}

type call struct {
	key string
	at  time.Time
	ok  bool
}

func newReceiver(w *world, answer func(key string, n int) (int, string)) *receiver {
	r := &receiver{world: w, answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		key := req.Header.Get("Idempotency-Key")
		r.mu.Lock()
		n := 1
		for _, c := range r.calls {
			if c.key == key {
				n++
			}
		}
		status, after := http.StatusOK, ""
		if r.answer != nil {
			status, after = r.answer(key, n)
		}
		r.calls = append(r.calls, call{key, w.clock.Now(), status == http.StatusOK})
		r.mu.Unlock()
		if after != "" {
			rw.Header().Set("Retry-After", after)
		}
		rw.WriteHeader(status)
	}))
	w.t.Cleanup(r.Close)
	return r
}

func (r *receiver) sink() notify.Sink {
	s, err := webhook.New(webhook.Options{
		URL: r.URL, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: patience, Now: r.world.clock.Now,
	})
	if err != nil {
		r.world.t.Fatal(err)
	}
	return s
}

// got are the keys of the calls that were answered well, or of all.
func (r *receiver) got(all bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, c := range r.calls {
		if all || c.ok {
			out = append(out, c.key)
		}
	}
	return out
}

func (r *receiver) times(key string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []time.Time
	for _, c := range r.calls {
		if c.key == key {
			out = append(out, c.at)
		}
	}
	return out
}

func (r *receiver) subscription() []notify.Subscription {
	return []notify.Subscription{{Name: "shop/hook", Sink: r.sink()}}
}

func TestTheStoreMayBeAway(t *testing.T) {
	for _, method := range []string{"register", "pending", "acknowledge"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			list := events(3)
			r := newReceiver(w, nil)
			w.store.breakNext(method, 3)
			if method == "register" {
				// Registered once already, so that the events are for it.
				if err := w.store.Register(t.Context(), "shop/hook"); err == nil {
					t.Fatal("the store is not away")
				}
				w.store.breakNext(method, 0)
				_ = w.store.Register(t.Context(), "shop/hook")
				w.store.breakNext(method, 3)
			}
			p := w.start(notify.Options{Sinks: r.subscription()})
			w.store.record(list...)
			p.dispatcher.Wake()
			w.drive(w.finished("shop/hook"))
			if err := same(slices.Compact(r.got(false)), keys(list)); err != nil {
				t.Error(err)
			}
			if !strings.Contains(w.journal.String(), "notifications wait for the store") {
				t.Error("the log does not say so")
			}
		})
	}
}

func TestNothingIsAskedUntilSomebodyWakes(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	p := w.start(notify.Options{Sinks: r.subscription(), Idle: time.Minute})
	idle := func() {
		w.eventually(func() error {
			if !w.clock.HasWaiters() {
				return errors.New("it does not rest")
			}
			return nil
		})
	}
	idle()
	before := w.store.called("pending")
	list := events(3)
	w.store.record(list[0])
	p.dispatcher.Wake()
	w.eventually(w.finished("shop/hook"))
	idle()
	if n := w.store.called("pending") - before; n > 3 {
		t.Errorf("the store was asked %d times for one event", n)
	}
	// Without a wake-up it is found all the same, later.
	w.store.record(list[1])
	w.clock.Step(time.Minute)
	w.eventually(w.finished("shop/hook"))
}

// odd is a Sink that does what a test says.
type odd struct {
	tell func(ctx context.Context, n []notify.Notice) (int, error)
}

func (o odd) Tell(ctx context.Context, _ notify.Memory, n []notify.Notice) (int, error) {
	return o.tell(ctx, n)
}

func TestASinkThatBreaksDown(t *testing.T) {
	w := newWorld(t)
	list := events(4)
	var mu sync.Mutex
	var got []string
	sink := odd{func(_ context.Context, n []notify.Notice) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		switch n[0].Key {
		case list[0].Key:
			panic("p4ssw0rd")
		case list[1].Key:
			return 0, nil
		case list[2].Key:
			got = append(got, n[0].Key)
			return 99, errors.New("and yet")
		}
		got = append(got, n[0].Key)
		return len(n), nil
	}}
	p := w.start(notify.Options{Sinks: []notify.Subscription{{Name: "odd", Sink: sink}}})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished("odd"))
	if err := same(w.journal.setAside(), keys(list[:2])); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if err := same(got, []string{list[2].Key}); err != nil {
		t.Error(err)
	}
	if log := w.journal.String(); strings.Contains(log, "p4ssw0rd") || !strings.Contains(log, "dispatcher_test.go") {
		t.Errorf("the log holds what was panicked with, or not where:\n%s", log)
	}
}

func TestASlowSinkHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	stop := make(chan struct{})
	slow := odd{func(ctx context.Context, _ []notify.Notice) (int, error) {
		select {
		case <-ctx.Done():
		case <-stop:
		}
		return 0, errors.New("too slow")
	}}
	r := newReceiver(w, nil)
	list := events(3)
	p := w.start(notify.Options{Sinks: append(r.subscription(), notify.Subscription{Name: "slow", Sink: slow})})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.eventually(w.finished("shop/hook"))
	// Stopping does not wait for it either.
	p.stop()
	close(stop)
	if n := w.store.called("postpone"); n > 0 {
		t.Errorf("being stopped counted as %d failures", n)
	}
}

func TestUse(t *testing.T) {
	w := newWorld(t)
	first, second := newReceiver(w, nil), newReceiver(w, nil)
	list := events(6)
	sub := func(name, version string, r *receiver) notify.Subscription {
		return notify.Subscription{Name: name, Version: version, Sink: r.sink()}
	}
	a := sub("a", "1", first)
	p := w.start(notify.Options{Sinks: []notify.Subscription{a}})
	w.store.record(list[:2]...)
	p.dispatcher.Wake()
	w.eventually(w.finished("a"))
	// The same version keeps its sink, another one gets the new sink, and a second sink begins with what comes then.
	if err := p.dispatcher.Use(sub("a", "1", second), sub("b", "1", second)); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error { return same(w.store.unfinished("b"), nil) })
	w.store.record(list[2])
	p.dispatcher.Wake()
	w.eventually(w.finished("a"))
	w.eventually(w.finished("b"))
	before := w.store.called("register")
	if err := p.dispatcher.Use(sub("a", "2", second)); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error {
		if w.store.called("register") == before {
			return errors.New("the new worker has not begun, nor has the old one ended")
		}
		return nil
	})
	w.store.record(list[3])
	w.eventually(func() error { p.dispatcher.Wake(); return w.finished("a")() })
	if err := errors.Join(same(first.got(true), keys(list[:3])), same(second.got(true), []string{list[2].Key, list[3].Key})); err != nil {
		t.Error(err)
	}
	if err := same(w.store.unfinished("b"), []string{list[3].Key}); err != nil {
		t.Error(err)
	}
	for name, subs := range map[string][]notify.Subscription{
		"no name": {{Sink: first.sink()}}, "no sink": {{Name: "x"}}, "twice": {sub("x", "", first), sub("x", "", second)},
	} {
		if err := p.dispatcher.Use(subs...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := notify.New(notify.Options{}); err == nil {
		t.Error("a dispatcher without a store was made")
	}
}

func TestRoutesDecide(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	list := events(5)
	list[1].Kind = history.Started
	list[2].Fleet = "bank"
	list[3].Images = []history.Image{{Tag: "1"}}
	filters, err := notify.Compile([]notify.Route{{
		Name: "done", Sink: notify.WebhookSink, Fleets: []string{"shop"}, Events: []history.Kind{history.Done}, If: `event.images[0].tag == "1"`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	list[4].Images = []history.Image{{Tag: "2"}}
	p := w.start(notify.Options{Sinks: []notify.Subscription{{Name: "shop/hook", Filter: filters[0], Sink: r.sink()}}})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.eventually(w.finished("shop/hook"))
	// The first one has no image, so that the expression fails, and is told for that reason.
	if err := same(r.got(true), []string{list[0].Key, list[3].Key}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.journal.String(), "event told although its filter failed") {
		t.Error("the log does not say that the filter failed")
	}
}

func TestManyEventsInOrder(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	list := events(300)
	p := w.start(notify.Options{Sinks: r.subscription()})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.eventually(w.finished("shop/hook"))
	if err := same(r.got(true), keys(list)); err != nil {
		t.Error(err)
	}
}

func TestSelfTest(t *testing.T) {
	w := newWorld(t)
	status := http.StatusOK
	r := newReceiver(w, func(string, int) (int, string) { return status, "" })
	sink := r.sink()
	defer sink.(*webhook.Sink).CloseIdleConnections()
	if err := notify.Test(t.Context(), sink, w.clock.Now()); err != nil {
		t.Error(err)
	}
	status = http.StatusUnauthorized
	if err := notify.Test(t.Context(), sink, w.clock.Now()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v", err)
	}
	want := fmt.Sprintf("test/%d", w.clock.Now().UnixNano())
	if err := same(r.got(true), []string{want, want}); err != nil {
		t.Error(err)
	}
}
