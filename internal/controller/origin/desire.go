package origin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// Desired is what an App should be, and what that was made of.
type Desired struct {
	// Set is what its cluster should hold.
	Set manifest.Set
	// Ignored lists the fields of objects that are left to others.
	Ignored map[manifest.Ref][]manifest.FieldPath
	// Settings are what the service's Delivery says for the environment. They are set once they were read, also if what
	// follows fails.
	Settings delivery.Settings
	// Digest is the keyed hash of what was rendered and of how it is delivered. Two revisions with the same Digest are the
	// same to a cluster.
	Digest string
	// Images are those of the containers that were rendered.
	Images []string
	// Inputs are what the render read; nil if it failed.
	Inputs render.ReadSet
	// Warnings are sentences for people, among them one for each hook that is not run.
	Warnings []string
	// Degraded names the layers of the render sandbox that are missing.
	Degraded []string
}

// Maker makes what Apps should be. Whoever delivers and whoever only compares ask the same one, so that they agree.
type Maker struct {
	Renderer *render.Renderer
	// Secrets reads the credentials of remote inputs.
	Secrets client.Reader
	// Key keys the digests of what is made. Without it, they are not to be compared with those of anybody else.
	Key manifest.Key
}

// Order says what to make.
type Order struct {
	App   *v1alpha1.App
	Fleet *v1alpha1.Fleet
	// Source holds the files of the App's revision.
	Source render.Source
	// Pin is the image that a person has pinned, if there is one. It changes nothing of the Digest.
	Pin string
	// Conn leads to the cluster that the App runs in, and Capabilities are that cluster's. [Maker.Plan] needs no Conn.
	Conn         *kube.Conn
	Capabilities render.Capabilities
}

// OwnerOf returns an App as the owner of its objects.
func OwnerOf(app *v1alpha1.App) manifest.Owner {
	return manifest.Owner{Namespace: app.Namespace, Name: app.Name, UID: string(app.UID)}
}

// As returns whom an App deploys as: a service account of its target namespace if its Fleet names one, of the App's own
// namespace if it was written by hand.
func As(app *v1alpha1.App) kube.As {
	switch {
	case app.Spec.ServiceAccountName == "":
		return kube.As{}
	case app.Spec.Service == "":
		return kube.As{Namespace: app.Namespace, Name: app.Spec.ServiceAccountName}
	default:
		return kube.As{Namespace: app.Spec.Source.Namespace, Name: app.Spec.ServiceAccountName}
	}
}

// Make renders what an App should be.
func (m Maker) Make(ctx context.Context, o Order) (Desired, error) {
	d, objects, err := m.render(ctx, o)
	if err != nil {
		return d, err
	}
	steps := d.Settings.Jobs()
	objects = slices.DeleteFunc(objects, func(object manifest.Object) bool {
		return object.Ref().GroupKind() == jobKind && slices.Contains(steps, object.GetName())
	})
	return d, d.complete(ctx, o, objects)
}

// Plan renders what an App should be as far as that needs nothing of its cluster but its capabilities: the Desired has
// everything but the Set.
func (m Maker) Plan(ctx context.Context, o Order) (Desired, error) {
	d, _, err := m.render(ctx, o)
	return d, err
}

// Jobs renders the Jobs among the objects of an App that its Delivery runs as steps, by name.
func (m Maker) Jobs(ctx context.Context, o Order) (map[string]manifest.Object, error) {
	_, objects, err := m.render(ctx, o)
	if err != nil {
		return nil, err
	}
	jobs := map[string]manifest.Object{}
	for _, object := range objects {
		if object.Ref().GroupKind() == jobKind {
			jobs[object.GetName()] = object
		}
	}
	return jobs, nil
}

// jobKind is the kind of what a Delivery may run as a step.
var jobKind = schema.GroupKind{Group: "batch", Kind: "Job"}

func (m Maker) render(ctx context.Context, o Order) (Desired, []manifest.Object, error) {
	settings, err := Settings(o)
	if err != nil {
		return Desired{}, nil, err
	}
	d := Desired{Settings: settings}
	remotes, err := Remotes(ctx, m.Secrets, o.Fleet)
	if err != nil {
		return d, nil, err
	}
	chart := settings.Source.Chart
	if err := allowed(o.Fleet, chart, remotes); err != nil {
		return d, nil, err
	}
	result, err := m.Renderer.Render(ctx, request(o, settings, remotes))
	if err != nil {
		return d, nil, placed(err, chart)
	}
	d.Inputs, d.Degraded, d.Warnings = result.ReadSet, result.Degraded, result.Warnings
	for _, hook := range result.Hooks {
		if hook.Phase != render.PhaseNone { // the others are among the warnings
			d.Warnings = append(d.Warnings, hook.NotRun())
		}
	}
	if settings.Source.SkipsCRDs() {
		result.Objects = slices.DeleteFunc(result.Objects, func(object manifest.Object) bool { return object.Ref().GroupKind() == definition })
	}
	how, err := json.Marshal(manner{settings.Ignore, settings.Health, settings.Deletion, settings.CreatesNamespace(), settings.Jobs()})
	if err != nil {
		return d, nil, fmt.Errorf("encode what sengu.yaml says of %s: %w", o.App.Name, err)
	}
	d.Digest, d.Images = m.Key.Digest(result.Objects, how), manifest.Images(result.Objects)
	if o.Pin != "" && manifest.PinImage(result.Objects, o.Pin) == 0 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("no container runs another tag of %s, which is pinned", o.Pin))
	}
	return d, result.Objects, nil
}

// manner is the part of a Delivery that decides how objects are applied. What else it says changes nothing that runs.
type manner struct {
	Ignore          []manifest.IgnoreRule
	Health          []health.Rule
	Deletion        delivery.Deletion
	CreateNamespace bool
	// Steps are the Jobs that are run by themselves, and not applied.
	Steps []string
}

// allowed refuses a chart from a repository that the Fleet does not allow.
func allowed(fleet *v1alpha1.Fleet, chart *delivery.Chart, remotes render.RemotePolicy) error {
	if chart == nil || chart.Repository == "" || remotes.Allows(chart.Repository) == nil {
		return nil
	}
	return &render.Error{Sentence: fmt.Sprintf(
		"%s: source.chart.repository is %s, which is not allowed: add it to spec.remotes of Fleet %s, or commit the chart and name it with source.chart.path",
		chart.At, chart.Repository, fleet.Name)}
}

// placed adds where the chart is named to what is wrong with one from a repository of charts.
func placed(err error, chart *delivery.Chart) error {
	var failure *render.Error
	if chart == nil || chart.At == "" || !errors.As(err, &failure) || failure.File != "" {
		return err
	}
	told := *failure
	told.Sentence = chart.At + ": source.chart: " + failure.Sentence
	return &told
}

// definition is the kind of what a Delivery may leave out of a chart.
var definition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// complete makes a Set of what was rendered, by what the cluster knows of its kinds.
func (d *Desired) complete(ctx context.Context, o Order, objects []manifest.Object) error {
	kinds := make([]schema.GroupKind, 0, len(objects))
	for _, object := range objects {
		kinds = append(kinds, object.GroupVersionKind().GroupKind())
	}
	scopes, err := o.Conn.Scopes(ctx, kinds...)
	if err != nil {
		return err
	}
	if d.Set, err = manifest.NewSet(objects, o.App.Spec.Source.Namespace, OwnerOf(o.App), scopes); err != nil {
		return err
	}
	d.Ignored = manifest.Ignored(d.Set, d.Settings.Ignore)
	return nil
}

// Settings reads the Delivery files that concern an App. It needs nothing of a cluster.
func Settings(o Order) (delivery.Settings, error) {
	at := o.App.Spec.Source.Path
	service, environment := at, at
	if o.App.Spec.Service != "" {
		service, environment = layout.Folders(o.Fleet.Spec.Layout, at)
	}
	d, err := delivery.Read(o.Source, service, environment, o.App.Spec.Environment)
	if err != nil {
		return delivery.Settings{}, err
	}
	known := make([]string, 0, len(o.Fleet.Spec.Environments))
	for _, env := range o.Fleet.Spec.Environments {
		known = append(known, env.Name)
	}
	if err := d.CheckEnvironments(path.Join(service, delivery.FileName), known); err != nil {
		return delivery.Settings{}, err
	}
	return d.Settings, nil
}

// request says what to render.
func request(o Order, settings delivery.Settings, remotes render.RemotePolicy) render.Request {
	source := o.App.Spec.Source
	req := render.Request{
		Source: o.Source, Path: source.Path, Namespace: source.Namespace, Release: cmp.Or(settings.Source.ReleaseName, o.App.Spec.Service),
		ValuesFiles: settings.Source.ValuesFiles, Values: settings.Source.Values,
		Capabilities: o.Capabilities, AllowNondeterministic: settings.Source.Nondeterministic(), Remote: remotes,
	}
	switch chart := settings.Source.Chart; {
	case chart != nil && chart.Path != "":
		req.Path = chart.Path
	case chart != nil:
		req.Chart = &render.ChartRef{Repository: chart.Repository, Name: chart.Name, Version: chart.Version, Digest: chart.Digest}
	}
	return req
}
