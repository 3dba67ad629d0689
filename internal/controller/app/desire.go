package app

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/render"
)

// desire renders what app should be, with an image pinned or with "". The inputs are returned with an error too: while they
// stay the same, the same error comes again.
func (r *Reconciler) desire(ctx context.Context, app *v1alpha1.App, fleet *v1alpha1.Fleet, t *target.Target, pin string) (origin.Desired, error) {
	if app.Spec.Removal != "" {
		return origin.Desired{}, nil
	}
	tree, err := r.tree(ctx, app, fleet)
	if err != nil {
		return origin.Desired{}, err
	}
	rec := render.NewRecorder(tree)
	maker := origin.Maker{Renderer: r.Renderer, Secrets: r.Client, Key: r.Key}
	d, err := maker.Make(ctx, origin.Order{App: app, Fleet: fleet, Source: rec, Pin: pin, Conn: t.Conn, Capabilities: t.Capabilities})
	if err == nil {
		err = r.judgeBy(ctx, app, d.Settings.Health, t)
	}
	if d.Inputs == nil {
		inputs, readErr := rec.ReadSet()
		if readErr != nil && err == nil {
			err = readErr
		}
		d.Inputs = inputs
	}
	return d, err
}

// tree returns the revision of the App. One that the mirror does not hold, as after the disk was lost, is fetched.
func (r *Reconciler) tree(ctx context.Context, app *v1alpha1.App, fleet *v1alpha1.Fleet) (*gitrepo.Tree, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return nil, err
	}
	revision := app.Spec.Source.Revision
	if err := origin.Have(ctx, r.Client, fleet, repository, revision); err != nil {
		return nil, err
	}
	return origin.Tree(ctx, r.Client, fleet, repository, revision)
}

// fleetOf reads the Fleet whose repository holds app.
func (r *Reconciler) fleetOf(ctx context.Context, app *v1alpha1.App) (*v1alpha1.Fleet, error) {
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}, fleet); err != nil {
		return nil, fmt.Errorf("read fleet %s, whose repository holds the App: %w", app.Spec.Fleet, err)
	}
	return fleet, nil
}
