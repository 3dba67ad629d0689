package notify_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/notify"
)

func TestAFailureKeepsTheOrder(t *testing.T) {
	w := newWorld(t)
	list := events(4)
	r := newReceiver(w, func(key string, n int) (int, string) {
		if key == list[1].Key && n <= 4 {
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription()})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished("shop/hook"))
	if err := same(r.got(false), keys(list)); err != nil {
		t.Error(err)
	}
	// 1, 2, 4 and 8 seconds, each a fifth more or less, seen by a clock that moves by whole seconds.
	times := r.times(list[1].Key)
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if got := times[i+1].Sub(times[i]); got < want-want/5 || got > want+want/5+time.Second {
			t.Errorf("pause %d is %s, want about %s", i+1, got, want)
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	w := newWorld(t)
	list := events(2)
	r := newReceiver(w, func(key string, n int) (int, string) {
		switch {
		case key == list[0].Key && n == 1:
			return http.StatusTooManyRequests, "90"
		case key == list[0].Key && n == 2:
			return http.StatusTooManyRequests, "999999"
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription()})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(func() error {
		if len(r.times(list[0].Key)) < 2 {
			return errors.New("not tried again")
		}
		return nil
	})
	w.eventually(func() error {
		if !w.clock.HasWaiters() {
			return errors.New("it does not wait")
		}
		return nil
	})
	w.clock.Step(time.Hour)
	w.drive(w.finished("shop/hook"))
	times := r.times(list[0].Key)
	if first, second := times[1].Sub(times[0]), times[2].Sub(times[1]); first < 90*time.Second || second < time.Hour || second > time.Hour+time.Minute {
		t.Errorf("it waited %s and %s, want 90s and no more than an hour", first, second)
	}
	if err := same(r.got(false), keys(list)); err != nil {
		t.Error(err)
	}
}

func TestARefusedEventIsSetAsideAtOnce(t *testing.T) {
	w := newWorld(t)
	list := events(3)
	r := newReceiver(w, func(key string, _ int) (int, string) {
		if key == list[1].Key {
			return http.StatusUnprocessableEntity, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription()})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished("shop/hook"))
	if err := errors.Join(same(r.got(true), keys(list)), same(w.journal.setAside(), []string{list[1].Key})); err != nil {
		t.Error(err)
	}
	if log := w.journal.String(); !strings.Contains(log, "the receiver answered 422: it does not take this event") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestAPoisonedEventIsSetAsideWhenOthersAreTaken(t *testing.T) {
	w := newWorld(t)
	list := events(4)
	r := newReceiver(w, func(key string, _ int) (int, string) {
		if key == list[1].Key {
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 5})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished("shop/hook"))
	if err := same(w.journal.setAside(), []string{list[1].Key}); err != nil {
		t.Error(err)
	}
	if n := len(r.times(list[1].Key)); n != 5 {
		t.Errorf("it was tried %d times, want 5", n)
	}
	if err := same(r.got(false), []string{list[0].Key, list[2].Key, list[3].Key}); err != nil {
		t.Error(err)
	}
}

func TestALoneEventThatFailsIsTriedOn(t *testing.T) {
	w := newWorld(t)
	list := events(2)
	list[1].Release = "cart-1"
	r := newReceiver(w, func(key string, _ int) (int, string) {
		if key == list[0].Key {
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 3})
	w.store.record(list[0])
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, func() error {
		if len(r.times(list[0].Key)) < 6 {
			return errors.New("not tried on")
		}
		return nil
	})
	if aside := w.journal.setAside(); len(aside) > 0 {
		t.Errorf("set aside although no other event shows that it is to blame: %v", aside)
	}
	// One of another Release shows it, and does not wait for five minutes.
	w.eventually(func() error {
		if !w.clock.HasWaiters() {
			return errors.New("it does not wait")
		}
		return nil
	})
	w.store.record(list[1])
	p.dispatcher.Wake()
	w.eventually(func() error {
		return errors.Join(same(r.got(false), []string{list[1].Key}), same(w.journal.setAside(), []string{list[0].Key}))
	})
}

// TestAnOutageThatEndsUnseen: the lone event that failed in it is told again when another one was taken, and not given up.
func TestAnOutageThatEndsUnseen(t *testing.T) {
	w := newWorld(t)
	list := events(2)
	list[1].Release = "cart-1"
	var mu sync.Mutex
	down := true
	r := newReceiver(w, func(string, int) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return http.StatusBadGateway, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 3})
	w.store.record(list[0])
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, func() error {
		if len(r.times(list[0].Key)) < 6 {
			return errors.New("not tried on")
		}
		return nil
	})
	w.eventually(func() error {
		if !w.clock.HasWaiters() {
			return errors.New("it does not wait")
		}
		return nil
	})
	mu.Lock()
	down = false
	mu.Unlock()
	w.store.record(list[1])
	p.dispatcher.Wake()
	w.eventually(w.finished("shop/hook"))
	if err := errors.Join(same(r.got(false), []string{list[1].Key, list[0].Key}), same(w.journal.setAside(), nil)); err != nil {
		t.Error(err)
	}
}

// TestASuspectThatIsDueWithOthers is told once, and not a second time because another one was taken before it.
func TestASuspectThatIsDueWithOthers(t *testing.T) {
	w := newWorld(t)
	list := events(2)
	list[1].Release = "cart-1"
	// The first one is busy for so long that the second one has its turn, fails, and is due again together with the first.
	r := newReceiver(w, func(key string, n int) (int, string) {
		switch {
		case key == list[0].Key && n == 1:
			return http.StatusTooManyRequests, "1"
		case key == list[1].Key && n == 1:
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 1})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, w.finished("shop/hook"))
	if err := errors.Join(same(r.got(false), keys(list)), same(w.journal.setAside(), nil)); err != nil {
		t.Error(err)
	}
}

// TestBusyAnswersAreNoAttempts: what fails for the first time after them keeps its place before the others.
func TestBusyAnswersAreNoAttempts(t *testing.T) {
	w := newWorld(t)
	list := events(2)
	list[1].Release = "cart-1"
	r := newReceiver(w, func(key string, n int) (int, string) {
		switch {
		case key == list[0].Key && n <= 3:
			return http.StatusServiceUnavailable, "1"
		case key == list[0].Key && n == 4:
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 4})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished("shop/hook"))
	if err := errors.Join(same(r.got(false), keys(list)), same(w.journal.setAside(), nil)); err != nil {
		t.Error(err)
	}
}

// TestAPoisonedEventIsNotTheEndOfItsRelease: what follows it in its Release waits behind it, and not forever.
func TestAPoisonedEventIsNotTheEndOfItsRelease(t *testing.T) {
	w := newWorld(t)
	list := events(3)
	r := newReceiver(w, func(key string, _ int) (int, string) {
		if key == list[0].Key {
			return http.StatusInternalServerError, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 3})
	w.store.record(list[0])
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, func() error {
		if len(r.times(list[0].Key)) < 4 {
			return errors.New("not tried on")
		}
		return nil
	})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, w.finished("shop/hook"))
	if err := errors.Join(same(r.got(false), keys(list[1:])), same(w.journal.setAside(), keys(list[:1]))); err != nil {
		t.Error(err)
	}
}

func TestNothingIsSetAsideWhenTheSinkIsDown(t *testing.T) {
	w := newWorld(t)
	list := events(5)
	var mu sync.Mutex
	down := true
	r := newReceiver(w, func(string, int) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return http.StatusBadGateway, ""
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 3})
	w.store.record(list...)
	p.dispatcher.Wake()
	end := w.clock.Now().Add(4 * time.Hour)
	w.driveBy(time.Minute, func() error {
		if w.clock.Now().Before(end) {
			return errors.New("the outage is not over")
		}
		return nil
	})
	if n := len(r.got(true)); n > 200 {
		t.Errorf("%d calls in an outage of four hours", n)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	w.driveBy(time.Minute, w.finished("shop/hook"))
	if aside := w.journal.setAside(); len(aside) > 0 {
		t.Errorf("set aside: %v", aside)
	}
	got := r.got(false)
	slices.Sort(got)
	if err := same(got, keys(list)); err != nil {
		t.Error(err)
	}
}

func TestABusySinkBlamesNoEvent(t *testing.T) {
	w := newWorld(t)
	list := events(3)
	r := newReceiver(w, func(key string, n int) (int, string) {
		if key == list[0].Key && n <= 10 {
			return http.StatusTooManyRequests, "1"
		}
		return http.StatusOK, ""
	})
	p := w.start(notify.Options{Sinks: r.subscription(), Attempts: 3})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.driveBy(30*time.Second, w.finished("shop/hook"))
	got := r.got(false)
	slices.Sort(got)
	if err := same(got, keys(list)); err != nil || len(w.journal.setAside()) > 0 {
		t.Errorf("%v, aside %v", err, w.journal.setAside())
	}
}

// TestASinkThatTheStoreForgot registers the sink again.
func TestASinkThatTheStoreForgot(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	p := w.start(notify.Options{Sinks: []notify.Subscription{{Name: sinkName, Sink: r.sink()}}})
	list := events(4)
	w.store.record(list[:2]...)
	p.dispatcher.Wake()
	w.drive(w.finished(sinkName))
	w.store.forget(sinkName)
	p.dispatcher.Wake()
	w.drive(func() error {
		if left := w.store.unfinished(sinkName); len(left) > 0 {
			return errors.New(left[0])
		}
		return nil
	})
	w.store.record(list[2:]...)
	p.dispatcher.Wake()
	w.drive(w.finished(sinkName))
	if err := same(r.got(true), keys(list)); err != nil {
		t.Error(err)
	}
}

// TestOldNews drops what happened before a sink's time began.
func TestOldNews(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	list := events(4)
	p := w.start(notify.Options{Sinks: []notify.Subscription{{Name: sinkName, Sink: r.sink(), Since: list[2].Time}}})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished(sinkName))
	if err := same(r.got(true), keys(list[2:])); err != nil {
		t.Error(err)
	}
}

// TestOldNewsIsCounted says once how many were dropped, however many times the store was read for them.
func TestOldNewsIsCounted(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(w, nil)
	list := events(150)
	p := w.start(notify.Options{Sinks: []notify.Subscription{{Name: sinkName, Sink: r.sink(), Since: list[149].Time}}})
	w.store.record(list...)
	p.dispatcher.Wake()
	w.drive(w.finished(sinkName))
	p.stop()
	log := w.journal.String()
	if n := strings.Count(log, "happened before the sink was known"); n != 1 || !strings.Contains(log, "count=149 ") {
		t.Errorf("it is said %d times:\n%s", n, log)
	}
}
