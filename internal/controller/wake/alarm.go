package wake

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Alarm wakes objects at a time. Unlike a requeue, it goes by a clock that can be set. The zero value is not usable; see
// NewAlarm. It is safe for concurrent use.
type Alarm struct {
	clock clock.WithDelayedExecution
	wake  func(types.NamespacedName)

	mu     sync.Mutex
	closed bool
	timers map[types.NamespacedName]clock.Timer
}

// NewAlarm returns an Alarm that calls wake.
func NewAlarm(c clock.WithDelayedExecution, wake func(types.NamespacedName)) *Alarm {
	return &Alarm{clock: c, wake: wake, timers: map[types.NamespacedName]clock.Timer{}}
}

// Set makes an object be woken at t, and not at the time that was set before. The zero time wakes it never.
func (a *Alarm) Set(name types.NamespacedName, t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if timer := a.timers[name]; timer != nil {
		timer.Stop()
		delete(a.timers, name)
	}
	if t.IsZero() || a.closed {
		return
	}
	a.timers[name] = a.clock.AfterFunc(t.Sub(a.clock.Now()), func() { a.wake(name) })
	// A clock that is set by hand rings only when it is set: it may have been, since the caller looked at it.
	if !a.clock.Now().Before(t) {
		a.timers[name].Stop()
		delete(a.timers, name)
		a.wake(name)
	}
}

// Close stops every alarm.
func (a *Alarm) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for name, timer := range a.timers {
		timer.Stop()
		delete(a.timers, name)
	}
}
