package forge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sengu-dev/sengu/internal/hook"
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
	verify hook.Check
	parse  func(event string, body []byte) (Event, error)
}

// senders in the order in which they are tried: Gitea also sends the headers of GitHub, and Forgejo those of Gitea.
var senders = []sender{
	{"X-Gitea-Event", hook.Signed("X-Gitea-Signature", ""), parseGitea},
	{"X-Github-Event", hook.Signed("X-Hub-Signature-256", "sha256="), parseGitHub},
	{"X-Gitlab-Event", hook.GitLab, parseGitLab},
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
	s := senders[i]
	if !s.verify.Any(h.Get, body, secrets) {
		return Event{}, ErrWebhookSignature
	}
	body, ok := hook.Payload(h.Get("Content-Type"), body)
	if !ok {
		return Event{}, fmt.Errorf("%w: the form has no payload", ErrWebhookMalformed)
	}
	event, err := s.parse(h.Get(s.event), body)
	if err != nil {
		return Event{}, err
	}
	return event.tidy()
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
