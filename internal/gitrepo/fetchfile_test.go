package gitrepo_test

import (
	"errors"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestFileURL(t *testing.T) {
	remote := newRemote(t, t.TempDir(), "x.git")
	head := remote.commit("main", "", map[string]string{"a": "1"})
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{AllowFile: true})
	for _, url := range []string{"file://" + remote.dir, remote.dir} {
		repo := repository(t, store, url)
		if rev := mustFetch(t, repo, "main", gitrepo.Auth{}); rev.Hash != head {
			t.Errorf("%+v", rev)
		}
		if _, err := repo.Fetch(t.Context(), "nothing", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrBranchMissing) {
			t.Errorf("no such branch: %v", err)
		}
	}
	if _, err := repository(t, store, remote.dir+"x").Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrRemoteMissing) {
		t.Errorf("no such repository: %v", err)
	}
	empty := newRemote(t, t.TempDir(), "y.git")
	if _, err := repository(t, store, empty.dir).Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
}

func TestSHA256(t *testing.T) {
	root := t.TempDir()
	if out, err := exec.Command("git", "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", filepath.Join(root, "x.git")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	remote := &remoteRepo{t: t, dir: filepath.Join(root, "x.git"), when: 1}
	remote.commit("main", "", map[string]string{"d/a": "1"})
	two := remote.commit("main", "", map[string]string{"d/a": "2"})
	web := httptest.NewServer(gitserver.New(root, gitserver.Options{}))
	defer web.Close()
	repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/x.git")
	if rev := mustFetch(t, repo, "main", gitrepo.Auth{}); rev.Hash != two || len(two) != 64 {
		t.Errorf("%+v", rev)
	}
	if b, err := mustTree(t, repo, two).ReadFile("d/a"); err != nil || string(b) != "2" {
		t.Errorf("%q, %v", b, err)
	}
}
