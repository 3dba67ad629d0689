package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Bounds of one look.
const (
	maxRedirects = 5
	// maxBody is how much of a body is read, and maxAnswerHeader how large the header of an answer may be, in bytes.
	maxBody         = 64 << 10
	maxAnswerHeader = 64 << 10
)

// Options tune a Client. The zero value is good.
type Options struct {
	// Version of Sengu, for the user agent "sengu/<version>".
	Version string
	// Allow lists addresses, each with scheme, host, port if it is not the usual one, and perhaps the beginning of a
	// path, that a look may lead to also where they are at a loopback or link-local address, or at one for the metadata
	// of a cloud.
	Allow []string
	// RootCAs are whom certificates are believed from: those of the system if nil.
	RootCAs *x509.CertPool
	// Resolver finds the addresses of names: the system's if nil.
	Resolver *net.Resolver
	// Now is the clock: time.Now if nil.
	Now func() time.Time
}

// Client takes looks. It keeps no connections, and is safe for concurrent use.
type Client struct {
	agent    string
	allow    []allowed
	roots    *x509.CertPool
	resolver *net.Resolver
	now      func() time.Time
}

// New returns a Client. It fails if an allowed address makes no sense.
func New(o Options) (*Client, error) {
	c := &Client{agent: "sengu", roots: o.RootCAs, resolver: o.Resolver, now: o.Now}
	if o.Version != "" {
		c.agent += "/" + o.Version
	}
	if c.now == nil {
		c.now = time.Now
	}
	for _, raw := range o.Allow {
		a, err := parseAllowed(raw)
		if err != nil {
			return nil, err
		}
		c.allow = append(c.allow, a)
	}
	return c, nil
}

// allows says whether the operator has allowed u wherever it is.
func (c *Client) allows(u *url.URL) bool {
	for _, a := range c.allow {
		if a.covers(u) {
			return true
		}
	}
	return false
}

// Allowed says whether the operator has allowed a URL wherever it is. One that is none is not allowed.
func (c *Client) Allowed(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && c.allows(u)
}

// Refuses says why a check that makes sense is never asked: it names an address that no look leads to. Where a name
// leads is known only when it is asked.
func (c *Client) Refuses(check Check) error {
	if IsService(check.URL) {
		return nil
	}
	u, err := parseURL(check.URL)
	if err != nil {
		return err
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && forbidden(a) && !c.allows(u) {
		return errors.New("url: " + addressRefused)
	}
	return nil
}

// transport returns one for a single request to u, so that no connection that was made for an allowed address serves
// one that is not.
func (c *Client) transport(u *url.URL) *http.Transport {
	anywhere := c.allows(u)
	dialer := &net.Dialer{Resolver: c.resolver, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		// This is after the name was resolved, for each address that is tried.
		at, err := netip.ParseAddrPort(address)
		if err != nil || (!anywhere && forbidden(at.Addr())) {
			return errAddress
		}
		return nil
	}}
	return &http.Transport{
		Proxy: nil, DialContext: dialer.DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswerHeader,
	}
}
