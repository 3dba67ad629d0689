package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/internal/hook"
)

// DefaultWebhookLimit is the largest body of a webhook that is read when no other limit is given, in bytes. GitHub may
// send 25 MiB, for pushes of thousands of commits; those are answered with 413, and the poll finds them instead.
const DefaultWebhookLimit = 4 << 20

// Why a webhook is not a Push.
var (
	// ErrIgnored: it is authentic, and about something else than a branch: a ping, a tag, a comment. Answer 202.
	ErrIgnored = errors.New("webhook ignored")
	// ErrWebhookSecret: no secret is configured, and an unsigned webhook is never believed. Answer 403.
	ErrWebhookSecret = errors.New("webhook refused: no secret is configured")
	// ErrWebhookSignature: it bears no signature, or none by one of the secrets. Answer 401.
	ErrWebhookSignature = errors.New("webhook refused: the signature is missing or wrong")
	// ErrWebhookTooLarge: the body is over the limit. Answer 413.
	ErrWebhookTooLarge = errors.New("webhook refused: the body is too large")
	// ErrWebhookMalformed: it is authentic and cannot be understood. Answer 400.
	ErrWebhookMalformed = errors.New("webhook refused: it cannot be understood")
)

// Push is what a webhook announces. It is a hint to fetch and nothing more, so that a replayed one does no harm.
type Push struct {
	// URLs are the addresses of the repository as NormalizeURL writes them, sorted.
	URLs []string
	// Branch that moved, "" when several did.
	Branch string
	// Before and After are commit hashes, "" when the branch was made or deleted, or when several branches moved.
	Before, After string
}

// Concerns says whether the push may have moved a branch of the repository with a URL.
func (p Push) Concerns(url, branch string) bool {
	return slices.Contains(p.URLs, NormalizeURL(url)) && (p.Branch == "" || p.Branch == branch)
}

// provider is one kind of sender.
type provider struct {
	event  string // header that tells it from the others
	verify hook.Check
	parse  func(event string, body []byte) (Push, error)
}

// providers in the order in which they are tried: Gitea and Forgejo also send the headers of GitHub.
var providers = []provider{
	{"X-Sengu-Signature", hook.Signed("X-Sengu-Signature", "sha256="), parseGeneric},
	{"X-Gitea-Event", hook.Signed("X-Gitea-Signature", ""), parseGitHub},
	{"X-Forgejo-Event", hook.Signed("X-Forgejo-Signature", ""), parseGitHub},
	{"X-Github-Event", hook.Signed("X-Hub-Signature-256", "sha256="), parseGitHub},
	{"X-Gitlab-Event", hook.GitLab, parseGitLab},
	{"X-Event-Key", hook.Signed("X-Hub-Signature", "sha256="), parseBitbucket},
}

// ParseWebhook reads and checks a webhook of GitHub, GitLab, Gitea, Forgejo, Bitbucket, or of Sengu's generic form: the
// header X-Sengu-Signature: sha256=HEX over the body {"repository": URL, "branch": NAME, "before": HASH, "after": HASH}.
// It must be signed by one of the secrets, which are compared in constant time. Limit bounds the body in bytes;
// DefaultWebhookLimit when zero. The error matches one of the sentinels above and quotes nothing of the request.
func ParseWebhook(r *http.Request, secrets [][]byte, limit int64) (Push, error) {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s []byte) bool { return len(s) == 0 })
	if len(secrets) == 0 {
		return Push{}, ErrWebhookSecret
	}
	if r.Method != http.MethodPost {
		return Push{}, fmt.Errorf("%w: it is not a POST", ErrWebhookMalformed)
	}
	i := slices.IndexFunc(providers, func(p provider) bool { return r.Header.Get(p.event) != "" })
	if i < 0 {
		return Push{}, fmt.Errorf("%w: it is of no known sender", ErrWebhookSignature)
	}
	body, err := readBody(r, limit)
	if err != nil {
		return Push{}, err
	}
	p := providers[i]
	if !p.verify.Any(r.Header.Get, body, secrets) {
		return Push{}, ErrWebhookSignature
	}
	body, ok := hook.Payload(r.Header.Get("Content-Type"), body)
	if !ok {
		return Push{}, fmt.Errorf("%w: the form has no payload", ErrWebhookMalformed)
	}
	push, err := p.parse(r.Header.Get(p.event), body)
	if err != nil {
		return Push{}, err
	}
	return push.tidy()
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultWebhookLimit
	}
	if r.ContentLength > limit {
		return nil, ErrWebhookTooLarge
	}
	if r.Body == nil {
		return nil, ErrWebhookMalformed
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWebhookMalformed, err)
	}
	if int64(len(body)) > limit {
		return nil, ErrWebhookTooLarge
	}
	return body, nil
}

// tidy normalises what a sender said, and refuses what names no repository or a branch that cannot be.
func (p Push) tidy() (Push, error) {
	var urls []string
	for _, u := range p.URLs {
		if n := NormalizeURL(u); n != "" {
			urls = append(urls, n)
		}
	}
	slices.Sort(urls)
	p.URLs = slices.Compact(urls)
	if len(p.URLs) == 0 {
		return Push{}, fmt.Errorf("%w: it names no repository", ErrWebhookMalformed)
	}
	if p.Branch != "" {
		if err := checkBranch(p.Branch); err != nil {
			return Push{}, fmt.Errorf("%w: it names a branch that cannot be", ErrWebhookMalformed)
		}
	}
	p.Before, p.After = commitOrNone(p.Before), commitOrNone(p.After)
	return p, nil
}

// commitOrNone is "" for the hash of zeros and for what is no hash.
func commitOrNone(hash string) string {
	if !fullHash.MatchString(hash) || strings.Trim(hash, "0") == "" {
		return ""
	}
	return hash
}
