// Package app makes each App's cluster hold what its files say.
//
// It is responsible for an App's status and for every write to the objects of an App: it renders the revision that the
// spec names, plans, applies wave by wave, prunes what may be pruned, undoes drift, and says why an App is not synced
// and healthy. It refuses to choose the revision: whoever owns spec.source does.
package app

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/handover"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/drift"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// Reconciler syncs Apps.
type Reconciler struct {
	// Client reads Apps and Fleets from the cache and Secrets from the API server.
	Client client.Client
	// Records writes the statuses of Apps.
	Records *record.Writer
	// Namespace holds the Apps. Objects of Apps elsewhere are those of another Sengu.
	Namespace string
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	Renderer     *render.Renderer
	// Targets says which clusters may be written to.
	Targets *target.Registry
	// Ledger says which App wants which object.
	Ledger *handover.Ledger
	// Key keys the hashes of the inventory.
	Key    manifest.Key
	Events events.EventRecorder
	// Renders is the version of the renderer that the status names.
	Renders string
	// Workers is how many Apps are worked on at once.
	Workers int
	Log     *slog.Logger
	Now     func() time.Time

	rules  rulebook
	recent record.Recent[*v1alpha1.App]
	tries  tries
	wavers wavers
	waker  wake.Waker
	// reverts remembers which fields were put back how often.
	reverts drift.Reverts
}

// Setup registers r with mgr. Call it before anything puts a Target into the registry.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.Targets.Subscribe(r.clusterChanged)
	return ctrl.NewControllerManagedBy(mgr).
		Named("app").
		For(&v1alpha1.App{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.Fleet{}, handler.EnqueueRequestsFromMapFunc(r.fleetChanged), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Workers}).
		Complete(r)
}

// Changed queues the App whose objects changed in a cluster.
func (r *Reconciler) Changed(owner manifest.Owner) {
	if owner.Namespace == r.Namespace {
		r.waker.Wake(types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name})
	}
}

// fleetChanged names the Apps of a Fleet whose last try failed: what they lack may be what the Fleet allows now, and
// they should not wait for it.
func (r *Reconciler) fleetChanged(ctx context.Context, fleet client.Object) []reconcile.Request {
	var apps v1alpha1.AppList
	if err := r.Client.List(ctx, &apps, client.InNamespace(fleet.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		r.Log.Error("list Apps of a Fleet that changed", "fleet", fleet.GetName(), "error", err)
		return nil
	}
	var requests []reconcile.Request
	for i := range apps.Items {
		key := client.ObjectKeyFromObject(&apps.Items[i])
		if _, waits := r.tries.wait(key, r.Now()); waits && apps.Items[i].Spec.Fleet == fleet.GetName() {
			r.tries.done(key)
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}

// clusterChanged queues the Apps of a cluster that became usable, or ceased to be.
func (r *Reconciler) clusterChanged(cluster types.NamespacedName) {
	ctx := context.Background() // a read of the cache
	var apps v1alpha1.AppList
	if err := r.Client.List(ctx, &apps, client.InNamespace(cluster.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		r.Log.Error("list Apps of a cluster that changed", "cluster", cluster.Name, "error", err)
		return
	}
	for i := range apps.Items {
		if app := &apps.Items[i]; app.Spec.Source.Cluster == cluster.Name {
			r.waker.Wake(client.ObjectKeyFromObject(app))
		}
	}
}
