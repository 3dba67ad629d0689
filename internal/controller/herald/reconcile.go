package herald

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// again is how long the record is left alone that does not answer, and conflicted how long the cache is given to catch
	// up with another's write.
	again      = 10 * time.Second
	conflicted = time.Second
	// retried is how long a route is left alone that cannot be looked at now.
	retried = 30 * time.Second
	// overlap is how long before a sink was known an event may have happened that it is told. A record that was away takes
	// in what happened meanwhile; one that was lost takes in everything that the Releases still know, which is old news.
	overlap = 10 * time.Minute
	// maxMessage is the longest message of the condition, in characters.
	maxMessage = 2000
)

// Reconcile brings the sinks of one Fleet to what it says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.desks.forget(req.NamespacedName) // a Secret may have changed
	fleet := &v1alpha1.Fleet{}
	err := r.Client.Get(ctx, req.NamespacedName, fleet)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("read fleet %s: %w", req.Name, err)
	}
	if err != nil {
		delete(r.routes, req.NamespacedName)
		r.Forges.Forget(req.NamespacedName)
		return r.use(ctx)
	}
	routes, problems, away := r.routesOf(ctx, fleet)
	r.routes[req.NamespacedName] = routes
	result, err := r.use(ctx)
	if err != nil {
		return result, err
	}
	if away && result.RequeueAfter == 0 {
		result.RequeueAfter = retried
	}
	return r.report(ctx, fleet, problems, result)
}

// routesOf makes the sinks of a Fleet. A sentence for each route that is wrong says what to correct; away is true if one of
// them may be right again by itself.
func (r *Reconciler) routesOf(ctx context.Context, fleet *v1alpha1.Fleet) (routes []notify.Subscription, problems []string, away bool) {
	for _, n := range fleet.Spec.Notifications {
		route, err := r.route(ctx, fleet, n)
		var passing *awayError
		switch {
		case errors.As(err, &passing):
			r.Log.Warn("a route cannot be looked at now", "fleet", fleet.Name, "notification", n.Name, "error", err)
			problems = append(problems, "notification "+n.Name+": "+passing.plain())
			away = true
			if old, ok := r.kept(fleet, n); ok {
				routes = append(routes, old)
			}
		case err != nil:
			problems = append(problems, strings.ReplaceAll(err.Error(), "\n", "; "))
		default:
			routes = append(routes, route)
		}
	}
	return routes, problems, away
}

// use gives the dispatcher the sinks of all Fleets, and has the record forget those that no Fleet names any more.
func (r *Reconciler) use(ctx context.Context) (ctrl.Result, error) {
	wanted, err := r.wanted(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	all, err := r.all(ctx, wanted)
	if err != nil {
		r.Log.Warn("notifications wait for the history", "error", err)
		return ctrl.Result{RequeueAfter: again}, nil
	}
	if err := r.Dispatcher.Use(all...); err != nil {
		return ctrl.Result{}, fmt.Errorf("use the notifications: %w", err)
	}
	return ctrl.Result{}, nil
}

// all are the sinks of all Fleets, which the record knows from then on, and since when each is told.
func (r *Reconciler) all(ctx context.Context, wanted map[string]bool) ([]notify.Subscription, error) {
	var all []notify.Subscription
	for _, routes := range r.routes {
		all = append(all, routes...)
	}
	slices.SortFunc(all, func(a, b notify.Subscription) int { return strings.Compare(a.Name, b.Name) })
	since, err := r.known(ctx, all, wanted)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Since = r.sightOf(all[i].Name).since(since[all[i].Name]).Add(-overlap)
	}
	return all, nil
}

// wanted are the names of the routes of all Fleets, also of those that are wrong: what waits for them goes on waiting.
func (r *Reconciler) wanted(ctx context.Context) (map[string]bool, error) {
	var fleets v1alpha1.FleetList
	if err := r.Client.List(ctx, &fleets, client.InNamespace(r.Namespace)); err != nil {
		return nil, fmt.Errorf("list fleets: %w", err)
	}
	wanted := map[string]bool{}
	for i := range fleets.Items {
		for _, n := range fleets.Items[i].Spec.Notifications {
			name := sinkName(&fleets.Items[i], n)
			wanted[name] = true
			r.sightOf(name)
		}
	}
	maps.DeleteFunc(r.sights, func(name string, _ *sight) bool { return !wanted[name] })
	return wanted, nil
}

// known makes the sinks known to the record, has it forget those that are not wanted, and says since when it knows each.
func (r *Reconciler) known(ctx context.Context, all []notify.Subscription, wanted map[string]bool) (map[string]time.Time, error) {
	for _, s := range all {
		if err := r.Store.Register(ctx, s.Name); err != nil {
			return nil, err
		}
	}
	sinks, err := r.Store.Sinks(ctx)
	if err != nil {
		return nil, err
	}
	since := map[string]time.Time{}
	for _, s := range sinks {
		since[s.Name] = s.Registered
		if wanted[s.Name] {
			continue
		}
		if err := r.Store.Unregister(ctx, s.Name); err != nil {
			return nil, err
		}
		r.Log.Info("notifications forgotten: no fleet names this route any more", "sink", s.Name, "pending", s.Pending)
	}
	return since, nil
}

// report writes the condition Notifying. The other conditions are the Fleet controller's, which writes all of them at once
// when it changes one: so this is written on the condition that nobody has written since it was read, and again whenever
// it is not there any more.
func (r *Reconciler) report(ctx context.Context, fleet *v1alpha1.Fleet, problems []string, result ctrl.Result) (ctrl.Result, error) {
	before := fleet.DeepCopy()
	var changed bool
	if len(fleet.Spec.Notifications) == 0 {
		changed = meta.RemoveStatusCondition(&fleet.Status.Conditions, v1alpha1.ConditionNotifying)
	} else {
		c := metav1.Condition{
			Type: v1alpha1.ConditionNotifying, Status: metav1.ConditionTrue, Reason: "Routed",
			Message: "every route can be told to", ObservedGeneration: fleet.Generation,
		}
		if len(problems) > 0 {
			c.Status, c.Reason, c.Message = metav1.ConditionFalse, "RouteWrong", notify.Text(strings.Join(problems, "; "), maxMessage)
			r.Log.Warn("notifications of a fleet are wrong", "fleet", fleet.Name, "error", c.Message)
		}
		changed = meta.SetStatusCondition(&fleet.Status.Conditions, c)
	}
	if !changed {
		return result, nil
	}
	err := r.Client.Status().Patch(ctx, fleet, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: conflicted}, nil
	case client.IgnoreNotFound(err) != nil:
		return result, fmt.Errorf("write condition %s of fleet %s: %w", v1alpha1.ConditionNotifying, fleet.Name, err)
	}
	return result, nil
}
