package gitrepo_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// TestFetchFrom fetches what no branch leads to, as a forge keeps the commits of a pull request.
func TestFetchFrom(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	auth := tokenAuth(t, token)
	base := s.commit("main", "", map[string]string{"a": "1"})
	pull := s.commit("theirs", base, map[string]string{"a": "theirs"})
	s.git("update-ref", "refs/pull/7/head", pull)
	s.git("update-ref", "-d", "refs/heads/theirs")
	head := s.commit("main", "", map[string]string{"b": "2"})
	mustFetch(t, s.repo, "main", auth)

	if _, err := s.repo.MergeBase(t.Context(), head, pull); !errors.Is(err, gitrepo.ErrUnknownRevision) {
		t.Errorf("the merge base with what is not here: %v", err)
	}
	for _, ref := range []string{"refs/pull/8/head", "refs/heads/main"} {
		if err := s.repo.FetchFrom(t.Context(), ref, pull, auth); !errors.Is(err, gitrepo.ErrRevisionMissing) {
			t.Errorf("from %s: %v", ref, err)
		}
	}
	for _, bad := range []struct{ ref, rev string }{
		{"main", pull}, {"refs/pull/../head", pull}, {"refs/-x:refs/y", pull}, {"refs/pull/7/head", pull[:10]}, {"", pull},
	} {
		if err := s.repo.FetchFrom(t.Context(), bad.ref, bad.rev, auth); err == nil {
			t.Errorf("%q of %q was fetched", bad.rev, bad.ref)
		}
	}
	for range 2 {
		if err := s.repo.FetchFrom(t.Context(), "refs/pull/7/head", pull, auth); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := mustTree(t, s.repo, pull).ReadFile("a"); err != nil || string(b) != "theirs" {
		t.Errorf("read %q, %v", b, err)
	}
	if got, ok := s.repo.Head("main"); !ok || got != head {
		t.Errorf("main is at %s now", got)
	}
	if got, err := s.repo.MergeBase(t.Context(), head, pull); err != nil || got != base {
		t.Errorf("MergeBase = %s, %v, want %s", got, err, base)
	}
	other := s.commit("other", "none", map[string]string{"c": strings.Repeat("x", 10)})
	if err := s.repo.FetchRevision(t.Context(), other, auth); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.MergeBase(t.Context(), head, other); !errors.Is(err, gitrepo.ErrUnrelated) {
		t.Errorf("the merge base of what is unrelated: %v", err)
	}
}

// TestBeside tells commits that are on a branch from those that are not, together and one by one.
func TestBeside(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	base := s.commit("main", "", map[string]string{"a": "1"})
	beside := s.commit("theirs", base, map[string]string{"a": "theirs"})
	head := s.commit("main", "", map[string]string{"b": "2"})
	later := s.commit("main", "", map[string]string{"b": "3"})
	for _, branch := range []string{"main", "theirs"} {
		mustFetch(t, s.repo, branch, gitrepo.Auth{})
	}
	got, err := s.repo.Beside(t.Context(), head, []string{base, beside, head, later})
	if want := []string{beside, later}; err != nil || !slices.Equal(got, want) {
		t.Errorf("beside are %v, %v, want %v", got, err, want)
	}
	for rev, want := range map[string]bool{base: true, beside: false, head: true, later: false} {
		if beside, err := s.repo.Beside(t.Context(), head, []string{rev}); err != nil || (len(beside) == 0) != want {
			t.Errorf("%s is beside: %v, %v", rev, beside, err)
		}
	}
	if got, err := s.repo.Beside(t.Context(), head, nil); err != nil || got != nil {
		t.Errorf("of none there are %v, %v", got, err)
	}
	nowhere := strings.Repeat("0", 40)
	if _, err := s.repo.Beside(t.Context(), head, []string{nowhere}); !errors.Is(err, gitrepo.ErrUnknownRevision) {
		t.Errorf("a commit that is not here: %v", err)
	}
	if _, err := s.repo.Beside(t.Context(), nowhere, []string{head}); !errors.Is(err, gitrepo.ErrUnknownRevision) {
		t.Errorf("beside a commit that is not here: %v", err)
	}
}
