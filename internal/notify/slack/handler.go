package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxRequest is the largest request of Slack that is read, in bytes: it holds the whole message, encoded as a form.
	maxRequest = 512 << 10
	// tolerance is how far the time of a request may be from now.
	tolerance = 5 * time.Minute
	// maxSeen bounds the signatures that are remembered.
	maxSeen = 4096
	// maxQueue bounds the presses that wait to be acted upon.
	maxQueue = 64
)

// Action is what a person asked for by a button.
type Action struct {
	Verb  Verb
	Fleet string
	// Service and Release that it is about; both are empty when it is about all Releases of the Group.
	Service, Release string
	Group            string
	Environment      string
	// Person and Groups as Kubernetes knows them.
	Person string
	Groups []string
	// Reason is a sentence for the record.
	Reason string
}

// HandlerOptions are the options of a Handler.
type HandlerOptions struct {
	// SigningSecret gives the signing secrets of the app: one, or two while it is being changed.
	SigningSecret func(ctx context.Context) ([][]byte, error)
	// Team is the ID of the workspace; people of others are unknown. When it is empty, identities alone decide.
	Team string
	// Identities say who pressed.
	Identities IdentityMap
	// Act does what was asked, if the person may. Its error is a sentence for that person. It is called by several
	// goroutines.
	Act func(ctx context.Context, a Action) error
	// ResponsePrefix is how the addresses begin that Slack wants answers at; https://hooks.slack.com/ when empty.
	ResponsePrefix string
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Now is time.Now when nil.
	Now func() time.Time
}

// Handler takes the interactions of Slack: it answers at once, and Run acts.
type Handler struct {
	opts    HandlerOptions
	started time.Time
	queue   chan press
	http    *http.Client

	mu     sync.Mutex
	closed bool // no press will be acted upon any more
	seen   map[string]time.Time
}

// press is one button that was pressed.
type press struct {
	user, team string
	channel    string
	answer     string // secret: whoever has it can write in the channel
	action     Action
	problem    string // what is wrong with the button
}

// NewHandler makes a Handler, which refuses what comes before Run.
func NewHandler(opts HandlerOptions) (*Handler, error) {
	switch {
	case opts.SigningSecret == nil:
		return nil, errors.New("buttons of Slack need the signing secret of the app")
	case opts.Identities == nil || opts.Act == nil:
		return nil, errors.New("buttons of Slack need identities and somebody who acts")
	case opts.Team != "" && !teamID.MatchString(opts.Team):
		return nil, fmt.Errorf("%q is not the ID of a workspace of Slack, such as T0123456789", opts.Team)
	}
	if opts.ResponsePrefix == "" {
		opts.ResponsePrefix = "https://hooks.slack.com/"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Handler{
		opts: opts, started: opts.Now(), queue: make(chan press, maxQueue), http: newHTTP(), closed: true, seen: map[string]time.Time{},
	}, nil
}

// ServeHTTP answers 200 to what is authentic, also if there is nothing to do, 401 to what is not, 413 to what is too
// large, and 503 when too much waits already.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "only POST is taken here", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request is too large, or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	secrets, err := h.opts.SigningSecret(r.Context())
	if err != nil || len(secrets) == 0 {
		h.opts.Logger.Error("a button of Slack is refused, because the signing secret cannot be read", "error", err)
		http.Error(w, "there is no signing secret", http.StatusServiceUnavailable)
		return
	}
	signature, sent, ok := verify(r.Header, body, secrets)
	if now := h.opts.Now(); !ok || now.Sub(sent).Abs() > tolerance {
		http.Error(w, "the signature is missing, wrong or too old", http.StatusUnauthorized)
		return
	}
	p, ours := parse(body)
	switch fresh, err := h.enqueue(signature, sent, p, ours); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case !fresh:
		h.opts.Logger.Warn("a request of Slack came twice and is ignored the second time")
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// enqueue puts a press that was not seen before into the queue, and does not wait.
func (h *Handler) enqueue(signature string, sent time.Time, p press, ours bool) (fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.opts.Now()
	for s, until := range h.seen {
		if now.After(until) {
			delete(h.seen, s)
		}
	}
	if _, twice := h.seen[signature]; twice {
		return false, nil
	}
	// What was seen before this process began is not known, so nothing that old is taken.
	if sent.Before(h.started.Truncate(time.Second)) {
		return false, errors.New("the request is older than this process: press again")
	}
	if h.closed || len(h.seen) >= maxSeen {
		return false, errors.New("not now: press again later")
	}
	if ours {
		select {
		case h.queue <- p:
		default:
			return false, errors.New("too much waits: press again later")
		}
	}
	h.seen[signature] = sent.Add(2 * tolerance)
	return true, nil
}

// verify checks the signature of Slack (version v0) by any of the secrets, and gives it and the time of the request.
func verify(header http.Header, body []byte, secrets [][]byte) (signature string, sent time.Time, ok bool) {
	stamp := header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(stamp) > 12 {
		return "", time.Time{}, false
	}
	text, v0 := strings.CutPrefix(header.Get("X-Slack-Signature"), "v0=")
	got, err := hex.DecodeString(text)
	if err != nil || !v0 {
		return "", time.Time{}, false
	}
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("v0:" + stamp + ":"))
		mac.Write(body)
		ok = hmac.Equal(got, mac.Sum(nil)) || ok
	}
	return string(got), time.Unix(seconds, 0), ok
}

// payload is what of an interaction matters here.
type payload struct {
	Type string `json:"type"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	ResponseURL string `json:"response_url"`
	Actions     []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
}

// parse reads a form of Slack. It is not ours if it is about anything else than one of our buttons.
func parse(body []byte) (press, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return press{}, false
	}
	var in payload
	if json.Unmarshal([]byte(form.Get("payload")), &in) != nil || in.Type != "block_actions" || len(in.Actions) != 1 ||
		!strings.HasPrefix(in.Actions[0].ActionID, actionPrefix) || !userID.MatchString(in.User.ID) {
		return press{}, false
	}
	p := press{user: in.User.ID, team: in.User.TeamID, channel: in.Channel.ID, answer: in.ResponseURL}
	verb, t, err := parseButton(in.Actions[0].ActionID, in.Actions[0].Value)
	if err != nil {
		p.problem = err.Error()
		return p, true
	}
	p.action = Action{
		Verb: verb, Fleet: t.Fleet, Service: t.Service, Release: t.Release, Group: t.Group, Environment: t.Environment,
		Reason: "by a button in Slack, pressed by " + in.User.ID,
	}
	return p, true
}
