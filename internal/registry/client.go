package registry

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/sengu-dev/sengu/internal/image"
)

// What a Client remembers, in number.
const (
	maxSites    = 256  // registries
	maxSessions = 1024 // repositories by credential, each with its token
	maxImages   = 8192 // descriptions
)

// maxAttempts bounds how many of the credentials that match one repository are tried.
const maxAttempts = 4

// Options of a Client. The zero value reads any registry by https.
type Options struct {
	Logger *slog.Logger // none when nil
	Clock  clock.Clock  // that of the machine when nil
	// Transport sends the requests. When nil, each registry has its own, which refuses addresses as the package
	// documentation says and takes the proxy from the environment.
	Transport http.RoundTripper
	// RootCAs are the certificates to trust, those of the system when nil. Not used with Transport.
	RootCAs *x509.CertPool
	// Helpers give credentials for the registries of a cloud, where a caller allows it by [Credentials.WithCloud].
	Helpers []Helper
	// Rate is how many requests a second go to one registry; 10 when zero. Burst is how many may go at once after a
	// rest; twice the rate when zero.
	Rate  float64
	Burst int
	// Timeout bounds one call; 30 s when zero. The tags of a repository may take four times as long.
	Timeout time.Duration
	// MaxTags is how many tags of one repository are read; 50,000 when zero. Of a repository with more, nothing is.
	MaxTags int
}

// Client reads registries. It may be used by several goroutines at once.
type Client struct {
	opts     Options
	log      *slog.Logger
	clock    clock.Clock
	key      [32]byte
	mu       sync.Mutex // while a site or a session is made
	sites    *lru.Cache // host → *site
	sessions *lru.Cache // fingerprint → *session
	images   *lru.Cache // fingerprint and digest → Description
	logins   logins
}

// New makes a Client. Close it when it is not used any more.
func New(opts Options) (*Client, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Rate <= 0 {
		opts.Rate = 10
	}
	if opts.Burst <= 0 {
		opts.Burst = max(1, int(2*opts.Rate))
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.MaxTags <= 0 {
		opts.MaxTags = 50_000
	}
	c := &Client{opts: opts, log: opts.Logger, clock: opts.Clock, sessions: lru.New(maxSessions), images: lru.New(maxImages)}
	c.sites = lru.NewWithEvictionFunc(maxSites, func(_ lru.Key, value any) { value.(*site).close() })
	c.logins.clock = opts.Clock
	if _, err := rand.Read(c.key[:]); err != nil {
		return nil, fmt.Errorf("make the key of the registry client: %w", err)
	}
	return c, nil
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.sites.Clear() }

// session is what is kept of a repository and a credential: the way in which the registry wants to be asked, and its
// token. It does one thing at a time, because the library that it stands on renews a token without a lock.
type session struct {
	turn   chan struct{}
	puller *remote.Puller
}

// site returns what is kept of a registry. The lock is held.
func (c *Client) site(host string) *site {
	if s, ok := c.sites.Get(host); ok {
		return s.(*site)
	}
	s := newSite(host, c.opts, c.log)
	c.sites.Add(host, s)
	return s
}

// session returns what is kept of a repository and a credential.
func (c *Client) session(q call, cred credential, fingerprint string) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.sessions.Get(fingerprint); ok {
		return s.(*session), nil
	}
	puller, err := remote.NewPuller(
		remote.WithTransport(&guard{site: c.site(q.repo.RegistryStr())}), remote.WithAuth(cred.authenticator(&c.logins, q.host)), remote.WithUserAgent("sengu"),
		// Whoever calls tries again when it makes sense, and a worker never sleeps.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes(), remote.WithRetryPredicate(func(error) bool { return false }),
	)
	if err != nil {
		return nil, err
	}
	s := &session{turn: make(chan struct{}, 1), puller: puller}
	c.sessions.Add(fingerprint, s)
	return s, nil
}

// call is one thing that is asked of a repository.
type call struct {
	subject string // the repository or image, for sentences
	repo    name.Repository
	host    string
	creds   Credentials
	timeout time.Duration
	// missing is what a 404 means.
	missing string
	// do asks. It may be called once for each credential.
	do func(ctx context.Context, p *remote.Puller, fingerprint string) error
}

// ask does the call with each credential that matches, until one is not refused.
func (c *Client) ask(ctx context.Context, q call) error {
	ctx, cancel := context.WithTimeoutCause(ctx, q.timeout, errNoAnswer)
	defer cancel()
	candidates := q.creds.match(q.repo, q.host, c.opts.Helpers)
	var first error
	for _, cred := range candidates[:min(len(candidates), maxAttempts)] {
		err := c.attempt(ctx, q, cred)
		if err == nil {
			return nil
		}
		err = q.fault(ctx, cred, err)
		if errors.Is(err, ErrAuth) && cred.helper != nil {
			c.logins.forget(cred.helper, q.host) // it may end before its time
		}
		if first == nil {
			first = err
		}
		// Also a repository that is not there may be one that this credential may not see.
		if !errors.Is(err, ErrAuth) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return first
}

// attempt does the call with one credential.
func (c *Client) attempt(ctx context.Context, q call, cred credential) error {
	fingerprint := c.fingerprint(q.repo, cred)
	s, err := c.session(q, cred, fingerprint)
	if err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return q.do(ctx, s.puller, fingerprint)
}

// prepare begins a call for a repository.
func (c *Client) prepare(repo string, creds Credentials) (call, error) {
	written, err := image.ParseRepository(repo)
	if err != nil {
		return call{}, err
	}
	r, err := name.NewRepository(written, name.StrictValidation)
	if err != nil {
		return call{}, fmt.Errorf("repository %q: it cannot be the name of a repository", repo)
	}
	return call{subject: written, repo: r, host: image.Host(written), creds: creds, timeout: c.opts.Timeout}, nil
}
