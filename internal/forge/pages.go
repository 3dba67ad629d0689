package forge

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// maxKept bounds how many pages of listings are kept for the next time. One is some 10 KiB.
const maxKept = 64

// page is a page of a listing as the forge last gave it.
type page struct {
	etag  string
	pulls []PullRequest
	more  bool
}

// openPulls lists pull requests page by page, and takes a page that did not change from the last time.
func openPulls[T any](ctx context.Context, c *client, k call, convert func(T) PullRequest) (Listing, error) {
	var list Listing
	seen := map[int]bool{}
	for n := 1; ; n++ {
		p, err := pullPage(ctx, c, k, n, convert)
		if err != nil {
			return Listing{}, err
		}
		for _, pr := range p.pulls {
			// What is opened meanwhile moves the others on to the next page.
			if !seen[pr.Number] {
				seen[pr.Number] = true
				pr.Labels = slices.Clone(pr.Labels)
				list.PullRequests = append(list.PullRequests, pr)
			}
		}
		if !p.more {
			return list, nil
		}
		if n == maxPages {
			c.log.Warn("more open pull requests than are listed", "repository", c.repository, "listed", len(list.PullRequests))
			list.Truncated = true
			return list, nil
		}
	}
}

func pullPage[T any](ctx context.Context, c *client, k call, number int, convert func(T) PullRequest) (page, error) {
	k.query = withPage(k.query, number)
	key := k.path + "?" + k.query.Encode()
	c.mu.Lock()
	kept := c.pages[key]
	c.mu.Unlock()
	fresh := page{}
	k.method, k.etag = http.MethodGet, kept.etag
	k.read = each(func(v T) {
		pr := convert(v)
		pr.Body, pr.MergedBy = "", ""
		fresh.pulls = append(fresh.pulls, pr)
	})
	got, err := c.do(ctx, k)
	switch {
	case err != nil:
		return page{}, err
	case got.unchanged:
		return kept, nil
	}
	fresh.etag, fresh.more = got.etag, got.more
	c.keep(key, fresh)
	return fresh, nil
}

// keep remembers a page, and forgets all others when there are too many: they cost one request each.
func (c *client) keep(key string, p page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.etag == "" {
		delete(c.pages, key)
		return
	}
	if len(c.pages) >= maxKept {
		clear(c.pages)
	}
	c.pages[key] = p
}

// all reads a whole list, up to the bound, beyond which it fails: what is decided from it must not rest on a part.
func all[T any](ctx context.Context, c *client, k call, take func(T)) error {
	k.method, k.read = http.MethodGet, each(take)
	query := k.query
	for n := 1; ; n++ {
		k.query = withPage(query, n)
		got, err := c.do(ctx, k)
		if err != nil || !got.more {
			return err
		}
		if n == maxPages {
			return c.fail(k, ErrTooLarge, 0, "there are more than "+strconv.Itoa(maxPages*pageSize)+" of them")
		}
	}
}

// paged adds the size of a page, for which Gitea has another word than the others.
func paged(size string, query url.Values) url.Values {
	out := url.Values{size: {strconv.Itoa(pageSize)}}
	maps.Copy(out, query)
	return out
}

// withPage asks for a page.
func withPage(query url.Values, number int) url.Values {
	out := maps.Clone(query)
	out.Set("page", strconv.Itoa(number))
	return out
}
