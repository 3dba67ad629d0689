package slack_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const (
	signing  = "8f742231b10e8888abcd99yyyzzz85a5"
	foreign  = "1d0c4e00aaaabbbb1234567890abcdef" // signs for the fleet other
	alice    = "U0ALICE0001"
	bob      = "U0BOB000001"
	team     = "T0SENGU0001"
	patience = 20 * time.Second
)

// office is a Handler with a person's Slack on the other side.
type office struct {
	t       *testing.T
	server  *slackserver.Server
	handler *slack.Handler
	clock   *testenv.Clock
	log     *strings.Builder
	stop    func()
	unread  error // why the secrets of another desk cannot be read

	look    func() // called by every look for desks
	mu      sync.Mutex
	actions []slack.Action
	act     func(ctx context.Context, a slack.Action) error
}

func newOffice(t *testing.T, run bool) *office {
	o := &office{t: t, clock: testenv.NewClock(), log: &strings.Builder{}, stop: func() {}}
	o.server = slackserver.New(token, channel, o.clock.Now)
	t.Cleanup(o.server.Close)
	people, err := slack.NewIdentities([]slack.Identity{{Slack: alice, User: "alice@example.com", Groups: []string{"sre"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&locked{mu: &o.mu, b: o.log}, nil))
	o.handler, err = slack.NewHandler(slack.HandlerOptions{
		Desks: func(_ context.Context, fleet string) ([]slack.Desk, error) {
			if o.look != nil {
				o.look()
			}
			shop := slack.Desk{
				SigningSecrets: [][]byte{[]byte("the one before"), []byte(signing)}, Channel: channel,
				Team: team, Identities: people, ResponsePrefix: o.server.Hooks(),
			}
			other := shop
			other.SigningSecrets = [][]byte{[]byte(foreign)}
			switch fleet {
			case "":
				return []slack.Desk{other, shop}, o.unread
			case "shop":
				return []slack.Desk{shop}, o.unread
			case "other":
				return []slack.Desk{other}, nil
			}
			return nil, nil
		},
		Logger: logger, Now: o.clock.Now,
		Act: func(ctx context.Context, a slack.Action) error {
			o.mu.Lock()
			o.actions = append(o.actions, a)
			act := o.act
			o.mu.Unlock()
			if act != nil {
				return act(ctx, a)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if run {
		o.run()
	}
	t.Cleanup(func() {
		o.stop()
		if wrong, pinged := o.server.Wrong(), o.server.Pinged(); len(wrong)+len(pinged) > 0 {
			t.Errorf("not as Slack wants it: %v, people were called: %v", wrong, pinged)
		}
		if log := o.logged(); strings.Contains(log, signing) || strings.Contains(log, "/hooks/secret") {
			t.Errorf("the log holds a secret:\n%s", log)
		}
	})
	return o
}

type locked struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (l *locked) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (o *office) logged() string { o.mu.Lock(); defer o.mu.Unlock(); return o.log.String() }

func (o *office) did() []slack.Action {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]slack.Action(nil), o.actions...)
}

// run runs the handler and waits until it takes presses.
func (o *office) run() {
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); o.handler.Run(ctx) }()
	var once sync.Once
	o.stop = func() { once.Do(func() { cancel(); <-done }) }
	o.clock.Step(5 * time.Second) // what comes sooner may have been seen by the process before
	n := 0
	testenv.Eventually(o.t, patience, func() error {
		n++
		if code := o.send(o.sign(form(map[string]any{"type": "view_closed", "n": n}), o.clock.Now())); code != http.StatusOK {
			return fmt.Errorf("it answers %d", code)
		}
		return nil
	})
}

// pressed is the payload of a press, as Slack sends it.
func pressed(user, id, value, answer string) string {
	return form(map[string]any{
		"type": "block_actions", "api_app_id": "A0SENGU0001", "token": "verification",
		"user":         map[string]any{"id": user, "username": "somebody", "name": "somebody", "team_id": team},
		"team":         map[string]any{"id": team, "domain": "shop"},
		"container":    map[string]any{"type": "message", "message_ts": "1.000001", "channel_id": channel, "is_ephemeral": false},
		"trigger_id":   "12.34.abc",
		"channel":      map[string]any{"id": channel, "name": "deploys"},
		"response_url": answer,
		"actions": []any{map[string]any{
			"action_id": id, "block_id": "x", "type": "button", "value": value, "action_ts": "1901264400.000100", "style": "primary",
			"text": map[string]any{"type": "plain_text", "text": "Approve", "emoji": false},
		}},
	})
}

func form(payload map[string]any) string {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return url.Values{"payload": {string(data)}}.Encode()
}

// sign makes the request that Slack would send at a time.
func (o *office) sign(body string, at time.Time) *http.Request {
	return signBy(signing, body, at)
}

func signBy(secret, body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(body))
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

func (o *office) send(r *http.Request) int {
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	return w.Code
}

func (o *office) said(n int) []string {
	o.t.Helper()
	testenv.Eventually(o.t, patience, func() error {
		if said := o.server.Said(); len(said) < n {
			return fmt.Errorf("people were told %q so far", said)
		}
		return nil
	})
	return o.server.Said()
}
