package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

const (
	branch         = "main"
	repositoryName = "fleet.git"
	// gone, as the content of a file, removes the file or the folder.
	gone = "\x00gone"
	// linkTo, before a path, makes a symlink.
	linkTo = "\x00link "
)

// files leads from paths to contents.
type files map[string]string

// with returns f and more.
func (f files) with(more files) files {
	all := files{}
	for _, set := range []files{f, more} {
		for path, content := range set {
			all[path] = content
		}
	}
	return all
}

// repository is a Git repository behind a server that wants a token, and calls a webhook after each push.
type repository struct {
	t      testing.TB
	bare   string
	token  string
	server *httptest.Server

	mu     sync.Mutex
	hook   gitserver.Hook
	broken bool
	head   string
}

func newRepository(t testing.TB, token string) *repository {
	t.Helper()
	dir := t.TempDir()
	bare, err := gitserver.CreateBare(t.Context(), dir, repositoryName, branch)
	if err != nil {
		t.Fatal(err)
	}
	r := &repository{t: t, bare: bare, token: token}
	git := gitserver.New(dir, gitserver.Options{Token: token, OnPush: r.announce})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		broken := r.broken
		r.mu.Unlock()
		if broken { // as a machine that is gone: the connection ends without an answer
			panic(http.ErrAbortHandler)
		}
		git.ServeHTTP(w, req)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *repository) url() string { return r.server.URL + "/" + repositoryName }

// away makes the remote unreachable, or reachable again.
func (r *repository) away(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

// announce calls the webhook.
func (r *repository) announce(repo, branch, before, after string) {
	r.mu.Lock()
	hook := r.hook
	r.mu.Unlock()
	if hook.URL != "" {
		hook.OnPush(repo, branch, before, after)
	}
}

// commit puts a commit with changes on top of the branch, announces it and returns its hash.
func (r *repository) commit(changes files) string {
	r.t.Helper()
	return r.write(changes, false)
}

// rewrite replaces the whole history of the branch by one commit, as a force-push does.
func (r *repository) rewrite(content files) string {
	r.t.Helper()
	return r.write(content, true)
}

func (r *repository) write(changes files, orphan bool) string {
	r.t.Helper()
	before := r.head
	var stream bytes.Buffer
	fmt.Fprintf(&stream, "commit refs/heads/%s\nmark :1\ncommitter e2e <e2e@example.com> %d +0000\ndata 6\nchange\n", branch, time.Now().Unix())
	if before != "" && !orphan {
		fmt.Fprintf(&stream, "from %s\n", before)
	}
	paths := make([]string, 0, len(changes))
	for path := range changes {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int { // what is removed first, as a file may become a folder
		removesA, removesB := changes[a] == gone, changes[b] == gone
		if removesA != removesB {
			if removesA {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, path := range paths {
		content := changes[path]
		target, isLink := strings.CutPrefix(content, linkTo)
		switch {
		case content == gone:
			fmt.Fprintf(&stream, "D %s\n", path)
		case isLink:
			fmt.Fprintf(&stream, "M 120000 inline %s\ndata %d\n%s\n", path, len(target), target)
		default:
			fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
		}
	}
	stream.WriteString("\nget-mark :1\ndone\n")
	head := r.git(&stream, "fast-import", "--quiet", "--done", "--force")
	r.head = head
	r.announce(repositoryName, branch, before, head)
	return head
}

// vanish deletes the branch: nothing is left in the repository.
func (r *repository) vanish() {
	r.t.Helper()
	r.git(nil, "update-ref", "-d", "refs/heads/"+branch)
	r.announce(repositoryName, branch, r.head, strings.Repeat("0", 40))
	r.head = ""
}

// checkout clones the repository, as people do, and changes files in the clone.
func (r *repository) checkout(changes files) string {
	r.t.Helper()
	clone := r.t.TempDir()
	remote := strings.Replace(r.url(), "http://", "http://e2e:"+r.token+"@", 1)
	r.gitIn(clone, nil, "clone", "--quiet", remote, ".")
	for path, content := range changes {
		full := filepath.Join(clone, path)
		if content == gone {
			if err := os.RemoveAll(full); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return clone
}

// push changes files with nothing but the Git program and the server.
func (r *repository) push(changes files) string {
	r.t.Helper()
	clone := r.checkout(changes)
	r.gitIn(clone, nil, "add", "--all")
	r.gitIn(clone, nil, "commit", "--quiet", "-m", "change")
	r.gitIn(clone, nil, "push", "--quiet", "origin", "HEAD:refs/heads/"+branch)
	r.head = r.gitIn(clone, nil, "rev-parse", "HEAD")
	return r.head
}

func (r *repository) git(input *bytes.Buffer, args ...string) string {
	r.t.Helper()
	return r.gitIn(r.bare, input, args...)
}

// gitIn runs git without the settings of whoever runs the tests.
func (r *repository) gitIn(dir string, input *bytes.Buffer, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = dir
	if input != nil {
		cmd.Stdin = input
	}
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_AUTHOR_NAME=e2e", "GIT_AUTHOR_EMAIL=e2e@example.com", "GIT_COMMITTER_NAME=e2e", "GIT_COMMITTER_EMAIL=e2e@example.com",
	}
	var output, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &errors
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("git %s: %v: %s", args[0], err, strings.TrimSpace(errors.String()))
	}
	return strings.TrimSpace(output.String())
}
