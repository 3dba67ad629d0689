package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// WebhookLimit is how long the body of a webhook about a pull request may be, in bytes.
const WebhookLimit = 4 << 20

// Why a webhook is no Event.
var (
	// ErrWebhookIgnored: it is authentic, and about something else than a pull request's content, state or approval.
	ErrWebhookIgnored = errors.New("webhook ignored")
	// ErrWebhookSecret: no secret is configured, and an unsigned webhook is never believed.
	ErrWebhookSecret = errors.New("webhook refused: no secret is configured")
	// ErrWebhookSignature: it bears no signature, or none by one of the secrets.
	ErrWebhookSignature = errors.New("webhook refused: the signature is missing or wrong")
	// ErrWebhookTooLarge: the body is over WebhookLimit.
	ErrWebhookTooLarge = errors.New("webhook refused: the body is too large")
	// ErrWebhookMalformed: it is authentic and cannot be understood.
	ErrWebhookMalformed = errors.New("webhook refused: it cannot be understood")
)

// Action is what happened to a pull request.
type Action string

// The actions.
const (
	ActionOpened   Action = "opened"
	ActionReopened Action = "reopened"
	ActionPushed   Action = "pushed" // HeadSHA is another
	ActionEdited   Action = "edited" // title, text, base or draft
	ActionReviewed Action = "reviewed"
	ActionMerged   Action = "merged"
	ActionClosed   Action = "closed" // unmerged
)

// Event is what a webhook announces. It is a hint to look at the pull request and nothing more, so that a replayed one
// does no harm.
type Event struct {
	Kind   Kind
	Action Action
	// Repository is its full name, and URLs are its addresses for Git and for people as the forge writes them.
	Repository string
	URLs       []string
	Number     int
	// Head, HeadSHA, Base and Fork are as in PullRequest.
	Head, HeadSHA, Base string
	Fork                bool
}

// sender is one kind of forge that sends webhooks.
type sender struct {
	event  string // header that tells it from the others
	verify func(h http.Header, body, secret []byte) bool
	parse  func(event string, body []byte) (Event, error)
}

// senders in the order in which they are tried: Gitea also sends the headers of GitHub, and Forgejo those of Gitea.
var senders = []sender{
	{"X-Gitea-Event", signed("X-Gitea-Signature", ""), parseGitea},
	{"X-Github-Event", signed("X-Hub-Signature-256", "sha256="), parseGitHub},
	{"X-Gitlab-Event", verifyGitLab, parseGitLab},
}

// ParsePullRequestEvent reads and checks a webhook of GitHub, GitLab, Gitea or Forgejo about a pull request. It must be
// signed by one of the secrets, which are compared in constant time; several are for when one is replaced. The error
// matches one of the sentinels above and quotes nothing of the request.
func ParsePullRequestEvent(h http.Header, body []byte, secrets ...[]byte) (Event, error) {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s []byte) bool { return len(s) == 0 })
	if len(secrets) == 0 {
		return Event{}, ErrWebhookSecret
	}
	if len(body) > WebhookLimit {
		return Event{}, ErrWebhookTooLarge
	}
	i := slices.IndexFunc(senders, func(s sender) bool { return h.Get(s.event) != "" })
	if i < 0 {
		return Event{}, fmt.Errorf("%w: it is of no known sender", ErrWebhookSignature)
	}
	s, authentic := senders[i], false
	for _, secret := range secrets {
		authentic = s.verify(h, body, secret) || authentic
	}
	if !authentic {
		return Event{}, ErrWebhookSignature
	}
	body, err := payload(h, body)
	if err != nil {
		return Event{}, err
	}
	event, err := s.parse(h.Get(s.event), body)
	if err != nil {
		return Event{}, err
	}
	return event.tidy()
}

// payload unpacks the form that GitHub sends unless told otherwise.
func payload(h http.Header, body []byte) ([]byte, error) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return body, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("payload") == "" {
		return nil, fmt.Errorf("%w: the form has no payload", ErrWebhookMalformed)
	}
	return []byte(form.Get("payload")), nil
}

// signed checks an HMAC-SHA256 of the body in a header.
func signed(name, prefix string) func(http.Header, []byte, []byte) bool {
	return func(h http.Header, body, secret []byte) bool {
		text, ok := strings.CutPrefix(h.Get(name), prefix)
		got, err := hex.DecodeString(text)
		return ok && err == nil && hmac.Equal(got, sum(secret, body))
	}
}

func sum(secret []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// verifyGitLab accepts the secret itself in X-Gitlab-Token, which is all that most versions send, or a signature in the
// form of Standard Webhooks (standardwebhooks.com) over id, time and body.
func verifyGitLab(h http.Header, body, secret []byte) bool {
	if verifyStandard(h, body, secret) {
		return true
	}
	// Hashed first, so that the comparison tells nothing of the length either.
	got, want := sha256.Sum256([]byte(h.Get("X-Gitlab-Token"))), sha256.Sum256(secret)
	return h.Get("X-Gitlab-Token") != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func verifyStandard(h http.Header, body, secret []byte) bool {
	key := secret
	if encoded, ok := strings.CutPrefix(string(secret), "whsec_"); ok {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(decoded) == 0 {
			return false
		}
		key = decoded
	}
	want := sum(key, []byte(h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."), body)
	authentic := false
	for signature := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		text, v1 := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		authentic = (v1 && err == nil && hmac.Equal(got, want)) || authentic
	}
	return authentic
}

// tidy drops what is empty, and refuses what names no pull request.
func (e Event) tidy() (Event, error) {
	e.URLs = slices.DeleteFunc(e.URLs, func(u string) bool { return u == "" })
	if e.Repository == "" || len(e.URLs) == 0 || e.Number <= 0 || e.Head == "" || e.Base == "" {
		return Event{}, fmt.Errorf("%w: it names no pull request", ErrWebhookMalformed)
	}
	if e.HeadSHA != "" && checkSHA(e.HeadSHA) != nil {
		return Event{}, fmt.Errorf("%w: its commit is none", ErrWebhookMalformed)
	}
	return e, nil
}
