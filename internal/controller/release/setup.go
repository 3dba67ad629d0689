// Package release brings the Releases of each service through the environments of its Fleet.
//
// It is responsible for carrying out what internal/release decides: it gathers what a decision rests on, writes the Apps'
// sources, the Releases' statuses, starts Jobs and asks checks. It works service by service, so that a commit costs what
// it changes. It refuses to decide, to make Releases, which is for the Fleet controller, and to apply anything, which is
// for the App controller.
package release

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
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
	"github.com/sengu-dev/sengu/internal/controller/handover"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/probe"
)

// Reconciler moves the Releases of services.
type Reconciler struct {
	// Client reads Fleets, Apps and Releases from the cache and Secrets from the API server.
	Client client.Client
	// Records writes Apps and Releases.
	Records *record.Writer
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	// Targets says which clusters may be written to, and Maker renders the Jobs of a service.
	Targets *target.Registry
	Maker   origin.Maker
	// Probes asks over HTTP.
	Probes *probe.Client
	// Forges opens pull requests.
	Forges *origin.Forges
	// Pushed is told that a branch of a repository has moved.
	Pushed func(ctx context.Context, url string) error
	// Changelog tells, in Markdown, what lies between two images of a repository; nil if nobody knows.
	Changelog func(ctx context.Context, fleet *v1alpha1.Fleet, from, to string) (string, error)
	// Logs keeps what Jobs have logged; nil if nobody does.
	Logs Logs
	// Ledger is told which Apps were moved.
	Ledger *handover.Ledger
	Log    *slog.Logger
	// Clock tells the time, and wakes what waits for a time.
	Clock clock.WithDelayedExecution

	alarm    *wake.Alarm
	waker    wake.Waker
	apps     record.Recent[*v1alpha1.App]
	releases record.Recent[*v1alpha1.Release]
	groups   groups
	plans    plans
	jobs     jobs
	asker    asker
	desk     desk
}

// keyOf names a service for the queue. It is no object's name: a service has none.
func keyOf(namespace, fleet, service string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: fleet + "/" + service}
}

// Setup registers r with mgr, whose cache is one of origin.IndexServices.
func (r *Reconciler) Setup(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.Release{}, byGroup, groupOf); err != nil {
		return fmt.Errorf("index Releases by their commit: %w", err)
	}
	r.alarm = wake.NewAlarm(r.Clock, r.waker.Wake)
	r.Targets.Subscribe(r.clusterChanged)
	return ctrl.NewControllerManagedBy(mgr).
		Named("release").
		Watches(&v1alpha1.Release{}, handler.EnqueueRequestsFromMapFunc(r.serviceOfRelease), builder.WithPredicates(predicate.Funcs{DeleteFunc: r.gone})).
		Watches(&v1alpha1.App{}, handler.EnqueueRequestsFromMapFunc(r.serviceOfApp), builder.WithPredicates(r.relevant())).
		Watches(&v1alpha1.Check{}, handler.EnqueueRequestsFromMapFunc(r.servicesOfCheck), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Fleet{}, handler.EnqueueRequestsFromMapFunc(r.servicesOfFleet), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// workers is how many services are worked on at once: enough to hide the latency of the API server.
const workers = 16

// Close stops what wakes the controller. Call it when the controller has ended.
func (r *Reconciler) Close() {
	if r.alarm != nil {
		r.alarm.Close()
	}
	r.asker.close()
	r.desk.close()
	r.jobs.close()
}

func (r *Reconciler) serviceOfRelease(_ context.Context, obj client.Object) []reconcile.Request {
	release, ok := obj.(*v1alpha1.Release)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: keyOf(release.Namespace, release.Spec.Fleet, release.Spec.Service)}}
}

func (r *Reconciler) serviceOfApp(_ context.Context, obj client.Object) []reconcile.Request {
	app, ok := obj.(*v1alpha1.App)
	if !ok || app.Spec.Service == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: keyOf(app.Namespace, app.Spec.Fleet, app.Spec.Service)}}
}

// servicesOfFleet names the services of a Fleet that changed that have a Release: one that has ended may go on, or be asked to
// by what people did while the Fleet was suspended.
func (r *Reconciler) servicesOfFleet(ctx context.Context, fleet client.Object) []reconcile.Request {
	return r.concerned(ctx, fleet.GetNamespace(), func(one *v1alpha1.Release) bool { return one.Spec.Fleet == fleet.GetName() })
}

// clusterChanged wakes the services with a Release on its way to a cluster that became usable, or ceased to be, or with a
// Job that runs there.
func (r *Reconciler) clusterChanged(cluster types.NamespacedName) {
	for _, request := range r.concerned(context.Background(), cluster.Namespace, func(one *v1alpha1.Release) bool { // a read of the cache
		there := func(env v1alpha1.ReleaseEnvironment) bool { return env.Cluster == cluster.Name }
		return (one.Status.Ended == nil || hasJob(one)) && slices.ContainsFunc(one.Spec.Environments, there)
	}) {
		r.waker.Wake(request.NamespacedName)
	}
}

// hasJob reports whether a Job of a Release has not ended, as far as is known.
func hasJob(one *v1alpha1.Release) bool {
	return slices.ContainsFunc(one.Status.Environments, func(env v1alpha1.ReleaseEnvironmentStatus) bool {
		return slices.ContainsFunc(env.Steps, func(step v1alpha1.StepStatus) bool {
			return step.UID != "" && step.Phase == v1alpha1.StepRunning
		})
	})
}

// servicesOfCheck names the services whose Releases have not ended and may ask a Check that came or changed: what they
// do is read anew.
func (r *Reconciler) servicesOfCheck(ctx context.Context, check client.Object) []reconcile.Request {
	return r.concerned(ctx, check.GetNamespace(), func(one *v1alpha1.Release) bool {
		r.plans.outdate(client.ObjectKeyFromObject(one)) // also of one that goes on again, which the cache does not show yet
		return one.Status.Ended == nil
	})
}

// concerned names the services in a namespace that have a Release of which f is true, each once.
func (r *Reconciler) concerned(ctx context.Context, namespace string, f func(*v1alpha1.Release) bool) []reconcile.Request {
	var releases v1alpha1.ReleaseList
	if err := r.Client.List(ctx, &releases, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		r.Log.Error("list the Releases that a change concerns", "error", err)
		return nil
	}
	services := map[types.NamespacedName]bool{}
	for i := range releases.Items {
		if one := &releases.Items[i]; f(one) {
			services[keyOf(one.Namespace, one.Spec.Fleet, one.Spec.Service)] = true
		}
	}
	requests := make([]reconcile.Request, 0, len(services))
	for key := range services {
		requests = append(requests, reconcile.Request{NamespacedName: key})
	}
	return requests
}

// relevant lets the changes of Apps through that a Release may wait for. An App that no Release has touched yet concerns
// none by itself.
func (r *Reconciler) relevant() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return released(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.App)
			after, ok2 := e.ObjectNew.(*v1alpha1.App)
			return ok1 && ok2 && (released(after) || r.busy(after)) && differs(before, after)
		},
		DeleteFunc: func(e event.DeleteEvent) bool {
			r.apps.Forget(client.ObjectKeyFromObject(e.Object))
			return true
		},
	}
}

// released reports whether an App has to do with a Release.
func released(obj client.Object) bool {
	app, ok := obj.(*v1alpha1.App)
	return ok && (app.Spec.Release != "" || app.Spec.Hold != nil)
}

// busy reports whether a Release of the App's service is on its way.
func (r *Reconciler) busy(app *v1alpha1.App) bool {
	return r.groups.knows(app.Namespace, app.Spec.Fleet, app.Spec.Service)
}

// differs reports whether an App has changed in what a decision looks at.
func differs(a, b *v1alpha1.App) bool {
	ready := func(app *v1alpha1.App) string {
		if app.Status.Why == nil {
			return ""
		}
		return app.Status.Why.Message
	}
	reason := func(app *v1alpha1.App) string {
		if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			return c.Reason
		}
		return ""
	}
	pin := func(app *v1alpha1.App) string {
		if app.Status.Unfinished == nil {
			return app.Status.Pinned
		}
		return app.Status.Pinned + " unfinished " + app.Status.Unfinished.Pinned
	}
	return a.Generation != b.Generation || a.Status.ObservedGeneration != b.Status.ObservedGeneration || reason(a) != reason(b) || pin(a) != pin(b) ||
		a.Status.Revision != b.Status.Revision || a.Status.Digest != b.Status.Digest || a.Status.Sync != b.Status.Sync ||
		a.Status.Health != b.Status.Health || ready(a) != ready(b)
}
