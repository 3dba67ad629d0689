package forge

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// pulls is what ensurePull needs of a kind of forge.
type pulls interface {
	// openFrom lists the open pull requests from a branch of this repository itself.
	openFrom(ctx context.Context, head string) ([]PullRequest, error)
	// open makes one, with the labels if it can.
	open(ctx context.Context, p Proposal) (PullRequest, error)
	// change changes what is not nil.
	change(ctx context.Context, number int, c change) (PullRequest, error)
	// label adds labels.
	label(ctx context.Context, number int, labels []string) error
}

// change is what of a pull request differs from what it should be.
type change struct{ title, body, base *string }

// ensurePull makes a pull request be as proposed.
func ensurePull(ctx context.Context, f pulls, characters int, p Proposal) (PullRequest, error) {
	if err := p.validate(); err != nil {
		return PullRequest{}, err
	}
	p.Title, p.Body = oneLine(p.Title, maxName), fit("", p.Body, characters)
	pr, found, err := current(ctx, f, p)
	if err != nil {
		return PullRequest{}, err
	}
	if !found {
		pr, err = f.open(ctx, p)
		// It may have been opened since it was looked for.
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrInvalid) {
			again, found, lookErr := current(ctx, f, p)
			if lookErr != nil || !found {
				return PullRequest{}, err
			}
			pr, err = again, nil
		}
		if err != nil {
			return PullRequest{}, err
		}
	}
	if c := difference(pr, p); c != (change{}) {
		if pr, err = f.change(ctx, pr.Number, c); err != nil {
			return PullRequest{}, err
		}
	}
	if missing := lacking(pr.Labels, p.Labels); len(missing) > 0 {
		if err := f.label(ctx, pr.Number, missing); err != nil {
			return PullRequest{}, err
		}
		pr.Labels = append(pr.Labels, missing...)
	}
	return pr, nil
}

// current picks the pull request that is meant.
func current(ctx context.Context, f pulls, p Proposal) (PullRequest, bool, error) {
	list, err := f.openFrom(ctx, p.Head)
	if err != nil {
		return PullRequest{}, false, err
	}
	list = slices.DeleteFunc(list, func(pr PullRequest) bool { return pr.Fork || pr.Head != p.Head || pr.State != Open })
	if len(list) == 0 {
		return PullRequest{}, false, nil
	}
	return slices.MinFunc(list, func(a, b PullRequest) int {
		if (a.Base == p.Base) != (b.Base == p.Base) {
			if a.Base == p.Base {
				return -1
			}
			return 1
		}
		return a.Number - b.Number
	}), true, nil
}

func difference(pr PullRequest, p Proposal) change {
	var c change
	if pr.Title != p.Title {
		c.title = &p.Title
	}
	if normal(pr.Body) != p.Body {
		c.body = &p.Body
	}
	if pr.Base != p.Base {
		c.base = &p.Base
	}
	return c
}

// lacking are the labels that are not there, each once. Forges do not tell labels apart by case.
func lacking(have, want []string) []string {
	var missing []string
	for _, label := range want {
		same := func(other string) bool { return strings.EqualFold(label, other) }
		if !slices.ContainsFunc(have, same) && !slices.ContainsFunc(missing, same) {
			missing = append(missing, label)
		}
	}
	return missing
}

// comments is what ensureComment needs of a kind of forge.
type comments interface {
	// eachComment lists the comments of a pull request, the oldest first.
	eachComment(ctx context.Context, number int, take func(comment)) error
	// say makes a comment, or changes the one with an id.
	say(ctx context.Context, number int, id int64, text string) (comment, error)
	// whoami is the login that the token writes as.
	whoami(ctx context.Context) (string, error)
}

type comment struct {
	id                int64
	author, text, url string
}

// ensureComment makes the one comment with a marker say the text.
func ensureComment(ctx context.Context, c *client, f comments, characters, number int, marker, text string) (Comment, error) {
	first, err := markerLine(marker)
	if err != nil {
		return Comment{}, err
	}
	text = fit(first, text, characters)
	var marked []comment
	err = f.eachComment(ctx, number, func(m comment) {
		if strings.HasPrefix(normal(m.text)+"\n", first) {
			marked = append(marked, m)
		}
	})
	if err != nil {
		return Comment{}, err
	}
	if len(marked) > 0 {
		// Whoever may comment may write the marker as well, and would then say tomorrow what we do not.
		me, err := c.me(ctx, f.whoami)
		if err != nil {
			return Comment{}, err
		}
		marked = slices.DeleteFunc(marked, func(m comment) bool { return !strings.EqualFold(m.author, me) })
	}
	ours := comment{}
	if len(marked) > 0 {
		ours = marked[0]
		if normal(ours.text) == normal(text) {
			return Comment{URL: ours.url}, nil
		}
	}
	said, err := f.say(ctx, number, ours.id, text)
	if err != nil {
		return Comment{}, err
	}
	return Comment{URL: said.url, Written: true}, nil
}

// me is the login that the token writes as, asked for once.
func (c *client) me(ctx context.Context, ask func(context.Context) (string, error)) (string, error) {
	c.mu.Lock()
	login := c.login
	c.mu.Unlock()
	if login != "" {
		return login, nil
	}
	login, err := ask(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = login
	return login, nil
}
