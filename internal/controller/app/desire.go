package app

import (
	"context"
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// desired is what an App should be, and what that was made of.
type desired struct {
	set      manifest.Set
	ignored  map[manifest.Ref][]manifest.FieldPath
	settings delivery.Settings
	// inputs are what was read, also by a render that failed.
	inputs   render.ReadSet
	warnings []string
	degraded []string
	// othersFirst says that other Apps have to decide, or to take over, before all can be removed that is no longer
	// wanted. Nobody tells when they have.
	othersFirst bool
}

// ownerOf returns the App as the owner of its objects.
func ownerOf(app *v1alpha1.App) manifest.Owner {
	return manifest.Owner{Namespace: app.Namespace, Name: app.Name, UID: string(app.UID)}
}

// desire renders what app should be. The inputs are returned with an error too: while they stay the same, the same
// error comes again.
func (r *Reconciler) desire(ctx context.Context, app *v1alpha1.App, fleet *v1alpha1.Fleet, t *target.Target) (desired, error) {
	if app.Spec.Removal != "" {
		return desired{}, nil
	}
	tree, err := r.tree(ctx, app, fleet)
	if err != nil {
		return desired{}, err
	}
	rec := render.NewRecorder(tree)
	d := desired{}
	d.settings, err = readDelivery(rec, app, fleet)
	if err == nil {
		err = r.render(ctx, &d, rec, app, fleet, t)
	}
	inputs, readErr := rec.ReadSet()
	if readErr != nil && err == nil {
		err = readErr
	}
	if d.inputs == nil {
		d.inputs = inputs
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
	if !repository.Has(ctx, revision) {
		auth, err := origin.Auth(ctx, r.Client, fleet)
		if err != nil {
			return nil, err
		}
		if err := repository.FetchRevision(ctx, revision, auth); err != nil {
			return nil, fmt.Errorf("revision %.7s cannot be had: %w", revision, err)
		}
	}
	return repository.Tree(ctx, revision)
}

// readDelivery reads the Delivery files that concern app.
func readDelivery(rec *render.Recorder, app *v1alpha1.App, fleet *v1alpha1.Fleet) (delivery.Settings, error) {
	service, environment := layout.Folders(fleet.Spec.Layout, app.Spec.Source.Path)
	if app.Spec.Service == "" {
		service, environment = app.Spec.Source.Path, app.Spec.Source.Path
	}
	d, err := delivery.Read(rec, service, environment, app.Spec.Environment)
	if err != nil {
		return delivery.Settings{}, err
	}
	known := make([]string, 0, len(fleet.Spec.Environments))
	for _, env := range fleet.Spec.Environments {
		known = append(known, env.Name)
	}
	if err := d.CheckEnvironments(path.Join(service, delivery.FileName), known); err != nil {
		return delivery.Settings{}, err
	}
	return d.Settings, nil
}

// definition is the kind of what a Delivery may leave out of a chart.
var definition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// render fills d with the objects.
func (r *Reconciler) render(ctx context.Context, d *desired, rec *render.Recorder, app *v1alpha1.App, fleet *v1alpha1.Fleet, t *target.Target) error {
	if err := r.judgeBy(ctx, app, d.settings.Health, t); err != nil {
		return err
	}
	remotes, err := origin.Remotes(ctx, r.Client, fleet)
	if err != nil {
		return err
	}
	result, err := r.Renderer.Render(ctx, request(rec, d.settings, app, remotes, t))
	if err != nil {
		return err
	}
	d.inputs, d.degraded, d.warnings = result.ReadSet, result.Degraded, result.Warnings
	for _, hook := range result.Hooks {
		if hook.Phase != render.PhaseNone { // the others are among the warnings
			d.warnings = append(d.warnings, hook.NotRun())
		}
	}
	objects := result.Objects
	if d.settings.Source.SkipsCRDs() {
		objects = slices.DeleteFunc(objects, func(o manifest.Object) bool { return o.GroupVersionKind().GroupKind() == definition })
	}
	kinds := make([]schema.GroupKind, 0, len(objects))
	for _, object := range objects {
		kinds = append(kinds, object.GroupVersionKind().GroupKind())
	}
	scopes, err := t.Conn.Scopes(ctx, kinds...)
	if err != nil {
		return err
	}
	if d.set, err = manifest.NewSet(objects, app.Spec.Source.Namespace, ownerOf(app), scopes); err != nil {
		return err
	}
	d.ignored = manifest.Ignored(d.set, d.settings.Ignore)
	return nil
}

// request says what to render for app.
func request(src render.Source, settings delivery.Settings, app *v1alpha1.App, remotes render.RemotePolicy, t *target.Target) render.Request {
	release := settings.Source.ReleaseName
	if release == "" {
		release = app.Spec.Service
	}
	req := render.Request{
		Source: src, Path: app.Spec.Source.Path, Namespace: app.Spec.Source.Namespace, Release: release,
		ValuesFiles: settings.Source.ValuesFiles, Values: settings.Source.Values,
		Capabilities: t.Capabilities, AllowNondeterministic: settings.Source.Nondeterministic(),
		Remote: remotes,
	}
	if chart := settings.Source.Chart; chart != nil && chart.Path != "" {
		req.Path = chart.Path
	} else if chart != nil {
		req.Chart = &render.ChartRef{Repository: chart.Repository, Name: chart.Name, Version: chart.Version, Digest: chart.Digest}
	}
	return req
}

// fleetOf reads the Fleet whose repository holds app.
func (r *Reconciler) fleetOf(ctx context.Context, app *v1alpha1.App) (*v1alpha1.Fleet, error) {
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: app.Namespace, Name: app.Spec.Fleet}, fleet); err != nil {
		return nil, fmt.Errorf("read fleet %s, whose repository holds the App: %w", app.Spec.Fleet, err)
	}
	return fleet, nil
}
