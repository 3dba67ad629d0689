package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// promoting is a Fleet whose environments each carry their own tag.
func promoting(way v1alpha1.Promote) func(*v1alpha1.FleetSpec) {
	return func(f *v1alpha1.FleetSpec) {
		inOrder(ungated, "develop", "staging", "production")(f)
		f.Promote = way
	}
}

// tagged is a service whose kustomizations each name the tag of its image. It is degraded while that is bad.
func tagged(service, tag string, environments ...string) files {
	tree := files{
		"apps/" + service + "/sengu.yaml": `apiVersion: sengu.dev/v1alpha1
kind: Delivery
images:
- name: ` + service + `
  repository: registry.example.com/shop/` + service + `
  track: {semver: ">=1.0.0"}
failAfter: 1s
health:
- group: apps
  kind: Deployment
  degraded: self.spec.template.spec.containers[0].image.endsWith('-bad')
  message: "'it runs ' + self.spec.template.spec.containers[0].image"
`,
		"apps/" + service + "/base/kustomization.yaml": "resources: [deployment.yaml]\n",
		"apps/" + service + "/base/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + service + "}\nspec:\n  replicas: 0\n" +
			"  selector: {matchLabels: {app: " + service + "}}\n  template:\n    metadata: {labels: {app: " + service + "}}\n" +
			"    spec:\n      containers:\n      - {name: main, image: " + service + "}\n",
	}
	for _, env := range environments {
		tree[folder(service, env)+"/kustomization.yaml"] = kustomized(service, tag)
	}
	return tree
}

// kustomized is the kustomization of an environment. Its comment has to outlive every edit.
func kustomized(service, tag string) string {
	return "resources: [../base]\nimages:\n# the tag is written by Sengu\n- name: " + service + "\n  newName: registry.example.com/shop/" + service + "\n  newTag: \"" + tag + "\" # by hand at first\n"
}

// says returns what a file says on the branch.
func (r *repository) says(path string) string {
	r.t.Helper()
	return r.git(nil, "show", "refs/heads/"+branch+":"+path)
}

// tagIs is nil if the kustomization of a service says a tag in an environment, and has kept its comments.
func (r *repository) tagIs(service, env, tag string) error {
	text := r.says(folder(service, env) + "/kustomization.yaml")
	if want := strings.TrimSpace(kustomized(service, tag)); strings.TrimSpace(text) != want {
		return fmt.Errorf("the kustomization of %s says\n%s\nand not\n%s", env, text, want)
	}
	return nil
}

// TestPromoteByCommit writes the tag that develop runs to staging and then to production, in Releases' own commits.
func TestPromoteByCommit(t *testing.T) {
	t.Parallel()
	s := newSengu(t, promoting(v1alpha1.PromoteCommit))
	s.synced(s.repo.commit(tagged("web", "1.0.0", "develop", "staging", "production")), 3)
	head := s.repo.commit(files{folder("web", "develop") + "/kustomization.yaml": kustomized("web", "1.1.0")})
	r := s.becomes("web", head, "production", v1alpha1.StageDone)
	for _, env := range []string{"staging", "production"} {
		if err := s.repo.tagIs("web", env, "1.1.0"); err != nil {
			t.Error(err)
		}
	}
	if err := s.imageIs(s.prod, s.target+"-production", "web", "registry.example.com/shop/web:1.1.0"); err != nil {
		t.Errorf("production: %v", err)
	}
	if message := s.repo.git(nil, "log", "-1", "--format=%an <%ae>%n%B", "refs/heads/"+branch); !strings.Contains(message, "Sengu <sengu@localhost>\nweb: promote web:1.1.0 in production") ||
		!strings.Contains(message, "\nSengu-Release: "+r.Name) {
		t.Errorf("the commit says\n%s", message)
	}
	var all v1alpha1.ReleaseList
	if err := s.home.List(context.Background(), &all, client.InNamespace(s.namespace)); err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != 1 {
		t.Errorf("there are %d Releases: Sengu's own commits are steps of the first", len(all.Items))
	}
}

// TestPromotionThatFails breaks in staging: the cluster goes back, Git is told so, and production never hears of it. The
// next image goes through, and the one that failed is not tried again with it.
func TestPromotionThatFails(t *testing.T) {
	t.Parallel()
	s := newSengu(t, promoting(v1alpha1.PromoteCommit))
	tree := tagged("web", "1.0.0", "develop", "staging", "production")
	tree["apps/web/sengu.yaml"] += "environments:\n  develop:\n    health:\n    - group: apps\n      kind: Deployment\n      healthy: \"true\"\n"
	s.synced(s.repo.commit(tree), 3)
	head := s.repo.commit(files{folder("web", "develop") + "/kustomization.yaml": kustomized("web", "1.1.0-bad")})
	s.becomes("web", head, "staging", v1alpha1.StageRolledBack)
	s.eventually("Git is told that it failed", func() error { return s.repo.tagIs("web", "staging", "1.0.0") })
	if err := s.imageIs(s.dev, s.target+"-staging", "web", "registry.example.com/shop/web:1.0.0"); err != nil {
		t.Errorf("staging: %v", err)
	}
	s.repo.head = s.repo.git(nil, "rev-parse", "refs/heads/"+branch)
	next := s.repo.commit(files{folder("web", "develop") + "/kustomization.yaml": kustomized("web", "1.2.0")})
	s.becomes("web", next, "production", v1alpha1.StageDone)
	for _, env := range []string{"staging", "production"} {
		if err := s.repo.tagIs("web", env, "1.2.0"); err != nil {
			t.Error(err)
		}
	}
	if log := s.repo.git(nil, "log", "--format=%s", "refs/heads/"+branch, "--", folder("web", "production")); strings.Contains(log, "bad") {
		t.Errorf("what failed was promoted to production:\n%s", log)
	}
}

// TestPromoteByPullRequest proposes each step on a branch, without any forge, and takes the merge for the approval. A
// person who writes the same by hand has made the step as well.
func TestPromoteByPullRequest(t *testing.T) {
	t.Parallel()
	s := newSengu(t, promoting(v1alpha1.PromotePullRequest), func(f *v1alpha1.FleetSpec) {
		f.Environments[2].Approval = &v1alpha1.ApprovalRule{Required: 2}
	})
	s.synced(s.repo.commit(tagged("web", "1.0.0", "develop", "staging", "production")), 3)
	head := s.repo.commit(files{folder("web", "develop") + "/kustomization.yaml": kustomized("web", "1.1.0")})
	r := s.waitsBefore("web", head, "staging", "merge")
	is := at(r, "staging").Proposal
	if is == nil || is.Branch != "sengu/shop/web/staging" || is.Commit == "" {
		t.Fatalf("the Release proposes %+v", is)
	}
	if err := s.imageIs(s.dev, s.target+"-staging", "web", "registry.example.com/shop/web:1.0.0"); err != nil {
		t.Errorf("staging before the merge: %v", err)
	}
	// A newer image replaces what is proposed.
	s.repo.head = s.repo.git(nil, "rev-parse", "refs/heads/"+branch)
	head = s.repo.commit(files{folder("web", "develop") + "/kustomization.yaml": kustomized("web", "1.2.0")})
	s.waitsBefore("web", head, "staging", "merge")
	s.eventually("the branch says the newer one", func() error {
		if text := s.repo.git(nil, "show", "refs/heads/sengu/shop/web/staging:"+folder("web", "staging")+"/kustomization.yaml"); !strings.Contains(text, `"1.2.0"`) {
			return fmt.Errorf("it says %s", text)
		}
		return nil
	})
	s.merge("sengu/shop/web/staging")
	s.becomes("web", head, "staging", v1alpha1.StageDone)
	s.waitsBefore("web", head, "production", "merge")
	s.repo.push(files{folder("web", "production") + "/kustomization.yaml": kustomized("web", "1.2.0")})
	r = s.becomes("web", head, "production", v1alpha1.StageDone)
	if step := r.Spec.Step("production"); step != s.repo.head {
		t.Errorf("the step of production is %q, and not %s", step, s.repo.head)
	}
}

// merge merges a branch as a forge does.
func (s *sengu) merge(name string) {
	s.Helper()
	clone := s.repo.checkout(nil)
	s.repo.gitIn(clone, nil, "merge", "--no-ff", "--quiet", "-m", "merge "+name, "origin/"+name)
	s.repo.gitIn(clone, nil, "push", "--quiet", "origin", "HEAD:refs/heads/"+branch)
	s.repo.head = s.repo.gitIn(clone, nil, "rev-parse", "HEAD")
}

// pull is a pull request as Gitea has it.
type pull struct {
	Number int
	Title  string
	Body   string
	State  string
	Merged bool
	User   struct{ Login string }
}

// pulls are the pull requests of a state.
func (f *forged) pulls(state string) []pull {
	f.Helper()
	var all []pull
	f.server.Call(f, f.repo.Owner.Token, http.MethodGet, f.repo.API+"/pulls?state="+state, nil, &all)
	for _, one := range all {
		f.keep(one.Body, "pull request", fmt.Sprint(one.Number))
	}
	return all
}

// TestPromoteOnAForge has Sengu open a pull request on a real Gitea for each step, keep it up to date, and take back what
// has failed by another.
func TestPromoteOnAForge(t *testing.T) {
	t.Parallel()
	f := newForged(t, tagged("web", "1.0.0", "staging", "production"), inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Promote = v1alpha1.PromotePullRequest
		}
	}, "staging", "production"), func(spec *v1alpha1.FleetSpec) {
		spec.Notifications = []v1alpha1.Notification{{Name: "forge", Deployments: &v1alpha1.DeploymentNotification{}}}
	})
	f.eventually("the first state runs", func() error {
		return f.imageIs(f.prod, f.target+"-production", "web", "registry.example.com/shop/web:1.0.0")
	})
	change := func(tag string) string {
		return f.commit("main", files{folder("web", "staging") + "/kustomization.yaml": kustomized("web", tag)})
	}
	head := change("1.1.0")
	f.waitsBefore("web", head, "production", "merge")
	open := f.pulls("open")
	if len(open) != 1 || open[0].Title != "web: promote web:1.1.0 in production" || open[0].User.Login != f.bot.Name {
		t.Fatalf("the open pull requests are %+v", open)
	}
	for _, want := range []string{"Merging it is the approval", "`registry.example.com/shop/web:1.0.0` → `registry.example.com/shop/web:1.1.0`", "- [x] hold", "- [x] windows"} {
		if !strings.Contains(open[0].Body, want) {
			t.Errorf("the pull request does not say %q:\n%s", want, open[0].Body)
		}
	}
	if text := why(at(f.release("web", head), "production").Why); !strings.Contains(text, fmt.Sprintf("pull request #%d (%s", open[0].Number, f.server.URL)) {
		t.Errorf("the Release says %q", text)
	}
	f.eventually("the diff is in a comment", func() error {
		for _, one := range f.comments(open[0].Number) {
			if strings.Contains(one.Body, "web:1.1.0") {
				return nil
			}
		}
		return errors.New("there is none")
	})
	// One that a person has closed is not opened again; the next image opens another.
	f.server.Call(f, f.repo.Owner.Token, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", f.repo.API, open[0].Number), map[string]string{"state": "closed"}, nil)
	head = change("1.2.0-bad.1")
	f.waitsBefore("web", head, "production", "merge")
	open = f.pulls("open")
	if len(open) != 1 || !strings.Contains(open[0].Title, "1.2.0-bad.1") {
		t.Fatalf("the open pull requests are %+v", open)
	}
	f.server.Merge(f, f.repo, open[0].Number)
	f.becomes("web", head, "production", v1alpha1.StageDone)
	if err := f.imageIs(f.prod, f.target+"-production", "web", "registry.example.com/shop/web:1.2.0-bad.1"); err != nil {
		t.Errorf("production: %v", err)
	}
	f.eventually("the commit says where it runs", func() error {
		var combined struct {
			Statuses []struct{ Status, Context string }
		}
		f.server.Call(f, f.repo.Owner.Token, http.MethodGet, f.repo.API+"/commits/"+head+"/status", nil, &combined)
		said := map[string]string{}
		for _, one := range combined.Statuses {
			said[one.Context] = one.Status
		}
		for _, env := range []string{"staging", "production"} {
			if is, ok := mention(said, env); !ok || is != "success" {
				return fmt.Errorf("the statuses are %v", said)
			}
		}
		return nil
	})
}

// mention returns the status whose name tells of an environment and the service web.
func mention(said map[string]string, env string) (string, bool) {
	for name, is := range said {
		if strings.Contains(name, env) && strings.Contains(name, "web") {
			return is, true
		}
	}
	return "", false
}

// TestTakenBackOnAForge merges what then fails in production: what takes it back is proposed.
func TestTakenBackOnAForge(t *testing.T) {
	t.Parallel()
	tree := tagged("web", "1.0.0", "staging", "production")
	tree["apps/web/sengu.yaml"] += "environments:\n  staging:\n    health:\n    - group: apps\n      kind: Deployment\n      healthy: \"true\"\n"
	f := newForged(t, tree, inOrder(ungated, "staging", "production"), func(spec *v1alpha1.FleetSpec) { spec.Promote = v1alpha1.PromotePullRequest })
	f.eventually("the first state runs", func() error {
		return f.imageIs(f.prod, f.target+"-production", "web", "registry.example.com/shop/web:1.0.0")
	})
	head := f.commit("main", files{folder("web", "staging") + "/kustomization.yaml": kustomized("web", "1.1.0-bad")})
	f.waitsBefore("web", head, "production", "merge")
	f.server.Merge(f, f.repo, f.pulls("open")[0].Number)
	f.becomes("web", head, "production", v1alpha1.StageRolledBack)
	f.eventually("what takes it back is proposed", func() error {
		open := f.pulls("open")
		if len(open) != 1 || open[0].Title != "web: take back web:1.1.0-bad in production" {
			return fmt.Errorf("the open pull requests are %+v", open)
		}
		return nil
	})
	f.server.Merge(f, f.repo, f.pulls("open")[0].Number)
	text := f.sengu.repo.gitIn(f.clone, nil, "pull", "--quiet", "origin", "main") + f.sengu.repo.gitIn(f.clone, nil, "show", "HEAD:"+folder("web", "production")+"/kustomization.yaml")
	if !strings.Contains(text, `"1.0.0"`) {
		t.Errorf("production says\n%s", text)
	}
	f.eventually("the environment still runs it", func() error {
		return f.imageIs(f.prod, f.target+"-production", "web", "registry.example.com/shop/web:1.0.0")
	})
}
