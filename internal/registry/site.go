package registry

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Bounds of waiting.
const (
	// maxHold is how long a request waits for its turn. Beyond it the caller is told when to come back.
	maxHold = 2 * time.Second
	// minPause and maxPause bound how long a registry is left alone when it says that it was asked too often, however
	// long it asks for. Docker Hub counts over six hours; it is asked once an hour whether it counts on.
	minPause = time.Second
	maxPause = time.Hour
	// firstPause and lastPause are the first and the longest when a registry does not say how long.
	firstPause = 5 * time.Second
	lastPause  = 5 * time.Minute
	// rest without a refusal, after which the pauses begin anew.
	rest = 10 * time.Minute
)

// site is one registry: how often it may be asked, and the connections to it.
type site struct {
	host      string
	clock     clock.Clock
	log       *slog.Logger
	transport http.RoundTripper
	own       *http.Transport // nil when the transport is the caller's
	limiter   *rate.Limiter

	mu       sync.Mutex
	until    time.Time // it wants to be left alone
	refusals int       // without a rest between them
}

func newSite(host string, opts Options, log *slog.Logger) *site {
	s := &site{host: host, clock: opts.Clock, log: log, transport: opts.Transport, limiter: rate.NewLimiter(rate.Limit(opts.Rate), opts.Burst)}
	if s.transport == nil {
		s.own = newTransport(host, opts.RootCAs)
		s.transport = s.own
	}
	return s
}

func (s *site) close() {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

// limitError says that a registry was asked too often, and when it may be asked again.
type limitError struct {
	until time.Time
	// asked is true if the registry said so, and false if it was not asked at all.
	asked bool
}

// Error is for logs; callers get an [Error].
func (e *limitError) Error() string { return "asked too often" }

// admit waits for the turn of one request, or says when to come back.
func (s *site) admit(ctx context.Context) error {
	s.mu.Lock()
	now := s.clock.Now()
	if s.until.After(now) {
		defer s.mu.Unlock()
		return &limitError{until: s.until, asked: true}
	}
	s.mu.Unlock()
	r := s.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > maxHold {
		r.CancelAt(now)
		return &limitError{until: now.Add(wait)}
	}
	if wait <= 0 {
		return nil
	}
	timer := s.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		r.CancelAt(s.clock.Now())
		return ctx.Err()
	}
}

// answered notes what an answer says of the rate. It returns an error if the registry was asked too often.
func (s *site) answered(resp *http.Response) error {
	after, told := retryAfter(resp.Header, s.clock.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode != http.StatusServiceUnavailable || !told) {
		return nil
	}
	// One answer between two refusals is no rest: Docker Hub counts GET and not HEAD.
	if s.clock.Since(s.until) > rest {
		s.refusals = 0
	}
	if !told {
		after = min(firstPause<<min(s.refusals, 10), lastPause)
	}
	s.refusals++
	if until := s.clock.Now().Add(min(max(after, minPause), maxPause)); until.After(s.until) {
		s.until = until
		s.log.Warn("a registry asks for a pause", "registry", s.host, "status", resp.StatusCode, "until", until)
	}
	return &limitError{until: s.until, asked: true}
}

// retryAfter reads for how long a registry wants to be left alone. Source: RFC 9110, 10.2.3; X-Retry-After is what the
// API of Docker Hub sends, in seconds since 1970.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if value == "" {
		if at, err := strconv.ParseInt(h.Get("X-Retry-After"), 10, 64); err == nil && at > 0 {
			return clamp(time.Unix(at, 0).Sub(now)), true
		}
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds > int64(maxPause/time.Second) {
			return maxPause, true
		}
		return clamp(time.Duration(seconds) * time.Second), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return clamp(at.Sub(now)), true
	}
	return 0, false
}

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxPause) }
