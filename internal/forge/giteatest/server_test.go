package giteatest_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/forge/giteatest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestServer(t *testing.T) {
	defer goleak.VerifyNone(t)
	server, err := giteatest.Launch()
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = server.Stop()
		}
	}()
	owner := server.User(t, "owner")
	repo := server.Repository(t, owner, "manifests")
	commit := server.Commit(t, repo, "feature/one", "apps/a.yaml", "a: 1\n")

	// Over HTTP, as git does it.
	dir := filepath.Join(t.TempDir(), "clone")
	address := strings.Replace(repo.URL, "://", "://"+url.UserPassword(owner.Name, owner.Token).String()+"@", 1)
	git(t, ".", "clone", "--quiet", "--branch", "feature/one", address, dir)
	if got := git(t, dir, "rev-parse", "HEAD"); got != commit {
		t.Errorf("the clone is at %s, want %s", got, commit)
	}
	git(t, dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--allow-empty", "-m", "two")
	git(t, dir, "push", "--quiet")
	var branch struct {
		Commit struct {
			ID string `json:"id"`
		} `json:"commit"`
	}
	server.Call(t, owner.Token, http.MethodGet, repo.API+"/branches/feature%2Fone", nil, &branch)
	if got := git(t, dir, "rev-parse", "HEAD"); got != branch.Commit.ID {
		t.Errorf("the branch is at %s after the push of %s", branch.Commit.ID, got)
	}

	work := server.Dir()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	stopped = true
	if _, err := os.Stat(work); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", work)
	}
	if left := processes(t, work); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	if resp, err := http.Get(server.URL); err == nil {
		_ = resp.Body.Close()
		t.Error("something still answers")
	}
}

func TestMissingBinary(t *testing.T) {
	t.Setenv("SENGU_GITEA", filepath.Join(t.TempDir(), "none"))
	if _, err := giteatest.Launch(); err == nil || !strings.Contains(err.Error(), "make gitea") {
		t.Errorf("got %v, want a sentence that says what to run", err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_TERMINAL_PROMPT=0"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestKilled kills a test that uses Gitea.
func TestKilled(t *testing.T) {
	if os.Getenv("GITEATEST_KILLED") != "" {
		server, err := giteatest.Launch()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(server.Dir())
		select {} // until it is killed
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "GITEATEST_KILLED=yes")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir := strings.TrimSpace(line)
	if err != nil || !filepath.IsAbs(dir) {
		t.Fatalf("the test said %q: %v", line, err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if len(processes(t, dir)) == 0 {
		t.Fatal("no process is seen while it runs: this test would not notice anything")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	testenv.Eventually(t, 30*time.Second, func() error {
		if left := processes(t, dir); len(left) > 0 {
			return fmt.Errorf("processes are left: %q", left)
		}
		return nil
	})
}

// processes are those whose command line holds the text.
func processes(t *testing.T, text string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return !strings.Contains(line, text) })
}
