package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// token is planted: it may appear nowhere but in the header that carries it.
const token = "planted-t0ken-8d7f6a5b"

func tokenAuth(t testing.TB, value string) gitrepo.Auth {
	t.Helper()
	auth, err := gitrepo.AuthFromSecret(map[string][]byte{"token": []byte(value + "\n")})
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

func TestFetch(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{Now: func() time.Time { return clock }})
	auth := tokenAuth(t, token)
	one := s.commit("main", "", map[string]string{"a": "1"})
	if _, ok := s.repo.Head("main"); ok {
		t.Error("a head before the first fetch")
	}
	rev := mustFetch(t, s.repo, "main", auth)
	if rev != (gitrepo.Revision{Hash: one, Time: clock}) {
		t.Errorf("first: %+v", rev)
	}
	two := s.commit("main", "", map[string]string{"a": "2"})
	rev = mustFetch(t, s.repo, "main", auth)
	if rev.Hash != two || rev.Previous != one || rev.Forced || !rev.Changed() {
		t.Errorf("second: %+v", rev)
	}
	if rev = mustFetch(t, s.repo, "main", auth); rev.Changed() || rev.Hash != two {
		t.Errorf("nothing new: %+v", rev)
	}
	if head, ok := s.repo.Head("main"); !ok || head != two {
		t.Errorf("Head = %s, %t", head, ok)
	}
	info, err := s.repo.Commit(t.Context(), two)
	if err != nil || info.Author != "A" || !strings.HasPrefix(info.Subject, "change ") || strings.Contains(info.Subject, "\n") {
		t.Errorf("Commit = %+v, %v", info, err)
	}
	if got := info.When.Format(time.RFC3339); got != "2023-11-15T07:13:22+09:00" {
		t.Errorf("When = %s", got)
	}
	// A branch of the same beginning, and one below the name of another.
	s.commit("main2", "", map[string]string{"a": "other"})
	s.commit("x/y", "", map[string]string{"a": "below"})
	mustFetch(t, s.repo, "x/y", auth)
	if rev = mustFetch(t, s.repo, "main", auth); rev.Hash != two {
		t.Errorf("after another branch: %+v", rev)
	}
}

// TestConnectionsAreReused polls and fetches over one connection.
func TestConnectionsAreReused(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	var connections atomic.Int32
	web := httptest.NewUnstartedServer(gitserver.New(root, gitserver.Options{}))
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	web.Start()
	defer web.Close()
	repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/x.git")
	for i := range 5 {
		remote.commit("main", "", map[string]string{"a": fmt.Sprint(i)})
		mustFetch(t, repo, "main", gitrepo.Auth{})
		mustFetch(t, repo, "main", gitrepo.Auth{})
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestFetchFailures(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	auth := tokenAuth(t, token)
	_, err := s.repo.Fetch(t.Context(), "main", auth)
	if !errors.Is(err, gitrepo.ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
	head := s.commit("main", "", map[string]string{"a": "1"})
	mustFetch(t, s.repo, "main", auth)
	check := func(what string, want error, branch string, auth gitrepo.Auth, repo *gitrepo.Repository) {
		t.Helper()
		_, err := repo.Fetch(t.Context(), branch, auth)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		var fe *gitrepo.FetchError
		if want != nil && (!errors.As(err, &fe) || strings.Contains(err.Error(), "t0ken")) {
			t.Errorf("%s: %v", what, err)
		}
		if got, ok := s.repo.Head("main"); !ok || got != head || !s.repo.Has(t.Context(), head) {
			t.Errorf("%s: the head is lost", what)
		}
	}
	check("no such branch", gitrepo.ErrBranchMissing, "develop", auth, s.repo)
	check("a wrong token", gitrepo.ErrAuth, "main", tokenAuth(t, "wrong-t0ken"), s.repo)
	check("no token", gitrepo.ErrAuth, "main", gitrepo.Auth{}, s.repo)
	check("no such repository", gitrepo.ErrRemoteMissing, "main", auth, repository(t, s.store, strings.Replace(s.url, "manifests", "nothing", 1)))
	check("nobody listens", gitrepo.ErrUnreachable, "main", auth, repository(t, s.store, "http://127.0.0.1:1/x.git"))
	s.git("update-ref", "-d", "refs/heads/main")
	check("emptied", gitrepo.ErrEmpty, "main", auth, s.repo)
	s.commit("other", "", map[string]string{"a": "1"})
	check("branch deleted", gitrepo.ErrBranchMissing, "main", auth, s.repo)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	check("repository gone", gitrepo.ErrRemoteMissing, "main", auth, s.repo)
	if _, err := s.repo.Fetch(t.Context(), "--upload-pack=x", auth); err == nil {
		t.Error("a branch that is an option")
	}
}

func TestForcePushLosesNothing(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{SeenLimit: 2})
	base := s.commit("main", "", map[string]string{"a": "0"})
	s.git("update-ref", "refs/heads/base", base)
	var olds []string
	for i := range 5 {
		olds = append(olds, s.commit("main", base, map[string]string{"a": fmt.Sprint("old ", i)}))
		rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
		if rev.Forced != (i > 0) {
			t.Errorf("%d: forced %t", i, rev.Forced)
		}
	}
	if err := s.repo.Retain(t.Context(), olds[0]); err != nil {
		t.Fatal(err)
	}
	// A branch with no common commit at all.
	fresh := s.commit("main", "none", map[string]string{"b": "1"})
	s.git("reflog", "expire", "--expire=now", "--all")
	s.git("gc", "--quiet", "--prune=now")
	if rev := mustFetch(t, s.repo, "main", gitrepo.Auth{}); !rev.Forced || rev.Hash != fresh || rev.Previous != olds[4] {
		t.Errorf("rewritten: %+v", rev)
	}
	if err := s.repo.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, old := range olds {
		if got, err := mustTree(t, s.repo, old).ReadFile("a"); err != nil || string(got) != fmt.Sprint("old ", i) {
			t.Errorf("%d: %q, %v", i, got, err)
		}
	}
	refs := gitIn(t, s.repo.Dir(), "for-each-ref", "--format=%(refname)")
	if n := strings.Count(refs, "refs/sengu/seen/"); n != 3 {
		t.Errorf("%d seen heads are kept, want 2 and the retained one:\n%s", n, refs)
	}
	if err := s.repo.Release(t.Context(), olds[0]); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(gitIn(t, s.repo.Dir(), "for-each-ref"), "refs/sengu/keep/") {
		t.Error("released and still kept")
	}
	// Set back to an ancestor.
	s.git("update-ref", "refs/heads/main", base)
	if rev := mustFetch(t, s.repo, "main", gitrepo.Auth{}); !rev.Forced || rev.Hash != base {
		t.Errorf("set back: %+v", rev)
	}
	// Far ahead is no force-push.
	for i := range 40 {
		s.commit("main", "", map[string]string{"a": fmt.Sprint("far ", i)})
	}
	if rev := mustFetch(t, s.repo, "main", gitrepo.Auth{}); rev.Forced {
		t.Errorf("far ahead: %+v", rev)
	}
}

func gitIn(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return (&remoteRepo{t: t, dir: dir}).git(args...)
}

func TestFetchRevisionAndTag(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	auth := tokenAuth(t, token)
	s.commit("main", "", map[string]string{"a": "1"})
	side := s.commit("side", "", map[string]string{"a": "side"})
	s.git("-c", "user.name=a", "-c", "user.email=a@example.com", "tag", "-a", "-m", "x", "v1.0.0", side)
	mustFetch(t, s.repo, "main", auth)
	if s.repo.Has(t.Context(), side) {
		t.Fatal("the side branch is here already")
	}
	if _, err := s.repo.Tree(t.Context(), side); !errors.Is(err, gitrepo.ErrUnknownRevision) {
		t.Errorf("Tree of what is not here: %v", err)
	}
	if err := s.repo.FetchRevision(t.Context(), side, auth); err != nil {
		t.Fatal(err)
	}
	if b, err := mustTree(t, s.repo, side).ReadFile("a"); err != nil || string(b) != "side" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := s.repo.FetchRevision(t.Context(), strings.Repeat("ab", 20), auth); !errors.Is(err, gitrepo.ErrRevisionMissing) {
		t.Errorf("a commit that is nowhere: %v", err)
	}
	if got, err := s.repo.FetchTag(t.Context(), "v1.0.0", auth); err != nil || got != side {
		t.Errorf("FetchTag = %s, %v", got, err)
	}
	if _, err := s.repo.FetchTag(t.Context(), "v2", auth); !errors.Is(err, gitrepo.ErrRevisionMissing) {
		t.Errorf("a tag that is not: %v", err)
	}
	for _, name := range []string{side, side[:10], "v1.0.0"} {
		if got, err := s.repo.Resolve(t.Context(), name); err != nil || got != side {
			t.Errorf("Resolve(%s) = %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"side", "v2", "0000", "--help", "HEAD^{/x}", strings.Repeat("0", 40)} {
		if got, err := s.repo.Resolve(t.Context(), name); !errors.Is(err, gitrepo.ErrUnknownRevision) {
			t.Errorf("Resolve(%s) = %s, %v", name, got, err)
		}
	}
}

// TestOlderServer fetches with the git program, from the real `git http-backend`, which is not told of version 2.
func TestOlderServer(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	backend := filepath.Join(gitIn(t, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Fatalf("git http-backend is needed: %v", err)
	}
	handler := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"}}
	for _, version := range []string{"v0", "v2"} {
		t.Run(version, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, password, _ := r.BasicAuth(); password != token {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if version == "v0" {
					r.Header.Del("Git-Protocol")
				}
				handler.ServeHTTP(w, r)
			}))
			defer web.Close()
			repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/x.git")
			one := remote.commit("main", "", map[string]string{"a": version})
			if rev := mustFetch(t, repo, "main", tokenAuth(t, token)); rev.Hash != one {
				t.Errorf("first: %+v", rev)
			}
			two := remote.commit("main", "", map[string]string{"a": version + "2"})
			if rev := mustFetch(t, repo, "main", tokenAuth(t, token)); rev.Hash != two || rev.Forced {
				t.Errorf("second: %+v", rev)
			}
			three := remote.commit("main", "none", map[string]string{"a": version + "3"})
			if rev := mustFetch(t, repo, "main", tokenAuth(t, token)); rev.Hash != three || !rev.Forced {
				t.Errorf("forced: %+v", rev)
			}
			for want, f := range map[error]func() error{
				gitrepo.ErrAuth:          func() error { _, err := repo.Fetch(t.Context(), "main", tokenAuth(t, "wrong-t0ken")); return err },
				gitrepo.ErrBranchMissing: func() error { _, err := repo.Fetch(t.Context(), "x", tokenAuth(t, token)); return err },
			} {
				if err := f(); !errors.Is(err, want) || strings.Contains(err.Error(), "t0ken") {
					t.Errorf("got %v, want %v", err, want)
				}
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"a": "1"})
	var sawToken atomic.Bool
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sawToken.Store(true)
		}
		http.Redirect(w, r, s.url+"/info/refs?service=git-upload-pack", http.StatusFound)
	}))
	defer foreign.Close()
	inner := gitserver.New(s.root, gitserver.Options{})
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/old"):
			http.Redirect(w, r, "/shop/manifests.git/info/refs?service=git-upload-pack", http.StatusMovedPermanently)
		case strings.HasPrefix(r.URL.Path, "/away"):
			http.Redirect(w, r, foreign.URL+"/x.git/info/refs?service=git-upload-pack", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/login"):
			http.Redirect(w, r, "/sign-in", http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/circle"):
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	defer local.Close()
	auth := tokenAuth(t, token)
	if rev := mustFetch(t, repository(t, s.store, local.URL+"/old.git"), "main", auth); rev.Hash != head {
		t.Errorf("on the same host: %+v", rev)
	}
	if rev := mustFetch(t, repository(t, s.store, local.URL+"/away.git"), "main", gitrepo.Auth{}); rev.Hash != head {
		t.Errorf("without a credential: %+v", rev)
	}
	for _, path := range []string{"/away2", "/login", "/circle"} {
		_, err := repository(t, s.store, local.URL+path).Fetch(t.Context(), "main", auth)
		if !errors.Is(err, gitrepo.ErrRedirect) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if sawToken.Load() {
		t.Error("the credential was sent to another host")
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 10)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer web.Close()
	defer close(release)
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := repository(t, store, web.URL+"/x").Fetch(ctx, "main", gitrepo.Auth{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	quick := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{FetchTimeout: 50 * time.Millisecond})
	if _, err := repository(t, quick, web.URL+"/x").Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrUnreachable) {
		t.Errorf("too late: %v", err)
	}
}

func TestLargePackIsRefused(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{MaxPack: 10_000})
	small := s.commit("main", "", map[string]string{"a": "1"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	s.commit("main", "", map[string]string{"big": noise(1, 50_000)})
	if _, err := s.repo.Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrRejected) {
		t.Errorf("got %v", err)
	}
	if head, _ := s.repo.Head("main"); head != small {
		t.Errorf("head %s", head)
	}
}

// TestMalformedObjectsAreRefused pushes a tree that only a hostile server gives away.
func TestMalformedObjectsAreRefused(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	blob := s.gitIn([]byte("x"), "hash-object", "-w", "--stdin")
	tree := s.gitIn([]byte("100644 blob "+blob+"\t.git\n"), "mktree")
	commit := s.git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit-tree", "-m", "x", tree)
	s.git("update-ref", "refs/heads/main", commit)
	if _, err := s.repo.Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrRejected) {
		t.Errorf("got %v", err)
	}
}
