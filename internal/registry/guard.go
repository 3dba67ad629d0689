package registry

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Bounds of what a registry may answer, in bytes.
const (
	maxDocument = 4 << 20  // a manifest, a configuration, a token: the specification asks for no more
	maxList     = 16 << 20 // one page of tags: Google adds the manifests to it
	maxErrorDoc = 64 << 10
)

// Bounds of how many parts an answer may have, counted by its commas: a few megabytes of empty elements would become a
// hundred times as much in memory.
const (
	maxDocumentItems = 100_000
	maxListItems     = 500_000
)

// What is refused, and turned into sentences by fault.
var (
	errTooLarge = errors.New("the answer is too large")
	errInsecure = errors.New("plain http")
	errRedirect = errors.New("redirect")
	errAddress  = errors.New("the address is not allowed")
	errNoAnswer = errors.New("no answer in time")
)

// guard is what all requests to one registry go through, also those that follow its redirects and those to its token
// server: it sees to their rate, to where they go and to the size of what comes back.
type guard struct{ site *site }

// RoundTrip sends one request.
func (g *guard) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Scheme != "https" && (q.URL.Scheme != "http" || !onThisMachine(q.URL.Hostname())) {
		return nil, errInsecure
	}
	if err := redirected(q); err != nil {
		return nil, err
	}
	if err := g.site.admit(q.Context()); err != nil {
		return nil, err
	}
	resp, err := g.site.transport.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	if err := g.site.answered(resp); err != nil {
		_ = resp.Body.Close() // it is not read
		return nil, err
	}
	limit, items := int64(maxDocument), maxDocumentItems
	switch {
	case resp.StatusCode >= http.StatusBadRequest:
		limit = maxErrorDoc
	case strings.HasSuffix(q.URL.Path, "/tags/list"):
		limit, items = maxList, maxListItems
	}
	if resp.ContentLength > limit && q.Method != http.MethodHead {
		_ = resp.Body.Close() // it is not read
		return nil, errTooLarge
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: limit, items: items}
	return resp, nil
}

// redirected sees to a request that follows a redirect: no credential goes to another host.
func redirected(q *http.Request) error {
	if q.Response == nil || q.Response.Request == nil {
		return nil
	}
	from := q.Response.Request
	switch {
	case from.URL.Scheme == "https" && q.URL.Scheme != "https":
		return errInsecure
	case strings.EqualFold(from.URL.Host, q.URL.Host):
		return nil
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		return errRedirect // the body is a credential
	}
	for before := from; before != nil; {
		if a := before.Header.Get("Authorization"); a != "" && a == q.Header.Get("Authorization") {
			q.Header.Del("Authorization")
		}
		if before.Response == nil {
			break
		}
		before = before.Response.Request
	}
	q.Header.Del("Cookie")
	return nil
}

// onThisMachine says whether a host is this machine itself, which is the only one that is spoken to by http.
func onThisMachine(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// boundedBody fails when more is read than is allowed, so that what was cut off is never taken for the whole.
type boundedBody struct {
	io.ReadCloser
	left  int64
	items int
}

// Read reads at most one byte more than is allowed.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 || b.items < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.items -= bytes.Count(p[:n], []byte{','})
	if b.left < 0 || b.items < 0 {
		return n, errTooLarge
	}
	return n, err
}

// hostname takes the port off a host.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}
