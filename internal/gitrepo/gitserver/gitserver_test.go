package gitserver_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// git runs the program as a person would.
func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return out
}

// pushes collects what OnPush is told.
type pushes struct {
	mu   sync.Mutex
	list []string
}

func (p *pushes) add(repo, branch, before, after string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, fmt.Sprintf("%s %s %s %s", repo, branch, before[:7], after[:7]))
}

func (p *pushes) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	return list
}

func TestPushAndFetch(t *testing.T) {
	root, work := t.TempDir(), t.TempDir()
	var told pushes
	if _, err := gitserver.CreateBare(t.Context(), root, "shop/x.git", "main"); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(gitserver.New(root, gitserver.Options{Token: "t0ken", OnPush: told.add}))
	defer web.Close()
	url := strings.Replace(web.URL, "http://", "http://any:t0ken@", 1) + "/shop/x.git"
	must(t, work, "clone", "--quiet", url, ".")
	must(t, work, "checkout", "--quiet", "-B", "main")
	must(t, work, "commit", "--quiet", "--allow-empty", "-m", "one")
	must(t, work, "push", "--quiet", "origin", "main", "HEAD:refs/tags/v1")
	one := must(t, work, "rev-parse", "HEAD")[:7]
	if diff := cmp.Diff([]string{"shop/x.git main 0000000 " + one}, told.take()); diff != "" {
		t.Error(diff)
	}
	// More than git sends in one piece, and several branches at once.
	if err := os.WriteFile(filepath.Join(work, "big"), bytes.Repeat([]byte(must(t, work, "rev-parse", "HEAD")), 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, work, "-c", "core.compression=0", "add", "big")
	must(t, work, "commit", "--quiet", "-m", "two")
	must(t, work, "-c", "core.compression=0", "-c", "pack.compression=0", "-c", "http.postBuffer=1000", "push", "--quiet", "origin", "main", "main:other")
	two := must(t, work, "rev-parse", "HEAD")[:7]
	if diff := cmp.Diff([]string{"shop/x.git main " + one + " " + two, "shop/x.git other 0000000 " + two}, told.take()); diff != "" {
		t.Error(diff)
	}
	must(t, work, "push", "--quiet", "origin", ":other")
	if diff := cmp.Diff([]string{"shop/x.git other " + two + " 0000000"}, told.take()); diff != "" {
		t.Error(diff)
	}
	// A refused push is no push.
	must(t, work, "reset", "--quiet", "--hard", "HEAD~1")
	must(t, work, "commit", "--quiet", "--allow-empty", "-m", "elsewhere")
	if out, err := git(t, work, "push", "--quiet", "origin", "main"); err == nil || !strings.Contains(out, "rejected") {
		t.Errorf("a push that is no fast-forward: %s", out)
	}
	if got := told.take(); len(got) > 0 {
		t.Errorf("told of a refused push: %v", got)
	}
	if out := must(t, t.TempDir(), "clone", "--quiet", url, "."); out != "" {
		t.Error(out)
	}
	for _, bad := range []string{strings.Replace(url, "t0ken", "wrong", 1), web.URL + "/shop/x.git"} {
		if _, err := git(t, work, "ls-remote", bad); err == nil {
			t.Errorf("%s is served", bad)
		}
	}
}

func TestRefusals(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"served/x.git", "hidden.git"} {
		if _, err := gitserver.CreateBare(t.Context(), root, name, "main"); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(gitserver.New(filepath.Join(root, "served"), gitserver.Options{ReadOnly: true}))
	defer web.Close()
	for path, want := range map[string]int{
		"/x.git/info/refs?service=git-upload-pack":             http.StatusOK,
		"/x/info/refs?service=git-upload-pack":                 http.StatusOK,
		"/x.git/info/refs?service=git-receive-pack":            http.StatusForbidden,
		"/x.git/info/refs?service=git-shell":                   http.StatusForbidden,
		"/x.git/info/refs":                                     http.StatusForbidden,
		"/x.git/config":                                        http.StatusNotFound,
		"/../hidden.git/info/refs?service=git-upload-pack":     http.StatusNotFound,
		"/%2e%2e/hidden.git/info/refs?service=git-upload-pack": http.StatusNotFound,
		"/":             http.StatusNotFound,
		"//info/refs":   http.StatusNotFound,
		"/x.git/../../": http.StatusNotFound,
	} {
		resp, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if _, err := gitserver.CreateBare(t.Context(), root, "../x", "main"); err == nil {
		t.Error("a repository outside")
	}
}

// TestHook sends what ParseWebhook reads.
func TestHook(t *testing.T) {
	secret := []byte("s3cret")
	var got gitrepo.Push
	var failed error
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, failed = gitrepo.ParseWebhook(r, [][]byte{secret}, 0)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer web.Close()
	hook := gitserver.Hook{URL: web.URL, BaseURL: "http://git.example.com/", Secret: secret}
	hook.OnPush("shop/x.git", "main", strings.Repeat("0", 40), strings.Repeat("1", 40))
	if failed != nil || !got.Concerns("git@git.example.com:shop/x", "main") || got.Before != "" || got.After != strings.Repeat("1", 40) {
		t.Errorf("%+v, %v", got, failed)
	}
}
