package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// defaultNamespace is where Sengu's objects live.
	defaultNamespace = "sengu"
	// localKubeconfig is where `sengu up` leaves the kubeconfig of the plane that holds Sengu's objects.
	localKubeconfig = ".sengu/dev/kubeconfig"
	// localState is what `sengu up` leaves behind, also when it is stopped.
	localState = ".sengu/state.json"
	// requestTimeout bounds one request of a verb. A watch is not bounded by it.
	requestTimeout = 30 * time.Second
)

// plane is the API server that holds Sengu's objects.
type plane struct {
	client.WithWatch
	config    *rest.Config
	namespace string
	origin    string
}

// quiet keeps what the libraries log off the screen: whatever matters comes back as an error.
var quiet = sync.OnceFunc(func() {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
})

// scheme knows the kinds of Kubernetes and of Sengu.
func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientscheme.AddToScheme(s); err != nil {
		return nil, fmt.Errorf("register the kinds of Kubernetes: %w", err)
	}
	if err := v1alpha1.AddToScheme(s); err != nil {
		return nil, fmt.Errorf("register the kinds of Sengu: %w", err)
	}
	return s, nil
}

// plane finds the API server that holds Sengu's objects. It makes no request.
func (p *program) plane() (*plane, error) {
	quiet()
	config, origin, err := p.restConfig()
	if err != nil {
		return nil, err
	}
	s, err := scheme()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: s})
	if err != nil {
		return nil, fmt.Errorf("use the plane of %s: %w", origin, err)
	}
	return &plane{WithWatch: c, config: config, namespace: p.namespace, origin: origin}, nil
}

// restConfig says how to reach the plane, and which file says so.
func (p *program) restConfig() (*rest.Config, string, error) {
	rules, origin, err := p.loadingRules()
	if err != nil {
		return nil, "", err
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: p.kubeContext}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig %s: %w", origin, err)
	}
	config.UserAgent = "sengu-cli"
	// The verbs ask for few things at a time; a person waits for each.
	config.QPS, config.Burst = 200, 400
	return config, origin, nil
}

func (p *program) loadingRules() (*clientcmd.ClientConfigLoadingRules, string, error) {
	if p.kubeconfig != "" {
		if _, err := os.Stat(p.kubeconfig); err != nil {
			return nil, "", fmt.Errorf("--kubeconfig %s cannot be read: %w", p.kubeconfig, reason(err))
		}
		return &clientcmd.ClientConfigLoadingRules{ExplicitPath: p.kubeconfig}, p.kubeconfig, nil
	}
	if named := p.env("KUBECONFIG"); named != "" {
		return &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(named)}, named, nil
	}
	if path := above(localKubeconfig); path != "" {
		return &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, path, nil
	}
	// Not to fall through to a cluster that nobody meant.
	if state := above(localState); state != "" {
		return nil, "", fmt.Errorf("the local plane in %s is down: start it with `sengu up`, or name another plane with --kubeconfig",
			filepath.Dir(state))
	}
	path := filepath.Join(p.env("HOME"), ".kube", "config")
	if _, err := os.Stat(path); err != nil {
		return nil, "", errors.New("no plane found: there is no .sengu/dev/kubeconfig here or above, $KUBECONFIG is not set and " +
			"there is no ~/.kube/config; start a local plane with `sengu up`, or name one with --kubeconfig")
	}
	return &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, path, nil
}

// above finds the file name in the working directory or the nearest folder above it.
func above(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// reason is what the operating system said, without the path that the sentence around it names already.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// explain makes a sentence with a way out of what a request to the plane ended with.
func (pl *plane) explain(doing string, err error) error {
	var network net.Error
	var unknown *net.OpError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case meta.IsNoMatchError(err), runtime.IsNotRegisteredError(err):
		return fmt.Errorf("%s: the plane of %s does not know Sengu's kinds; install Sengu on it, or name the right plane with --kubeconfig",
			doing, pl.origin)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: the credentials of %s are refused; renew them, or name another kubeconfig with --kubeconfig", doing, pl.origin)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w; ask for a Role that allows it", doing, err)
	case errors.As(err, &unknown), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s: the plane at %s does not answer; if it is a local one, start it with `sengu up`", doing, pl.config.Host)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// snapshot is Sengu's objects as the plane held them.
type snapshot struct {
	apps     []v1alpha1.App
	fleets   []v1alpha1.Fleet
	clusters []v1alpha1.Cluster
	releases []v1alpha1.Release
}

// snapshot asks the plane for Sengu's objects.
func (pl *plane) snapshot(ctx context.Context) (snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := read(ctx, pl, pl.namespace)
	return s, pl.explain("read what Sengu holds", err)
}

// read lists Sengu's objects in namespace.
func read(ctx context.Context, r client.Reader, namespace string) (snapshot, error) {
	var apps v1alpha1.AppList
	var fleets v1alpha1.FleetList
	var clusters v1alpha1.ClusterList
	var releases v1alpha1.ReleaseList
	for _, l := range []client.ObjectList{&apps, &fleets, &clusters, &releases} {
		if err := r.List(ctx, l, client.InNamespace(namespace)); err != nil {
			return snapshot{}, err
		}
	}
	return snapshot{apps: apps.Items, fleets: fleets.Items, clusters: clusters.Items, releases: releases.Items}, nil
}
