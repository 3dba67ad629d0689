package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/forge"
)

// TestGiteaShows reads by other means what was written.
func TestGiteaShows(t *testing.T) {
	w := newWorld(t, realGitea(t))
	f, err := forge.New(w.Config())
	if err != nil {
		t.Fatal(err)
	}
	sha := w.Branch(t, "sengu/checkout")
	pr, err := f.EnsurePullRequest(t.Context(), forge.Proposal{Head: "sengu/checkout", Base: "main", Title: "t\n" + strings.Repeat("宮", 300), Body: strings.Repeat("b\n", 40000)})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.EnsurePullRequest(t.Context(), forge.Proposal{Head: "sengu/checkout", Base: "main", Title: "short"}); err != nil || again.Number != pr.Number || again.Title != "short" || again.Body != "" {
		t.Errorf("%+v, %v", again, err)
	}

	long := "```diff\n" + strings.Repeat("+ 宮 image: registry.example.com/shop/checkout:1.4.0\n", 3000)
	for _, written := range []bool{true, false} {
		c, err := f.EnsureComment(t.Context(), pr.Number, "plan", long)
		if err != nil || c.Written != written {
			t.Errorf("a long comment: %+v, %v", c, err)
		}
	}
	var comments []struct {
		Body string
		User struct{ Login string }
	}
	w.server.Call(t, w.owner.Token, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", w.repo.API, pr.Number), nil, &comments)
	if len(comments) != 1 || comments[0].User.Login != w.Bot() || !strings.HasPrefix(comments[0].Body, "<!-- sengu:plan -->\n> **This was cut") {
		t.Errorf("there are %d comments", len(comments))
	}

	for _, d := range []forge.DeploymentState{forge.DeploymentQueued, forge.DeploymentInProgress, forge.DeploymentFailure, forge.DeploymentInactive} {
		err := f.SetDeployment(t.Context(), forge.Deployment{SHA: sha, Environment: "staging", State: d, Description: "canary", LogURL: "https://sengu.example.com"})
		if err != nil {
			t.Fatal(err)
		}
	}
	type status struct {
		Status, Context, Description string
		TargetURL                    string `json:"target_url"`
	}
	var combined struct{ Statuses []status }
	w.server.Call(t, w.owner.Token, http.MethodGet, w.repo.API+"/commits/"+sha+"/status", nil, &combined)
	if diff := cmp.Diff([]status{{"failure", "deploy/staging", "canary", "https://sengu.example.com"}}, combined.Statuses); diff != "" {
		t.Error(diff)
	}
	if f.Capabilities().Deployments {
		t.Error("it says that it shows deployments")
	}
}

// TestGiteaRenamed goes on under the old name of a repository, to which Gitea answers by a redirect that makes a GET of
// every POST.
func TestGiteaRenamed(t *testing.T) {
	w := newWorld(t, realGitea(t))
	f, err := forge.New(w.Config())
	if err != nil {
		t.Fatal(err)
	}
	w.Branch(t, "sengu/checkout")
	p := forge.Proposal{Head: "sengu/checkout", Base: "main", Title: "t"}
	pr, err := f.EnsurePullRequest(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	w.server.Call(t, w.owner.Token, http.MethodPatch, w.repo.API, map[string]string{"name": w.repo.Name + "-new"}, nil)
	again, err := f.EnsurePullRequest(t.Context(), p)
	if err != nil || again.Number != pr.Number || again.Fork {
		t.Errorf("what is to be read only: %+v, %v", again, err)
	}
	_, err = f.EnsureComment(t.Context(), pr.Number, "plan", "text")
	if !errors.Is(err, forge.ErrMoved) || !strings.Contains(err.Error(), "set the new name") {
		t.Errorf("a write: %v", err)
	}
}
