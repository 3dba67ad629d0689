package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// workshop renders what Apps should be, and holds the connections to their clusters.
type workshop struct {
	pl       *plane
	snap     snapshot
	renderer *render.Renderer
	exec     []string

	mu    sync.Mutex
	sites map[string]*site
}

// site is one cluster, connected to when it is first needed.
type site struct {
	once sync.Once
	conn *kube.Conn
	caps render.Capabilities
	err  error
}

func newWorkshop(pl *plane, snap snapshot, exec []string) (*workshop, error) {
	renderer, err := render.New(render.Options{})
	if err != nil {
		return nil, err
	}
	return &workshop{pl: pl, snap: snap, renderer: renderer, exec: exec, sites: map[string]*site{}}, nil
}

func (w *workshop) close() {
	_ = w.renderer.Close()
	for _, s := range w.sites {
		if s.conn != nil {
			s.conn.Close()
		}
	}
}

// site connects to the cluster of that name, once.
func (w *workshop) site(ctx context.Context, name string) (*site, error) {
	w.mu.Lock()
	s := w.sites[name]
	if s == nil {
		s = &site{}
		w.sites[name] = s
	}
	w.mu.Unlock()
	s.once.Do(func() { s.err = s.connect(ctx, w, name) })
	return s, s.err
}

func (s *site) connect(ctx context.Context, w *workshop, name string) error {
	cluster := w.snap.cluster(name)
	if cluster == nil {
		return oneOf("Cluster", name, clusterNames(w.snap.clusters))
	}
	conn, err := w.pl.target(ctx, cluster, w.exec)
	if err != nil {
		return err
	}
	s.conn = conn
	if s.caps.KubeVersion, err = conn.Version(ctx); err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	if s.caps.APIVersions, err = conn.APIVersions(ctx); err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	return nil
}

// subject is an App as a revision of its repository describes it, which need not exist yet.
type subject struct {
	fleet   *v1alpha1.Fleet
	app     *v1alpha1.App // nil if there is none yet
	service string
	env     string
	source  v1alpha1.AppSource
	// gone says that the folder of the App is not there any more.
	gone bool
}

// title names s as every verb understands it.
func (s subject) title() string {
	if s.service == "" {
		return s.app.Name
	}
	return s.service + "/" + s.env
}

// owner is s as the owner of its objects. One that does not exist yet has no UID.
func (s subject) owner() manifest.Owner {
	if s.app == nil {
		return manifest.Owner{Namespace: s.fleet.Namespace, Name: s.service + "." + s.env + "." + s.fleet.Name, UID: "new"}
	}
	return manifest.Owner{Namespace: s.app.Namespace, Name: s.app.Name, UID: string(s.app.UID)}
}

// as is whom s deploys as.
func (s subject) as() kube.As {
	account := s.fleet.Spec.ServiceAccountName
	if s.app != nil {
		account = s.app.Spec.ServiceAccountName
	}
	switch {
	case account == "":
		return kube.As{}
	case s.service == "":
		return kube.As{Namespace: s.app.Namespace, Name: account}
	}
	return kube.As{Namespace: s.source.Namespace, Name: account}
}

// options are those of the writes of s.
func (s subject) options() apply.Options {
	return apply.Options{Owner: s.owner(), As: s.as()}
}

// subjectOf is an App as it is.
func (w *workshop) subjectOf(app *v1alpha1.App) (subject, error) {
	fleet := w.snap.fleet(app.Spec.Fleet)
	if fleet == nil {
		return subject{}, fmt.Errorf("there is no Fleet %s, whose repository holds %s", app.Spec.Fleet, title(app))
	}
	return subject{fleet: fleet, app: app, service: app.Spec.Service, env: app.Spec.Environment, source: app.Spec.Source}, nil
}

// subjectAt is what the Fleet makes of a place of its layout.
func (w *workshop) subjectAt(fleet *v1alpha1.Fleet, p place) subject {
	namespace := strings.NewReplacer("{service}", p.service, "{environment}", p.env.Name).Replace(cmp.Or(p.env.Namespace, "{service}"))
	s := subject{
		fleet: fleet, service: p.service, env: p.env.Name,
		source: v1alpha1.AppSource{Path: p.path, Cluster: p.env.Cluster, Namespace: namespace},
	}
	for i := range w.snap.apps {
		app := &w.snap.apps[i]
		if app.Spec.Fleet == fleet.Name && app.Spec.Service == p.service && app.Spec.Environment == p.env.Name {
			s.app = app
		}
	}
	return s
}

// wanted is what a revision wants a cluster to hold.
type wanted struct {
	set      manifest.Set
	ignored  map[manifest.Ref][]manifest.FieldPath
	warnings []string
	// keeps says that what is no longer wanted is left as it is.
	keeps bool
}

// want renders s from src, as the App controller does.
func (w *workshop) want(ctx context.Context, src render.Source, s subject) (wanted, *site, error) {
	at, err := w.site(ctx, s.source.Cluster)
	if err != nil {
		return wanted{}, nil, err
	}
	serviceFolder, envFolder := s.source.Path, s.source.Path
	if s.service != "" {
		serviceFolder, envFolder = folders(s.fleet.Spec.Layout, s.source.Path)
	}
	d, err := delivery.Read(src, serviceFolder, envFolder, s.env)
	if err != nil {
		return wanted{}, nil, err
	}
	remotes, err := origin.Remotes(ctx, w.pl, s.fleet)
	if err != nil {
		return wanted{}, nil, err
	}
	result, err := w.renderer.Render(ctx, requestFor(src, s, d.Settings, remotes, at.caps))
	if err != nil {
		return wanted{}, nil, renderSentence(err)
	}
	kinds := make([]schema.GroupKind, 0, len(result.Objects))
	for _, o := range result.Objects {
		kinds = append(kinds, o.GroupVersionKind().GroupKind())
	}
	scopes, err := at.conn.Scopes(ctx, kinds...)
	if err != nil {
		return wanted{}, nil, err
	}
	set, err := manifest.NewSet(result.Objects, s.source.Namespace, s.owner(), scopes)
	if err != nil {
		return wanted{}, nil, err
	}
	return wanted{set: set, ignored: manifest.Ignored(set, d.Ignore), warnings: result.Warnings,
		keeps: d.PruneMode() == delivery.PruneNever}, at, nil
}

// requestFor says what to render for s.
func requestFor(src render.Source, s subject, settings delivery.Settings, remotes render.RemotePolicy, caps render.Capabilities) render.Request {
	q := render.Request{
		Source: src, Path: s.source.Path, Namespace: s.source.Namespace, Release: cmp.Or(settings.Source.ReleaseName, s.service),
		ValuesFiles: settings.Source.ValuesFiles, Values: settings.Source.Values,
		Capabilities: caps, AllowNondeterministic: settings.Source.Nondeterministic(), Remote: remotes,
	}
	switch chart := settings.Source.Chart; {
	case chart != nil && chart.Path != "":
		q.Path = chart.Path
	case chart != nil:
		q.Chart = &render.ChartRef{Repository: chart.Repository, Name: chart.Name, Version: chart.Version, Digest: chart.Digest}
	}
	return q
}
