package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// errAddress is returned by a dial to an address that is refused.
var errAddress = errors.New("its address is not public")

// addressAllowed decides about an address. named is true when the policy names the host.
func addressAllowed(a netip.Addr, named, linkLocal bool) bool {
	a = a.Unmap()
	switch {
	case a.IsLinkLocalUnicast() || a == netip.MustParseAddr("fd00:ec2::254"):
		return named && linkLocal
	case a.IsUnspecified() || a.IsMulticast():
		return false
	case a.IsLoopback() || a.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(a):
		return named
	}
	return true
}

// client returns an HTTP client for one fetch from source s, whose host is the only one named. The caller closes its
// idle connections.
func client(s Source, host string) (*http.Client, *http.Transport, error) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		name, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			if !addressAllowed(ap.Addr(), name == host || name == proxyHost(host), s.LinkLocal) {
				return errAddress
			}
			return nil
		}}
		return d.DialContext(ctx, network, addr)
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, ForceAttemptHTTP2: true, MaxIdleConns: 4,
	}
	if len(s.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(s.CA) {
			return nil, nil, &Refusal{Sentence: fmt.Sprintf("the CA for %s holds no PEM certificate", s.Prefix)}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t, CheckRedirect: redirect}, t, nil
}

// proxyHost returns the host of the proxy that the operator has set for a host, "" when there is none.
func proxyHost(host string) string {
	q := &http.Request{URL: &url.URL{Scheme: "https", Host: host}}
	if p, err := http.ProxyFromEnvironment(q); err == nil && p != nil {
		return p.Hostname()
	}
	return ""
}

// redirect follows to other hosts without the credential, and never from https to http.
func redirect(q *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) >= 5:
		return errors.New("too many redirects")
	case first.Scheme == "https" && q.URL.Scheme != "https":
		return errors.New("it redirects from https to http")
	}
	if q.URL.Host != first.Host {
		q.Header.Del("Authorization")
		q.Header.Del("Cookie")
	}
	return nil
}

// get fetches u, at most limit bytes.
func get(ctx context.Context, p Policy, u string, limit int64) ([]byte, error) {
	s, ok := p.find(u)
	if !ok {
		return nil, notAllowed(u)
	}
	parsed, err := url.Parse(u)
	if err != nil {
		return nil, &Refusal{Sentence: "a remote input has a URL that cannot be read"}
	}
	parsed.User = nil
	c, t, err := client(s, parsed.Hostname())
	if err != nil {
		return nil, err
	}
	defer t.CloseIdleConnections()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, parsed.String(), nil)
	if err != nil {
		return nil, &Refusal{Sentence: fmt.Sprintf("%s cannot be fetched: it is no URL", hide(u))}
	}
	q.Header.Set("User-Agent", "sengu")
	if prefix, err := url.Parse(s.Prefix); err == nil && prefix.Host == parsed.Host {
		authorize(q, s)
	}
	resp, err := c.Do(q)
	if err != nil {
		return nil, unreachable(ctx, u, err)
	}
	defer func() { _ = resp.Body.Close() }() // it only reads
	if resp.StatusCode != http.StatusOK {
		return nil, status(u, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, unreachable(ctx, u, err)
	}
	if int64(len(data)) > limit {
		return nil, &Refusal{Sentence: fmt.Sprintf("%s is larger than %d MiB, which is what may be fetched", hide(u), limit>>20)}
	}
	return data, nil
}

func authorize(q *http.Request, s Source) {
	switch {
	case s.Token != "":
		q.Header.Set("Authorization", "Bearer "+s.Token)
	case s.Username != "" || s.Password != "":
		q.SetBasicAuth(s.Username, s.Password)
	}
}

func status(u string, code int) error {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &Refusal{Sentence: fmt.Sprintf("%s wants a credential, or another one than it was given (%d)", hide(u), code), Temporary: true}
	case http.StatusNotFound, http.StatusGone:
		return &Refusal{Sentence: fmt.Sprintf("%s is not there (%d)", hide(u), code), Temporary: true}
	}
	return &Refusal{Sentence: fmt.Sprintf("%s answers with status %d", hide(u), code), Temporary: true}
}

func unreachable(ctx context.Context, u string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errAddress) {
		return &Refusal{Sentence: fmt.Sprintf("%s leads to an address that is not public: only a host that the Fleet allows by name may have one, and never a link-local one", hide(u))}
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return &Refusal{Sentence: fmt.Sprintf("%s cannot be reached: %s", hide(u), err), Temporary: true}
}
