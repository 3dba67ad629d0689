//go:build !race

// Package plane assembles the control plane: it starts etcd, the API server,
// the controller manager, the scheduler and KWOK in one process, waits until
// together they can be used, and stops them in the opposite order. All that
// imports Kubernetes itself is here, and so it is kept out of builds with the
// race detector (see the command). It starts no other process.
package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	kubeversion "k8s.io/component-base/version"

	"github.com/sengu-dev/sengu/localplane/internal/component"
	"github.com/sengu-dev/sengu/localplane/internal/config"
	"github.com/sengu-dev/sengu/localplane/internal/home"
)

// The users that the control plane knows from the start. The components are
// administrators, as their usual roles would need a service account for each
// controller; their names show in managedFields and events.
var (
	admin             = home.User{Name: "admin", Groups: []string{"system:masters"}}
	controllerManager = home.User{Name: "system:kube-controller-manager", Groups: []string{"system:masters"}}
	scheduler         = home.User{Name: "system:kube-scheduler", Groups: []string{"system:masters"}}
	kwok              = home.User{Name: "system:kwok", Groups: []string{"system:masters"}}
)

// serviceRange is where Services get their addresses; serviceIP is the first,
// that of the API itself.
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

// startGCPercent is how far the heap may grow between collections during the
// start, in percent. It takes a sixth off the start's work for 80 MB that are
// given back after it.
const startGCPercent = 300

// hosts are the names that the certificate of the API is good for.
func hosts() []string {
	return []string{
		"127.0.0.1", "::1", serviceIP, "localhost", "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	}
}

// plane is what one run needs to know.
type plane struct {
	cfg      config.Config
	home     *home.Home
	log      *home.Log
	pki      home.PKI
	ca       []byte
	tokens   home.Tokens
	listener net.Listener
	// etcdURL is where etcd listens, once it is started.
	etcdURL string
	parts   *component.Group
}

// Run runs a control plane until ctx ends or a component fails. It prints to
// out once, when everything can be used. It returns nil when it stopped because
// ctx ended, also when that was before it was ready. While it runs, the log has
// what is written to the process's standard error.
func Run(ctx context.Context, cfg config.Config, out io.Writer) (err error) {
	begin := time.Now()
	h, err := home.Open(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	log, err := home.OpenLog(h.LogFile(), home.LogLimit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	redirectLogs(log)
	errOut, restore, err := redirectStderr(h.LogFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()

	p := &plane{cfg: cfg, home: h, log: log, parts: component.NewGroup()}
	onFatal(p.parts.Stopping, h, errOut)
	if err := p.prepare(ctx, begin); err != nil {
		return err
	}
	defer p.parts.Stop()
	defer func() { err = errors.Join(err, h.RemoveKubeconfig()) }()

	gcPercent := debug.SetGCPercent(startGCPercent)
	err = p.start(ctx)
	debug.SetGCPercent(gcPercent)
	if err == nil {
		_, _ = fmt.Fprintf(out, "Kubernetes %s is ready at %s after %.1f s; export KUBECONFIG=%s\n",
			kubeversion.Get().GitVersion, p.address(), time.Since(begin).Seconds(), h.KubeconfigFile())
		debug.FreeOSMemory() // a start leaves as much garbage as what stays
		err = p.parts.Wait(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w; its log is %s", err, h.LogFile())
}

// prepare makes or finds all that does not need a running component.
func (p *plane) prepare(ctx context.Context, now time.Time) (err error) {
	if err := p.home.RemoveKubeconfig(); err != nil {
		return err
	}
	if p.pki, err = p.home.PKI(hosts(), now); err != nil {
		return err
	}
	if p.ca, err = os.ReadFile(p.pki.CACert); err != nil {
		return fmt.Errorf("read certificate authority: %w", err)
	}
	if p.tokens, err = p.home.Tokens([]home.User{admin, controllerManager, scheduler, kwok}); err != nil {
		return err
	}
	p.listener, err = p.home.Listen(ctx, p.cfg.Port)
	return err
}

// start brings everything up, one after the other where one needs the other,
// and returns when the cluster can be used.
func (p *plane) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.Timeout,
		fmt.Errorf("the control plane was not ready within %s (see --timeout)", p.cfg.Timeout))
	defer cancel()
	steps := []func(context.Context) error{
		p.startEtcd,
		p.startAPIServer,
		p.startControllerManager,
		p.startScheduler,
		p.startKWOK,
		p.waitUsable,
	}
	for _, step := range steps {
		if err := p.parts.During(ctx, step); err != nil {
			return err
		}
	}
	return home.WriteKubeconfig(p.home.KubeconfigFile(), p.kubeconfig(admin))
}

// address is where the API is.
func (p *plane) address() string { return "https://" + p.listener.Addr().String() }

// kubeconfig is how user reaches the API.
func (p *plane) kubeconfig(user home.User) home.Kubeconfig {
	return home.Kubeconfig{Server: p.address(), CA: p.ca, User: user.Name, Token: p.tokens[user.Name]}
}

// componentKubeconfig writes the kubeconfig of a component, which can read one
// from a file only, and returns its path.
func (p *plane) componentKubeconfig(user home.User) (string, error) {
	name := strings.TrimPrefix(user.Name, "system:") + ".kubeconfig"
	path := p.home.Path("pki", name)
	return path, home.WriteKubeconfig(path, p.kubeconfig(user))
}

// client is how this process itself calls the API, without a limit of its own.
func (p *plane) client(user home.User) *rest.Config {
	return &rest.Config{
		Host:            p.address(),
		BearerToken:     p.tokens[user.Name],
		TLSClientConfig: rest.TLSClientConfig{CAData: p.ca},
		UserAgent:       "localplane",
		QPS:             -1,
	}
}

// Version says what is in this binary.
func Version() string {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			versions[m.Path] = m.Version
		}
	}
	return fmt.Sprintf("localplane with Kubernetes %s, etcd %s, KWOK %s",
		kubeversion.Get().GitVersion, versions["go.etcd.io/etcd/server/v3"], versions["sigs.k8s.io/kwok"])
}
