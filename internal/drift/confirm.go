package drift

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// confirm asks for an object by name, because it has left its watch or was not in a list. Until the API server has
// answered, what is known of it stays.
func (w *Watcher) confirm(r kube.Resource, live manifest.Live) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.confirming[live.Ref] || w.ctx.Err() != nil {
		return
	}
	w.confirming[live.Ref] = true
	w.group.Go(func() {
		for wait := firstWait; !w.ask(r, live); wait = min(2*wait, lastWait) {
			select {
			case <-time.After(wait):
			case <-w.ctx.Done():
				return
			}
		}
	})
}

// ask asks once, and says whether there was an answer.
func (w *Watcher) ask(r kube.Resource, live manifest.Live) (answered bool) {
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return true
	}
	defer func() { <-w.slots }()
	// From here on another event of the object asks again: the answer may be from before it.
	w.mu.Lock()
	delete(w.confirming, live.Ref)
	w.mu.Unlock()
	u, err := w.conn.Get(w.ctx, r, live.Namespace, live.Name, kube.As{})
	switch {
	case apierrors.IsNotFound(err) || kube.IsNotServed(err):
		w.pods.release(live.Ref)
		w.found.drop(live.Ref)
		w.tell(w.table.drop(live)...)
		return true
	case err != nil:
		w.Logger.Warn("whether an object is gone could not be asked, its last state is kept", "object", live.String(), "error", err)
		return false
	}
	record := w.recordOf(u)
	owners := w.table.put(record)
	w.followPods(record, u)
	w.tell(owners...)
	return true
}
