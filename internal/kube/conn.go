package kube

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// Defaults of Options.
const (
	defaultConcurrency    = 32
	defaultMaxConcurrency = 128
	defaultTimeout        = 30 * time.Second
)

// How long parts of a connection may take.
const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	// pingAfter is how long an HTTP/2 connection may be silent before it is asked whether it is alive, and
	// pingTimeout is how long it has to answer. Without them a watch on a dead connection waits for ever.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
	idleTimeout = 90 * time.Second
)

// Options tune a connection. The zero value is good.
type Options struct {
	// Version of Sengu, for the user agent "sengu/<version>".
	Version string
	// Concurrency is how many requests may be under way at once at the start: 32 if zero. It adapts from there.
	Concurrency int
	// MaxConcurrency bounds it: 128 if zero.
	MaxConcurrency int
	// Timeout of one request, without the wait for its turn: 30 s if zero. Watches have none.
	Timeout time.Duration
}

// Conn is a connection to one cluster. It is safe for concurrent use.
type Conn struct {
	base    string // URL of the server, without a slash at the end
	client  *http.Client
	close   func()
	timeout time.Duration
	limiter *limiter
	counts  counter
	kinds   *kinds
}

// Connect prepares a connection; nothing is sent yet. It fails if cfg makes no sense.
func Connect(cfg *rest.Config, o Options) (*Conn, error) {
	server, err := url.Parse(serverOf(cfg))
	if err != nil || server.Host == "" || (server.Scheme != "https" && server.Scheme != "http") {
		return nil, errors.New("connect: the server's address must be an http or https URL")
	}
	if server.User != nil {
		return nil, errors.New("connect: the server's address must not carry a user or a password")
	}
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "sengu/" + cmp.Or(o.Version, "dev")
	roundTripper, closeAll, err := newTransport(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", server.Host, err)
	}
	c := &Conn{
		base:    strings.TrimSuffix(server.Scheme+"://"+server.Host+server.Path, "/"),
		client:  &http.Client{Transport: roundTripper, CheckRedirect: refuseRedirect},
		close:   closeAll,
		timeout: cmp.Or(o.Timeout, defaultTimeout),
		limiter: newLimiter(cmp.Or(o.Concurrency, defaultConcurrency), cmp.Or(o.MaxConcurrency, defaultMaxConcurrency)),
	}
	c.kinds = newKinds(c.discover)
	return c, nil
}

// Close ends every connection. Requests and watches under way fail, and so does every later one.
func (c *Conn) Close() { c.close() }

// Server returns the address of the API server.
func (c *Conn) Server() string { return c.base }

func serverOf(cfg *rest.Config) string {
	host := cfg.Host
	if host == "" || strings.Contains(host, "://") {
		return host
	}
	if tlsConfig, err := rest.TLSConfigFor(cfg); err == nil && tlsConfig != nil {
		return "https://" + host
	}
	return "http://" + host
}

// refuseRedirect keeps credentials from following a redirect.
func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the API server redirects, which is not followed")
}

// newTransport makes the transport of one Conn. It is not shared with other Conns, as client-go would: one cluster's
// watches and stalls should not touch another's, and Close should close.
func newTransport(cfg *rest.Config) (http.RoundTripper, func(), error) {
	tc, err := cfg.TransportConfig()
	if err != nil {
		return nil, nil, err
	}
	if tc.Transport != nil {
		rt, err := transport.HTTPWrappersForConfig(tc, tc.Transport)
		return rt, func() {}, err
	}
	tlsConfig, err := transport.TLSConfigFor(tc)
	if err != nil {
		return nil, nil, err
	}
	if tlsConfig != nil {
		tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	dial := dialer.DialContext
	if tc.DialHolder != nil {
		dial = tc.DialHolder.Dial
	}
	open := newLines(dial)
	proxy := tc.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	base := &http.Transport{
		Proxy: proxy, DialContext: open.connect, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: defaultMaxConcurrency, IdleConnTimeout: idleTimeout,
		DisableCompression: tc.DisableCompression, WriteBufferSize: 32 << 10, ReadBufferSize: 32 << 10,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout,
			MaxReadFrameSize: 256 << 10, MaxReceiveBufferPerConnection: 16 << 20, MaxReceiveBufferPerStream: 4 << 20,
		},
	}
	rt, err := transport.HTTPWrappersForConfig(tc, base)
	if err != nil {
		return nil, nil, err
	}
	return rt, func() {
		base.CloseIdleConnections()
		open.close()
	}, nil
}
