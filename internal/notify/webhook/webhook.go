package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sengu-dev/sengu/internal/hook"
	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	maxAnswer    = 64 << 10
	maxRedirects = 3
	maxKey       = 512
	minSigning   = 16
)

// Options of a Sink. URL, the values of Headers and SigningKey are secret.
type Options struct {
	// URL to which events are posted: http or https.
	URL string
	// Headers to send along, such as Authorization.
	Headers map[string]string
	// SigningKey signs each request: at least 16 bytes, or whsec_ and base64. Without it, requests are not signed.
	SigningKey []byte
	// Template of the body in the language of text/template, over Event; the JSON of the package's documentation when
	// empty.
	Template string
	// ContentType of the body; application/json when empty. What is JSON by this must be valid.
	ContentType string
	// Allow lists addresses that are reached although they are loopback, link-local or of a metadata service.
	Allow []netip.Prefix
	// Proxy chooses a proxy for a request, as http.ProxyFromEnvironment does; none when nil. What a proxy connects to
	// is for the proxy to check.
	Proxy func(*http.Request) (*url.URL, error)
	// CA is a bundle of PEM certificates trusted in the place of the system's.
	CA []byte
	// Timeout of one request; 10 s when 0.
	Timeout time.Duration
	// Now is time.Now when nil.
	Now func() time.Time
}

// Sink posts each event to one address.
type Sink struct {
	opts   Options
	key    []byte
	body   *body // nil for the JSON
	client *http.Client
}

// reserved are headers that the sink or HTTP itself writes.
var reserved = []string{
	"Idempotency-Key", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Type", "Content-Length", "Host",
	"Connection", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect", "User-Agent",
}

// New checks the options and makes a Sink. The error is one sentence that names the option, and shows nothing secret.
func New(opts Options) (*Sink, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the url of the webhook must begin with https:// or http:// and name a host")
	}
	if u.User != nil {
		return nil, errors.New("the url of the webhook carries a user or a password: send them in the header Authorization")
	}
	for _, name := range slices.Sorted(maps.Keys(opts.Headers)) {
		switch canonical := http.CanonicalHeaderKey(name); {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("headers of the webhook: %q is no name of a header", notify.Text(name, 80))
		case slices.Contains(reserved, canonical):
			return nil, fmt.Errorf("headers of the webhook: %s is written by Sengu: take it out", canonical)
		case !httpguts.ValidHeaderFieldValue(opts.Headers[name]):
			return nil, fmt.Errorf("headers of the webhook: the value of %s holds a line break or another character that no header may hold", canonical)
		}
	}
	s := &Sink{opts: opts}
	if s.key, err = signingKey(opts.SigningKey); err != nil {
		return nil, err
	}
	if s.opts.ContentType == "" {
		s.opts.ContentType = "application/json"
	}
	media, _, err := mime.ParseMediaType(s.opts.ContentType)
	if err != nil {
		return nil, fmt.Errorf("contentType of the webhook: %q is none, such as application/json or text/plain", notify.Text(s.opts.ContentType, 80))
	}
	if opts.Template != "" {
		if s.body, err = compile(opts.Template, media == "application/json" || strings.HasSuffix(media, "+json")); err != nil {
			return nil, fmt.Errorf("template of the webhook: %w", err)
		}
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	if s.opts.Timeout <= 0 {
		s.opts.Timeout = 10 * time.Second
	}
	if s.client, err = s.newClient(); err != nil {
		return nil, err
	}
	return s, nil
}

func signingKey(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, nil
	}
	key, err := hook.Key(key)
	if err != nil {
		return nil, errors.New("the signing key of the webhook begins with whsec_ and is not base64 after it")
	}
	if len(key) < minSigning {
		return nil, fmt.Errorf("the signing key of the webhook is shorter than %d bytes", minSigning)
	}
	return key, nil
}

func (s *Sink) newClient() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(s.opts.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(s.opts.CA) {
			return nil, errors.New("the CA bundle of the webhook holds no certificate in PEM")
		}
	}
	dialer := &net.Dialer{Timeout: s.opts.Timeout, ControlContext: guard(s.opts.Allow)}
	return &http.Client{
		Timeout:       s.opts.Timeout,
		CheckRedirect: follow,
		Transport: &http.Transport{
			Proxy: s.opts.Proxy, DialContext: dialer.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: s.opts.Timeout, MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConns: 2, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		},
	}, nil
}

// follow follows a redirect that sends the same request to the same host, and leaves others unfollowed.
func follow(req *http.Request, via []*http.Request) error {
	first := via[0]
	if req.Method != http.MethodPost || req.URL.Scheme != first.URL.Scheme || !strings.EqualFold(req.URL.Host, first.URL.Host) || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// CloseIdleConnections lets the connections go that are not in use.
func (s *Sink) CloseIdleConnections() { s.client.CloseIdleConnections() }

// Tell posts the first of the notices.
func (s *Sink) Tell(ctx context.Context, _ notify.Memory, notices []notify.Notice) (int, error) {
	event := newEvent(notices[0].Event)
	content, err := s.content(event)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.URL, bytes.NewReader(content))
	if err != nil {
		return 0, errors.New("the request for the receiver cannot be made")
	}
	for name, value := range s.opts.Headers {
		req.Header.Set(name, value)
	}
	s.sign(req.Header, headerKey(event.Key), content)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	// Read, so that the connection can be used again, and bounded, since the receiver may be anybody.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if err := judge(resp, s.opts.Now()); err != nil {
		return 0, err
	}
	return 1, nil
}

func (s *Sink) content(e Event) ([]byte, error) {
	if s.body == nil {
		return encode(e)
	}
	content, err := s.body.make(e)
	if err != nil {
		return nil, notify.Refused("the template of the webhook fails for this event: %s", err)
	}
	return content, nil
}

// sign writes the headers of a Standard Webhook.
func (s *Sink) sign(h http.Header, id string, content []byte) {
	now := strconv.FormatInt(s.opts.Now().Unix(), 10)
	h.Set("Content-Type", s.opts.ContentType)
	h.Set("User-Agent", "sengu")
	h.Set("Idempotency-Key", id)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", now)
	if len(s.key) == 0 {
		return
	}
	h.Set("Webhook-Signature", hook.Sign(s.key, id, now, content))
}

// headerKey is the key of an event as a header can carry it. Two keys never become the same, and there is no dot in it,
// which separates the parts of what is signed.
func headerKey(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("_:/-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > maxKey {
		sum := sha256.Sum256([]byte(key))
		return "%sha256:" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// judge says what a status means.
func judge(resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return &notify.BusyError{After: retryAfter(resp.Header.Get("Retry-After"), now), Reason: fmt.Sprintf("the receiver is busy: it answered %d", code)}
	case code >= 300 && code < 400:
		return fmt.Errorf("the receiver answered %d, a redirect that is not followed: write the address that it leads to into the url", code)
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		return fmt.Errorf("the receiver answered %d: check the credentials in its headers", code)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusGone:
		return fmt.Errorf("the receiver answered %d: check its url", code)
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusTooEarly, code >= 500:
		return fmt.Errorf("the receiver answered %d", code)
	case code >= 400:
		return notify.Refused("the receiver answered %d: it does not take this event", code)
	}
	return fmt.Errorf("the receiver answered %d, which is no answer", code)
}

// retryAfter reads the header, which holds seconds or a date; 0 when it is neither.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// unreachable is a sentence about a request that got no answer. What the libraries say is left out, because it holds
// the URL.
func unreachable(err error) error {
	var address *addressError
	var name *net.DNSError
	var cert *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &address):
		return errors.New(address.sentence)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("the receiver did not answer in time")
	case errors.As(err, &name):
		return errors.New("the name of the receiver cannot be resolved: check its url")
	case errors.As(err, &cert):
		return errors.New("the certificate of the receiver is not trusted: give its CA, or check its url")
	}
	return errors.New("the receiver cannot be reached, or broke off the connection")
}
