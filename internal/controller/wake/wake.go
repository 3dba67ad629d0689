// Package wake lets what is not a watch of the API server queue an object for its controller: a webhook, or the watch of
// another cluster.
//
// It is responsible for holding the controller's queue. It refuses to hold anything back before the controller has
// started: what it would have been told then, it finds out by itself.
package wake

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker queues objects for one controller. The zero value is ready. It is safe for concurrent use.
type Waker struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Source is what the controller is given, so that it hands its queue over when it starts.
func (w *Waker) Source() source.Source { return source.TypedFunc[reconcile.Request](w.start) }

func (w *Waker) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	return nil
}

// WakeAfter queues an object after a while.
func (w *Waker) WakeAfter(name types.NamespacedName, wait time.Duration) {
	w.mu.Lock()
	queue := w.queue
	w.mu.Unlock()
	if queue != nil {
		queue.AddAfter(reconcile.Request{NamespacedName: name}, wait)
	}
}

// Wake queues an object.
func (w *Waker) Wake(name types.NamespacedName) {
	w.mu.Lock()
	queue := w.queue
	w.mu.Unlock()
	if queue != nil {
		queue.Add(reconcile.Request{NamespacedName: name})
	}
}
