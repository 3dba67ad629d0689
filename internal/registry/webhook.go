package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sengu-dev/sengu/internal/image"
)

// Bounds of a webhook.
const (
	// MaxWebhook is the largest body that is read, in bytes.
	MaxWebhook = 1 << 20
	// maxPushes is how many pushes one webhook may announce: registries send them in batches.
	maxPushes = 1000
)

// Why a webhook announces no push.
var (
	// ErrNotAPush: it is about something else, such as a pull, a deletion or a package that is no image. Answer 202.
	ErrNotAPush = errors.New("not a push of an image")
	// ErrMalformed: it is of no form that is known, or cannot be understood. Answer 400.
	ErrMalformed = errors.New("webhook cannot be understood")
	// ErrTooLarge: it is over the bounds. Answer 413.
	ErrTooLarge = errors.New("webhook is too large")
)

// Push is what a webhook announces: a hint to look, and nothing more, so that a replayed or invented one does no harm.
type Push struct {
	// Repository, written out as [image.ParseRepository] does.
	Repository string
	// Tag that was pushed, "" if it was a digest alone.
	Tag string
	// Digest that was pushed, "" if the webhook does not say.
	Digest string
}

// form is one way of writing a webhook.
type form struct {
	// is says whether a webhook is of this form, by its headers and the names of the fields of its body.
	is    func(h http.Header, fields map[string]json.RawMessage) bool
	parse func(body []byte) ([]Push, error)
}

// forms in the order in which they are tried.
var forms = []form{
	{byHeader("X-Gitea-Event", "X-Forgejo-Event"), parseGitea}, // which also send the header of GitHub
	{byHeader("X-Github-Event"), parseGitHub},
	{byHeader("X-Amz-Sns-Message-Type"), parseSNS},
	{byFields("TopicArn", "Type"), parseSNS},
	{byFields("detail-type", "detail"), parseEventBridge},
	{byFields("events"), parseDistribution},
	{byFields("target", "request"), parseAzure},
	{byFields("push_data", "repository"), parseDockerHub},
	{byFields("event_data", "type"), parseHarbor},
	{byFields("specversion", "data"), parseHarborCloudEvent},
	{byFields("docker_url"), parseQuay},
	{byFields("message", "subscription"), parsePubSub},
	{byFields("action"), parseGoogle}, // Pub/Sub with its wrapping taken off
	{byFields("image"), parseOwn},
}

func byHeader(names ...string) func(http.Header, map[string]json.RawMessage) bool {
	return func(h http.Header, _ map[string]json.RawMessage) bool {
		for _, n := range names {
			if h.Get(n) != "" {
				return true
			}
		}
		return false
	}
}

func byFields(names ...string) func(http.Header, map[string]json.RawMessage) bool {
	return func(_ http.Header, fields map[string]json.RawMessage) bool {
		for _, n := range names {
			if _, ok := fields[n]; !ok {
				return false
			}
		}
		return true
	}
}

// Pushed reads the webhook of a registry: notifications of the OCI distribution (which GitLab also sends), Docker Hub,
// GitHub packages, Gitea and Forgejo packages, Harbor (both of its formats), Quay, Azure, Google (Pub/Sub push), Amazon
// (EventBridge, as it is or through SNS), and Sengu's own form {"image": "registry.example.com/shop/checkout:1.2.3"},
// for whoever builds. It does not check who sent it: the caller has done so. The error matches one of the sentinels
// above and quotes nothing of the webhook.
func Pushed(header http.Header, body []byte) ([]Push, error) {
	if len(body) > MaxWebhook {
		return nil, ErrTooLarge
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("%w: the body is not JSON", ErrMalformed)
	}
	for _, f := range forms {
		if !f.is(header, fields) {
			continue
		}
		pushes, err := f.parse(body)
		if err != nil {
			return nil, err
		}
		return tidy(pushes)
	}
	return nil, fmt.Errorf("%w: it is of no known registry", ErrMalformed)
}

// tidy writes repositories out, takes the tag out of where the sender put it, and refuses what cannot be.
func tidy(pushes []Push) ([]Push, error) {
	if len(pushes) == 0 {
		return nil, ErrNotAPush
	}
	if len(pushes) > maxPushes {
		return nil, ErrTooLarge
	}
	seen := make(map[Push]bool, len(pushes))
	tidied := make([]Push, 0, len(pushes))
	for _, p := range pushes {
		repo, err := image.ParseRepository(strings.ToLower(p.Repository))
		if err != nil {
			return nil, fmt.Errorf("%w: it names a repository that cannot be", ErrMalformed)
		}
		p.Repository = repo
		if p.Tag == p.Digest || image.ValidDigest(p.Tag) {
			p.Digest, p.Tag = p.Tag, "" // Harbor, GitHub and Gitea say so of an image without a tag
		}
		if p.Tag != "" && !image.ValidTag(p.Tag) {
			return nil, fmt.Errorf("%w: it names a tag that cannot be", ErrMalformed)
		}
		if p.Digest != "" && !image.ValidDigest(p.Digest) {
			p.Digest = "" // the tag tells, and is looked up
		}
		if p.Tag == "" && p.Digest == "" {
			return nil, fmt.Errorf("%w: it names neither a tag nor a digest", ErrMalformed)
		}
		if !seen[p] {
			seen[p] = true
			tidied = append(tidied, p)
		}
	}
	return tidied, nil
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: the body is not what its form should have", ErrMalformed)
	}
	return nil
}

// fromReference makes a push of a reference that is written as one.
func fromReference(s string) (Push, error) {
	r, err := image.Parse(strings.TrimSuffix(s, ":"))
	if err != nil {
		return Push{}, fmt.Errorf("%w: it names an image that cannot be", ErrMalformed)
	}
	return Push{Repository: r.Repository, Tag: r.Tag, Digest: r.Digest}, nil
}
