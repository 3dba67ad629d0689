// Package tracker follows the images that services track: it asks registries which there are, and writes those to run
// into the Fleet's repository.
//
// It is responsible for when a registry is asked, once for all that follow one of its repositories; for which files an
// image is written into, at the head of the branch; for the commits; and for never writing an image again that has
// failed. It refuses to choose an image, which is for internal/image, to deliver what it wrote, which is for the Fleet and
// its Releases, and to go back to an older image by itself. A registry that cannot be read changes nothing.
//
// # Which environments
//
// Written is every environment to which nothing is promoted by Git: those that come first, and all of a Fleet that
// promotes by revision. To the others the image is brought from the environment before.
package tracker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/registry"
)

// Reconciler follows the images of Fleets.
type Reconciler struct {
	// Client reads Fleets and Releases from the cache and Secrets from the API server.
	Client client.Client
	// Repositories holds the mirrors, and Registries reads container registries.
	Repositories *gitrepo.Store
	Registries   *registry.Client
	// Pushed is told of each repository that was written to.
	Pushed func(ctx context.Context, url string) error
	Events events.EventRecorder
	Log    *slog.Logger
	// Clock tells the time, and wakes what waits for a time.
	Clock clock.WithDelayedExecution

	waker wake.Waker
	alarm *wake.Alarm
	crew  *crew

	mu     sync.Mutex
	states map[types.NamespacedName]*state
}

const (
	// workers is how many Fleets are worked on at once.
	workers = 4
	// lookers is how many repositories are asked for at once.
	lookers = 8
)

// Setup registers r with mgr, whose cache is one of origin.IndexServices.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.prepare()
	return ctrl.NewControllerManagedBy(mgr).
		Named("tracker").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, followsOn()))).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.fleetsOfSecret)).
		Watches(&v1alpha1.Release{}, r.releaseEvents()).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

func (r *Reconciler) prepare() {
	r.states = map[types.NamespacedName]*state{}
	r.alarm = wake.NewAlarm(r.Clock, r.waker.Wake)
	r.crew = newCrew(lookers)
}

// Close stops what wakes the controller, and waits until no registry is asked and nothing is written any more.
func (r *Reconciler) Close() {
	if r.alarm != nil {
		r.alarm.Close()
	}
	if r.crew != nil {
		r.crew.close()
	}
}

// followsOn lets a Fleet through that follows another commit.
func followsOn() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.Fleet)
			after, ok2 := e.ObjectNew.(*v1alpha1.Fleet)
			return ok1 && ok2 && (before.Status.Revision != after.Status.Revision || before.LetIn() != after.LetIn())
		},
	}
}

// releaseEvents notes which services have a Release that came, went, or came to another stage: it may have put an image
// into quarantine, or have ended one.
func (r *Reconciler) releaseEvents() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	note := func(obj client.Object, q queue) {
		if one, ok := obj.(*v1alpha1.Release); ok {
			name := types.NamespacedName{Namespace: one.Namespace, Name: one.Spec.Fleet}
			r.state(name).mail.service(one.Spec.Service)
			q.Add(reconcile.Request{NamespacedName: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { note(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			before, ok1 := e.ObjectOld.(*v1alpha1.Release)
			after, ok2 := e.ObjectNew.(*v1alpha1.Release)
			if ok1 && ok2 && !slices.Equal(stagesOf(before), stagesOf(after)) {
				note(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { note(e.Object, q) },
	}
}

func stagesOf(one *v1alpha1.Release) []v1alpha1.Stage {
	stages := make([]v1alpha1.Stage, 0, len(one.Status.Environments))
	for _, at := range one.Status.Environments {
		stages = append(stages, at.Stage)
	}
	return stages
}

// fleetsOfSecret names the Fleets that read registries with a Secret. What failed with the old one is tried again.
func (r *Reconciler) fleetsOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets, client.InNamespace(secret.GetNamespace())); err != nil {
		r.Log.Error("list fleets of a changed pull secret", "namespace", secret.GetNamespace(), "error", err)
		return nil
	}
	var requests []reconcile.Request
	for i := range fleets.Items {
		fleet := &fleets.Items[i]
		if slices.ContainsFunc(origin.PullSecrets(fleet), func(ref v1alpha1.SecretReference) bool { return ref.Name == secret.GetName() }) {
			name := client.ObjectKeyFromObject(fleet)
			r.state(name).mail.retry()
			requests = append(requests, reconcile.Request{NamespacedName: name})
		}
	}
	return requests
}

// Announced tells the Reconciler that images were pushed. The repositories that a Fleet follows among them are looked at
// at once.
func (r *Reconciler) Announced(fleet types.NamespacedName, pushes []registry.Push) {
	r.state(fleet).mail.announce(pushes)
	r.waker.Wake(fleet)
}

func (r *Reconciler) state(name types.NamespacedName) *state {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.states[name]
	if st == nil {
		st = newState()
		r.states[name] = st
	}
	return st
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.states, name)
	r.mu.Unlock()
	r.alarm.Set(name, time.Time{})
}
