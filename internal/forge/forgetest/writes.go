package forgetest

import (
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/forge"
)

func comment(t *testing.T, c *client) {
	ctx := t.Context()
	c.w.Branch(t, head)
	pr := must[forge.PullRequest](t)(c.EnsurePullRequest(ctx, proposal(nil)))
	c.wrote(t, 1)
	say := func(marker, text string) forge.Comment {
		t.Helper()
		return must[forge.Comment](t)(c.EnsureComment(ctx, pr.Number, marker, text))
	}
	plan := say("plan", "| environment | changes |\n|---|---|\n| staging | 2 |")
	if !plan.Written || !strings.HasPrefix(plan.URL, "http") {
		t.Errorf("the first comment: %+v", plan)
	}
	c.wrote(t, 1)
	want := forge.Comment{URL: plan.URL}
	if got := say("plan", "| environment | changes |\r\n|---|---|\r\n| staging | 2 |\r\n"); got != want {
		t.Errorf("the same text: %+v, want %+v", got, want)
	}
	c.wrote(t, 0)
	want.Written = true
	if got := say("plan", "nothing changes"); got != want {
		t.Errorf("another text: %+v, want %+v", got, want)
	}
	c.wrote(t, 1)
	// The text of one may hold the marker of another.
	if got := say("gates", "waits\n<!-- sengu:plan -->\n"); !got.Written || got.URL == plan.URL {
		t.Errorf("another marker: %+v", got)
	}
	c.wrote(t, 1)
	want.Written = false
	if got := say("plan", "nothing changes"); got != want {
		t.Errorf("the first again: %+v, want %+v", got, want)
	}
	c.wrote(t, 0)

	c.w.Comment(t, pr.Number, "<!-- sengu:images -->\nall images are fine")
	images := say("images", "2 images have no signature")
	if !images.Written {
		t.Error("the comment of another was taken for ours")
	}
	c.wrote(t, 1)
	if got := say("images", "2 images have no signature"); got.Written || got.URL != images.URL {
		t.Errorf("beside that of another: %+v, want that of before", got)
	}
	c.wrote(t, 0)
}

func status(t *testing.T, c *client) {
	ctx := t.Context()
	sha := c.w.Branch(t, head)
	s := forge.Status{State: forge.StatusPending, Context: "sengu/plan", Description: "rendering", TargetURL: "https://sengu.example.com/plan"}
	set := func(s forge.Status, writes int64) {
		t.Helper()
		if err := c.SetStatus(ctx, sha, s); err != nil {
			t.Fatal(err)
		}
		c.wrote(t, writes)
	}
	set(s, 1)
	set(s, 0)
	s.State, s.Description = forge.StatusSuccess, strings.Repeat("long ", 40)
	set(s, 1)
	set(s, 0)
	set(forge.Status{State: forge.StatusFailure, Context: "sengu/policy"}, 1)
	set(s, 0)
	for _, bad := range []string{"", "main", sha[:12], sha + "/../.."} {
		if err := c.SetStatus(ctx, bad, s); err == nil {
			t.Errorf("commit %q was taken", bad)
		}
	}
	c.wrote(t, 0)
}

func deployment(t *testing.T, c *client) {
	ctx := t.Context()
	first, second := c.w.Branch(t, head), c.w.Branch(t, "sengu/search")
	set := func(sha string, state forge.DeploymentState) int64 {
		t.Helper()
		err := c.SetDeployment(ctx, forge.Deployment{
			SHA: sha, Environment: "staging/checkout", Ref: "main", State: state, Description: "canary",
			EnvironmentURL: "https://staging.example.com",
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.writes.Swap(0)
	}
	shows := c.Capabilities().Deployments
	for i, step := range []struct {
		sha   string
		state forge.DeploymentState
		// writes says whether something must be written; once more the same must write nothing.
		writes bool
	}{
		{first, forge.DeploymentInactive, false}, // of what never was
		{first, forge.DeploymentInProgress, true},
		{first, forge.DeploymentSuccess, true},
		{second, forge.DeploymentInProgress, true},
		{second, forge.DeploymentFailure, true},
		{first, forge.DeploymentInProgress, true}, // back to the first
		{first, forge.DeploymentSuccess, true},
	} {
		if wrote := set(step.sha, step.state) > 0; wrote != step.writes {
			t.Errorf("step %d (%s): wrote %t, want %t", i, step.state, wrote, step.writes)
		}
		if set(step.sha, step.state) > 0 && (shows || step.state != forge.DeploymentInactive) {
			t.Errorf("step %d (%s): the same was written twice", i, step.state)
		}
	}
}

// again begins a deployment once more: after another overtook it before it was over, and after it failed.
func again(t *testing.T, c *client) {
	ctx := t.Context()
	first, second := c.w.Branch(t, head), c.w.Branch(t, "sengu/search")
	for i, step := range []struct {
		sha   string
		state forge.DeploymentState
	}{
		{first, forge.DeploymentInProgress},
		{second, forge.DeploymentInProgress},
		{first, forge.DeploymentInProgress},
		{first, forge.DeploymentFailure},
		{first, forge.DeploymentInProgress},
	} {
		err := c.SetDeployment(ctx, forge.Deployment{
			SHA: step.sha, Environment: "staging/checkout", Ref: "main", State: step.state, Description: "canary",
		})
		if err != nil {
			t.Fatal(err)
		}
		// Where a commit has a status and no deployments, it is under way already.
		if wrote := c.writes.Swap(0) > 0; !wrote && c.Capabilities().Deployments {
			t.Errorf("step %d wrote nothing", i)
		}
	}
}
