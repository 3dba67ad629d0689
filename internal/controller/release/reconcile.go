package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// Reconcile brings the Releases of one service as far as they can go now.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	fleetName, service := cutKey(req.NamespacedName)
	fleet := &v1alpha1.Fleet{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: req.Namespace, Name: fleetName}, fleet)
	switch {
	case apierrors.IsNotFound(err) || err == nil && !fleet.DeletionTimestamp.IsZero():
		r.leave(req.NamespacedName)
		return ctrl.Result{}, nil
	case err != nil || fleet.Spec.Suspend:
		return ctrl.Result{}, err
	}
	look, err := r.advance(ctx, req.NamespacedName, fleet, service)
	if err != nil {
		r.wake(r.groups.pass(req.NamespacedName, placesIn(fleet)))
		return ctrl.Result{}, err
	}
	r.alarm.Set(req.NamespacedName, look)
	return ctrl.Result{}, nil
}

// advance decides about a service, and carries that out. It returns when to look again, never if that is zero.
func (r *Reconciler) advance(ctx context.Context, key types.NamespacedName, fleet *v1alpha1.Fleet, service string) (time.Time, error) {
	world, look, err := r.observe(ctx, fleet, service)
	if err != nil {
		return time.Time{}, err
	}
	if len(world.Releases) == 0 {
		r.wake(r.groups.gone(key, placesIn(fleet)))
		return time.Time{}, nil
	}
	decision, err := r.decide(ctx, key, fleet, &world)
	if err != nil {
		return time.Time{}, err
	}
	if again := revived(world, decision); len(again) > 0 {
		// What it does was not read, since it had ended.
		look = sooner(look, r.plan(ctx, &world, again))
		if decision, err = r.decide(ctx, key, fleet, &world); err != nil {
			return time.Time{}, err
		}
	}
	if err := r.act(ctx, fleet, world, decision); err != nil {
		return time.Time{}, err
	}
	r.ask(ctx, fleet, world, decision.Checks)
	return sooner(look, sooner(decision.Look, r.write(ctx, fleet, world, decision))), nil
}

// sooner returns the earlier of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (r *Reconciler) wake(services []types.NamespacedName) {
	for _, one := range services {
		r.waker.Wake(one)
	}
}

// revived names the Releases that had ended and that a decision lets go on.
func revived(world release.Service, d release.Decision) map[string]bool {
	again := map[string]bool{}
	for _, one := range world.Releases {
		if status, changed := d.Statuses[one.Name]; changed && one.Status.Ended != nil && status.Ended == nil {
			again[one.Name] = true
		}
	}
	return again
}

// observe gathers what a decision about a service rests on. What could not be had now is looked for again at a time.
func (r *Reconciler) observe(ctx context.Context, fleet *v1alpha1.Fleet, service string) (release.Service, time.Time, error) {
	world := release.Service{
		Now: r.Clock.Now(), Fleet: fleet, Name: service, Apps: map[string]*v1alpha1.App{}, Watched: map[string]time.Time{}, Windows: map[string]release.Window{},
		Plans: map[release.Place]release.Plan{},
	}
	var list v1alpha1.ReleaseList
	err := r.Client.List(ctx, &list, client.InNamespace(fleet.Namespace), origin.OfService(fleet.Name, service))
	if err != nil {
		return world, time.Time{}, fmt.Errorf("list the Releases of %s: %w", service, err)
	}
	for i := range list.Items {
		world.Releases = append(world.Releases, r.releases.Latest(&list.Items[i]))
	}
	for _, env := range fleet.Spec.Environments {
		app, err := r.app(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: layout.NameOfApp(fleet.Name, service, env.Name)})
		if err != nil {
			return world, time.Time{}, err
		}
		if app != nil {
			world.Apps[env.Name] = app
			world.Watched[env.Name] = r.watched(app, world.Now)
		}
	}
	again := r.plan(ctx, &world, nil)
	r.unreached(&world)
	r.states(ctx, &world)
	world.Written = r.desk.results(world.Releases)
	world.Looks = r.asker.answers(keyOf(fleet.Namespace, fleet.Name, service))
	return world, again, nil
}

// unreached has nothing begun by a Job in a cluster that is not there: a Job that was asked for and cannot be looked for would
// hold up all that people may want instead.
func (r *Reconciler) unreached(world *release.Service) {
	for _, one := range world.Releases {
		for _, env := range one.Spec.Environments {
			place := release.Place{Release: one.Name, Environment: env.Name}
			plan, known := world.Plans[place]
			if !known || plan.Problem != "" || len(plan.Before) == 0 || begun(one, env.Name) {
				continue
			}
			if t, reason := r.Targets.Get(types.NamespacedName{Namespace: world.Fleet.Namespace, Name: env.Cluster}); t == nil {
				world.Plans[place] = release.Plan{Problem: waitsFor(env.Cluster, reason)}
			}
		}
	}
}

// begun reports whether something of a Release has been made in an environment.
func begun(one *v1alpha1.Release, environment string) bool {
	return slices.ContainsFunc(one.Status.Environments, func(at v1alpha1.ReleaseEnvironmentStatus) bool {
		made := slices.ContainsFunc(at.Steps, func(step v1alpha1.StepStatus) bool { return step.UID != "" })
		return at.Name == environment && (at.Moved != nil || made)
	})
}

// watched returns since when what an App says of itself is of now: since its cluster has been read. Before, it is what
// another process saw.
func (r *Reconciler) watched(app *v1alpha1.App, now time.Time) time.Time {
	t, _ := r.Targets.Get(types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Source.Cluster})
	if t == nil {
		return now
	}
	return t.Since
}

// app reads an App, nil if there is none.
func (r *Reconciler) app(ctx context.Context, name types.NamespacedName) (*v1alpha1.App, error) {
	app := &v1alpha1.App{}
	err := r.Client.Get(ctx, name, app)
	if apierrors.IsNotFound(err) {
		if kept, ok := r.apps.Kept(name); ok {
			return kept, nil // the cache does not show it yet
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read App %s: %w", name.Name, err)
	}
	return r.apps.Latest(app), nil
}
