package chronicle

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// maxReplaced is how much of one App is kept in mind that waits to be written down.
const maxReplaced = 64

// replaced keeps in mind what Apps said before they said something else: an App tells of its last hold and its last pin
// only, and the store may be away. What waits here when the process ends is lost.
type replaced struct {
	log *slog.Logger

	mu   sync.Mutex
	apps map[types.NamespacedName][]*v1alpha1.App
}

// handler has the queue filled with the Apps that have something to tell.
func (k *replaced) handler() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	look := func(q queue, obj client.Object) {
		if tells(obj) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { look(q, e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			old, ok1 := e.ObjectOld.(*v1alpha1.App)
			now, ok2 := e.ObjectNew.(*v1alpha1.App)
			if ok1 && ok2 && (!sameHold(old.Spec.Hold, now.Spec.Hold) || !samePin(old.Spec.Pin, now.Spec.Pin)) {
				k.keep(old)
				look(q, old)
			}
			look(q, e.ObjectNew)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if app, ok := e.Object.(*v1alpha1.App); ok && tells(app) {
				k.keep(app)
				look(q, app)
			}
		},
	}
}

// sameHold reports whether b is a, perhaps with its end: nothing that a tells of is lost.
func sameHold(a, b *v1alpha1.Hold) bool {
	return a == nil || b != nil && a.By == b.By && a.At.Equal(&b.At) && a.Reason == b.Reason
}

func samePin(a, b *v1alpha1.Pin) bool {
	return a == nil || b != nil && a.By == b.By && a.At.Equal(&b.At) && a.Image == b.Image
}

func (k *replaced) keep(app *v1alpha1.App) {
	if !tells(app) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.apps == nil {
		k.apps = map[types.NamespacedName][]*v1alpha1.App{}
	}
	name := client.ObjectKeyFromObject(app)
	k.apps[name] = append(k.apps[name], app)
	if all := k.apps[name]; len(all) > maxReplaced {
		k.log.Warn("the history lacks what was done to an App: too much waits to be written down", "app", name.Name, "hold", all[0].Spec.Hold, "pin", all[0].Spec.Pin)
		k.apps[name] = all[1:]
	}
}

// of returns what an App said before, the oldest first.
func (k *replaced) of(app types.NamespacedName) []*v1alpha1.App {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.apps[app])
}

// written forgets what of an App is written down.
func (k *replaced) written(app types.NamespacedName, was *v1alpha1.App) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.apps[app] = slices.DeleteFunc(k.apps[app], func(kept *v1alpha1.App) bool { return kept == was })
	if len(k.apps[app]) == 0 {
		delete(k.apps, app)
	}
}
