package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 48 << 20  // bytes that are read of an answer
	maxComplaint   = 256 << 10 // bytes that are read of an answer that is no success
	pageSize       = 50        // the most that Gitea gives unless told otherwise
	maxPages       = 20
)

// client sends the requests of one Forge.
type client struct {
	kind       Kind
	base       *url.URL
	repository string
	token      func(context.Context) (string, error)
	login      string // "" until it is known
	http       *http.Client
	log        *slog.Logger
	now        func() time.Time

	mu    sync.Mutex
	until time.Time // no request before
	pages map[string]page
}

func newClient(cfg Config) (*client, error) {
	base, err := checkBase(cfg.BaseURL, cfg.AllowHTTP)
	if err != nil {
		return nil, err
	}
	c := &client{
		kind: cfg.Kind, base: base, repository: cfg.Repository, token: cfg.Token, login: cfg.Login,
		log: cfg.Logger, now: cfg.Now, pages: map[string]page{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	from := cfg.HTTP
	if from == nil {
		from = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: requestTimeout,
			MaxIdleConnsPerHost: 2, MaxIdleConns: 4, IdleConnTimeout: 90 * time.Second,
		}}
	}
	c.http = &http.Client{Transport: from.Transport, Timeout: from.Timeout, CheckRedirect: checkRedirect}
	return c, nil
}

var errRedirect = errors.New("the forge redirects elsewhere")

// checkRedirect follows a redirect that stays on the host and asks the same: a renamed repository answers like that. It
// never takes a token elsewhere, and never makes a request that reads out of one that writes.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || req.Method != first.Method || len(via) > 3 {
		return errRedirect
	}
	return nil
}

// call is one request.
type call struct {
	op     string // for errors
	needs  string // of the token, for errors
	method string
	base   string // of the API; that of the client when empty
	path   string // below the base, escaped
	query  url.Values
	body   any    // nil for none
	etag   string // the answer is wanted only if it is another than this one
	// read gets the answer; nil when it does not matter.
	read func(io.Reader) error
}

// reply is what an answer says beside its body.
type reply struct {
	unchanged bool
	etag      string
	more      bool // there is a next page
}

// into reads an answer into a value.
func into(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(v) }
}

// each reads an answer that is a list, one element at a time, so that not all of it is in memory at once.
func each[T any](take func(T)) func(io.Reader) error {
	return func(r io.Reader) error {
		decoder := json.NewDecoder(r)
		if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
			return errors.Join(errors.New("it is no list"), err)
		}
		for decoder.More() {
			var v T
			if err := decoder.Decode(&v); err != nil {
				return err
			}
			take(v)
		}
		_, err := decoder.Token()
		return err
	}
}

func (c *client) do(ctx context.Context, k call) (reply, error) {
	if err := c.allowed(); err != nil {
		return reply{}, err
	}
	token, err := c.token(ctx)
	if err != nil {
		return reply{}, fmt.Errorf("%s in %s on %s: get a token: %w", k.op, c.repository, c.kind, err)
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return reply{}, c.fail(k, ErrUnauthorized, 0, "the token is empty, or holds a blank or a character that no token has")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.request(ctx, k, token)
	if err != nil {
		return reply{}, err
	}
	start := c.now()
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, c.unanswered(ctx, k, err)
	}
	defer func() { _ = resp.Body.Close() }()
	c.log.Debug("request to forge", "op", k.op, "method", k.method, "path", k.path, "status", resp.StatusCode, "took", c.now().Sub(start))
	switch {
	case resp.StatusCode == http.StatusNotModified && k.etag != "":
		return reply{unchanged: true}, nil
	case resp.StatusCode/100 != 2:
		return reply{}, c.refused(k, resp, token)
	}
	if k.read != nil {
		body := &boundedReader{r: resp.Body, left: maxAnswer}
		if err := k.read(body); err != nil {
			return reply{}, c.unread(ctx, k, resp.StatusCode, body, err)
		}
	}
	return reply{etag: resp.Header.Get("ETag"), more: hasNext(resp.Header)}, nil
}

func (c *client) request(ctx context.Context, k call, token string) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		data, err := json.Marshal(k.body)
		if err != nil {
			return nil, fmt.Errorf("%s: encode the request: %w", k.op, err)
		}
		body = bytes.NewReader(data)
	}
	target := cmp.Or(k.base, c.base.String()) + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s: make the request: %w", k.op, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "sengu")
	req.Header.Set("Accept", "application/json")
	if c.kind == GitHub {
		req.Header.Set("Accept", "application/vnd.github+json")
		req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.etag != "" {
		req.Header.Set("If-None-Match", k.etag)
	}
	return req, nil
}

// hasNext says whether the header Link names a next page. Its URL is not used: a token goes only where it is known to.
func hasNext(h http.Header) bool {
	for _, value := range h.Values("Link") {
		for link := range strings.SplitSeq(value, ",") {
			for parameter := range strings.SplitSeq(link, ";") {
				if p := strings.TrimSpace(parameter); p == `rel="next"` || p == "rel=next" {
					return true
				}
			}
		}
	}
	return false
}

// boundedReader fails, instead of ending, when there is more than is wanted.
type boundedReader struct {
	r    io.Reader
	left int64
	over bool
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		var one [1]byte
		n, err := b.r.Read(one[:])
		if n > 0 {
			b.over = true
			return 0, ErrTooLarge
		}
		return 0, err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
