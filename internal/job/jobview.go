package job

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// jobView sees Jobs.
type jobView struct{ w *Watcher }

func (v jobView) list() (each func(*unstructured.Unstructured), complete func(string)) {
	seen := map[key]bool{}
	each = func(u *unstructured.Unstructured) {
		seen[key{u.GetNamespace(), u.GetName()}] = true
		v.event(u, false)
	}
	return each, func(version string) {
		// What is newer than the list cannot be in it.
		v.w.confirmAll(func(k key, f *followed) bool { return !seen[k] && !manifest.Newer(f.version, version) })
	}
}

func (v jobView) wants(e kube.Event) bool {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	return v.w.jobs[key{e.Namespace, e.Name}] != nil
}

// again asks for the Jobs that the watch does not tell of.
func (v jobView) again() {
	v.w.confirmAll(func(_ key, f *followed) bool { return f.stripped })
}

func (v jobView) event(u *unstructured.Unstructured, left bool) {
	w := v.w
	w.mu.Lock()
	f := w.jobs[key{u.GetNamespace(), u.GetName()}]
	changed := f != nil && w.see(f, u, left)
	w.mu.Unlock()
	w.tell(f, changed)
}

// see notes a state of a Job of that name, and says whether f has changed. One that has left the watch without being
// over was deleted, or its label was taken off.
func (w *Watcher) see(f *followed, u *unstructured.Unstructured, left bool) (changed bool) {
	uid := string(u.GetUID())
	switch {
	case f.state.Done() || f.explaining:
		return false
	case f.known && uid != f.said.UID:
		w.confirm(f) // another one has its name, so ours is gone
		return false
	case !f.known && ((f.spec.UID != "" && uid != f.spec.UID) || f.spec.foreign(u) != ""):
		return false
	case f.known && manifest.Newer(f.version, u.GetResourceVersion()):
		return false
	}
	state, err := stateOf(u)
	if err != nil {
		w.Logger.Warn("a Job cannot be read, its last state is kept", "namespace", u.GetNamespace(), "job", u.GetName(), "error", err)
		return false
	}
	if left && !state.Done() {
		w.confirm(f)
		return false
	}
	if state.Phase == Failed {
		f.explaining = true
		w.apart(func() { w.explain(f, state) })
		return false
	}
	changed = f.note(state, u.GetResourceVersion(), w.Now())
	if state.Done() {
		w.rest()
	}
	return changed
}

// explain asks the Pods of a Job that has failed for the reason, and then lets it have failed.
func (w *Watcher) explain(f *followed, state State) {
	if !w.turn() {
		return
	}
	defer w.endTurn()
	cause := causeOf(w.ctx, w.conn, kube.As{}, f.spec.Namespace, f.spec.Name, state)
	w.mu.Lock()
	if cause == "" && f.last != "" {
		cause = "; before that, " + f.last
	}
	state.Message += cause
	changed := w.finish(f, state)
	w.mu.Unlock()
	w.tell(f, changed)
}

// finish notes that a Job is over, and says whether that is news.
func (w *Watcher) finish(f *followed, state State) (changed bool) {
	if f.state.Done() || w.ctx.Err() != nil {
		return false
	}
	f.explaining = false
	changed = f.note(state, f.version, w.Now())
	w.rest()
	return changed
}

// confirmAll asks for those of the Jobs that run which are chosen.
func (w *Watcher) confirmAll(chosen func(key, *followed) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, f := range w.jobs {
		if f.known && !f.state.Done() && chosen(k, f) {
			w.confirm(f)
		}
	}
}

// confirm asks for a Job by name, because it has left the watch or was not in a list. Until the API server has
// answered, what is known of it stays.
func (w *Watcher) confirm(f *followed) {
	if f.confirming {
		return
	}
	f.confirming = true
	w.apart(func() {
		for wait := firstWait; !w.asked(f); wait = min(2*wait, lastWait) {
			select {
			case <-time.After(wait):
			case <-w.ctx.Done():
				return
			}
		}
	})
}

// asked asks once, and says whether there was an answer or none is needed any more.
func (w *Watcher) asked(f *followed) bool {
	if !w.turn() {
		return true
	}
	defer w.endTurn()
	w.mu.Lock()
	// From here on another event of the Job asks again: the answer may be from before it.
	f.confirming = false
	needed := w.jobs[f.spec.key()] == f && !f.state.Done()
	w.mu.Unlock()
	if !needed {
		return true
	}
	u, err := w.conn.Get(w.ctx, jobs, f.spec.Namespace, f.spec.Name, kube.As{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.Logger.Warn("whether a Job is gone could not be asked, its last state is kept", "namespace", f.spec.Namespace, "job", f.spec.Name, "error", err)
		return false
	}
	w.mu.Lock()
	changed := false
	if err != nil || string(u.GetUID()) != f.said.UID {
		if !f.explaining {
			changed = w.finish(f, gone(f.said, f.said.UID, w.Now()))
		}
	} else {
		_, labelled := u.GetLabels()[Label]
		f.stripped = !labelled
		changed = w.see(f, u, false)
	}
	w.mu.Unlock()
	w.tell(f, changed)
	return true
}
