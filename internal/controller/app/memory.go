package app

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// steadyAfter is how long what was healthy may be progressing before its status says so: an object that is put back, or
// changed in place, is often healthy again before anybody could have read it.
const steadyAfter = 2 * time.Second

// wavers remembers the Apps whose status is held back because it will soon be another.
type wavers struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]waver
}

type waver struct {
	since time.Time
	// generation and version of the App whose status is not written yet.
	generation int64
	version    string
	status     *v1alpha1.AppStatus
}

// recall gives app the status that is held back, if it is of this version of app: what was done for it is not done again.
func (w *wavers) recall(app *v1alpha1.App) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held, ok := w.apps[client.ObjectKeyFromObject(app)]
	if ok && held.generation == app.Generation && held.version == app.ResourceVersion {
		app.Status = *held.status.DeepCopy()
	}
}

// hold returns how long the status of app need not be written yet in the place of the one before: nothing of it is news
// but that what was healthy is progressing, since a moment ago. Now is by the clock of the queue, which wakes the App.
func (w *wavers) hold(app *v1alpha1.App, before *v1alpha1.AppStatus, now time.Time) time.Duration {
	name := client.ObjectKeyFromObject(app)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !wavering(before, &app.Status) {
		delete(w.apps, name)
		return 0
	}
	held, known := w.apps[name]
	if !known || held.generation != app.Generation {
		held = waver{since: now, generation: app.Generation}
	}
	held.version, held.status = app.ResourceVersion, app.Status.DeepCopy()
	if w.apps == nil {
		w.apps = map[types.NamespacedName]waver{}
	}
	w.apps[name] = held
	return max(0, held.since.Add(steadyAfter).Sub(now))
}

func (w *wavers) forget(app types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.apps, app)
}

// wavering says whether after differs from before in nothing but that what was healthy is progressing, by itself or
// because another revision was applied to the same objects.
func wavering(before, after *v1alpha1.AppStatus) bool {
	if before.Health != v1alpha1.Healthy || after.Health != v1alpha1.Progressing {
		return false
	}
	sameObject := func(a, b v1alpha1.InventoryEntry) bool { return a.ID == b.ID && a.UID == b.UID }
	if !slices.EqualFunc(before.Inventory, after.Inventory, sameObject) {
		return false
	}
	calm := *after
	calm.Health, calm.Inventory, calm.Why, calm.Conditions = before.Health, before.Inventory, before.Why, before.Conditions
	calm.ObservedGeneration, calm.Revision, calm.LastSynced, calm.Digest = before.ObservedGeneration, before.Revision, before.LastSynced, before.Digest
	calm.Inputs, calm.InputsDigest, calm.Renderer = before.Inputs, before.InputsDigest, before.Renderer
	return equality.Semantic.DeepEqual(before, &calm)
}
