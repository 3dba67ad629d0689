package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sengu-dev/sengu/internal/image"
)

// maxPages bounds how many pages of tags are read, whatever they hold.
const maxPages = 1000

// Tags returns the tags of a repository, sorted: all of them or an error, since from a part of them a wrong one would be
// picked. Names that no tag may have are left out. The repository is named as in [image.ParseRepository].
func (c *Client) Tags(ctx context.Context, repo string, creds Credentials) ([]string, error) {
	q, err := c.prepare(repo, creds)
	if err != nil {
		return nil, err
	}
	q.subject, q.timeout = "tags of "+q.subject, 4*q.timeout
	q.missing = "there is no such repository, or the credential may not see it"
	var tags []string
	q.do = func(ctx context.Context, p *remote.Puller, _ string) (err error) {
		tags, err = c.list(ctx, q, p)
		return err
	}
	if err := c.ask(ctx, q); err != nil {
		return nil, err
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

func (c *Client) list(ctx context.Context, q call, p *remote.Puller) ([]string, error) {
	unreadable := func(format string, args ...any) error {
		return &Error{Subject: q.subject, Reason: ErrUnreadable, Sentence: fmt.Sprintf(format, args...)}
	}
	pages, err := p.Lister(ctx, q.repo)
	if err != nil {
		return nil, err
	}
	var tags []string
	for n := 1; pages.HasNext(); n++ {
		page, err := pages.Next(ctx)
		if err != nil {
			return nil, err
		}
		if n >= maxPages && page.Next != "" {
			return nil, unreadable("%s has no end of pages: %d were read", q.repo.RegistryStr(), n)
		}
		for _, tag := range page.Tags {
			if image.ValidTag(tag) {
				tags = append(tags, tag)
			}
		}
		if len(tags) > c.opts.MaxTags {
			return nil, unreadable("it has more than %d tags, which is what Sengu reads: delete old ones, or let the registry do so", c.opts.MaxTags)
		}
	}
	return tags, nil
}
