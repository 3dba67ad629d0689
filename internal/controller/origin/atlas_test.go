package origin_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// bareRepo is a real repository on this disk.
type bareRepo struct {
	t   *testing.T
	dir string
}

func newRemote(t *testing.T) bareRepo {
	t.Helper()
	dir, err := gitserver.CreateBare(t.Context(), t.TempDir(), "fleet.git", "main")
	if err != nil {
		t.Fatal(err)
	}
	return bareRepo{t, dir}
}

func (r bareRepo) git(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = r.dir, bytes.NewReader([]byte(stdin))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit of lines of git fast-import, after the head of main or after nothing.
func (r bareRepo) commit(first bool, lines ...string) {
	r.t.Helper()
	from := ""
	if !first {
		from = "from refs/heads/main^0\n"
	}
	r.git("commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx"+from+strings.Join(lines, "")+"\n", "fast-import", "--quiet", "--force")
}

func write(name, content string) string {
	return fmt.Sprintf("M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
}

// reader follows a branch.
type reader struct {
	t     *testing.T
	store *gitrepo.Store
	fleet *v1alpha1.Fleet
	atlas origin.Atlas
}

func newReader(t *testing.T) *reader {
	t.Helper()
	return &reader{t: t, store: gitrepotest.Open(t, t.TempDir(), gitrepo.Options{AllowFile: true}), fleet: &v1alpha1.Fleet{Spec: v1alpha1.FleetSpec{Layout: "apps/{service}/{environment}"}}}
}

// follow goes to the head of a repository's branch.
func (r *reader) follow(of bareRepo) origin.Step {
	r.t.Helper()
	r.fleet.Spec.Git.URL = of.dir
	repository, err := r.store.Repository(of.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	head, err := repository.Fetch(r.t.Context(), "main", gitrepo.Auth{})
	if err != nil {
		r.t.Fatal(err)
	}
	tree, err := repository.Tree(r.t.Context(), head.Hash)
	if err != nil {
		r.t.Fatal(err)
	}
	step, err := r.atlas.Follow(r.t.Context(), r.fleet, repository, tree)
	if err != nil {
		r.t.Fatal(err)
	}
	return step
}

func (r *reader) services() []string {
	return slices.Sorted(maps.Keys(maps.Collect(r.atlas.All())))
}

func moved(step origin.Step) []string { return slices.Sorted(maps.Keys(step.Moved)) }

// TestAtlas goes from commit to commit, and begins anew where there is nothing to compare with.
func TestAtlas(t *testing.T) {
	first, other := newRemote(t), newRemote(t)
	first.commit(true, write("apps/cart/dev/x", "1"), write("apps/mail/dev/x", "1"))
	r := newReader(t)
	expect := func(what string, step origin.Step, follows bool, wantMoved, wantServices []string) {
		t.Helper()
		if (step.From != "") != follows {
			t.Errorf("%s: the step is from %q", what, step.From)
		}
		if diff := cmp.Diff(wantMoved, moved(step)); diff != "" {
			t.Errorf("%s: services that moved: -want +got:\n%s", what, diff)
		}
		if diff := cmp.Diff(wantServices, r.services()); diff != "" {
			t.Errorf("%s: services: -want +got:\n%s", what, diff)
		}
	}
	expect("the first revision", r.follow(first), false, nil, []string{"cart", "mail"})
	expect("the same revision", r.follow(first), true, nil, []string{"cart", "mail"})
	first.commit(false, write("apps/cart/dev/x", "2"), write("apps/shop/dev/x", "1"), "D apps/mail\n")
	step := r.follow(first)
	expect("a commit", step, true, []string{"mail", "shop"}, []string{"cart", "shop"})
	if !step.Changes.Has("apps/cart/dev/x") {
		t.Error("a file that a commit changed is not among the changes")
	}
	r.fleet.Spec.Layout = "{service}/{environment}"
	expect("another layout", r.follow(first), false, nil, []string{"apps"})
	r.fleet.Spec.Layout = "apps/{service}/{environment}"
	r.follow(first)
	other.commit(true, write("apps/other/dev/x", "1"))
	expect("another repository", r.follow(other), false, nil, []string{"other"})
	other.commit(true, write("apps/new/dev/x", "1"))
	r.store = gitrepotest.Open(t, t.TempDir(), gitrepo.Options{AllowFile: true}) // which has never seen what came before
	expect("a mirror made anew of a branch that was rewritten", r.follow(other), false, nil, []string{"new"})
}

// TestReaders tells who read what a commit changes.
func TestReaders(t *testing.T) {
	of := newRemote(t)
	const moduleA, moduleB = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	of.commit(true, write("base/a.yaml", "1"), write("base/b.yaml", "1"), write("lib/x", "1"), "M 160000 "+moduleA+" vendor/m\n")
	r := newReader(t)
	r.follow(of)
	var readers origin.Readers
	readers.Put("file", []string{"base/a.yaml"})
	readers.Put("folder", []string{"base"})
	readers.Put("existence", []string{"base/", "lib/"})
	readers.Put("absent", []string{"apps/sengu.yaml"})
	readers.Put("module", []string{"vendor/m/deploy/x.yaml"})
	readers.Put("replaced", []string{"base/a.yaml"})
	readers.Put("replaced", []string{"base/c.yaml"})
	readers.Put("removed", []string{"base/a.yaml"})
	readers.Remove("removed")
	steps := []struct {
		what  string
		lines []string
		want  []string
	}{
		{"a file", []string{write("base/a.yaml", "2")}, []string{"file", "folder"}},
		{"a file that comes", []string{write("apps/sengu.yaml", "1")}, []string{"absent"}},
		{"a folder that goes", []string{"D lib\n"}, []string{"existence"}},
		{"a submodule", []string{"M 160000 " + moduleB + " vendor/m\n"}, []string{"module"}},
		{"a file that the reader reads now", []string{write("base/c.yaml", "1")}, []string{"folder", "replaced"}},
	}
	for _, s := range steps {
		of.commit(false, s.lines...)
		got := slices.Sorted(maps.Keys(readers.Of(r.follow(of).Changes)))
		if diff := cmp.Diff(s.want, got); diff != "" {
			t.Errorf("%s: who is concerned: -want +got:\n%s", s.what, diff)
		}
	}
}
