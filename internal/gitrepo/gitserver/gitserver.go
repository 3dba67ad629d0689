// Package gitserver serves bare Git repositories below one directory over smart HTTP, for fetch and for push.
//
// It is responsible for a remote that one can clone, fetch and push to without setting anything up: `sengu up` serves
// its example repository with it, tests and benchmarks use it as the remote. It runs `git upload-pack` and `git
// receive-pack` itself, so that a request costs one process and the chunked bodies of large pushes work. It refuses to
// be a forge: there is one optional token for everything, no users, no hooks on disk, and no TLS (put a listener with
// TLS in front when it leaves the machine).
package gitserver

import (
	"compress/gzip"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Options of a server. The zero value serves everything to everybody, read and write.
type Options struct {
	// Token, when not empty, must come as the password of basic authentication (any user name) or as a bearer token.
	Token string
	// ReadOnly refuses pushes.
	ReadOnly bool
	// OnPush is told of every branch that a push moved, after the push has taken effect and before the client is told
	// that it ended. Repo is the path of the repository below the served directory, such as "shop/manifests.git".
	// Before is all zeros for a new branch, after is all zeros for a deleted one. It must return soon: `git push` waits.
	OnPush func(repo, branch, before, after string)
	// Timeout bounds one request; 10 minutes when zero.
	Timeout time.Duration
	// Logger gets failures of git itself; none when nil.
	Logger *slog.Logger
}

// New returns a handler that serves every bare repository below dir. The path of the URL is the path below dir; a
// missing ".git" at the end is added.
func New(dir string, opts Options) http.Handler {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Minute
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &server{dir: dir, opts: opts}
}

// CreateBare makes an empty bare repository at the path name below dir, with HEAD at branch, and returns where it is.
// A repository that exists already is left as it is.
func CreateBare(ctx context.Context, dir, name, branch string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("create repository %q: the name leaves the directory", name)
	}
	target := filepath.Join(dir, name)
	if isRepository(target) {
		return target, nil
	}
	cmd := exec.CommandContext(ctx, "git", "init", "--quiet", "--bare", "--initial-branch="+branch, "--", target) //nolint:gosec // the program that sets the server up names the branch, and what it makes is after "--"
	cmd.Env = environment("")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("create repository %q: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return target, nil
}

type server struct {
	dir  string
	opts Options
}

// ServeHTTP answers the three requests of the smart protocol and refuses every other.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.authorised(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "authentication required", http.StatusUnauthorized)
		return
	}
	name, action := splitPath(r.URL.Path)
	repo, ok := s.find(name)
	if !ok {
		http.Error(w, "repository not found", http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.opts.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	switch {
	case action == "info/refs" && r.Method == http.MethodGet:
		s.advertise(w, r, repo)
	case action == "git-upload-pack" && r.Method == http.MethodPost:
		s.rpc(w, r, repo, "upload-pack")
	case action == "git-receive-pack" && r.Method == http.MethodPost:
		if s.opts.ReadOnly {
			http.Error(w, "this server is read-only", http.StatusForbidden)
			return
		}
		s.receive(w, r, repo)
	default:
		http.Error(w, "not a request of the smart HTTP protocol", http.StatusNotFound)
	}
}

func (s *server) authorised(r *http.Request) bool {
	if s.opts.Token == "" {
		return true
	}
	got := ""
	if _, password, ok := r.BasicAuth(); ok {
		got = password
	} else if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		got = bearer
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(s.opts.Token)) == 1
}

// splitPath separates the repository from the request of the protocol.
func splitPath(p string) (name, action string) {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	for _, a := range []string{"info/refs", "git-upload-pack", "git-receive-pack"} {
		if n, ok := strings.CutSuffix(p, "/"+a); ok {
			return n, a
		}
	}
	return p, ""
}

func (s *server) find(name string) (string, bool) {
	if name == "" || !filepath.IsLocal(name) {
		return "", false
	}
	for _, n := range []string{name, name + ".git"} {
		if isRepository(filepath.Join(s.dir, n)) {
			return n, true
		}
	}
	return "", false
}

func isRepository(dir string) bool {
	_, errHead := os.Stat(filepath.Join(dir, "HEAD"))       //nolint:gosec // callers refuse a name that is not local
	_, errObjects := os.Stat(filepath.Join(dir, "objects")) //nolint:gosec // as above
	return errHead == nil && errObjects == nil
}

func (s *server) advertise(w http.ResponseWriter, r *http.Request, repo string) {
	service, ok := strings.CutPrefix(r.URL.Query().Get("service"), "git-")
	if !ok || (service != "upload-pack" && service != "receive-pack") {
		http.Error(w, "only the smart HTTP protocol is served", http.StatusForbidden)
		return
	}
	if service == "receive-pack" && s.opts.ReadOnly {
		http.Error(w, "this server is read-only", http.StatusForbidden)
		return
	}
	noCache(w, "application/x-git-"+service+"-advertisement")
	if protocol := r.Header.Get("Git-Protocol"); !strings.Contains(protocol, "version=2") || service != "upload-pack" {
		line := "# service=git-" + service + "\n"
		_, _ = fmt.Fprintf(w, "%04x%s0000", len(line)+4, line) //nolint:gosec // one of two services, in a content type of Git's
	}
	s.run(w, r, repo, nil, service, "--stateless-rpc", "--http-backend-info-refs")
}

func (s *server) rpc(w http.ResponseWriter, r *http.Request, repo, service string) {
	body, err := decoded(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	noCache(w, "application/x-git-"+service+"-result")
	// Without it a server of HTTP/1 may close the body at the first byte of the answer.
	_ = http.NewResponseController(w).EnableFullDuplex()
	s.run(w, r, repo, body, service, "--stateless-rpc")
}

func (s *server) run(w http.ResponseWriter, r *http.Request, repo string, stdin io.Reader, args ...string) {
	cmd := exec.CommandContext(r.Context(), "git", append(args, ".")...) //nolint:gosec // the arguments are those of this file
	cmd.Dir = filepath.Join(s.dir, repo)
	cmd.Env = environment(r.Header.Get("Git-Protocol"))
	cmd.Stdin = stdin
	cmd.Stdout = flusher{w: w, rc: http.NewResponseController(w)}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil && r.Context().Err() == nil {
		s.opts.Logger.Warn("git failed", "repo", repo, "service", args[0], "err", err, "stderr", stderr.String())
	}
}

// flusher hands every write on at once, so that progress and the end of a push show when they happen.
type flusher struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	if err := f.rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return n, err
	}
	return n, nil
}

func decoded(r *http.Request) (io.Reader, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body, nil
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read gzip body: %w", err)
	}
	return z, nil
}

func noCache(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
}

// environment is all that git sees: nothing of the person's own settings, and any commit may be asked for by its hash.
func environment(protocol string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_PROTOCOL=" + protocol,
		"GIT_CONFIG_COUNT=5",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_CONFIG_KEY_1=uploadpack.allowReachableSHA1InWant", "GIT_CONFIG_VALUE_1=true",
		"GIT_CONFIG_KEY_2=core.hooksPath", "GIT_CONFIG_VALUE_2=" + os.DevNull,
		"GIT_CONFIG_KEY_3=gc.auto", "GIT_CONFIG_VALUE_3=0",
		"GIT_CONFIG_KEY_4=receive.autogc", "GIT_CONFIG_VALUE_4=false",
	}
}
