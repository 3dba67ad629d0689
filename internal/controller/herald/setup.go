// Package herald tells what happens to the Fleets' Releases where spec.notifications says, and takes the buttons that
// people press there.
//
// It is responsible for the routes of all Fleets: it gives the dispatcher of internal/notify a sink for each, made with the
// Secret that the route names, and says in the condition Notifying which routes are wrong; the others go on. It does what
// a person asks for by a button with the rights of that person, whom it takes from the route, and no others. It refuses
// to hold anything up: what cannot be told waits in the record.
package herald

import (
	"context"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

// Store knows the sinks that the record keeps events for.
type Store interface {
	// Register makes a sink known: what is recorded from then on waits for it.
	Register(ctx context.Context, sink string) error
	// Unregister forgets a sink, and what waits for it.
	Unregister(ctx context.Context, sink string) error
	// Sinks lists those that are known.
	Sinks(ctx context.Context) ([]history.Sink, error)
}

// Reconciler keeps the dispatcher's sinks as the Fleets say.
type Reconciler struct {
	// Client reads Fleets, Apps and Releases from the cache and Secrets from the API server.
	Client client.Client
	// Home is how Sengu reaches the cluster that holds its objects; people are acted for through it.
	Home *rest.Config
	// Namespace holds Sengu's objects.
	Namespace string
	// Forges show deployments.
	Forges     *origin.Forges
	Store      Store
	Dispatcher *notify.Dispatcher
	// Allowed says whether the operator lets webhooks to a URL lead to this machine, and the like.
	Allowed func(url string) bool
	Log     *slog.Logger
	// Now is the clock.
	Now func() time.Time

	// routes are those of each Fleet that can be told to.
	routes map[types.NamespacedName][]notify.Subscription
	sights map[string]*sight
	desks  deskbook
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.routes = map[types.NamespacedName][]notify.Subscription{}
	return ctrl.NewControllerManagedBy(mgr).
		Named("herald").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(concerns())).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.fleetsOfSecret)).
		Complete(r)
}

// concerns lets changes of Fleets through that are about notifications. Whoever writes the other conditions may have put
// ours back to what it was.
func concerns() predicate.Predicate {
	said := func(obj client.Object) any {
		if fleet, ok := obj.(*v1alpha1.Fleet); ok {
			return meta.FindStatusCondition(fleet.Status.Conditions, v1alpha1.ConditionNotifying)
		}
		return nil
	}
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !equality.Semantic.DeepEqual(said(e.ObjectOld), said(e.ObjectNew))
		},
	})
}

// fleetsOfSecret names the Fleets whose routes need a Secret.
func (r *Reconciler) fleetsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets, client.InNamespace(secret.GetNamespace())); err != nil { // a read of the cache
		r.Log.Error("list fleets of a changed Secret", "namespace", secret.GetNamespace(), "error", err)
		return nil
	}
	var requests []reconcile.Request
	for i := range fleets.Items {
		fleet := &fleets.Items[i]
		if slices.ContainsFunc(fleet.Spec.Notifications, func(n v1alpha1.Notification) bool { return secretOf(fleet, n) == secret.GetName() }) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(fleet)})
		}
	}
	return requests
}

// secretOf names the Secret that a route needs, "" if it needs none.
func secretOf(fleet *v1alpha1.Fleet, n v1alpha1.Notification) string {
	switch {
	case n.Slack != nil:
		return n.Slack.SecretRef.Name
	case n.Webhook != nil:
		return n.Webhook.SecretRef.Name
	}
	_, name := origin.ForgeSecret(fleet)
	return name
}
