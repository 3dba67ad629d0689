package origin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/markdown"
	"github.com/sengu-dev/sengu/internal/registry"
)

// Changelog tells what lies between two images of an application.
type Changelog struct {
	// Client reads Secrets.
	Client       client.Reader
	Registry     *registry.Client
	Repositories *gitrepo.Store
}

// maxLog is how many commits are listed.
const maxLog = 50

var commitHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// Between returns in Markdown which commits of the application lie between two images, by what the images say of where
// they were built from; "" if they say nothing. Of a repository that the Fleet neither is in nor lists in spec.remotes,
// only a link is given: an image may say anything, and nobody is led to a place by that. What cannot be found out is
// said, and is no error.
func (c Changelog) Between(ctx context.Context, fleet *v1alpha1.Fleet, from, to string) (string, error) {
	was, is, err := c.describe(ctx, fleet, from, to)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	switch {
	case err != nil:
		return "What lies between them is not known: " + quoted(err.Error()) + "\n", nil
	case was.Source == "" || !commitHash.MatchString(is.Revision) || !commitHash.MatchString(was.Revision):
		return "", nil
	case was.Source != is.Source:
		return "They were built from different repositories: " + quoted(was.Source) + " and " + quoted(is.Source) + "\n", nil
	case was.Revision == is.Revision:
		return "Both were built from commit " + quoted(is.Revision[:12]) + "\n", nil
	}
	text := compareLink(is.Source, was.Revision, is.Revision)
	log, err := c.log(ctx, fleet, is.Source, was.Revision, is.Revision)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return text + "The commits between them cannot be listed: " + quoted(err.Error()) + "\n", nil
	}
	return text + log, nil
}

func (c Changelog) describe(ctx context.Context, fleet *v1alpha1.Fleet, from, to string) (was, is registry.Description, err error) {
	creds, wrong := PullCredentials(ctx, c.Client, fleet)
	if err := errors.Join(wrong...); err != nil {
		return was, is, err
	}
	if was, err = c.described(ctx, from, creds); err != nil {
		return was, is, err
	}
	is, err = c.described(ctx, to, creds)
	return was, is, err
}

func (c Changelog) described(ctx context.Context, text string, creds registry.Credentials) (registry.Description, error) {
	ref, err := image.Parse(text)
	if err != nil {
		return registry.Description{}, err
	}
	return c.Registry.Describe(ctx, ref, creds)
}

// log lists commits of a repository that the Fleet lets be read; "" of one that it does not.
func (c Changelog) log(ctx context.Context, fleet *v1alpha1.Fleet, source, from, to string) (string, error) {
	if gitrepo.NormalizeURL(source) == gitrepo.NormalizeURL(fleet.Spec.Git.URL) {
		// The credential is for where the Fleet says that it is. An image may name another port, or no TLS.
		source = fleet.Spec.Git.URL
	}
	auth, allowed, err := c.authOf(ctx, fleet, source)
	if err != nil || !allowed {
		return "", err
	}
	repository, err := c.Repositories.Repository(source)
	if err != nil {
		return "", err
	}
	for _, rev := range []string{to, from} {
		if err := repository.FetchRevision(ctx, rev, auth); err != nil {
			return "", err
		}
	}
	commits, more, err := repository.Log(ctx, from, to, maxLog)
	if err != nil {
		return "", err
	}
	if len(commits) == 0 {
		return "The newer one is built from an older commit.\n", nil
	}
	lines := make([]string, 0, len(commits)+1)
	for _, one := range commits {
		lines = append(lines, markdown.Visible(fmt.Sprintf("%.7s %s (%s)", one.Hash, one.Subject, one.Author)))
	}
	if more {
		lines = append(lines, "… and more")
	}
	return "\n" + markdown.Fenced("text", lines), nil
}

// authOf says whether a Fleet lets a repository be read, and with what.
func (c Changelog) authOf(ctx context.Context, fleet *v1alpha1.Fleet, source string) (gitrepo.Auth, bool, error) {
	if source == fleet.Spec.Git.URL {
		auth, err := Auth(ctx, c.Client, fleet)
		return auth, err == nil, err
	}
	remote, err := remoteOf(fleet, source)
	if err != nil {
		return gitrepo.Auth{}, false, nil //nolint:nilerr // people are led there by a link
	}
	auth, err := authOfRemote(ctx, c.Client, fleet, remote)
	return auth, err == nil, err
}

// compareLink leads people to what lies between two commits, where a source is a page.
func compareLink(source, from, to string) string {
	page := strings.TrimSuffix(strings.TrimSuffix(source, "/"), ".git")
	if !plainPage.MatchString(page) {
		return "Built from " + quoted(source) + ", " + quoted(from[:12]+"..."+to[:12]) + "\n"
	}
	return fmt.Sprintf("[What changed](%s/compare/%s...%s)\n", page, from, to)
}

// plainPage is an address that means nothing else in Markdown.
var plainPage = regexp.MustCompile(`^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)+$`)

// quoted is the word of others within a line.
func quoted(text string) string { return markdown.Code(text, markdown.Sentence) }
