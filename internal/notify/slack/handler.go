package slack

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/hook"
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
	// maxLookups bounds how many look for the desks at once: they do so before it is known who asks.
	maxLookups = 16
	// apart is how far Slack's clock may be ahead of ours. What it dates within that time of our beginning may have been
	// sent before, to the process before this one.
	apart = 3 * time.Second
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
	// Pressed is when, by Slack's clock, in whole seconds. A press is taken once by each process: what has become of it since
	// is for whoever acts to see.
	Pressed time.Time
}

// Desk is a channel in which the events of a fleet are told: it says what proves a press there, and who may press.
type Desk struct {
	// SigningSecrets of the app: one, or two while it is being changed.
	SigningSecrets [][]byte
	// Channel whose buttons these are; those of any channel when empty.
	Channel string
	// Team is the ID of the workspace; people of others are unknown. When it is empty, identities alone decide.
	Team string
	// Identities say who pressed.
	Identities IdentityMap
	// ResponsePrefix is how the addresses begin that Slack wants answers at; https://hooks.slack.com/ when empty.
	ResponsePrefix string
}

// HandlerOptions are the options of a Handler.
type HandlerOptions struct {
	// Desks gives the desks of a fleet, none if there is no such fleet, and those of all fleets for "". A press counts at
	// the desks of the fleet that it is about, and at no other: who can sign for one fleet can press for no other. With
	// an error, it gives those that it could read. It is called before it is known who asks.
	Desks func(ctx context.Context, fleet string) ([]Desk, error)
	// Act does what was asked, if the person may. Its error is a sentence for that person. It is called by several
	// goroutines.
	Act func(ctx context.Context, a Action) error
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
	lookups chan struct{}
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
	desk       Desk
	problem    string // what is wrong with the button
}

// NewHandler makes a Handler, which refuses what comes before Run.
func NewHandler(opts HandlerOptions) (*Handler, error) {
	if opts.Desks == nil || opts.Act == nil {
		return nil, errors.New("buttons of Slack need desks and somebody who acts")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Handler{
		opts: opts, started: opts.Now(), queue: make(chan press, maxQueue), lookups: make(chan struct{}, maxLookups), http: newHTTP(),
		closed: true, seen: map[string]time.Time{},
	}, nil
}

// ServeHTTP answers 200 to what is authentic, also if there is nothing to do, 401 to what is not, 413 to what is too
// large, and 503 when too much waits already, and when it cannot be said yet what is authentic.
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
	signature, stamp, sent, ok := signed(r.Header)
	if now := h.opts.Now(); !ok || now.Sub(sent).Abs() > tolerance {
		http.Error(w, refusal, http.StatusUnauthorized)
		return
	}
	// What is read here is believed once it is proven.
	in, ok := unpack(body)
	if !ok {
		// It is not Slack that asks, and so nothing is looked up.
		http.Error(w, refusal, http.StatusUnauthorized)
		return
	}
	p, ours := parse(in)
	desks, err := h.desks(r.Context(), p.action.Fleet)
	proven := slices.DeleteFunc(slices.Clone(desks), func(d Desk) bool { return !d.proves(signature, stamp, body) })
	switch {
	case len(proven) == 0 && err != nil:
		http.Error(w, "not now: press again later", http.StatusServiceUnavailable)
		return
	case len(proven) == 0:
		// Who does not know the secret learns nothing about which fleets exist.
		http.Error(w, refusal, http.StatusUnauthorized)
		return
	}
	p.sitDown(proven)
	p.action.Pressed = sent
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

// desks are those of a fleet, as Desks gives them: none, with an error, when too many are being looked for already.
func (h *Handler) desks(ctx context.Context, fleet string) ([]Desk, error) {
	select {
	case h.lookups <- struct{}{}:
		defer func() { <-h.lookups }()
	default:
		return nil, errors.New("too many ask at once")
	}
	desks, err := h.opts.Desks(ctx, fleet)
	if err != nil {
		h.opts.Logger.Error("not every signing secret of Slack can be read", "fleet", fleet, "error", err)
	}
	return desks, err
}

// refusal is what is answered to what is not proven.
const refusal = "the signature is missing, wrong or too old"

// sitDown finds the desk of the channel that a press comes from, among those that prove it.
func (p *press) sitDown(desks []Desk) {
	at := slices.IndexFunc(desks, func(d Desk) bool { return d.Channel == "" || d.Channel == p.channel })
	if at >= 0 {
		p.desk = desks[at]
		return
	}
	p.desk = desks[0]
	if p.problem == "" {
		p.problem = "the notifications of fleet " + p.action.Fleet + " do not name this channel"
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
	// What was seen before this process began is not known, so nothing is taken that may be as old.
	if sent.Before(h.started.Add(apart)) {
		return false, errors.New("Sengu has just been started, and may have seen this before: press again in a few seconds") //nolint:staticcheck // a name begins the sentence
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

// signed reads the signature of Slack (version v0) and the time of the request, as text too, which is a part of what is
// signed.
func signed(header http.Header) (signature, stamp string, sent time.Time, ok bool) {
	stamp = header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(stamp) > 12 {
		return "", "", time.Time{}, false
	}
	text, v0 := strings.CutPrefix(header.Get("X-Slack-Signature"), "v0=")
	got, err := hex.DecodeString(text)
	if err != nil || !v0 {
		return "", "", time.Time{}, false
	}
	return string(got), stamp, time.Unix(seconds, 0), true
}

// proves reports whether a signature was made with one of the secrets.
func (d Desk) proves(signature, stamp string, body []byte) bool {
	ok := false
	for _, secret := range d.SigningSecrets {
		ok = len(secret) > 0 && subtle.ConstantTimeCompare([]byte(signature), hook.Sum(secret, []byte("v0:"+stamp+":"), body)) == 1 || ok
	}
	return ok
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

// unpack reads a form of Slack. Whoever is not Slack rarely sends one.
func unpack(body []byte) (payload, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return payload{}, false
	}
	text := []byte(form.Get("payload"))
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return payload{}, false
	}
	var in payload
	if json.Unmarshal(text, &in) != nil {
		return payload{}, true // it is of a kind that is not known here
	}
	return in, true
}

// parse reads a press. It is not ours if it is about anything else than one of our buttons.
func parse(in payload) (press, bool) {
	if in.Type != "block_actions" || len(in.Actions) != 1 ||
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
