package gitrepo_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// TestNoCredentialGoesWhereOthersWereLed lets somebody without a credential find out that the remote is on another host,
// and then fetches, asks for a commit and pushes with one.
func TestNoCredentialGoesWhereOthersWereLed(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	head := remote.commit("main", "", map[string]string{"a": "1"})
	served := gitserver.New(root, gitserver.Options{})
	var sawToken, older atomic.Bool
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			sawToken.Store(true)
		}
		if older.Load() {
			r.Header.Del("Git-Protocol")
		}
		served.ServeHTTP(w, r)
	}))
	t.Cleanup(foreign.Close)
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, foreign.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(home.Close)
	auth := tokenAuth(t, token)
	for name, use := range map[string]func(*gitrepo.Repository) error{
		"a fetch":  func(r *gitrepo.Repository) error { _, err := r.Fetch(t.Context(), "main", auth); return err },
		"a commit": func(r *gitrepo.Repository) error { return r.FetchRevision(t.Context(), head, auth) },
		"a state": func(r *gitrepo.Repository) error {
			_, err := r.PushState(t.Context(), state("", "1", head), auth)
			return err
		},
		"a write": func(r *gitrepo.Repository) error {
			_, err := r.Write(t.Context(), "main", auth, draft("x", "a", "2"))
			return err
		},
	} {
		for _, old := range []bool{false, true} { // the git program fetches
			older.Store(old)
			repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), home.URL+"/x.git")
			mustFetch(t, repo, "main", gitrepo.Auth{})
			if err := use(repo); !errors.Is(err, gitrepo.ErrRedirect) {
				t.Errorf("%s, by the git program %t: %v", name, old, err)
			}
			if sawToken.Swap(false) {
				t.Errorf("%s, by the git program %t: the credential was sent to another host", name, old)
			}
			if rev := mustFetch(t, repo, "main", gitrepo.Auth{}); rev.Hash != head {
				t.Errorf("%s: without a credential afterwards: %+v", name, rev)
			}
		}
	}
}

// TestRenamed renames a repository while it is used, and back, on a server that leads from the old name to the new one.
func TestRenamed(t *testing.T) {
	for _, older := range []bool{false, true} {
		root := t.TempDir()
		remote := newRemote(t, root, "real.git")
		remote.commit("main", "", map[string]string{"a": "1"})
		served := gitserver.New(root, gitserver.Options{Token: token})
		var name atomic.Value
		name.Store("one")
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			was, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
			now, _ := name.Load().(string)
			switch was {
			case now:
				r.URL.Path = "/real.git/" + rest
				if older {
					r.Header.Del("Git-Protocol")
				}
				served.ServeHTTP(w, r)
			case "one":
				http.Redirect(w, r, "/"+now+".git/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			default:
				http.NotFound(w, r)
			}
		}))
		t.Cleanup(web.Close)
		auth := tokenAuth(t, token)
		repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/one.git")
		for i, now := range []string{"one", "two", "three", "one"} {
			name.Store(now)
			head := remote.commit("main", "", map[string]string{"b": now})
			if rev, err := repo.Fetch(t.Context(), "main", auth); err != nil || rev.Hash != head {
				t.Errorf("older %t, %d: named %s: %+v, %v", older, i, now, rev, err)
			}
		}
		name.Store("gone")
		served = http.NotFoundHandler()
		if _, err := repo.Fetch(t.Context(), "main", auth); !errors.Is(err, gitrepo.ErrRemoteMissing) {
			t.Errorf("older %t: of one that is gone: %v", older, err)
		}
	}
}
