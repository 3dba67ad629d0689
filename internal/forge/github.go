package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gitHubCharacters is what GitHub takes as the text of a comment or a pull request.
const gitHubCharacters = 65536

type gitHub struct{ hub }

func newGitHub(c *client) *gitHub {
	return &gitHub{hub{c: c, size: "per_page", needs: needs{
		pulls: "the permission pull requests: write", comments: "the permission pull requests: write",
		statuses: "the permission commit statuses: write", deployments: "the permission deployments: write",
		user: "the permission metadata: read",
	}}}
}

// Capabilities implements Forge.
func (g *gitHub) Capabilities() Capabilities {
	return Capabilities{Deployments: true, Characters: gitHubCharacters}
}

// OpenPullRequests implements Forge.
func (g *gitHub) OpenPullRequests(ctx context.Context, base string) (Listing, error) {
	query := g.query(url.Values{"state": {"open"}, "sort": {"created"}, "direction": {"desc"}})
	if base != "" {
		query.Set("base", base)
	}
	return openPulls(ctx, g.c, call{op: "list the open pull requests", needs: g.needs.pulls, path: g.path("pulls"), query: query}, g.pull)
}

// EnsurePullRequest implements Forge.
func (g *gitHub) EnsurePullRequest(ctx context.Context, p Proposal) (PullRequest, error) {
	return ensurePull(ctx, g, gitHubCharacters, p)
}

func (g *gitHub) openFrom(ctx context.Context, head string) ([]PullRequest, error) {
	owner, _, _ := strings.Cut(g.c.repository, "/")
	var list []PullRequest
	k := call{
		op: "list the pull requests from " + head, needs: g.needs.pulls, path: g.path("pulls"),
		query: g.query(url.Values{"state": {"open"}, "head": {owner + ":" + head}}),
	}
	err := all(ctx, g.c, k, func(p hubPull) { list = append(list, g.pull(p)) })
	return list, err
}

// label makes labels that the repository lacks, too.
func (g *gitHub) label(ctx context.Context, number int, labels []string) error {
	_, err := g.c.do(ctx, call{
		op: "label pull request " + strconv.Itoa(number), needs: g.needs.pulls, method: http.MethodPost,
		path: g.path("issues", strconv.Itoa(number), "labels"), body: map[string]any{"labels": labels},
	})
	return err
}

// Approvals implements Forge. Of each person the last word counts; a remark is none.
func (g *gitHub) Approvals(ctx context.Context, number int) ([]Approval, error) {
	return g.approvals(ctx, number, func(r hubReview) verdict {
		switch r.State {
		case "APPROVED":
			return approves
		case "CHANGES_REQUESTED", "DISMISSED":
			return objects
		}
		return remarks
	})
}

// EnsureComment implements Forge.
func (g *gitHub) EnsureComment(ctx context.Context, number int, marker, text string) (Comment, error) {
	return ensureComment(ctx, g.c, g, gitHubCharacters, number, marker, text)
}

// whoami asks GraphQL, which answers an App as well; the other API answers people only.
func (g *gitHub) whoami(ctx context.Context) (string, error) {
	var said struct {
		Data struct {
			Viewer hubUser `json:"viewer"`
		} `json:"data"`
	}
	k := call{
		op: "ask who the token belongs to", needs: g.needs.user, method: http.MethodPost,
		// GitHub Enterprise has the two APIs side by side, at /api/v3 and /api/graphql.
		base: strings.TrimSuffix(g.c.base.String(), "/v3"), path: "/graphql",
		body: map[string]any{"query": "query { viewer { login } }"}, read: into(&said),
	}
	if _, err := g.c.do(ctx, k); err != nil {
		return "", err
	}
	if said.Data.Viewer.Login == "" {
		return "", g.c.fail(k, ErrForbidden, http.StatusOK, "it does not say")
	}
	return said.Data.Viewer.Login, nil
}
