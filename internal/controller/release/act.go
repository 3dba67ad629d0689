package release

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// act carries a decision out: first the Apps, then what the Releases say, so that after a crash a Release is found again
// where its App is.
func (r *Reconciler) act(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, d release.Decision) error {
	group, moving := errgroup.WithContext(ctx)
	for environment, move := range d.Moves {
		group.Go(func() error { return r.move(moving, fleet, world, environment, move) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, writing := errgroup.WithContext(ctx)
	for _, one := range world.Releases {
		status, changed := d.Statuses[one.Name]
		if !changed {
			continue
		}
		group.Go(func() error { return r.report(writing, one, status) })
	}
	return group.Wait()
}

// report writes how far a Release has come.
func (r *Reconciler) report(ctx context.Context, one *v1alpha1.Release, status v1alpha1.ReleaseStatus) error {
	next := one.DeepCopy()
	next.Status = status
	written, err := record.Status(ctx, r.Records, next)
	if err != nil {
		return client.IgnoreNotFound(fmt.Errorf("write how far Release %s has come: %w", one.Name, err))
	}
	r.releases.Keep(written)
	return nil
}

// move makes an App what its Release means it to be.
func (r *Reconciler) move(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, environment string, m release.Move) error {
	app := world.Apps[environment]
	if app == nil {
		return r.make(ctx, fleet, world, environment, m)
	}
	next := app.DeepCopy()
	place(&next.Spec, m)
	meta, err := r.Records.Update(ctx, next)
	if apierrors.IsConflict(err) {
		// The cache is behind: what it shows next wakes this service again.
		r.apps.Forget(client.ObjectKeyFromObject(app))
		return fmt.Errorf("bring App %s to %.7s: %w", app.Name, m.Source.Revision, err)
	}
	if err != nil {
		return client.IgnoreNotFound(fmt.Errorf("bring App %s to %.7s: %w", app.Name, m.Source.Revision, err))
	}
	r.moved(fleet, next, meta)
	return nil
}

// make makes the App of a service that comes to an environment for the first time.
func (r *Reconciler) make(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, environment string, m release.Move) error {
	env, _ := layout.Environment(fleet, environment)
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace, Name: layout.NameOfApp(fleet.Name, world.Name, environment)},
		Spec:       layout.SpecOf(fleet, env, layout.Place{Service: world.Name, Environment: environment, Path: m.Source.Path}, m.Source.Revision),
	}
	place(&app.Spec, m)
	err := r.Records.Create(ctx, app)
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("the App %s exists and was not seen: %w", app.Name, err)
	}
	if err != nil {
		return fmt.Errorf("create App %s: %w", app.Name, err)
	}
	r.moved(fleet, app, app.ObjectMeta)
	return nil
}

// place writes what a Release owns of an App's spec.
func place(spec *v1alpha1.AppSpec, m release.Move) {
	spec.Source, spec.Digest, spec.Release, spec.LastGood = m.Source, m.Digest, m.Release, m.LastGood
	spec.Hold, spec.Removal = m.Hold, m.Removal
}

// moved remembers what was written, and tells the ledger that the App has to say anew what it wants.
func (r *Reconciler) moved(fleet *v1alpha1.Fleet, app *v1alpha1.App, meta metav1.ObjectMeta) {
	meta.ManagedFields = nil
	app.ObjectMeta = meta
	r.apps.Keep(app)
	r.Ledger.Moved(client.ObjectKeyFromObject(fleet), client.ObjectKeyFromObject(app), app.Spec.Source.Cluster, meta.Generation)
}
