package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// gitLabCharacters is what GitLab takes as a note. The description of a merge request may be somewhat longer.
const gitLabCharacters = 1000000

const (
	gitLabNeeds       = "the scope api and the role Developer"
	gitLabNeedsToRead = "the scope api or read_api"
)

type gitLab struct{ c *client }

func newGitLab(c *client) *gitLab { return &gitLab{c} }

// path is a path below the project.
func (g *gitLab) path(parts ...string) string {
	return segments(append([]string{"projects", g.c.repository}, parts...)...)
}

func (g *gitLab) query(with url.Values) url.Values { return paged("per_page", with) }

// Capabilities implements Forge.
func (g *gitLab) Capabilities() Capabilities {
	return Capabilities{Deployments: true, Characters: gitLabCharacters}
}

type gitLabUser struct {
	Username string `json:"username"`
}

type gitLabMerge struct {
	Number      int        `json:"iid"`
	URL         string     `json:"web_url"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	State       string     `json:"state"`
	Draft       bool       `json:"draft"`
	Author      gitLabUser `json:"author"`
	Source      string     `json:"source_branch"`
	Target      string     `json:"target_branch"`
	FromProject int64      `json:"source_project_id"`
	ToProject   int64      `json:"target_project_id"`
	SHA         string     `json:"sha"`
	MergeSHA    string     `json:"merge_commit_sha"`
	SquashSHA   string     `json:"squash_commit_sha"`
	MergeUser   gitLabUser `json:"merge_user"`
	MergedBy    gitLabUser `json:"merged_by"` // what merge_user was called
	Labels      []string   `json:"labels"`
}

func (g *gitLab) pull(m gitLabMerge) PullRequest {
	pr := PullRequest{
		Number: m.Number, URL: m.URL, Title: m.Title, Body: m.Description, Author: m.Author.Username, Draft: m.Draft,
		Head: m.Source, HeadSHA: m.SHA, Base: m.Target, Ref: "refs/merge-requests/" + strconv.Itoa(m.Number) + "/head",
		// A fork that is gone has no number.
		Fork: m.FromProject != m.ToProject, Labels: m.Labels, State: Open,
	}
	switch m.State {
	case "merged":
		// A fast-forward makes no commit of its own: what is in the base then is the squashed one, or the head itself.
		pr.State, pr.MergeSHA, pr.MergedBy = Merged, m.SHA, m.MergeUser.Username
		for _, sha := range []string{m.SquashSHA, m.MergeSHA} {
			if sha != "" {
				pr.MergeSHA = sha
			}
		}
		if pr.MergedBy == "" {
			pr.MergedBy = m.MergedBy.Username
		}
	case "closed":
		pr.State = Closed
	}
	return pr
}

// OpenPullRequests implements Forge.
func (g *gitLab) OpenPullRequests(ctx context.Context, base string) (Listing, error) {
	query := g.query(url.Values{"state": {"opened"}, "scope": {"all"}, "order_by": {"created_at"}, "sort": {"desc"}})
	if base != "" {
		query.Set("target_branch", base)
	}
	k := call{op: "list the open merge requests", needs: gitLabNeedsToRead, path: g.path("merge_requests"), query: query}
	return openPulls(ctx, g.c, k, g.pull)
}

// PullRequest implements Forge.
func (g *gitLab) PullRequest(ctx context.Context, number int) (PullRequest, error) {
	return g.onePull(ctx, call{
		op: "read merge request " + strconv.Itoa(number), needs: gitLabNeedsToRead, method: http.MethodGet,
		path: g.path("merge_requests", strconv.Itoa(number)),
	})
}

func (g *gitLab) onePull(ctx context.Context, k call) (PullRequest, error) {
	var m gitLabMerge
	k.read = into(&m)
	if _, err := g.c.do(ctx, k); err != nil {
		return PullRequest{}, err
	}
	return g.pull(m), nil
}

var quickAction = regexp.MustCompile(`(?m)^/`)

// inert puts a character that nobody sees before a slash that begins a line. GitLab would take /merge or /approve there for
// an order of ours, and what we show was written by others.
func inert(text string) string { return quickAction.ReplaceAllString(normal(text), "\u2060/") }

// EnsurePullRequest implements Forge.
func (g *gitLab) EnsurePullRequest(ctx context.Context, p Proposal) (PullRequest, error) {
	p.Body = inert(p.Body)
	return ensurePull(ctx, g, gitLabCharacters, p)
}

func (g *gitLab) openFrom(ctx context.Context, head string) ([]PullRequest, error) {
	var list []PullRequest
	k := call{
		op: "list the merge requests from " + head, needs: gitLabNeedsToRead, path: g.path("merge_requests"),
		query: g.query(url.Values{"state": {"opened"}, "scope": {"all"}, "source_branch": {head}}),
	}
	err := all(ctx, g.c, k, func(m gitLabMerge) { list = append(list, g.pull(m)) })
	return list, err
}

func (g *gitLab) open(ctx context.Context, p Proposal) (PullRequest, error) {
	return g.onePull(ctx, call{
		op: "open a merge request from " + p.Head, needs: gitLabNeeds, method: http.MethodPost, path: g.path("merge_requests"),
		body: map[string]any{"source_branch": p.Head, "target_branch": p.Base, "title": p.Title, "description": p.Body},
	})
}

func (g *gitLab) change(ctx context.Context, number int, c change) (PullRequest, error) {
	body := map[string]any{}
	for key, value := range map[string]*string{"title": c.title, "description": c.body, "target_branch": c.base} {
		if value != nil {
			body[key] = *value
		}
	}
	return g.put(ctx, "change", number, body)
}

func (g *gitLab) put(ctx context.Context, verb string, number int, body map[string]any) (PullRequest, error) {
	return g.onePull(ctx, call{
		op: verb + " merge request " + strconv.Itoa(number), needs: gitLabNeeds, method: http.MethodPut,
		path: g.path("merge_requests", strconv.Itoa(number)), body: body,
	})
}

// label makes labels that the project lacks, too.
func (g *gitLab) label(ctx context.Context, number int, labels []string) error {
	_, err := g.put(ctx, "label", number, map[string]any{"add_labels": strings.Join(labels, ",")})
	return err
}

// ClosePullRequest implements Forge.
func (g *gitLab) ClosePullRequest(ctx context.Context, number int) (PullRequest, error) {
	pr, err := g.PullRequest(ctx, number)
	if err != nil || pr.State != Open {
		return pr, err
	}
	return g.put(ctx, "close", number, map[string]any{"state_event": "close"})
}

// Approvals implements Forge. GitLab takes approvals away itself when commits are pushed, if the project says so.
func (g *gitLab) Approvals(ctx context.Context, number int) ([]Approval, error) {
	var said struct {
		ApprovedBy []struct {
			User gitLabUser `json:"user"`
		} `json:"approved_by"`
	}
	_, err := g.c.do(ctx, call{
		op: "list the approvals of merge request " + strconv.Itoa(number), needs: gitLabNeedsToRead, method: http.MethodGet,
		path: g.path("merge_requests", strconv.Itoa(number), "approvals"), read: into(&said),
	})
	var list []Approval
	for _, a := range said.ApprovedBy {
		if a.User.Username != "" {
			list = append(list, Approval{By: a.User.Username})
		}
	}
	return list, err
}

type gitLabNote struct {
	ID     int64      `json:"id"`
	Body   string     `json:"body"`
	Author gitLabUser `json:"author"`
	System bool       `json:"system"`
}

func (g *gitLab) comment(number int, n gitLabNote) comment {
	page := strings.TrimSuffix(g.c.base.String(), apiPath[GitLab]) + "/" + g.c.repository
	return comment{
		id: n.ID, author: n.Author.Username, text: n.Body,
		url: page + "/-/merge_requests/" + strconv.Itoa(number) + "#note_" + strconv.FormatInt(n.ID, 10),
	}
}

// EnsureComment implements Forge.
func (g *gitLab) EnsureComment(ctx context.Context, number int, marker, text string) (Comment, error) {
	return ensureComment(ctx, g.c, g, gitLabCharacters, number, marker, inert(text))
}

func (g *gitLab) eachComment(ctx context.Context, number int, take func(comment)) error {
	k := call{
		op: "list the notes of merge request " + strconv.Itoa(number), needs: gitLabNeedsToRead,
		path: g.path("merge_requests", strconv.Itoa(number), "notes"), query: g.query(url.Values{"order_by": {"created_at"}, "sort": {"asc"}}),
	}
	return all(ctx, g.c, k, func(n gitLabNote) {
		if !n.System {
			take(g.comment(number, n))
		}
	})
}

func (g *gitLab) say(ctx context.Context, number int, id int64, text string) (comment, error) {
	var said gitLabNote
	k := call{
		op: "comment on merge request " + strconv.Itoa(number), needs: gitLabNeeds, method: http.MethodPost,
		path: g.path("merge_requests", strconv.Itoa(number), "notes"), body: map[string]any{"body": text}, read: into(&said),
	}
	if id != 0 {
		k.method, k.path = http.MethodPut, g.path("merge_requests", strconv.Itoa(number), "notes", strconv.FormatInt(id, 10))
	}
	_, err := g.c.do(ctx, k)
	return g.comment(number, said), err
}

func (g *gitLab) whoami(ctx context.Context) (string, error) {
	var u gitLabUser
	_, err := g.c.do(ctx, call{
		op: "ask who the token belongs to", needs: "the scope api, read_api or read_user", method: http.MethodGet, path: "/user", read: into(&u),
	})
	if err == nil && u.Username == "" {
		err = errors.New("ask who the token belongs to: gitlab does not say")
	}
	return u.Username, err
}
