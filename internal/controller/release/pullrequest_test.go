package release

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

const (
	mainBranch    = "main"
	kustomization = "apps/web/production/kustomization.yaml"
)

// desktop is a repository with the branch of a pull request, and a person's clone of it.
type desktop struct {
	*testing.T
	r          *Reconciler
	repository *gitrepo.Repository
	url, clone string
}

func newDesktop(t *testing.T) *desktop {
	t.Helper()
	dir := t.TempDir()
	if _, err := gitserver.CreateBare(t.Context(), dir, "fleet.git", mainBranch); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gitserver.New(dir, gitserver.Options{}))
	t.Cleanup(server.Close)
	d := &desktop{T: t, r: &Reconciler{}, url: server.URL + "/fleet.git", clone: t.TempDir()}
	d.git("init", "--quiet", "--initial-branch", mainBranch)
	d.git("remote", "add", "origin", d.url)
	d.put("apps/web/sengu.yaml", "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nimages:\n- {name: web, repository: registry.example.com/web, track: {newest: true}}\n")
	d.put(kustomization, "images:\n# by Sengu\n- name: web\n  newTag: \"1\"\n")
	d.git("commit", "--quiet", "-m", "first")
	d.git("push", "--quiet", "origin", mainBranch)
	var err error
	if d.repository, err = gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}).Repository(d.url); err != nil {
		t.Fatal(err)
	}
	return d
}

// git does something as a person who has a name and an address of their own.
func (d *desktop) git(args ...string) string {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), "git", args...)
	cmd.Dir, cmd.Env = d.clone, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.clone, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// put writes a file, which the next commit holds.
func (d *desktop) put(name, content string) {
	d.Helper()
	path := filepath.Join(d.clone, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		d.Fatal(err)
	}
	d.git("add", name)
}

// propose proposes an image for production. Nothing is known of what was proposed before.
func (d *desktop) propose(name, tag string, back bool) (gitrepo.Written, error) {
	d.Helper()
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.FleetSpec{
		Git: v1alpha1.GitSource{URL: d.url, Branch: mainBranch}, Layout: "apps/{service}/{environment}", Environments: []v1alpha1.Environment{{Name: "production"}},
	}}
	one := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ReleaseSpec{Service: "web"}}
	image := "registry.example.com/web:" + tag
	one.Spec.Commit.Images = []string{image + "@sha256:" + strings.Repeat("a", 64)}
	c := change{fleet: fleet, release: one, env: v1alpha1.ReleaseEnvironment{
		Name: "production", Path: "apps/web/production", Promote: v1alpha1.PromotePullRequest, Wanted: []v1alpha1.WantedImage{{Name: "web", Image: image}},
	}}
	running := []v1alpha1.WantedImage{{Name: "web", Image: "registry.example.com/web:0"}}
	if back {
		c.at.Proposal = &v1alpha1.ProposalStatus{Revert: true}
	}
	draft, err := d.r.draft(d.Context(), c, running)
	if err != nil {
		d.Fatal(err)
	}
	return d.r.proposed(d.Context(), c, proposing{repository: d.repository, draft: draft, running: running})
}

// checkout gets a branch that Sengu has pushed.
func (d *desktop) checkout(branch string) {
	d.Helper()
	d.git("fetch", "--quiet", "origin")
	d.git("checkout", "--quiet", "-B", "review", "origin/"+branch)
}

// TestForgottenProposal replaces what Sengu has proposed and forgotten, and nothing that a person has had a hand in.
func TestForgottenProposal(t *testing.T) {
	const written = "images:\n# by Sengu\n- name: web\n  newTag: \"2\"\n"
	amend := func(d *desktop) { d.git("commit", "--quiet", "--amend", "--no-edit") }
	for name, tc := range map[string]struct {
		edit     func(*desktop)
		replaced bool
	}{
		"Untouched": {func(*desktop) {}, true},
		"RebasedAsItIs": {func(d *desktop) { // which leaves nothing of theirs
			d.git("rebase", "--quiet", "origin/"+mainBranch)
		}, true},
		"AnotherFile":     {func(d *desktop) { d.put("apps/web/base/x.yaml", "a: b\n"); amend(d) }, false},
		"AnotherImage":    {func(d *desktop) { d.put(kustomization, strings.Replace(written, `"2"`, `"1.9"`, 1)); amend(d) }, false},
		"SameFile":        {func(d *desktop) { d.put(kustomization, written+"namePrefix: a-\n"); amend(d) }, false},
		"Comment":         {func(d *desktop) { d.put(kustomization, strings.Replace(written, "by Sengu", "reviewed", 1)); amend(d) }, false},
		"Subject":         {func(d *desktop) { d.reword("web: promote web:2 in production", "web: ready") }, false},
		"Body":            {func(d *desktop) { d.reword("\n\nSengu-Release", "\n\nAnn has looked at it.\n\nSengu-Release") }, false},
		"Trailer":         {func(d *desktop) { d.reword("\n\nSengu-Release", "\n\nReviewed-by: Ann\nSengu-Release") }, false},
		"LastTrailer":     {func(d *desktop) { d.git("commit", "--quiet", "--amend", "--no-edit", "--trailer", "Reviewed-by: Ann") }, false},
		"Author":          {func(d *desktop) { d.git("commit", "--quiet", "--amend", "--no-edit", "--reset-author") }, false},
		"OneMore":         {func(d *desktop) { d.put("x", "y"); d.git("commit", "--quiet", "-m", "mine") }, false},
		"OneMoreLikeOurs": {func(d *desktop) { d.put("x", "y"); d.git("commit", "--quiet", "-C", "HEAD") }, false},
		"OneBelow": {func(d *desktop) {
			d.git("checkout", "--quiet", "-B", "below", "HEAD~")
			d.put("x", "y")
			d.git("commit", "--quiet", "-m", "mine")
			d.git("cherry-pick", "review")
		}, false},
		"WordsBelow": {func(d *desktop) {
			d.git("checkout", "--quiet", "-B", "below", "HEAD~")
			d.git("commit", "--quiet", "--allow-empty", "-m", "mine")
			d.git("cherry-pick", "review")
		}, false},
		"AnotherDigest": {func(d *desktop) {
			d.put(kustomization, strings.Replace(written, "newTag: \"2\"\n", "newTag: \"2\"\n  digest: sha256:"+strings.Repeat("b", 64)+"\n", 1))
			amend(d)
		}, false},
		"Emptied": {func(d *desktop) {
			d.put(kustomization, strings.Replace(written, "\"2\"", "\"1\"", 1))
			d.git("commit", "--quiet", "--amend", "--no-edit", "--allow-empty")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesktop(t)
			first, err := d.propose("old", "2", false)
			if err != nil {
				t.Fatal(err)
			}
			d.put("apps/other/x.yaml", "a: b\n")
			d.git("commit", "--quiet", "-m", "the base moves")
			d.git("push", "--quiet", "origin", mainBranch)
			d.checkout("sengu/shop/web/production")
			tc.edit(d)
			d.git("push", "--quiet", "--force", "origin", "HEAD:sengu/shop/web/production")
			head := d.git("rev-parse", "HEAD")
			second, err := d.propose("new", "3", false)
			switch {
			case tc.replaced && (err != nil || second.Head == head || second.Head == first.Head):
				t.Errorf("it is not replaced, and is at %s: %v", second.Head, err)
			case !tc.replaced && (!errors.Is(err, gitrepo.ErrForeign) || !strings.Contains(err.Error(), "merge or delete the branch")):
				t.Errorf("it is replaced by %s: %v", second.Head, err)
			case !tc.replaced:
				d.git("fetch", "--quiet", "origin")
				if is := d.git("rev-parse", "origin/sengu/shop/web/production"); is != head {
					t.Errorf("the branch is at %s, and was at %s", is, head)
				}
			}
		})
	}
}

// reword changes the message of the newest commit.
func (d *desktop) reword(from, to string) {
	d.Helper()
	message := d.git("log", "-1", "--format=%B")
	if !strings.Contains(message, from) {
		d.Fatalf("the message is %q", message)
	}
	d.git("commit", "--quiet", "--amend", "-m", strings.Replace(message, from, to, 1))
}

// TestForgottenTakingBack replaces what takes back an image in the same way.
func TestForgottenTakingBack(t *testing.T) {
	for name, replaced := range map[string]bool{"Untouched": true, "Amended": false} {
		t.Run(name, func(t *testing.T) {
			d := newDesktop(t)
			d.put(kustomization, "images:\n- name: web\n  newTag: \"2\"\n")
			d.git("commit", "--quiet", "-m", "2")
			d.git("push", "--quiet", "origin", mainBranch)
			if _, err := d.propose("old", "2", true); err != nil {
				t.Fatal(err)
			}
			d.put("apps/other/x.yaml", "a: b\n")
			d.git("commit", "--quiet", "-m", "the base moves")
			d.git("push", "--quiet", "origin", mainBranch)
			d.checkout("sengu/shop/web/production-back")
			if !replaced {
				d.put(kustomization, "images:\n- name: web\n  newTag: \"1.9\"\n")
				d.git("commit", "--quiet", "--amend", "--no-edit")
				d.git("push", "--quiet", "--force", "origin", "HEAD:sengu/shop/web/production-back")
			}
			if _, err := d.propose("old", "2", true); (err == nil) != replaced {
				t.Errorf("it is replaced: %t: %v", err == nil, err)
			}
		})
	}
}
