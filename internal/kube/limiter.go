package kube

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxHold is the longest time that a request waits because the server asked for a pause. Beyond it the caller is told,
// so that a worker is not held up.
const maxHold = 5 * time.Second

// maxPause bounds what a server may ask for.
const maxPause = time.Minute

// limiter says how many requests may be under way at once: additive increase, multiplicative decrease. The number
// grows by one for each round of that many answers while it is in full use, and is halved when the server says that it
// has too many. Waiting requests take turns by flow, so that an App of 5,000 objects does not make one of four wait.
type limiter struct {
	mu       sync.Mutex
	limit    float64
	max      float64
	inFlight int
	// round numbers the decreases: one burst of refusals halves once.
	round int
	// pausedUntil is when the server wants to hear of us again.
	pausedUntil time.Time
	wake        *time.Timer
	flows       map[string]*flow
	ring        []*flow
}

// flow is the queue of those that wait under one name.
type flow struct {
	name    string
	waiting []*turn
}

type turn struct {
	granted chan struct{}
	round   int
}

func newLimiter(start, maximum int) *limiter {
	return &limiter{limit: float64(min(start, maximum)), max: float64(maximum), flows: map[string]*flow{}}
}

// acquire waits for the turn of one request. The number that it returns is handed back with release.
func (l *limiter) acquire(ctx context.Context, name string) (round int, err error) {
	l.mu.Lock()
	if hold := time.Until(l.pausedUntil); hold > maxHold {
		l.mu.Unlock()
		return 0, apierrors.NewTooManyRequests("the API server asked for a pause", int(hold/time.Second)+1)
	}
	if len(l.ring) == 0 && l.free() {
		l.inFlight++
		defer l.mu.Unlock()
		return l.round, nil
	}
	t := &turn{granted: make(chan struct{})}
	f := l.flows[name]
	if f == nil {
		f = &flow{name: name}
		l.flows[name] = f
		l.ring = append(l.ring, f)
	}
	f.waiting = append(f.waiting, t)
	l.grant()
	l.mu.Unlock()
	select {
	case <-t.granted:
		return t.round, nil
	case <-ctx.Done():
		l.abandon(f, t)
		return 0, ctx.Err()
	}
}

// release ends one request. refused says that the server had too many; then nothing is sent for the pause.
func (l *limiter) release(round int, refused bool, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := float64(l.inFlight) >= l.limit-1
	l.inFlight--
	switch {
	case refused:
		if round == l.round {
			l.round++
			l.limit = max(1, l.limit/2)
		}
		if until := time.Now().Add(min(pause, maxPause)); until.After(l.pausedUntil) {
			l.pausedUntil = until
		}
	case full && l.limit < l.max:
		l.limit = min(l.max, l.limit+1/l.limit)
	}
	l.grant()
}

// free says whether one more request may go now.
func (l *limiter) free() bool {
	return float64(l.inFlight) < max(1, l.limit) && !time.Now().Before(l.pausedUntil)
}

// grant gives turns to those that wait, one flow after the other.
func (l *limiter) grant() {
	for len(l.ring) > 0 && l.free() {
		f := l.ring[0]
		t := f.waiting[0]
		f.waiting = f.waiting[1:]
		l.ring = l.ring[1:]
		if len(f.waiting) > 0 {
			l.ring = append(l.ring, f)
		} else {
			delete(l.flows, f.name)
		}
		l.inFlight++
		t.round = l.round
		close(t.granted)
	}
	if hold := time.Until(l.pausedUntil); len(l.ring) > 0 && hold > 0 && l.wake == nil {
		l.wake = time.AfterFunc(hold, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.wake = nil
			l.grant()
		})
	}
}

// abandon takes back a turn whose context has ended.
func (l *limiter) abandon(f *flow, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-t.granted:
		l.inFlight--
		l.grant()
		return
	default:
	}
	for i, other := range f.waiting {
		if other == t {
			f.waiting = append(f.waiting[:i:i], f.waiting[i+1:]...)
			break
		}
	}
	if len(f.waiting) > 0 {
		return
	}
	delete(l.flows, f.name)
	for i, other := range l.ring {
		if other == f {
			l.ring = append(l.ring[:i:i], l.ring[i+1:]...)
			break
		}
	}
}
