package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/deployment"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

// planted is in every credential and secret address, and may be nowhere else.
const planted = "planted-s3cr3t"

// trouble is how a place outside fails once.
type trouble int

const (
	busy   trouble = iota // it asks to be left alone for retryAfter
	broken                // it answers that it is broken
	hangs                 // it does not answer
	lost                  // it does what it is asked, and the answer never comes
)

const retryAfter = 7 * time.Second

// place is a place outside, which lives on when Sengu does not.
type place interface {
	// sink is a new one, as a new process makes it.
	sink(t *testing.T, w *world) notify.Sink
	// fail makes the next calls fail.
	fail(list ...trouble)
	// told are the keys of the events as people see them there, in order: what the place tells apart as the same is there
	// once.
	told() []string
	// calls are the times of all calls.
	calls() []time.Time
	// wrong is what the place complains about.
	wrong() []string
}

// hook is a receiver of webhooks that keeps each ID once, as its documentation says.
type hook struct {
	server *httptest.Server
	world  *world
	stop   chan struct{}

	mu       sync.Mutex
	troubles []trouble
	seen     []string
	times    []time.Time
	problems []string
}

func newHook(t *testing.T, w *world) place {
	h := &hook{world: w, stop: make(chan struct{})}
	h.server = httptest.NewServer(h)
	t.Cleanup(func() { close(h.stop); h.server.Close() })
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.mu.Lock()
	h.times = append(h.times, h.world.clock.Now())
	var next *trouble
	if len(h.troubles) > 0 {
		next, h.troubles = &h.troubles[0], h.troubles[1:]
	}
	if next == nil || *next == lost {
		h.take(r, body)
	}
	h.mu.Unlock()
	if next == nil {
		return
	}
	switch *next {
	case busy:
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	case broken:
		w.WriteHeader(http.StatusInternalServerError)
	case hangs:
		select {
		case <-r.Context().Done():
		case <-h.stop:
		}
	case lost:
		panic(http.ErrAbortHandler)
	}
}

func (h *hook) take(r *http.Request, body []byte) {
	var in struct {
		Data struct {
			Key string
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || len(body) > 256<<10 || r.Header.Get("Authorization") != "Bearer "+planted {
		h.problems = append(h.problems, "a request that is no JSON, too large, or without its credential")
	}
	if !slices.Contains(h.seen, in.Data.Key) {
		h.seen = append(h.seen, in.Data.Key)
	}
}

func (h *hook) sink(t *testing.T, w *world) notify.Sink {
	s, err := webhook.New(webhook.Options{
		URL: h.server.URL + "/" + planted, Headers: map[string]string{"Authorization": "Bearer " + planted}, SigningKey: []byte(planted + planted),
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: patience, Now: w.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *hook) fail(list ...trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles = append(h.troubles, list...)
}
func (h *hook) told() []string     { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.seen) }
func (h *hook) calls() []time.Time { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.times) }
func (h *hook) wrong() []string    { h.mu.Lock(); defer h.mu.Unlock(); return h.problems }

// chat is a channel of Slack. An event is there as a reply, in a thread of the one message.
type chat struct {
	server *slackserver.Server
	world  *world
	mu     sync.Mutex
	times  []time.Time
}

func newChat(t *testing.T, w *world) place {
	c := &chat{world: w}
	c.server = slackserver.New("xoxb-"+planted, "C0SENGU0001", func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return w.clock.Now()
	})
	inner := c.server.Config.Handler
	c.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.times = append(c.times, w.clock.Now())
		c.mu.Unlock()
		inner.ServeHTTP(rw, r)
	})
	t.Cleanup(c.server.Close)
	return c
}

func (c *chat) sink(t *testing.T, w *world) notify.Sink {
	s, err := slack.New(slack.Options{
		Token: func(context.Context) (string, error) { return "xoxb-" + planted, nil }, Channel: "C0SENGU0001", APIURL: c.server.API(),
		Now: w.clock.Now, Logger: w.journal.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *chat) fail(list ...trouble) {
	for _, f := range list {
		c.server.Fail(map[trouble]slackserver.Failure{
			busy: {Status: http.StatusTooManyRequests, RetryAfter: 7}, broken: {Status: http.StatusInternalServerError},
			hangs: {Hang: true}, lost: {Done: true},
		}[f])
	}
}

func (c *chat) told() []string {
	var out []string
	for _, m := range c.server.Messages() {
		for _, r := range c.server.Replies(m.TS) {
			var mark struct {
				Payload struct {
					Event string
				} `json:"event_payload"`
			}
			if err := json.Unmarshal([]byte(r.Metadata), &mark); err != nil {
				return []string{"a reply without a mark"}
			}
			out = append(out, mark.Payload.Event)
		}
	}
	return out
}

func (c *chat) calls() []time.Time { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.times) }

func (c *chat) wrong() []string {
	wrong := append(c.server.Wrong(), c.server.Pinged()...)
	if n := len(c.server.Messages()); n > 1 {
		wrong = append(wrong, "there is more than one message")
	}
	return wrong
}

// board is a forge that is told things. The address of a page brings the key of the event, and setting what is set
// already changes nothing there.
type board struct {
	world *world

	mu       sync.Mutex
	troubles []trouble
	states   map[string]string
	order    []string
	times    []time.Time
}

func newBoard(_ *testing.T, w *world) place { return &board{world: w, states: map[string]string{}} }

func (b *board) SetDeployment(ctx context.Context, sha, environment, state, text, url string) error {
	b.mu.Lock()
	b.times = append(b.times, b.world.clock.Now())
	var next *trouble
	if len(b.troubles) > 0 {
		next, b.troubles = &b.troubles[0], b.troubles[1:]
	}
	if now := state + text; (next == nil || *next == lost) && b.states[sha+environment] != now {
		b.states[sha+environment] = now
		b.order = append(b.order, url)
	}
	b.mu.Unlock()
	switch {
	case next == nil:
		return nil
	case *next == busy:
		return &notify.BusyError{After: retryAfter, Reason: "the forge wants fewer requests"}
	case *next == hangs:
		<-ctx.Done()
	}
	return errors.New("the forge did not answer")
}

func (b *board) SetStatus(context.Context, string, string, string, string, string) error { return nil }

func (b *board) sink(t *testing.T, _ *world) notify.Sink {
	s, err := deployment.New(deployment.Options{Forge: b, Link: func(e history.Event) string { return e.Key }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *board) fail(list ...trouble) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles = append(b.troubles, list...)
}
func (b *board) told() []string     { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.order) }
func (b *board) calls() []time.Time { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.times) }
func (b *board) wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.states {
		if len([]rune(s)) > 160 || strings.ContainsAny(s, "\n\x00") {
			return []string{"a description that is too long, or not one line"}
		}
	}
	return nil
}
