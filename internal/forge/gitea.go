package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// giteaCharacters bounds a text for Gitea, which itself has no bound worth the name.
const giteaCharacters = 65536

type gitea struct{ hub }

func newGitea(c *client) *gitea {
	return &gitea{hub{c: c, size: "limit", needs: needs{
		pulls: "the scope write:repository", comments: "the scope write:issue", statuses: "the scope write:repository",
		user: "the scope read:user",
	}}}
}

// Capabilities implements Forge.
func (g *gitea) Capabilities() Capabilities { return Capabilities{Characters: giteaCharacters} }

// OpenPullRequests implements Forge.
func (g *gitea) OpenPullRequests(ctx context.Context, base string) (Listing, error) {
	query := g.query(url.Values{"state": {"open"}})
	if base != "" {
		query.Set("base_branch", base)
	}
	return openPulls(ctx, g.c, call{op: "list the open pull requests", needs: g.needs.pulls, path: g.path("pulls"), query: query}, g.pull)
}

// EnsurePullRequest implements Forge.
func (g *gitea) EnsurePullRequest(ctx context.Context, p Proposal) (PullRequest, error) {
	return ensurePull(ctx, g, giteaCharacters, p)
}

// openFrom reads all open pull requests, because Gitea does not pick those of a branch.
func (g *gitea) openFrom(ctx context.Context, head string) ([]PullRequest, error) {
	var list []PullRequest
	k := call{op: "list the pull requests from " + head, needs: g.needs.pulls, path: g.path("pulls"), query: g.query(url.Values{"state": {"open"}})}
	err := all(ctx, g.c, k, func(p hubPull) {
		if p.Head.Ref == head {
			list = append(list, g.pull(p))
		}
	})
	return list, err
}

// label makes the labels that neither the repository nor its organisation has: Gitea passes over those.
func (g *gitea) label(ctx context.Context, number int, labels []string) error {
	has, err := g.addLabels(ctx, number, labels)
	if err != nil {
		return err
	}
	missing := lacking(has, labels)
	if len(missing) == 0 {
		return nil
	}
	for _, label := range missing {
		_, err := g.c.do(ctx, call{
			op: "make the label " + label, needs: g.needs.comments, method: http.MethodPost, path: g.path("labels"),
			body: map[string]any{"name": label, "color": "#607d8b"},
		})
		if err != nil {
			return err
		}
	}
	_, err = g.addLabels(ctx, number, missing)
	return err
}

// addLabels gives all that the pull request has then.
func (g *gitea) addLabels(ctx context.Context, number int, labels []string) ([]string, error) {
	var have []string
	_, err := g.c.do(ctx, call{
		op: "label pull request " + strconv.Itoa(number), needs: g.needs.comments, method: http.MethodPost,
		path: g.path("issues", strconv.Itoa(number), "labels"), body: map[string]any{"labels": labels},
		read: each(func(l named) { have = append(have, l.Name) }),
	})
	return have, err
}

// Approvals implements Forge.
func (g *gitea) Approvals(ctx context.Context, number int) ([]Approval, error) {
	return g.approvals(ctx, number, func(r hubReview) verdict {
		switch {
		case r.State == "APPROVED" && !r.Dismissed:
			return approves
		case r.State == "APPROVED", r.State == "REQUEST_CHANGES":
			return objects
		}
		return remarks
	})
}

// EnsureComment implements Forge.
func (g *gitea) EnsureComment(ctx context.Context, number int, marker, text string) (Comment, error) {
	return ensureComment(ctx, g.c, g, giteaCharacters, number, marker, text)
}

func (g *gitea) whoami(ctx context.Context) (string, error) {
	var u hubUser
	_, err := g.c.do(ctx, call{
		op: "ask who the token belongs to", needs: g.needs.user, method: http.MethodGet, path: "/user", read: into(&u),
	})
	return u.Login, err
}

// SetDeployment implements Forge by a status of the commit, because Gitea knows no deployments. One that runs no longer
// keeps its last status: there is no word for it.
func (g *gitea) SetDeployment(ctx context.Context, d Deployment) error {
	if err := d.validate(); err != nil || d.State == DeploymentInactive {
		return err
	}
	state := StatusPending
	switch d.State {
	case DeploymentSuccess:
		state = StatusSuccess
	case DeploymentFailure:
		state = StatusFailure
	}
	page := d.LogURL
	if page == "" {
		page = d.EnvironmentURL
	}
	return g.SetStatus(ctx, d.SHA, Status{
		State: state, Context: oneLine("deploy/"+d.Environment, maxName), Description: d.Description, TargetURL: page,
	})
}
