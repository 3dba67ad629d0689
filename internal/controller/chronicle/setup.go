// Package chronicle writes down what happens to Releases and Apps, and lets go of Releases that are long over.
//
// It is responsible for the history: each transition that a Release or an App tells of gets into the store, once, however
// often and by whomever it is read. It refuses to hold up a delivery: while the store cannot be written to, Releases keep
// what they have to tell, and are not deleted before it is written down.
package chronicle

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// Store keeps events.
type Store interface {
	// Append keeps events that it does not have yet, by their key, and returns how many those were.
	Append(ctx context.Context, events ...history.Event) (int, error)
	// Recorded returns what is kept under the keys, and the time before which anything may have been removed.
	Recorded(ctx context.Context, keys ...string) (map[string]history.Event, time.Time, error)
}

// Reconciler writes the history.
type Reconciler struct {
	// Client reads Releases and Apps from the cache, and deletes Releases.
	Client client.Client
	Store  Store
	// Told is called when something new was written down. It must not block.
	Told func()
	// Keep is how many Releases of a service that have ended are kept, beside those that an App refers to.
	Keep int
	Log  *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	replaced replaced

	mu sync.Mutex
	// told is the number of the last transition of each Release that is in the store.
	told map[types.UID]int64
}

const (
	// writers is how many objects are written down at once.
	writers = 4
	// firstRetry and lastRetry are the shortest and the longest time until what could not be written down is tried again.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// retries says when what could not be written down is tried again.
func retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.told, r.replaced.log = map[types.UID]int64{}, r.Log
	if r.Now == nil {
		r.Now = time.Now
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("chronicle-releases").
		For(&v1alpha1.Release{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: writers, RateLimiter: retries()}).
		Complete(reconcile.Func(r.release))
	if err != nil {
		return fmt.Errorf("write down Releases: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named("chronicle-apps").
		Watches(&v1alpha1.App{}, r.replaced.handler()).
		WithOptions(controller.Options{RateLimiter: retries()}).
		Complete(reconcile.Func(r.app))
	if err != nil {
		return fmt.Errorf("write down Apps: %w", err)
	}
	return nil
}

// tells reports whether there is something to write down of an App.
func tells(obj client.Object) bool {
	app, ok := obj.(*v1alpha1.App)
	return ok && (app.Spec.Hold != nil || app.Spec.Pin != nil)
}
