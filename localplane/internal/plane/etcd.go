//go:build !race

package plane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdSocket is the name of the socket on which etcd listens. It is no TCP port:
// that would be open to every user of the machine.
const etcdSocket = "etcd.sock"

// startEtcd starts etcd and waits until it serves.
func (p *plane) startEtcd(ctx context.Context) error {
	socket, cleanup, err := p.home.Socket(etcdSocket)
	if err != nil {
		return err
	}
	p.etcdURL = (&url.URL{Scheme: "unix", Path: socket}).String()
	server, err := embed.StartEtcd(p.etcdConfig(socket))
	if err != nil {
		return errors.Join(fmt.Errorf("start etcd: %w", err), cleanup())
	}
	p.parts.Start("etcd", 5*time.Second, func(ctx context.Context) error { //nolint:contextcheck // a component outlives the start of the plane
		defer server.Close()
		select {
		case <-ctx.Done():
			return cleanup()
		case err := <-server.Err():
			return errors.Join(err, cleanup())
		}
	})
	select {
	case <-server.Server.ReadyNotify():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("start etcd: %w", context.Cause(ctx))
	}
}

// etcdConfig is a cluster of one member without peers.
func (p *plane) etcdConfig(socket string) *embed.Config {
	client := []url.URL{{Scheme: "unix", Path: socket}}
	cfg := embed.NewConfig()
	cfg.Name = "localplane"
	cfg.Dir = p.home.Path("etcd")
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = client, client
	// A member must have an address for peers, though nobody listens there.
	cfg.ListenPeerUrls = nil
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = !p.cfg.Fsync
	cfg.QuotaBackendBytes = 8 << 30
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapLogger(p.log))
	// Nobody else can win the election, so it need not be waited for: the
	// first tick after a start may call it.
	cfg.TickMs, cfg.ElectionMs = 100, 500
	return cfg
}
