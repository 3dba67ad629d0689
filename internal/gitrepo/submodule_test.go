package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func modules(path, url string) string {
	return fmt.Sprintf("[submodule \"m\"]\n\tpath = %s\n\turl = %s\n", path, url)
}

func TestSubmodules(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{SameHostSubmodules: true})
	lib := newRemote(t, s.root, "shop/lib.git")
	inner := lib.commit("main", "", map[string]string{"base/x.yaml": "from lib", "up": asLink + "../../top.yaml"})
	lib.commit("main", "", map[string]string{"base/x.yaml": "newer"})
	host := strings.TrimSuffix(s.url, "/shop/manifests.git")
	auth := tokenAuth(t, token)
	tests := map[string]struct{ url, err string }{
		"relative":        {url: "../lib.git"},
		"absolute":        {url: host + "/shop/lib.git"},
		"another host":    {url: "https://git.example.com/shop/lib.git", err: "https://git.example.com/shop/lib.git is not on the host"},
		"another scheme":  {url: strings.Replace(host, "http://", "https://", 1) + "/shop/lib.git", err: "is not on the host"},
		"another port":    {url: "http://127.0.0.1:1/shop/lib.git", err: "is not on the host"},
		"a program":       {url: "ext::sh -c touch%20/tmp/x", err: "refused"},
		"a file":          {url: "/etc", err: "not allowed"},
		"above the host":  {url: "../../../x", err: "above the host"},
		"no such":         {url: "../nothing.git", err: "not found"},
		"no url":          {url: "", err: "no url"},
		"with a password": {url: "http://u:hunter2@127.0.0.1/x", err: "credentials belong"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s.commit("main", "", map[string]string{".gitmodules": modules("vendor/lib", tc.url), "vendor/lib": asModule + inner, "top.yaml": "top", "l": asLink + "vendor/lib/base"})
			rev := mustFetch(t, s.repo, "main", auth)
			tree := mustTree(t, s.repo, rev.Hash)
			if h, err := tree.Hash("vendor/lib"); err != nil || h != inner {
				t.Errorf("Hash of the submodule: %s, %v", h, err)
			}
			if list, err := tree.ReadDir("vendor"); err != nil || len(list) != 1 || !list[0].IsDir() {
				t.Errorf("ReadDir: %v, %v", list, err)
			}
			got, err := tree.ReadFile("vendor/lib/base/x.yaml")
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %q, %v, want an error with %q", got, err, tc.err)
				}
				return
			}
			for name, want := range map[string]string{"vendor/lib/base/x.yaml": "from lib", "l/x.yaml": "from lib", "vendor/lib/up": "top"} {
				if got, err := tree.ReadFile(name); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
			if list, err := tree.ReadDir("vendor/lib/base"); err != nil || len(list) != 1 {
				t.Errorf("ReadDir in it: %v, %v", list, err)
			}
		})
	}
}

func TestSubmoduleMoves(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	one := s.commit("main", "", map[string]string{"m": asModule + strings.Repeat("1", 40)})
	two := s.commit("main", "", map[string]string{"m": asModule + strings.Repeat("2", 40)})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	changes, err := s.repo.Diff(t.Context(), one, two)
	if err != nil || !changes.Has("m") || !changes.Has("m/deep/inside") || changes.Has("n/x") {
		t.Errorf("%v, %v", changes.Paths(), err)
	}
	if _, err := mustTree(t, s.repo, two).ReadFile("m/x"); err == nil || !strings.Contains(err.Error(), ".gitmodules") {
		t.Errorf("without .gitmodules: %v", err)
	}
}

func TestSubmoduleResolver(t *testing.T) {
	var asked gitrepo.Submodule
	var lib *gitrepo.Repository
	s := serve(t, gitserver.Options{}, gitrepo.Options{Submodule: func(ctx context.Context, m gitrepo.Submodule) (*gitrepo.Tree, error) {
		asked = m
		if err := lib.FetchRevision(ctx, m.Commit, gitrepo.Auth{}); err != nil {
			return nil, err
		}
		return lib.Tree(ctx, m.Commit)
	}})
	remote := newRemote(t, s.root, "lib.git")
	inner := remote.commit("main", "", map[string]string{"x": "1"})
	lib = repository(t, s.store, strings.Replace(s.url, "shop/manifests", "lib", 1))
	s.commit("main", "", map[string]string{".gitmodules": modules("a/b", "https://elsewhere.example.com/lib"), "a/b": asModule + inner})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	if got, err := mustTree(t, s.repo, rev.Hash).ReadFile("a/b/x"); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
	if want := (gitrepo.Submodule{Parent: s.url, Path: "a/b", URL: "https://elsewhere.example.com/lib", Commit: inner}); asked != want {
		t.Errorf("asked for %+v", asked)
	}
}

// TestConcurrentUse reads and fetches at once, for the race detector, and with a cache that is too small.
func TestConcurrentUse(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{CacheBytes: 4 << 10})
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = fmt.Sprint("content ", i)
	}
	first := s.commit("main", "", files)
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tree, err := s.repo.Tree(t.Context(), first)
			for i := 0; i < 100 && err == nil; i++ {
				var b []byte
				b, err = tree.ReadFile(fmt.Sprintf("d%d/f%d", i%7, i))
				if err == nil && string(b) != fmt.Sprint("content ", i) {
					t.Errorf("file %d: %q", i, b)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 5 {
		s.commit("main", "", map[string]string{"d0/f0": fmt.Sprint("changed ", i)})
		var inner sync.WaitGroup
		for range 2 {
			inner.Go(func() { mustFetchOrError(t, s.repo) })
		}
		inner.Wait()
	}
	wg.Go(func() {
		if err := s.repo.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

func mustFetchOrError(t *testing.T, repo *gitrepo.Repository) {
	if _, err := repo.Fetch(t.Context(), "main", gitrepo.Auth{}); err != nil {
		t.Error(err)
	}
}

// TestTreeEndsWithItsContext shows that a render that is given up reads no more.
func TestTreeEndsWithItsContext(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	s.commit("main", "", map[string]string{"a": "1"})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	ctx, cancel := context.WithCancel(t.Context())
	tree, err := s.repo.Tree(ctx, rev.Hash)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := tree.ReadFile("a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if b, err := mustTree(t, s.repo, rev.Hash).ReadFile("a"); err != nil || string(b) != "1" {
		t.Errorf("others: %q, %v", b, err)
	}
}

// TestSubmodulesLeadNowhere reads another repository of the host by a commit that anybody may have written. That the
// mirror has it, for somebody who may read it, changes nothing.
func TestSubmodulesLeadNowhere(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	secret := newRemote(t, s.root, "payments/secret.git")
	commit := secret.commit("main", "", map[string]string{"key": "hunter2"})
	s.commit("main", "", map[string]string{".gitmodules": modules("vendor/m", "../../payments/secret.git"), "vendor/m": asModule + commit})
	auth := tokenAuth(t, token)
	rev := mustFetch(t, s.repo, "main", auth)
	url := strings.Replace(s.url, "shop/manifests", "payments/secret", 1)
	for _, mirrored := range []bool{false, true} {
		if mirrored {
			if err := repository(t, s.store, url).FetchRevision(t.Context(), commit, auth); err != nil {
				t.Fatal(err)
			}
		}
		refused := errors.New("ask somebody else")
		for name, tc := range map[string]struct {
			access gitrepo.Access
			want   string
		}{
			"no access":          {nil, "submodule vendor/m: its URL " + url + " leads to another repository, which is not followed from here: commit what it holds"},
			"refused":            {func(context.Context, string) (gitrepo.Auth, error) { return auth, refused }, "submodule vendor/m: ask somebody else"},
			"without credential": {func(context.Context, string) (gitrepo.Auth, error) { return gitrepo.Auth{}, nil }, "authentication refused"},
			"another credential": {func(context.Context, string) (gitrepo.Auth, error) { return tokenAuth(t, "another"), nil }, "authentication refused"},
		} {
			got, err := mustTree(t, s.repo, rev.Hash).Reaching(tc.access).ReadFile("vendor/m/key")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, mirrored %t: %q, %v; want %q", name, mirrored, got, err, tc.want)
			}
		}
	}
}

// TestSubmodulesReach follows submodules one in another, with the credential for each, and asks nobody twice.
func TestSubmodulesReach(t *testing.T) {
	root := t.TempDir()
	inner, outer, top := newRemote(t, root, "inner.git"), newRemote(t, root, "outer.git"), newRemote(t, root, "top.git")
	in := inner.commit("main", "", map[string]string{"x": "1"})
	out := outer.commit("main", "", map[string]string{".gitmodules": modules("in", "../inner.git"), "in": asModule + in})
	top.commit("main", "", map[string]string{".gitmodules": modules("out", "../outer.git"), "out": asModule + out})
	var down atomic.Bool
	served := gitserver.New(root, gitserver.Options{Token: token})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		served.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	dir, auth := t.TempDir(), tokenAuth(t, token)
	for _, restarted := range []bool{false, true} { // with the mirrors kept
		store, err := gitrepo.Open(dir, gitrepo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		repo := repository(t, store, web.URL+"/top.git")
		rev := mustFetch(t, repo, "main", auth)
		var asked []string
		for _, away := range []bool{false, true} {
			down.Store(away)
			tree := mustTree(t, repo, rev.Hash).Reaching(func(_ context.Context, url string) (gitrepo.Auth, error) {
				asked = append(asked, strings.TrimPrefix(url, web.URL))
				return auth, nil
			})
			if got, err := tree.ReadFile("out/in/x"); err != nil || string(got) != "1" {
				t.Errorf("restarted %t, away %t: %q, %v", restarted, away, got, err)
			}
		}
		down.Store(false)
		if want := "[/outer.git /inner.git /outer.git /inner.git]"; fmt.Sprint(asked) != want {
			t.Errorf("asked for access to %v, want %s", asked, want)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}
