package forge

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// hub is what the APIs of GitHub and Gitea have in common, which is most of them.
type hub struct {
	c     *client
	size  string // the query's word for the size of a page
	needs needs
}

// needs says what a token must be allowed, for errors.
type needs struct{ pulls, comments, statuses, deployments, user string }

// path is a path below the repository.
func (h *hub) path(parts ...string) string {
	owner, name, _ := strings.Cut(h.c.repository, "/")
	return segments(append([]string{"repos", owner, name}, parts...)...)
}

// segments escapes and joins the parts of a path.
func segments(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// query asks for pages of what the values pick.
func (h *hub) query(with url.Values) url.Values { return paged(h.size, with) }

type hubUser struct {
	Login string `json:"login"`
}

type hubBranch struct {
	Ref  string `json:"ref"`
	SHA  string `json:"sha"`
	Repo *struct {
		FullName string `json:"full_name"`
	} `json:"repo"`
}

type hubPull struct {
	Number   int       `json:"number"`
	URL      string    `json:"html_url"`
	Title    string    `json:"title"`
	Body     string    `json:"body"`
	State    string    `json:"state"`
	Draft    bool      `json:"draft"`
	User     hubUser   `json:"user"`
	Head     hubBranch `json:"head"`
	Base     hubBranch `json:"base"`
	Labels   []named   `json:"labels"`
	Merged   bool      `json:"merged"`
	MergedAt *string   `json:"merged_at"`
	MergeSHA string    `json:"merge_commit_sha"`
	MergedBy hubUser   `json:"merged_by"`
}

type named struct {
	Name string `json:"name"`
}

func (h *hub) pull(p hubPull) PullRequest {
	pr := PullRequest{
		Number: p.Number, URL: p.URL, Title: p.Title, Body: p.Body, Author: p.User.Login, Draft: p.Draft,
		Head: p.Head.Ref, HeadSHA: p.Head.SHA, Base: p.Base.Ref, Ref: "refs/pull/" + strconv.Itoa(p.Number) + "/head",
		// A fork that is gone has no repository.
		Fork:  p.Head.Repo == nil || !strings.EqualFold(p.Head.Repo.FullName, h.baseName(p)),
		State: Open,
	}
	for _, l := range p.Labels {
		pr.Labels = append(pr.Labels, l.Name)
	}
	switch {
	case p.Merged || p.MergedAt != nil:
		// Before that the field holds GitHub's trial of a merge.
		pr.State, pr.MergeSHA, pr.MergedBy = Merged, p.MergeSHA, p.MergedBy.Login
	case p.State == "closed":
		pr.State = Closed
	}
	return pr
}

// baseName is the name of this repository, which may have been renamed since the Forge was made.
func (h *hub) baseName(p hubPull) string {
	if p.Base.Repo != nil {
		return p.Base.Repo.FullName
	}
	return h.c.repository
}

// PullRequest implements Forge.
func (h *hub) PullRequest(ctx context.Context, number int) (PullRequest, error) {
	return h.onePull(ctx, call{op: "read pull request " + strconv.Itoa(number), method: http.MethodGet, path: h.path("pulls", strconv.Itoa(number))})
}

func (h *hub) onePull(ctx context.Context, k call) (PullRequest, error) {
	var p hubPull
	k.needs, k.read = h.needs.pulls, into(&p)
	if _, err := h.c.do(ctx, k); err != nil {
		return PullRequest{}, err
	}
	return h.pull(p), nil
}

func (h *hub) open(ctx context.Context, p Proposal) (PullRequest, error) {
	return h.onePull(ctx, call{
		op: "open a pull request from " + p.Head, method: http.MethodPost, path: h.path("pulls"),
		body: map[string]any{"head": p.Head, "base": p.Base, "title": p.Title, "body": p.Body},
	})
}

func (h *hub) change(ctx context.Context, number int, c change) (PullRequest, error) {
	body := map[string]any{}
	for key, value := range map[string]*string{"title": c.title, "body": c.body, "base": c.base} {
		if value != nil {
			body[key] = *value
		}
	}
	return h.onePull(ctx, call{
		op: "change pull request " + strconv.Itoa(number), method: http.MethodPatch, path: h.path("pulls", strconv.Itoa(number)), body: body,
	})
}

// ClosePullRequest implements Forge.
func (h *hub) ClosePullRequest(ctx context.Context, number int) (PullRequest, error) {
	pr, err := h.PullRequest(ctx, number)
	if err != nil || pr.State != Open {
		return pr, err
	}
	return h.onePull(ctx, call{
		op: "close pull request " + strconv.Itoa(number), method: http.MethodPatch,
		path: h.path("pulls", strconv.Itoa(number)), body: map[string]any{"state": "closed"},
	})
}

type hubComment struct {
	ID   int64   `json:"id"`
	URL  string  `json:"html_url"`
	Body string  `json:"body"`
	User hubUser `json:"user"`
}

func (m hubComment) comment() comment {
	return comment{id: m.ID, author: m.User.Login, text: m.Body, url: m.URL}
}

func (h *hub) eachComment(ctx context.Context, number int, take func(comment)) error {
	k := call{
		op: "list the comments of pull request " + strconv.Itoa(number), needs: h.needs.comments,
		path: h.path("issues", strconv.Itoa(number), "comments"), query: h.query(nil),
	}
	return all(ctx, h.c, k, func(m hubComment) { take(m.comment()) })
}

func (h *hub) say(ctx context.Context, number int, id int64, text string) (comment, error) {
	var said hubComment
	k := call{
		op: "comment on pull request " + strconv.Itoa(number), needs: h.needs.comments, method: http.MethodPost,
		path: h.path("issues", strconv.Itoa(number), "comments"), body: map[string]any{"body": text}, read: into(&said),
	}
	if id != 0 {
		k.method, k.path = http.MethodPatch, h.path("issues", "comments", strconv.FormatInt(id, 10))
	}
	_, err := h.c.do(ctx, k)
	return said.comment(), err
}

type hubStatus struct {
	// GitHub calls it state, Gitea status.
	State       string `json:"state"`
	Status      string `json:"status,omitempty"`
	Context     string `json:"context"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url,omitempty"`
}

// SetStatus implements Forge. It reads first, because a commit on GitHub may have 1,000 statuses of one name and no more.
func (h *hub) SetStatus(ctx context.Context, sha string, s Status) error {
	if err := s.validate(sha); err != nil {
		return err
	}
	s.Description = oneLine(s.Description, maxDescription)
	op := "set status " + s.Context + " of commit " + sha[:12]
	same, err := h.hasStatus(ctx, op, sha, s)
	if err != nil || same {
		return err
	}
	_, err = h.c.do(ctx, call{
		op: op, needs: h.needs.statuses, method: http.MethodPost, path: h.path("statuses", sha),
		body: hubStatus{State: string(s.State), Context: s.Context, Description: s.Description, TargetURL: s.TargetURL},
	})
	return err
}

// hasStatus reads the latest statuses of a commit, one a name, page by page.
func (h *hub) hasStatus(ctx context.Context, op, sha string, s Status) (bool, error) {
	for n := 1; n <= maxPages; n++ {
		var combined struct {
			Statuses []hubStatus `json:"statuses"`
		}
		got, err := h.c.do(ctx, call{
			op: op, needs: h.needs.statuses, method: http.MethodGet, path: h.path("commits", sha, "status"),
			query: withPage(h.query(nil), n), read: into(&combined),
		})
		if err != nil {
			return false, err
		}
		for _, old := range combined.Statuses {
			if old.Context == s.Context {
				return old.State+old.Status == string(s.State) && old.Description == s.Description && old.TargetURL == s.TargetURL, nil
			}
		}
		if !got.more {
			break
		}
	}
	return false, nil
}

// verdict is what a review says.
type verdict int

const (
	remarks verdict = iota // nothing either way
	approves
	objects // or takes an approval back
)

type hubReview struct {
	User      *hubUser `json:"user"`
	State     string   `json:"state"`
	Dismissed bool     `json:"dismissed"`
	SHA       string   `json:"commit_id"`
}

// approvals reads the reviews, the oldest first. Of each person the last word counts.
func (h *hub) approvals(ctx context.Context, number int, of func(hubReview) verdict) ([]Approval, error) {
	var list []Approval
	k := call{
		op: "list the reviews of pull request " + strconv.Itoa(number), needs: h.needs.pulls,
		path: h.path("pulls", strconv.Itoa(number), "reviews"), query: h.query(nil),
	}
	err := all(ctx, h.c, k, func(r hubReview) {
		said := of(r)
		if r.User == nil || r.User.Login == "" || said == remarks {
			return
		}
		list = slices.DeleteFunc(list, func(a Approval) bool { return a.By == r.User.Login })
		if said == approves {
			list = append(list, Approval{By: r.User.Login, SHA: r.SHA})
		}
	})
	return list, err
}
