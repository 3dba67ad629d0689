// Package server is the composition root: it names everything that runs in one Sengu process and ties it together.
//
// It is responsible for starting in the right order and stopping cleanly. It refuses to contain any behaviour of its
// own beyond that.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/app"
	"github.com/sengu-dev/sengu/internal/controller/chronicle"
	"github.com/sengu-dev/sengu/internal/controller/cluster"
	"github.com/sengu-dev/sengu/internal/controller/fleet"
	"github.com/sengu-dev/sengu/internal/controller/handover"
	"github.com/sengu-dev/sengu/internal/controller/herald"
	"github.com/sengu-dev/sengu/internal/controller/keeper"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/release"
	"github.com/sengu-dev/sengu/internal/controller/review"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/controller/tracker"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/probe"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/render"
)

// Options configure a Sengu process.
type Options struct {
	// Kubeconfig is the file that leads to the cluster whose Fleets, Apps and Clusters are served. Empty means the
	// cluster that Sengu runs in.
	Kubeconfig string
	// Namespace holds the Fleets, Apps and Clusters, and Sengu's own Secret.
	Namespace string
	// DataDir holds mirrors and rendered results, which can be made again, and the history if no database is named.
	DataDir string
	// Listen is the address of webhooks, the buttons of Slack, /healthz and /readyz.
	Listen string
	// MetricsListen is the address of /metrics; "0" for none.
	MetricsListen string
	// AllowedExec lists the commands that a kubeconfig may run for credentials.
	AllowedExec []string
	// AllowFileRemotes lets Fleets read repositories of this machine by file:// URLs.
	AllowFileRemotes bool
	// LeaderElect makes this process wait until it holds the Lease, so that a second one can stand by.
	LeaderElect bool
	// Workers is how many Apps are worked on at once; 0 means a default that keeps the API servers busy.
	Workers int
	// AllowedProbes lists addresses that checks and webhooks may lead to although they are loopback, link-local or of a
	// cloud's metadata.
	AllowedProbes []string
	// Database is the URL of the history: a path, sqlite:///path or postgres://…; empty means a file in DataDir.
	Database string
	// Retention is how long the history is kept; 0 means 400 days.
	Retention time.Duration
	// Version of this program.
	Version string
	// Clock tells the time; nil means that of the machine.
	Clock  clock.WithDelayedExecution
	Logger *slog.Logger
}

// defaultWorkers hides the latency of the API servers; what is sent at once is bounded for each cluster by itself.
const defaultWorkers = 64

const (
	// defaultRetention is how long the history is kept: a year, and a month to compare with.
	defaultRetention = 400 * 24 * time.Hour
	// keptReleases is how many Releases of a service that have ended stay in the home cluster.
	keptReleases = 10
)

// stopTimeout bounds how long a stop waits for what is under way.
const stopTimeout = 20 * time.Second

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	home, err := homeConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	key, err := installationKey(ctx, home, o.Namespace)
	if err != nil {
		return err
	}
	mgr, err := newManager(home, o)
	if err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	repositories, err := gitrepo.Open(filepath.Join(o.DataDir, "repositories"), gitrepo.Options{AllowFile: o.AllowFileRemotes, Logger: o.Logger})
	if err != nil {
		return fmt.Errorf("open the mirrors: %w", err)
	}
	defer closing(o.Logger, "mirrors", repositories.Close)
	renderer, err := render.New(render.Options{
		Workers: runtime.NumCPU(), CacheDir: filepath.Join(o.DataDir, "rendered"), CacheKey: key.render, Git: bases(repositories), Logger: o.Logger,
	})
	if err != nil {
		return fmt.Errorf("start the renderer: %w", err)
	}
	defer closing(o.Logger, "renderer", renderer.Close)
	reviewing, err := reviewRenderer(o, key, repositories)
	if err != nil {
		return fmt.Errorf("start the renderer of pull requests: %w", err)
	}
	defer closing(o.Logger, "renderer of pull requests", reviewing.Close)

	probes, err := probe.New(probe.Options{Version: o.Version, Allow: o.AllowedProbes, Now: o.Clock.Now})
	if err != nil {
		return fmt.Errorf("addresses that checks may lead to: %w", err)
	}
	registries, err := openRegistries(o)
	if err != nil {
		return fmt.Errorf("set up the client of registries: %w", err)
	}
	defer registries.Close()
	past, err := openRecords(ctx, o)
	if err != nil {
		return err
	}
	defer closing(o.Logger, "history", past.Close)
	conn, err := kube.Connect(home, kube.Options{Version: o.Version})
	if err != nil {
		return fmt.Errorf("the home cluster: %w", err)
	}
	defer conn.Close()
	told, err := notifications(past, o)
	if err != nil {
		return err
	}

	parts, err := compose(mgr, means{
		home: home, records: record.New(conn), repositories: repositories, renderer: renderer, reviewing: reviewing, past: past, told: told, probes: probes,
		registries: registries, key: key.hash,
	}, o)
	if err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	defer parts.clusters.Close()
	defer parts.fleets.Close()
	defer parts.releases.Close()
	defer parts.keeper.Close()
	defer parts.reviews.Close()
	defer parts.images.Close()
	if err := parts.setup(ctx, mgr); err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	if err := errors.Join(mgr.Add(newListener(o, mgr, parts)), mgr.Add(past), mgr.Add(dispatching{told}), mgr.Add(pressing{parts.buttons})); err != nil {
		return fmt.Errorf("set up the listener, the history and the notifications: %w", err)
	}
	o.Logger.Info("sengu starts", "version", o.Version, "namespace", o.Namespace, "listen", o.Listen)
	if err := mgr.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run the controllers: %w", err)
	}
	return nil
}

func closing(log *slog.Logger, what string, f func() error) {
	if err := f(); err != nil {
		log.Warn("close on the way out", "what", what, "error", err)
	}
}

// parts are the controllers.
type parts struct {
	targets  *target.Registry
	clusters *cluster.Reconciler
	fleets   *fleet.Reconciler
	releases *release.Reconciler
	apps     *app.Reconciler
	history  *chronicle.Reconciler
	herald   *herald.Reconciler
	buttons  *slack.Handler
	keeper   *keeper.Reconciler
	reviews  *review.Reconciler
	images   *tracker.Reconciler
	api      *api
}

// means are what the controllers work with.
type means struct {
	home         *rest.Config
	records      *record.Writer
	repositories *gitrepo.Store
	renderer     *render.Renderer
	// reviewing renders pull requests.
	reviewing  *render.Renderer
	past       *records
	told       *notify.Dispatcher
	probes     *probe.Client
	registries *registry.Client
	key        manifest.Key
}

func compose(mgr ctrl.Manager, m means, o Options) (parts, error) {
	workers := o.Workers
	if workers <= 0 {
		workers = defaultWorkers
	}
	targets := target.NewRegistry(mgr.GetClient())
	ledger := handover.New()
	apps := &app.Reconciler{
		Client: mgr.GetClient(), Records: m.records, Namespace: o.Namespace, Repositories: m.repositories, Renderer: m.renderer, Targets: targets, Ledger: ledger, Key: m.key,
		Events: mgr.GetEventRecorder("sengu"), Renders: render.Fingerprint(), Workers: workers, Log: o.Logger, Now: o.Clock.Now,
	}
	forges := origin.NewForges(mgr.GetClient(), m.repositories, o.Logger, o.Clock.Now)
	fleets := &fleet.Reconciler{
		Client: mgr.GetClient(), Records: m.records, Repositories: m.repositories, Renderer: m.renderer, Renders: render.Fingerprint(),
		Targets: targets, Key: m.key, Ledger: ledger, Log: o.Logger, Now: o.Clock.Now,
	}
	tells := &herald.Reconciler{
		Client: mgr.GetClient(), Home: m.home, Namespace: o.Namespace, Forges: forges, Store: m.past, Dispatcher: m.told,
		Allowed: m.probes.Allowed, Log: o.Logger, Now: o.Clock.Now,
	}
	buttons, err := slack.NewHandler(slack.HandlerOptions{Desks: tells.Desks, Act: tells.Act, Logger: o.Logger, Now: o.Clock.Now})
	if err != nil {
		return parts{}, err
	}
	return parts{
		targets: targets, apps: apps, fleets: fleets, herald: tells, buttons: buttons,
		releases: &release.Reconciler{
			Client: mgr.GetClient(), Records: m.records, Repositories: m.repositories, Targets: targets, Probes: m.probes, Logs: m.past,
			Forges: forges, Pushed: fleets.Pushed, Changelog: origin.Changelog{Client: mgr.GetClient(), Registry: m.registries, Repositories: m.repositories}.Between,
			Maker:  origin.Maker{Renderer: m.renderer, Secrets: mgr.GetClient(), Key: m.key},
			Ledger: ledger, Log: o.Logger, Clock: o.Clock,
		},
		clusters: &cluster.Reconciler{
			Client: mgr.GetClient(), Targets: targets, Home: m.home, AllowedExec: o.AllowedExec, Key: m.key,
			Changed: apps.Changed, Health: apps.Health, Version: o.Version, Log: o.Logger, Now: o.Clock.Now,
		},
		keeper: &keeper.Reconciler{
			Client: mgr.GetClient(), Repositories: m.repositories, Events: mgr.GetEventRecorder("sengu"), Log: o.Logger, Clock: o.Clock,
		},
		reviews: &review.Reconciler{
			Client: mgr.GetClient(), Repositories: m.repositories, Forges: forges, Targets: targets,
			Maker:  origin.Maker{Renderer: m.reviewing, Secrets: mgr.GetClient(), Key: m.key},
			Events: mgr.GetEventRecorder("sengu"), Log: o.Logger, Clock: o.Clock,
		},
		images: &tracker.Reconciler{
			Client: mgr.GetClient(), Repositories: m.repositories, Registries: m.registries, Pushed: fleets.Pushed,
			Events: mgr.GetEventRecorder("sengu"), Log: o.Logger, Clock: o.Clock,
		},
		history: &chronicle.Reconciler{Client: mgr.GetClient(), Store: m.past, Told: m.told.Wake, Keep: keptReleases, Log: o.Logger},
		api:     &api{records: m.past, home: m.home, namespace: o.Namespace, now: o.Clock.Now},
	}, nil
}

// setup registers the controllers. The Apps come first: they want to hear of clusters.
func (p parts) setup(ctx context.Context, mgr ctrl.Manager) error {
	if err := origin.IndexServices(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return errors.Join(p.apps.Setup(mgr), p.fleets.Setup(mgr), p.releases.Setup(ctx, mgr), p.history.Setup(mgr), p.herald.Setup(mgr), p.keeper.Setup(mgr), p.reviews.Setup(mgr), p.images.Setup(mgr), p.clusters.Setup(mgr))
}

// ready says what is still missing before what is reported can be relied on.
func (p parts) ready(ctx context.Context) error {
	return errors.Join(p.clusters.Ready(ctx), p.fleets.Ready(ctx), p.targets.Ready())
}

func newManager(home *rest.Config, o Options) (ctrl.Manager, error) {
	s := apiruntime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		return nil, err
	}
	own := rest.CopyConfig(home)
	// The API server's own fairness is the limit; a second one here would only add latency.
	own.QPS = -1
	graceful, several := stopTimeout, true
	return ctrl.NewManager(own, ctrl.Options{
		Scheme:                        s,
		Logger:                        logr.FromSlogHandler(o.Logger.Handler()),
		Metrics:                       server.Options{BindAddress: o.MetricsListen},
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              "sengu",
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &graceful,
		// Several may run in one process, as in tests, each with its own controllers.
		Controller: config.Controller{SkipNameValidation: &several},
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{o.Namespace: {}},
			DefaultTransform:  cache.TransformStripManagedFields(),
		},
		// Secrets are read when they are needed and never kept.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
}

func homeConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("no --kubeconfig was given and Sengu does not run in a cluster: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// BridgeLogs makes the libraries log where Sengu does. It is for the whole process: call it once, before anything else.
func BridgeLogs(log *slog.Logger) {
	bridged := logr.FromSlogHandler(log.Handler())
	ctrl.SetLogger(bridged)
	klog.SetLogger(bridged)
}
