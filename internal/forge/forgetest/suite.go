package forgetest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sengu-dev/sengu/internal/forge"
)

// World is a repository on a forge, with one commit on its branch main, in which a test does what people do.
type World interface {
	// Config reaches it as the bot, which may write to it. Reader is the bot with a token that may only read.
	Config() forge.Config
	Reader() forge.Config
	// Bot, Owner and Reviewer are logins.
	Bot() string
	Owner() string
	Reviewer() string
	// Branch makes a branch with a commit of its own and returns that.
	Branch(t *testing.T, name string) string
	// Fork opens a pull request into main from a branch of that name of somebody's fork, and returns its number.
	Fork(t *testing.T, branch string) int
	// Merge merges a pull request as the owner, and returns the commit that is in the base then.
	Merge(t *testing.T, number int) string
	// Approve approves as the reviewer, and Withdraw takes it back.
	Approve(t *testing.T, number int)
	Withdraw(t *testing.T, number int)
	// Comment comments as the reviewer.
	Comment(t *testing.T, number int, text string)
}

// Run runs every scenario, each in a World of its own.
func Run(t *testing.T, open func(t *testing.T, scenario string) World) {
	for _, s := range []struct {
		name string
		run  func(*testing.T, *client)
	}{
		{"lifecycle", lifecycle},
		{"closed", closed},
		{"base", base},
		{"labels", labels},
		{"fork", fork},
		{"listing", listing},
		{"comment", comment},
		{"status", status},
		{"deployment", deployment},
		{"again", again},
		{"approvals", approvals},
		{"refusals", refusals},
	} {
		t.Run(s.name, func(t *testing.T) {
			w := open(t, s.name)
			s.run(t, newClient(t, w, w.Config()))
		})
	}
}

// client is a Forge whose writes are counted.
type client struct {
	forge.Forge
	w      World
	writes atomic.Int64
	over   http.RoundTripper
}

func newClient(t *testing.T, w World, cfg forge.Config) *client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &client{w: w, over: transport}
	cfg.HTTP = &http.Client{Transport: c}
	f, err := forge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Forge = f
	return c
}

// RoundTrip implements http.RoundTripper. A query of GraphQL is no write.
func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/graphql") {
		c.writes.Add(1)
	}
	return c.over.RoundTrip(r)
}

// wrote fails the test unless what ran since the last call wrote that often.
func (c *client) wrote(t *testing.T, want int64) {
	t.Helper()
	if got := c.writes.Swap(0); got != want {
		t.Errorf("%d requests wrote, want %d", got, want)
	}
}

// must fails the test at an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// head is the branch that most scenarios propose.
const head = "sengu/checkout"

func proposal(with func(*forge.Proposal)) forge.Proposal {
	p := forge.Proposal{Head: head, Base: "main", Title: "Promote checkout 1.4.0 to staging", Body: "From develop.\n\n- faster"}
	if with != nil {
		with(&p)
	}
	return p
}

// same compares pull requests. The forge's clock and a count of comments are not in them, so that all of it must agree.
func same(t *testing.T, what string, want, got forge.PullRequest) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func lifecycle(t *testing.T, c *client) {
	ctx := t.Context()
	sha := c.w.Branch(t, head)
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	c.wrote(t, 1)
	want := forge.PullRequest{
		Number: pr.Number, URL: pr.URL, Title: "Promote checkout 1.4.0 to staging", Body: "From develop.\n\n- faster",
		Author: c.w.Bot(), Head: head, HeadSHA: sha, Base: "main", Ref: pr.Ref, State: forge.Open,
	}
	same(t, "opened", want, pr)
	if pr.Number == 0 || !strings.HasPrefix(pr.URL, "http") || !strings.HasPrefix(pr.Ref, "refs/") {
		t.Errorf("number %d, URL %q and ref %q are not those of a pull request", pr.Number, pr.URL, pr.Ref)
	}

	same(t, "ensured again", want, must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil))))
	c.wrote(t, 0)

	want.Title, want.Body = "Promote checkout 1.4.1 to staging", "From develop."
	changed := proposal(func(p *forge.Proposal) { p.Title, p.Body = want.Title, want.Body })
	same(t, "changed", want, must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, changed)))
	c.wrote(t, 1)
	same(t, "read", want, must[forge.PullRequest](t)(c.PullRequest(ctx, pr.Number)))

	want.MergeSHA = c.w.Merge(t, pr.Number)
	want.State, want.MergedBy = forge.Merged, c.w.Owner()
	same(t, "merged", want, must[forge.PullRequest](t)(c.PullRequest(ctx, pr.Number)))
	same(t, "closed when it is merged", want, must[forge.PullRequest](t)(c.ClosePullRequest(ctx, pr.Number)))
	c.wrote(t, 0)
}

func closed(t *testing.T, c *client) {
	ctx := t.Context()
	c.w.Branch(t, head)
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	c.wrote(t, 1)
	want := pr
	want.State = forge.Closed
	same(t, "closed", want, must[forge.PullRequest](t)(c.ClosePullRequest(ctx, pr.Number)))
	c.wrote(t, 1)
	same(t, "closed again", want, must[forge.PullRequest](t)(c.ClosePullRequest(ctx, pr.Number)))
	c.wrote(t, 0)
	if again := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil))); again.Number == pr.Number || again.State != forge.Open {
		t.Errorf("after the close, %d is %s: want another that is open", again.Number, again.State)
	}
	c.wrote(t, 1)
}

func base(t *testing.T, c *client) {
	ctx := t.Context()
	c.w.Branch(t, "release")
	c.w.Branch(t, head)
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	moved := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(func(p *forge.Proposal) { p.Base = "release" })))
	want := pr
	want.Base = "release"
	same(t, "with another base", want, moved)
	c.wrote(t, 2)
}

func labels(t *testing.T, c *client) {
	ctx := t.Context()
	c.w.Branch(t, head)
	two := proposal(func(p *forge.Proposal) { p.Labels = []string{"promotion", "staging"} })
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, two))
	if diff := cmp.Diff(two.Labels, pr.Labels); diff != "" {
		t.Error(diff)
	}
	c.writes.Store(0) // making labels takes what it takes
	must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, two))
	c.wrote(t, 0)
	// Those that are there and not asked for stay.
	one := proposal(func(p *forge.Proposal) { p.Labels = []string{"urgent"} })
	must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, one))
	pr = must[forge.PullRequest](t)(c.PullRequest(ctx, pr.Number))
	if diff := cmp.Diff([]string{"promotion", "staging", "urgent"}, pr.Labels, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}
}

// fork has somebody who may not write to the repository propose a branch of the same name.
func fork(t *testing.T, c *client) {
	ctx := t.Context()
	theirs := c.w.Fork(t, head)
	c.w.Branch(t, head)
	ours := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	if ours.Number == theirs || ours.Fork {
		t.Fatalf("pull request %d was taken over from a fork", ours.Number)
	}
	c.wrote(t, 1)
	pr := must[forge.PullRequest](t)(c.PullRequest(ctx, theirs))
	if !pr.Fork || pr.Head != head || pr.HeadSHA == "" {
		t.Errorf("the pull request of a fork is %+v", pr)
	}
}

func listing(t *testing.T, c *client) {
	ctx := t.Context()
	var want []forge.PullRequest
	c.w.Branch(t, "release")
	for _, p := range []forge.Proposal{
		{Head: "sengu/checkout", Base: "main", Title: "checkout"},
		{Head: "sengu/search", Base: "main", Title: "search"},
		{Head: "sengu/cart", Base: "release", Title: "cart"},
	} {
		c.w.Branch(t, p.Head)
		want = append([]forge.PullRequest{must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, p))}, want...)
	}
	for _, tc := range []struct {
		base string
		want []forge.PullRequest
	}{{"main", want[1:]}, {"release", want[:1]}, {"nowhere", nil}} {
		list := must[forge.Listing](t)(c.OpenPullRequests(ctx, tc.base))
		if diff := cmp.Diff(forge.Listing{PullRequests: tc.want}, list, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("into %s: %s", tc.base, diff)
		}
	}
	for range 2 {
		list := must[forge.Listing](t)(c.OpenPullRequests(ctx, ""))
		if diff := cmp.Diff(forge.Listing{PullRequests: want}, list, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

func approvals(t *testing.T, c *client) {
	ctx := t.Context()
	sha := c.w.Branch(t, head)
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	if got := must[[]forge.Approval](t)(c.Approvals(ctx, pr.Number)); len(got) > 0 {
		t.Errorf("nobody approved, and there is %+v", got)
	}
	c.w.Approve(t, pr.Number)
	got := must[[]forge.Approval](t)(c.Approvals(ctx, pr.Number))
	if len(got) != 1 || got[0].By != c.w.Reviewer() || got[0].SHA != "" && got[0].SHA != sha {
		t.Errorf("after one approval: %+v", got)
	}
	c.w.Withdraw(t, pr.Number)
	if got := must[[]forge.Approval](t)(c.Approvals(ctx, pr.Number)); len(got) > 0 {
		t.Errorf("after it was withdrawn: %+v", got)
	}
}

func refusals(t *testing.T, c *client) {
	ctx := t.Context()
	c.w.Branch(t, head)
	check := func(what string, err, want error) {
		t.Helper()
		var failed *forge.Error
		if !errors.Is(err, want) || !errors.As(err, &failed) {
			t.Errorf("%s: got %v, want %v", what, err, want)
			return
		}
		if failed.Op == "" || failed.Repository == "" {
			t.Errorf("%s: %v does not say what and where", what, err)
		}
	}
	_, err := c.PullRequest(ctx, 9999)
	check("what is not there", err, forge.ErrNotFound)

	reader := newClient(t, c.w, c.w.Reader())
	_, err = reader.EnsurePullRequest(ctx, proposal(nil))
	check("a token that may only read", err, forge.ErrForbidden)
	if err != nil && !strings.Contains(err.Error(), "the token needs the ") {
		t.Errorf("%v does not say what the token lacks", err)
	}

	const stale = "this-token-has-ended"
	cfg := c.w.Config()
	cfg.Token = func(context.Context) (string, error) { return stale, nil }
	_, err = newClient(t, c.w, cfg).PullRequest(ctx, 1)
	check("a token that has ended", err, forge.ErrUnauthorized)
	if err != nil && strings.Contains(err.Error(), stale) {
		t.Errorf("%v holds the token", err)
	}

	// A branch that is not there.
	_, err = c.EnsurePullRequest(ctx, proposal(func(p *forge.Proposal) { p.Head = "sengu/nowhere" }))
	if !errors.Is(err, forge.ErrNotFound) && !errors.Is(err, forge.ErrInvalid) {
		t.Errorf("from a branch that is not there: %v", err)
	}
}
