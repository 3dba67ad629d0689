// Package cluster connects Sengu to the clusters that Cluster objects name, and makes sure that a name goes on standing
// for the cluster that it stood for.
//
// It is responsible for the connection, its credentials, the identity and the version of a cluster, and for saying so
// in the Cluster's status. It refuses to apply anything.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Reconciler keeps the connection to each Cluster.
type Reconciler struct {
	// Client reads Clusters from the cache and Secrets from the API server.
	Client client.Client
	// Targets is where a verified connection goes.
	Targets *target.Registry
	// Home is the configuration of the cluster that Sengu runs in.
	Home *rest.Config
	// AllowedExec lists the commands that a kubeconfig may run for credentials.
	AllowedExec []string
	// Key keys the hashes by which live objects are compared.
	Key manifest.Key
	// Changed is called when the live state of an App's objects changed.
	Changed func(manifest.Owner)
	// Health judges a live object of an App.
	Health func(manifest.Owner, *unstructured.Unstructured) health.Status
	// Version of Sengu, for the user agent.
	Version string
	Log     *slog.Logger
	Now     func() time.Time

	mu    sync.Mutex
	links map[types.NamespacedName]*link
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.links = map[types.NamespacedName]*link{}
	return ctrl.NewControllerManagedBy(mgr).
		Named("cluster").
		For(&v1alpha1.Cluster{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.clustersOfSecret)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
}

// Close ends every connection.
func (r *Reconciler) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, l := range r.links {
		l.close()
		delete(r.links, name)
	}
}

// Ready says which Cluster has neither been connected since the start nor been found out to be out of reach, if there is one.
func (r *Reconciler) Ready(ctx context.Context) error {
	var clusters v1alpha1.ClusterList
	if err := r.Client.List(ctx, &clusters); err != nil {
		return fmt.Errorf("list clusters: %w", err)
	}
	for i := range clusters.Items {
		name := client.ObjectKeyFromObject(&clusters.Items[i])
		if t, reason := r.Targets.Get(name); t == nil && reason == "" {
			return fmt.Errorf("cluster %s has not been reached yet", name.Name)
		}
	}
	return nil
}

// clustersOfSecret names the Clusters whose kubeconfig a Secret holds.
func (r *Reconciler) clustersOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var clusters v1alpha1.ClusterList
	if err := r.Client.List(ctx, &clusters, client.InNamespace(secret.GetNamespace())); err != nil {
		r.Log.Error("list clusters of a changed Secret", "namespace", secret.GetNamespace(), "error", err)
		return nil
	}
	var requests []reconcile.Request
	for i := range clusters.Items {
		if ref := clusters.Items[i].Spec.KubeconfigSecretRef; ref != nil && ref.Name == secret.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
		}
	}
	return requests
}
