package gitrepo_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// Prefixes of file contents that are not plain files.
const (
	asLink   = "link:"   // a symbolic link to what follows
	asModule = "module:" // a submodule at the commit that follows
	asExec   = "exec:"   // an executable file
	deleted  = "deleted" // the file goes
)

// remoteRepo is a bare repository that plays the remote.
type remoteRepo struct {
	t    testing.TB
	dir  string
	when int
}

func newRemote(t testing.TB, root, name string) *remoteRepo {
	t.Helper()
	dir, err := gitserver.CreateBare(t.Context(), root, name, "main")
	if err != nil {
		t.Fatal(err)
	}
	return &remoteRepo{t: t, dir: dir, when: 1_700_000_000}
}

func (r *remoteRepo) git(args ...string) string {
	r.t.Helper()
	return r.gitIn(nil, args...)
}

func (r *remoteRepo) gitIn(stdin []byte, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit adds a commit to a branch and returns its hash. The commit has the parent `from`, the head of the branch when
// that is "", or none when it is "none".
func (r *remoteRepo) commit(branch, from string, files map[string]string) string {
	r.t.Helper()
	r.when++
	var b bytes.Buffer
	subject := fmt.Sprintf("change %d\n\nwith a body", r.when)
	fmt.Fprintf(&b, "commit refs/heads/%s\nauthor A <a@example.com> %d +0900\ncommitter A <a@example.com> %d +0000\ndata %d\n%s\n", branch, r.when, r.when, len(subject), subject)
	if from == "" && r.head(branch) != "" {
		from = r.head(branch)
	}
	if from != "" && from != "none" {
		fmt.Fprintf(&b, "from %s\n", from)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		mode := "100644"
		switch {
		case content == deleted:
			fmt.Fprintf(&b, "D %s\n", name)
			continue
		case strings.HasPrefix(content, asModule):
			fmt.Fprintf(&b, "M 160000 %s %s\n", strings.TrimPrefix(content, asModule), name)
			continue
		case strings.HasPrefix(content, asLink):
			mode, content = "120000", strings.TrimPrefix(content, asLink)
		case strings.HasPrefix(content, asExec):
			mode, content = "100755", strings.TrimPrefix(content, asExec)
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, name, len(content), content)
	}
	if from == "none" {
		r.git("update-ref", "-d", "refs/heads/"+branch)
	}
	r.gitIn(b.Bytes(), "fast-import", "--quiet", "--force")
	return r.head(branch)
}

func (r *remoteRepo) head(branch string) string {
	r.t.Helper()
	return r.git("for-each-ref", "--format=%(objectname)", "refs/heads/"+branch)
}

// served is a remote over HTTP and a Store that fetches from it.
type served struct {
	*remoteRepo
	root     string
	url      string
	storeDir string
	store    *gitrepo.Store
	repo     *gitrepo.Repository
}

func serve(t testing.TB, server gitserver.Options, opts gitrepo.Options) *served {
	t.Helper()
	root := t.TempDir()
	s := &served{remoteRepo: newRemote(t, root, "shop/manifests.git"), root: root}
	web := httptest.NewServer(gitserver.New(root, server))
	t.Cleanup(web.Close)
	s.url = web.URL + "/shop/manifests.git"
	s.storeDir = t.TempDir()
	s.store = gitrepotest.Open(t, s.storeDir, opts)
	s.repo = repository(t, s.store, s.url)
	return s
}

func repository(t testing.TB, store *gitrepo.Store, url string) *gitrepo.Repository {
	t.Helper()
	repo, err := store.Repository(url)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func mustFetch(t testing.TB, repo *gitrepo.Repository, branch string, auth gitrepo.Auth) gitrepo.Revision {
	t.Helper()
	rev, err := repo.Fetch(t.Context(), branch, auth)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func mustTree(t testing.TB, repo *gitrepo.Repository, rev string) *gitrepo.Tree {
	t.Helper()
	tree, err := repo.Tree(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// path of the mirror, for tests that damage it.
func mirrorFile(repo *gitrepo.Repository, elem ...string) string {
	return filepath.Join(append([]string{repo.Dir()}, elem...)...)
}
