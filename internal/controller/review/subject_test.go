package review

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

// work is a repository on disk, and the mirror of it.
type work struct {
	*testing.T
	dir    string
	mirror *gitrepo.Repository
}

func newWork(t *testing.T) *work {
	t.Helper()
	w := &work{T: t, dir: t.TempDir()}
	w.git("init", "--quiet", "--initial-branch", "main")
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{AllowFile: true})
	var err error
	if w.mirror, err = store.Repository("file://" + w.dir); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *work) git(args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, of which one without content is removed, and returns the tree of the commit.
func (w *work) commit(files map[string]string) *gitrepo.Tree {
	w.Helper()
	for name, content := range files {
		full := filepath.Join(w.dir, name)
		err := os.RemoveAll(full)
		if content != "" {
			err = errors.Join(err, os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600))
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	w.git("add", "--all")
	w.git("commit", "--quiet", "--allow-empty", "-m", "change")
	if _, err := w.mirror.Fetch(w.Context(), "main", gitrepo.Auth{}); err != nil {
		w.Fatal(err)
	}
	tree, err := w.mirror.Tree(w.Context(), w.git("rev-parse", "HEAD"))
	if err != nil {
		w.Fatal(err)
	}
	return tree
}

// TestSubjects says which places a pull request concerns. The Apps have read the bases that their kustomizations name.
func TestSubjects(t *testing.T) {
	start := map[string]string{"base/config.yaml": "a: 1\n", "other/config.yaml": "a: 1\n", "README.md": "x\n"}
	for _, service := range []string{"cart", "web"} {
		for _, env := range []string{"develop", "production"} {
			start["apps/"+service+"/overlays/"+env+"/kustomization.yaml"] = "resources: [../../../../base]\n"
		}
	}
	// What the Apps have read; cart in production ran something else then, and web in develop has not said so yet.
	inputs := func(service, env string) []string {
		return []string{"apps/" + service + "/overlays/" + env, "apps/" + service + "/sengu.yaml", "base", "gone/"}
	}
	for name, test := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"nothing that is read": {map[string]string{"README.md": "y\n", "other/config.yaml": "a: 2\n"}, []string{
			"cart/production unlikely", "web/develop unlikely",
		}},
		"a base": {map[string]string{"base/config.yaml": "a: 2\n"}, []string{
			"cart/develop", "cart/production", "web/production", "web/develop unlikely",
		}},
		"one overlay": {map[string]string{"apps/cart/overlays/develop/more.yaml": "a: 2\n"}, []string{
			"cart/develop", "cart/production", "web/develop unlikely",
		}},
		"the service's own file": {map[string]string{"apps/web/sengu.yaml": "x\n"}, []string{
			"web/develop", "web/production", "cart/production unlikely",
		}},
		"a folder that was looked for": {map[string]string{"gone/x": "y\n"}, []string{
			"cart/develop", "cart/production", "web/production", "web/develop unlikely",
		}},
		"a new service": {map[string]string{"apps/new/overlays/develop/x.yaml": "y\n"}, []string{
			"new/develop", "cart/production unlikely", "web/develop unlikely",
		}},
		"a folder that goes": {map[string]string{"apps/cart/overlays/develop": ""}, []string{
			"cart/develop", "cart/production", "web/develop unlikely",
		}},
		"an environment that the fleet has not": {map[string]string{"apps/new/overlays/qa/x.yaml": "y\n"}, []string{
			"cart/production unlikely", "web/develop unlikely",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWork(t)
			e := &examination{apps: map[string]*v1alpha1.App{}}
			e.fleet = &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.FleetSpec{
				Layout: "apps/{service}/overlays/{environment}", Environments: environments(),
			}}
			e.was = w.commit(start)
			for _, service := range []string{"cart", "web"} {
				for _, env := range e.fleet.Spec.Environments {
					app := &v1alpha1.App{}
					app.Status.Inputs = inputs(service, env.Name)
					digest, err := render.DigestOf(e.was, app.Status.Inputs)
					if err != nil {
						t.Fatal(err)
					}
					app.Status.InputsDigest = digest
					e.apps[layout.NameOfApp("shop", service, env.Name)] = app
				}
			}
			e.apps["cart.production.shop"].Status.InputsDigest = "another"
			e.apps["web.develop.shop"].Status.Inputs = nil
			e.at = w.commit(test.change)
			var err error
			if e.changes, err = w.mirror.Diff(t.Context(), e.was.Revision(), e.at.Revision()); err != nil {
				t.Fatal(err)
			}
			subjects, err := e.subjects()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range subjects {
				text := s.service + "/" + s.env.Name
				if !s.likely {
					text += " unlikely"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAllowance gives a fork nothing that the Fleet may fetch with a credential.
func TestAllowance(t *testing.T) {
	fleet := &v1alpha1.Fleet{Spec: v1alpha1.FleetSpec{Remotes: []v1alpha1.Remote{
		{Prefix: "https://private.example.com", SecretRef: &v1alpha1.SecretReference{Name: "x"}}, {Prefix: "https://public.example.com"},
	}}}
	for fork, want := range map[bool]string{false: "2 of 2", true: "1 of 2"} {
		if got := fmt.Sprintf("%d of %d", len(allowance(fleet, fork).Spec.Remotes), len(fleet.Spec.Remotes)); got != want {
			t.Errorf("fork %t: %s, want %s", fork, got, want)
		}
	}
}
