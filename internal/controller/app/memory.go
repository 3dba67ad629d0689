package app

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// firstRetry is the wait after the first failure of an App; it doubles from there.
	firstRetry = 2 * time.Second
	// lastRetry is the longest wait. A new commit or a person does not wait for it.
	lastRetry = 5 * time.Minute
)

// tries remembers the Apps whose last try failed, and when the next is due.
type tries struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]try
}

type try struct {
	generation int64
	failures   int
	next       time.Time
}

// due reports whether app may be tried now: it did not fail at this generation, or has waited.
func (t *tries) due(app types.NamespacedName, generation int64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, failed := t.apps[app]
	return !failed || last.generation != generation || !now.Before(last.next)
}

// failed notes a failure and returns how long to wait. What only a change of the input can mend waits longest.
func (t *tries) failed(app types.NamespacedName, generation int64, retryable bool, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.apps[app]
	if last.generation != generation {
		last = try{generation: generation}
	}
	wait := lastRetry
	if retryable {
		wait = min(firstRetry<<min(last.failures, 16), lastRetry)
	}
	last.failures++
	last.next = now.Add(wait)
	if t.apps == nil {
		t.apps = map[types.NamespacedName]try{}
	}
	t.apps[app] = last
	return wait
}

// wait returns how long app still waits for its next try, if its last one failed and it does.
func (t *tries) wait(app types.NamespacedName, now time.Time) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, failed := t.apps[app]
	if !failed || !now.Before(last.next) {
		return 0, false
	}
	return last.next.Sub(now), true
}

func (t *tries) done(app types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.apps, app)
}

// steadyAfter is how long what was healthy may be progressing before its status says so: an object that is put back is
// often healthy again before anybody could have read it.
const steadyAfter = time.Second

// wavers remembers since when Apps have been progressing without their status saying so.
type wavers struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]time.Time
}

// hold returns how long the status of app need not be written yet: nothing of it has changed but that what was healthy
// is progressing, since a moment ago.
func (w *wavers) hold(app types.NamespacedName, before, after *v1alpha1.AppStatus, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !waver(before, after) {
		delete(w.apps, app)
		return 0
	}
	since, known := w.apps[app]
	if !known {
		if w.apps == nil {
			w.apps = map[types.NamespacedName]time.Time{}
		}
		since, w.apps[app] = now, now
	}
	return max(0, since.Add(steadyAfter).Sub(now))
}

func (w *wavers) forget(app types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.apps, app)
}

// waver says whether after differs from before in nothing but that what was healthy is progressing.
func waver(before, after *v1alpha1.AppStatus) bool {
	if before.Health != v1alpha1.Healthy || after.Health != v1alpha1.Progressing {
		return false
	}
	sameButHealth := func(a, b v1alpha1.InventoryEntry) bool {
		a.Health, b.Health = "", ""
		return a == b
	}
	if !slices.EqualFunc(before.Inventory, after.Inventory, sameButHealth) {
		return false
	}
	calm := *after
	calm.Health, calm.Inventory, calm.Why, calm.Conditions = before.Health, before.Inventory, before.Why, before.Conditions
	return equality.Semantic.DeepEqual(before, &calm)
}
