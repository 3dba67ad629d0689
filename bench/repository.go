package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

const (
	repositoryName = "fleet.git"
	branch         = "main"
	gitTimeout     = 5 * time.Minute
)

// repository is a bare repository behind a Git server on loopback, and a clone of it to commit and push from.
type repository struct {
	base   string // address of the server
	clone  string
	server *http.Server
	// pushes gets what the server accepted.
	pushes chan push
	// reads counts the requests of whoever fetches, or asks whether there is something to fetch.
	reads atomic.Int64

	mu   sync.Mutex
	hook *gitserver.Hook
}

// push is one that the server has accepted.
type push struct {
	commit string
	at     time.Time
}

// startRepository makes an empty repository in dir and serves it.
func startRepository(ctx context.Context, dir string) (*repository, error) {
	if _, err := gitserver.CreateBare(ctx, filepath.Join(dir, "served"), repositoryName, branch); err != nil {
		return nil, err
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the repository: %w", err)
	}
	r := &repository{base: "http://" + socket.Addr().String(), clone: filepath.Join(dir, "clone"), pushes: make(chan push, 16)}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	git := gitserver.New(filepath.Join(dir, "served"), gitserver.Options{OnPush: r.accepted, Logger: logger})
	r.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// A client that knows the server asks for its branches without asking for its capabilities first.
		if strings.HasSuffix(req.URL.Path, "/git-upload-pack") || req.URL.Query().Get("service") == "git-upload-pack" {
			r.reads.Add(1)
		}
		git.ServeHTTP(w, req)
	})}
	go func() { _ = r.server.Serve(socket) }() // stop ends it
	if err := os.MkdirAll(r.clone, 0o700); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	_, err = r.git(ctx, "init", "--quiet", "--initial-branch="+branch)
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *repository) stop() error { return r.server.Close() }

func (r *repository) url() string { return r.base + "/" + repositoryName }

// announce makes every push call Sengu's webhook from now on. The server calls it before the client is told that the
// push ended, and the clock of a push starts before that.
func (r *repository) announce(webhook string, secret []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = &gitserver.Hook{
		URL: webhook, BaseURL: r.base, Secret: secret, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
}

func (r *repository) accepted(repo, branch, before, after string) {
	now := time.Now()
	r.mu.Lock()
	hook := r.hook
	r.mu.Unlock()
	if hook != nil {
		hook.OnPush(repo, branch, before, after)
	}
	r.pushes <- push{after, now}
}

// commit writes the files of some Apps and commits what changed. It returns the hash.
func (r *repository) commit(ctx context.Context, message string, changed ...service) (string, error) {
	for _, s := range changed {
		folder := filepath.Join(r.clone, s.folder())
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
		for name, text := range s.files() {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				return "", err
			}
		}
	}
	paths := []string{"add", "--all", "--"}
	if len(changed) == 1 {
		paths = append(paths, changed[0].folder())
	} else {
		paths = append(paths, "apps")
	}
	if _, err := r.git(ctx, paths...); err != nil {
		return "", err
	}
	if _, err := r.git(ctx, "commit", "--quiet", "-m", message); err != nil {
		return "", err
	}
	return r.git(ctx, "rev-parse", "HEAD")
}

// push sends a commit with git push, and returns when the server accepted it.
func (r *repository) push(ctx context.Context, commit string) (time.Time, error) {
	if _, err := r.git(ctx, "push", "--quiet", r.url(), "HEAD:refs/heads/"+branch); err != nil {
		return time.Time{}, err
	}
	select {
	case p := <-r.pushes:
		if p.commit != commit {
			return time.Time{}, fmt.Errorf("the Git server took %s where %s was pushed", p.commit, commit)
		}
		return p.at, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// git runs git in the clone, without the settings of whoever runs the benchmark.
func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the arguments are those of this benchmark
	cmd.Dir = r.clone
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.clone, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=gc.auto", "GIT_CONFIG_VALUE_0=0",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}
