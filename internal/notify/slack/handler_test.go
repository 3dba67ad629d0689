package slack_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const value = `{"f":"shop","s":"checkout","r":"checkout-1","g":"g1","e":"production"}`

func TestAPress(t *testing.T) {
	o := newOffice(t, true)
	answer := o.server.Hooks() + "secret"
	if code := o.send(o.sign(pressed(alice, "sengu.approve:production", value, answer), o.clock.Now())); code != http.StatusOK {
		t.Fatalf("answered %d", code)
	}
	said := o.said(1)
	want := []slack.Action{{
		Verb: slack.Approve, Fleet: "shop", Service: "checkout", Release: "checkout-1", Group: "g1", Environment: "production",
		Person: "alice@example.com", Groups: []string{"sre"}, Reason: "by a button in Slack, pressed by " + alice,
		Pressed: o.clock.Now().Truncate(time.Second),
	}}
	if diff := cmp.Diff(want, o.did()); diff != "" {
		t.Error(diff)
	}
	if said[0] != "You approved checkout in production." {
		t.Errorf("the person was told %q", said[0])
	}
}

func TestPressesThatDoNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		user, id, value string
		err             error
		acts            bool
		want            string
	}{
		"unknown person": {user: bob, want: "Nothing happened, because Sengu does not know you. Ask whoever runs it to add U0BOB000001 to the identities of this channel."},
		"refused": {
			user: alice, err: errors.New("alice@example.com may not approve <!channel> in production"), acts: true,
			want: "Not done: alice@example.com may not approve &lt;!channel&gt; in production",
		},
		"no value":         {user: alice, value: "{", want: "Nothing happened: the button does not say what it is about."},
		"a bad name":       {user: alice, value: `{"f":"shop","s":"a","r":"../x","e":"production"}`, want: "Nothing happened: the button does not name its release."},
		"no environment":   {user: alice, value: `{"f":"shop","s":"a","r":"x"}`, want: "Nothing happened: the button does not name its environment."},
		"neither of both":  {user: alice, value: `{"f":"shop","e":"production"}`, want: "Nothing happened: the button does not name its release."},
		"an unknown verb":  {user: alice, id: "sengu.destroy:production", want: "Nothing happened: the button does something that this version of Sengu does not know."},
		"a panic":          {user: alice, err: errPanic, acts: true, want: "Something is wrong in Sengu. Look at what became of it before you press again."},
		"a value too long": {user: alice, value: `{"f":"` + strings.Repeat("x", 3000) + `"}`, want: "Nothing happened: the button does not say what it is about."},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, true)
			o.act = func(context.Context, slack.Action) error {
				if errors.Is(tc.err, errPanic) {
					panic("s3cr3t")
				}
				return tc.err
			}
			id, v := tc.id, tc.value
			if id == "" {
				id = "sengu.approve:production"
			}
			if v == "" {
				v = value
			}
			if code := o.send(o.sign(pressed(tc.user, id, v, o.server.Hooks()+"secret"), o.clock.Now())); code != http.StatusOK {
				t.Fatalf("answered %d", code)
			}
			if said := o.said(1); said[0] != tc.want {
				t.Errorf("the person was told %q, want %q", said[0], tc.want)
			}
			if (len(o.did()) > 0) != tc.acts {
				t.Errorf("acted: %v", o.did())
			}
			if strings.Contains(o.logged(), "s3cr3t") {
				t.Error("the log holds what was panicked with")
			}
		})
	}
}

var errPanic = errors.New("panic")

func TestAnotherWorkspace(t *testing.T) {
	o := newOffice(t, true)
	for _, other := range []string{`"team_id":"T0EVIL00001"`, `"x":""`} {
		body, err := url.QueryUnescape(pressed(alice, "sengu.approve:production", value, o.server.Hooks()+"secret"))
		if err != nil {
			t.Fatal(err)
		}
		payload := strings.Replace(strings.TrimPrefix(body, "payload="), `"team_id":"`+team+`"`, other, 1)
		o.send(o.sign(url.Values{"payload": {payload}}.Encode(), o.clock.Now()))
	}
	for _, s := range o.said(2) {
		if !strings.Contains(s, "does not know you") {
			t.Errorf("the person was told %q", s)
		}
	}
	if len(o.did()) > 0 {
		t.Errorf("somebody of another workspace did %v", o.did())
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	body := pressed(alice, "sengu.approve:production", value, "x")
	for name, tc := range map[string]struct {
		at     time.Duration
		change func(r *http.Request)
		want   int
	}{
		"too old":         {at: -5*time.Minute - time.Second, want: http.StatusUnauthorized},
		"too new":         {at: 5*time.Minute + time.Second, want: http.StatusUnauthorized},
		"no signature":    {change: func(r *http.Request) { r.Header.Del("X-Slack-Signature") }, want: http.StatusUnauthorized},
		"no time":         {change: func(r *http.Request) { r.Header.Del("X-Slack-Request-Timestamp") }, want: http.StatusUnauthorized},
		"another time":    {change: func(r *http.Request) { r.Header.Set("X-Slack-Request-Timestamp", "1901264401") }, want: http.StatusUnauthorized},
		"another version": {change: func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v1"+r.Header.Get("X-Slack-Signature")[2:]) }, want: http.StatusUnauthorized},
		"short":           {change: func(r *http.Request) { r.Header.Set("X-Slack-Signature", r.Header.Get("X-Slack-Signature")[:20]) }, want: http.StatusUnauthorized},
		"empty":           {change: func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0=") }, want: http.StatusUnauthorized},
		"a GET":           {change: func(r *http.Request) { r.Method = http.MethodGet }, want: http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, true)
			r := o.sign(body, o.clock.Now().Add(tc.at))
			if tc.change != nil {
				tc.change(r)
			}
			if code := o.send(r); code != tc.want {
				t.Errorf("answered %d, want %d", code, tc.want)
			}
			o.stop()
			if len(o.did()) > 0 {
				t.Errorf("acted all the same: %v", o.did())
			}
		})
	}
	o := newOffice(t, true)
	if code := o.send(o.sign("payload="+strings.Repeat("x", 1<<20), o.clock.Now())); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large one is answered %d", code)
	}
	tampered := o.sign(body, o.clock.Now())
	changed := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(strings.Replace(body, "production", "productioX", 1)))
	changed.Header = tampered.Header
	if code := o.send(changed); code != http.StatusUnauthorized {
		t.Errorf("a changed one is answered %d", code)
	}
}

func TestReplays(t *testing.T) {
	o := newOffice(t, true)
	body := pressed(alice, "sengu.approve:production", value, o.server.Hooks()+"secret")
	at := o.clock.Now()
	for i := range 3 {
		r := o.sign(body, at)
		if i == 2 { // the same signature in other letters
			r.Header.Set("X-Slack-Signature", "v0="+strings.ToUpper(strings.TrimPrefix(r.Header.Get("X-Slack-Signature"), "v0=")))
		}
		if code := o.send(r); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
		o.clock.Step(time.Minute)
	}
	o.said(1)
	o.stop()
	if n := len(o.did()); n != 1 {
		t.Errorf("acted %d times", n)
	}
}

func TestARequestFromBeforeTheRestart(t *testing.T) {
	o := newOffice(t, false)
	at := o.clock.Now().Add(-time.Minute)
	o.run()
	if code := o.send(o.sign(pressed(alice, "sengu.approve:production", value, o.server.Hooks()+"secret"), at)); code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", code)
	}
	o.stop()
	if len(o.did()) > 0 {
		t.Error("acted")
	}
}

// TestASlowActHoldsUpNoAnswer also fills the queue, and stops in the middle.
func TestASlowActHoldsUpNoAnswer(t *testing.T) {
	o := newOffice(t, true)
	release := make(chan struct{})
	o.act = func(ctx context.Context, _ slack.Action) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}
	accepted, refused := 0, 0
	for i := range 100 {
		v := strings.Replace(value, "checkout-1", fmt.Sprintf("checkout-%d", i), 1)
		switch code := o.send(o.sign(pressed(alice, "sengu.hold:production", v, o.server.Hooks()+"secret"), o.clock.Now())); code {
		case http.StatusOK:
			accepted++
		case http.StatusServiceUnavailable:
			refused++
		default:
			t.Fatalf("answered %d", code)
		}
	}
	if accepted < 60 || refused < 20 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
	go func() {
		testenv.Eventually(t, patience, func() error {
			if len(o.did()) < 4 {
				return errors.New("not all act")
			}
			return nil
		})
		close(release)
	}()
	testenv.Eventually(t, patience, func() error {
		if len(o.did()) < 4 {
			return errors.New("not all act")
		}
		return nil
	})
	o.stop()
	said := o.server.Said()
	nothing := 0
	for _, s := range said {
		if strings.Contains(s, "being restarted") {
			nothing++
		}
	}
	if len(said) != accepted || nothing+len(o.did()) != accepted {
		t.Errorf("%d accepted, %d done, %d told that nothing happened, %d told in all", accepted, len(o.did()), nothing, len(said))
	}
	if code := o.send(o.sign(pressed(alice, "sengu.hold:develop", value, o.server.Hooks()+"secret"), o.clock.Now())); code != http.StatusServiceUnavailable {
		t.Errorf("after the end it answers %d", code)
	}
}

func TestAnAnswerGoesToSlackOnly(t *testing.T) {
	o := newOffice(t, true)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("an answer went elsewhere") }))
	defer elsewhere.Close()
	o.send(o.sign(pressed(alice, "sengu.approve:production", value, elsewhere.URL), o.clock.Now()))
	testenv.Eventually(t, patience, func() error {
		if !strings.Contains(o.logged(), "not one of Slack") {
			return errors.New("not yet")
		}
		return nil
	})
}

// TestFleetsApart signs for one fleet and presses for another, or in a channel that is nobody's.
func TestFleetsApart(t *testing.T) {
	for name, tc := range map[string]struct {
		secret, value, channel string
		unread                 error
		code                   int
		acts                   bool
		says                   string
	}{
		"its own":         {secret: signing, value: value, code: http.StatusOK, acts: true, says: "You approved"},
		"another's":       {secret: foreign, value: value, code: http.StatusUnauthorized},
		"for another":     {secret: signing, value: strings.Replace(value, "shop", "other", 1), code: http.StatusUnauthorized},
		"for nobody":      {secret: signing, value: strings.Replace(value, "shop", "lost", 1), code: http.StatusUnauthorized},
		"another channel": {secret: signing, value: value, channel: "C0OTHER0001", code: http.StatusOK, says: "do not name this channel"},
		"unread":          {secret: foreign, value: value, unread: errors.New("the API server is away"), code: http.StatusServiceUnavailable},
		"read enough":     {secret: signing, value: value, unread: errors.New("a Secret is missing"), code: http.StatusOK, acts: true, says: "You approved"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, true)
			o.unread = tc.unread
			body := pressed(alice, "sengu.approve:production", tc.value, o.server.Hooks()+"secret")
			if tc.channel != "" {
				body = strings.ReplaceAll(body, channel, tc.channel)
			}
			if code := o.send(signBy(tc.secret, body, o.clock.Now())); code != tc.code {
				t.Errorf("answered %d, want %d", code, tc.code)
			}
			if tc.says != "" {
				if said := o.said(1); !strings.Contains(said[0], tc.says) {
					t.Errorf("the person was told %q, want %q", said[0], tc.says)
				}
			}
			o.stop()
			if (len(o.did()) > 0) != tc.acts {
				t.Errorf("acted: %v", o.did())
			}
		})
	}
}

func TestNoSigningSecret(t *testing.T) {
	people, err := slack.NewIdentities(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, secrets := range [][][]byte{nil, {{}}, {nil, nil}} {
		h, err := slack.NewHandler(slack.HandlerOptions{
			Desks: func(context.Context, string) ([]slack.Desk, error) {
				return []slack.Desk{{SigningSecrets: secrets, Identities: people}}, nil
			},
			Act: func(context.Context, slack.Action) error { t.Error("acted"); return nil }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		body, stamp := pressed(alice, "sengu.approve:production", value, "x"), strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, nil)
		mac.Write([]byte("v0:" + stamp + ":" + body))
		r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(body))
		r.Header.Set("X-Slack-Request-Timestamp", stamp)
		r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 {
			t.Errorf("%v: answered %d", secrets, w.Code)
		}
	}
}

func FuzzHandler(f *testing.F) {
	f.Add(pressed(alice, "sengu.approve:production", value, "https://hooks.slack.com/x"))
	f.Add("payload={}")
	f.Add("payload=%7B%22type%22%3A%22block_actions%22%2C%22actions%22%3A%5B%7B%7D%5D%7D")
	people, err := slack.NewIdentities(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	clock := testenv.NewClock()
	f.Fuzz(func(t *testing.T, body string) {
		h, err := slack.NewHandler(slack.HandlerOptions{
			Desks: func(context.Context, string) ([]slack.Desk, error) {
				return []slack.Desk{{SigningSecrets: [][]byte{[]byte(signing)}, Identities: people, ResponsePrefix: "https://nowhere.invalid/never"}}, nil
			},
			Act: func(context.Context, slack.Action) error { t.Error("acted for nobody"); return nil }, Now: clock.Now,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		o := &office{t: t, handler: h, clock: clock}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		var object map[string]any
		query, problem := url.ParseQuery(body)
		noPayload := problem != nil || json.Unmarshal([]byte(query.Get("payload")), &object) != nil || object == nil
		// A minute later than it began, so that it is not taken for what the process before has seen.
		code := o.send(o.sign(body, clock.Now().Add(time.Minute)))
		switch code {
		case http.StatusOK, http.StatusServiceUnavailable:
			if noPayload {
				t.Errorf("what is no payload is answered %d", code)
			}
		case http.StatusUnauthorized:
			if !noPayload {
				t.Error("a payload is refused")
			}
		case http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("answered %d", code)
		}
		cancel()
		<-done
	})
}
