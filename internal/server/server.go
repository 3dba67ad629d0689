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
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/app"
	"github.com/sengu-dev/sengu/internal/controller/cluster"
	"github.com/sengu-dev/sengu/internal/controller/fleet"
	"github.com/sengu-dev/sengu/internal/controller/handover"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// Options configure a Sengu process.
type Options struct {
	// Kubeconfig is the file that leads to the cluster whose Fleets, Apps and Clusters are served. Empty means the
	// cluster that Sengu runs in.
	Kubeconfig string
	// Namespace holds the Fleets, Apps and Clusters, and Sengu's own Secret.
	Namespace string
	// DataDir holds mirrors and rendered results. Everything in it can be made again.
	DataDir string
	// Listen is the address of webhooks, /healthz and /readyz.
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
	// Version of this program.
	Version string
	Logger  *slog.Logger
}

// defaultWorkers hides the latency of the API servers; what is sent at once is bounded for each cluster by itself.
const defaultWorkers = 64

// stopTimeout bounds how long a stop waits for what is under way.
const stopTimeout = 20 * time.Second

// Run serves until ctx ends.
func Run(ctx context.Context, o Options) error {
	bridgeLogs(o.Logger)
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

	conn, err := kube.Connect(home, kube.Options{Version: o.Version})
	if err != nil {
		return fmt.Errorf("the home cluster: %w", err)
	}
	defer conn.Close()

	parts := compose(mgr, home, record.New(conn), repositories, renderer, key.hash, o)
	defer parts.clusters.Close()
	if err := parts.setup(mgr); err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	if err := mgr.Add(newListener(o, mgr, parts)); err != nil {
		return fmt.Errorf("set up the listener: %w", err)
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
	apps     *app.Reconciler
}

func compose(mgr ctrl.Manager, home *rest.Config, records *record.Writer, repositories *gitrepo.Store, renderer *render.Renderer, key manifest.Key, o Options) parts {
	workers := o.Workers
	if workers <= 0 {
		workers = defaultWorkers
	}
	targets := target.NewRegistry(mgr.GetClient())
	ledger := handover.New()
	apps := &app.Reconciler{
		Client: mgr.GetClient(), Records: records, Namespace: o.Namespace, Repositories: repositories, Renderer: renderer, Targets: targets, Ledger: ledger, Key: key,
		Events: mgr.GetEventRecorder("sengu"), Renders: render.Fingerprint(), Workers: workers, Log: o.Logger, Now: time.Now,
	}
	return parts{
		targets: targets, apps: apps,
		fleets: &fleet.Reconciler{
			Client: mgr.GetClient(), Records: records, Repositories: repositories, Ledger: ledger, Log: o.Logger, Now: time.Now,
		},
		clusters: &cluster.Reconciler{
			Client: mgr.GetClient(), Targets: targets, Home: home, AllowedExec: o.AllowedExec, Key: key,
			Changed: apps.Changed, Health: apps.Health, Version: o.Version, Log: o.Logger, Now: time.Now,
		},
	}
}

// setup registers the controllers. The Apps come first: they want to hear of clusters.
func (p parts) setup(mgr ctrl.Manager) error {
	return errors.Join(p.apps.Setup(mgr), p.fleets.Setup(mgr), p.clusters.Setup(mgr))
}

// ready says what is still missing before what is reported can be relied on.
func (p parts) ready(ctx context.Context) error {
	return errors.Join(p.fleets.Ready(ctx), p.targets.Ready())
}

func newManager(home *rest.Config, o Options) (ctrl.Manager, error) {
	s := apiruntime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		return nil, err
	}
	config := rest.CopyConfig(home)
	// The API server's own fairness is the limit; a second one here would only add latency.
	config.QPS = -1
	graceful := stopTimeout
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                        s,
		Logger:                        logr.FromSlogHandler(o.Logger.Handler()),
		Metrics:                       server.Options{BindAddress: o.MetricsListen},
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              "sengu",
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &graceful,
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

// bridgeLogs makes the libraries log where Sengu does.
func bridgeLogs(log *slog.Logger) {
	bridged := logr.FromSlogHandler(log.Handler())
	ctrl.SetLogger(bridged)
	klog.SetLogger(bridged)
}
