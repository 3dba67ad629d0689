//go:build !race

package plane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// pollInterval is how often a start looks whether the next thing is ready.
const pollInterval = 25 * time.Millisecond

// featureGates hold for all components, as they share a process. The first two
// are about several API servers. The last guards against node leases that are
// seen late; simulated nodes have none, and on a slow start with many nodes the
// guard makes the node controller of 1.37.2 dereference nil, which ends the
// process.
const featureGates = "APIServerIdentity=false," +
	"UnknownVersionInteroperabilityProxy=false," +
	"NodeControllerLeaseCircuitBreaker=false"

// startAPIServer starts the API server on the listener and waits until it is
// ready to serve.
func (p *plane) startAPIServer(ctx context.Context) error {
	o := options.NewServerRunOptions()
	o.SecureServing.Listener = p.listener
	if err := parseFlags(o.Flags(), p.apiServerFlags()); err != nil {
		return fmt.Errorf("configure kube-apiserver: %w", err)
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("configure kube-apiserver: %w", err)
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return fmt.Errorf("configure kube-apiserver: %w", err)
	}
	if err := utilerrors.NewAggregate(completed.Validate()); err != nil {
		return fmt.Errorf("configure kube-apiserver: %w", err)
	}
	p.parts.Start("kube-apiserver", 8*time.Second, func(ctx context.Context) error { //nolint:contextcheck // a component outlives the start of the plane
		return app.Run(ctx, completed)
	})
	return p.waitReadyz(ctx)
}

// apiServerFlags differ from the defaults in what a test machine needs: nothing
// is throttled, nothing is renewed that nobody reads, and it stops quickly.
func (p *plane) apiServerFlags() []string {
	return []string{
		"--etcd-servers=" + p.etcdURL,
		"--advertise-address=127.0.0.1",
		"--tls-cert-file=" + p.pki.ServerCert,
		"--tls-private-key-file=" + p.pki.ServerKey,
		"--token-auth-file=" + p.home.TokenFile(),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + p.pki.ServiceAccountPub,
		"--service-account-signing-key-file=" + p.pki.ServiceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",
		// No queues, and limits that a test does not reach.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=3000",
		"--http2-max-streams-per-connection=1000",
		// One server: no leases and endpoints that say which ones live.
		"--endpoint-reconciler-type=none",
		"--feature-gates=" + featureGates,
		"--event-ttl=15m",
		"--profiling=false",
		// Watches would hold the server for a minute.
		"--shutdown-watch-termination-grace-period=500ms",
		"--shutdown-send-retry-after=true",
	}
}

// waitReadyz returns when the API server says that it is ready.
func (p *plane) waitReadyz(ctx context.Context) error {
	client, err := rest.HTTPClientFor(p.client(admin))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer client.CloseIdleConnections()
	return poll(ctx, pollInterval, "kube-apiserver", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address()+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // only read
		body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s: %s", res.Status, body)
		}
		return nil
	})
}

// parseFlags gives a component the flags it would get on its command line.
func parseFlags(sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SetOutput(io.Discard) // it would tell which flags are deprecated
	for _, set := range sets.FlagSets {
		fs.AddFlagSet(set)
	}
	return fs.Parse(args)
}

// poll calls try until it succeeds. When ctx ends first, the error says what
// was waited for and how it went the last time.
func poll(ctx context.Context, every time.Duration, what string, try func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %w", context.Cause(ctx), what, err)
		}
	}
}
