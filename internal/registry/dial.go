package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
)

// Where an address leads.
const (
	public   int32 = iota
	private        // of an organisation
	loopback       // of this machine
)

// dialer connects to one registry, and to where it sends us: its token server and the store of its blobs. Those may be
// on private addresses only if the registry is, so that a registry out there cannot make us ask around in here.
type dialer struct {
	host  string // of the registry, without its port
	reach atomic.Int32
}

var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	awsMetadata = netip.MustParseAddr("fd00:ec2::254")
)

// allows decides about an address that name leads to, and notes how far the registry itself reaches.
func (d *dialer) allows(name string, a netip.Addr) bool {
	a = a.Unmap()
	where := public
	switch {
	case a.IsLinkLocalUnicast(), a == awsMetadata, a.IsUnspecified(), a.IsMulticast():
		return false
	case a.IsLoopback():
		where = loopback
	case a.IsPrivate(), sharedSpace.Contains(a):
		where = private
	}
	if name == d.host {
		for seen := d.reach.Load(); seen < where && !d.reach.CompareAndSwap(seen, where); seen = d.reach.Load() {
			continue
		}
		return true
	}
	return where <= d.reach.Load() || name == proxyOf(d.host)
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nd := net.Dialer{Timeout: 10 * time.Second, Control: func(_, resolved string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(resolved)
		if err != nil || !d.allows(hostname(address), ap.Addr()) {
			return errAddress
		}
		return nil
	}}
	return nd.DialContext(ctx, network, address)
}

// proxyOf returns the proxy that the operator has set for a host, "" when there is none.
func proxyOf(host string) string {
	q := &http.Request{URL: &url.URL{Scheme: "https", Host: host}}
	if p, err := http.ProxyFromEnvironment(q); err == nil && p != nil {
		return p.Hostname()
	}
	return ""
}

// newTransport makes the connections to one registry, which it shares with no other.
func newTransport(host string, roots *x509.CertPool) *http.Transport {
	d := &dialer{host: hostname(host)}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: d.dial, ForceAttemptHTTP2: true,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second, IdleConnTimeout: time.Minute,
		MaxIdleConns: 4, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 8, MaxResponseHeaderBytes: 64 << 10,
	}
}
