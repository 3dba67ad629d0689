package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/layout"
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
	fleet *v1alpha1.Fleet
	// spec is what the App should be.
	spec v1alpha1.AppSpec
	app  *v1alpha1.App // nil if there is none yet
	// gone says that the folder of the App is not there any more.
	gone bool
}

// title names s as every verb understands it.
func (s subject) title() string {
	if s.spec.Service == "" {
		return s.app.Name
	}
	return s.spec.Service + "/" + s.spec.Environment
}

// object is the App with the spec that it should have. One that does not exist yet has a UID that no App has.
func (s subject) object() *v1alpha1.App {
	if s.app == nil {
		name := layout.NameOfApp(s.fleet.Name, s.spec.Service, s.spec.Environment)
		return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: s.fleet.Namespace, Name: name, UID: "new"}, Spec: s.spec}
	}
	app := *s.app
	app.Spec = s.spec
	return &app
}

// options are those of the writes of s.
func (s subject) options() apply.Options {
	app := s.object()
	return apply.Options{Owner: origin.OwnerOf(app), As: origin.As(app)}
}

// subjectOf is an App as it is.
func (w *workshop) subjectOf(app *v1alpha1.App) (subject, error) {
	fleet := w.snap.fleet(app.Spec.Fleet)
	if fleet == nil {
		return subject{}, fmt.Errorf("there is no Fleet %s, whose repository holds %s", app.Spec.Fleet, title(app))
	}
	return subject{fleet: fleet, spec: app.Spec, app: app}, nil
}

// subjectAt is what the Fleet makes of a place of its layout, in env.
func (w *workshop) subjectAt(fleet *v1alpha1.Fleet, env v1alpha1.Environment, at layout.Place) subject {
	s := subject{fleet: fleet, spec: layout.SpecOf(fleet, env, at, "")}
	for i := range w.snap.apps {
		app := &w.snap.apps[i]
		if app.Spec.Fleet == fleet.Name && app.Spec.Service == at.Service && app.Spec.Environment == at.Environment {
			s.app = app
		}
	}
	return s
}

// want renders s from src, as the App controller does.
func (w *workshop) want(ctx context.Context, src render.Source, s subject) (origin.Desired, *site, error) {
	at, err := w.site(ctx, s.spec.Source.Cluster)
	if err != nil {
		return origin.Desired{}, nil, err
	}
	maker := origin.Maker{Renderer: w.renderer, Secrets: w.pl}
	d, err := maker.Make(ctx, origin.Order{App: s.object(), Fleet: s.fleet, Source: src, Pin: s.object().Spec.Pin.ImageAt(time.Now()), Conn: at.conn, Capabilities: at.caps})
	if err != nil {
		return origin.Desired{}, nil, renderSentence(err)
	}
	return d, at, nil
}
