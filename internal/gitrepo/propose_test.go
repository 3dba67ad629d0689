package gitrepo_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestPropose(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{Now: func() time.Time { clock = clock.Add(time.Minute); return clock }})
	auth := tokenAuth(t, token)
	base := s.commit("main", "", map[string]string{"a": "1", "b": "1"})
	propose := func(known []string, drafts ...gitrepo.Draft) (gitrepo.Written, error) {
		return s.repo.Propose(t.Context(), gitrepo.Proposal{Branch: "sengu/checkout", Base: "main", Known: known, Drafts: drafts}, auth)
	}
	must := func(known []string, drafts ...gitrepo.Draft) gitrepo.Written {
		t.Helper()
		written, err := propose(known, drafts...)
		if err != nil {
			t.Fatal(err)
		}
		return written
	}
	one := must(nil, draft("one", "a", "2"), draft("nothing", "a", "2"), draft("two", "b", "2"))
	if one.Head != s.head("sengu/checkout") || s.git("rev-parse", "sengu/checkout~2") != base || s.head("main") != base ||
		cmp.Diff([]string{s.git("rev-parse", "sengu/checkout~"), "", one.Head}, one.Commits) != "" {
		t.Errorf("%+v", one)
	}
	if b, err := mustTree(t, s.repo, one.Head).ReadFile("b"); err != nil || string(b) != "2" {
		t.Errorf("it cannot be read here: %q, %v", b, err)
	}
	// The same again, also by one that has lost its memory, leaves the branch alone.
	if again := must(nil, draft("one", "a", "2"), draft("nothing", "a", "2"), draft("two", "b", "2")); cmp.Diff(one, again) != "" {
		t.Errorf("%+v", again)
	}
	// Another content, and then a base that has moved, replace it.
	two := must([]string{one.Head}, draft("one", "a", "3"))
	if two.Head != s.head("sengu/checkout") || s.git("rev-parse", "sengu/checkout~") != base {
		t.Errorf("%+v", two)
	}
	moved := s.commit("main", "", map[string]string{"c": "1"})
	three := must([]string{one.Head, two.Head}, draft("one", "a", "3"))
	if three.Head != s.head("sengu/checkout") || s.git("rev-parse", "sengu/checkout~") != moved {
		t.Errorf("%+v", three)
	}
	// Somebody else has added to it.
	theirs := s.commit("sengu/checkout", "", map[string]string{"a": "theirs"})
	_, err := propose([]string{one.Head, two.Head, three.Head}, draft("one", "a", "4"))
	var pushed *gitrepo.PushError
	if !errors.Is(err, gitrepo.ErrForeign) || !errors.As(err, &pushed) || pushed.Head != theirs || !strings.Contains(err.Error(), theirs) || s.head("sengu/checkout") != theirs {
		t.Errorf("got %v", err)
	}
	if text, err := s.repo.Message(t.Context(), pushed.Head); err != nil || !strings.HasPrefix(text, "change ") {
		t.Errorf("the message of it is %q, %v", text, err)
	}
	// Merged: nothing is left to propose.
	s.git("update-ref", "refs/heads/main", theirs)
	s.git("update-ref", "-d", "refs/heads/sengu/checkout")
	if done := must(nil, draft("one", "a", "theirs")); cmp.Diff(gitrepo.Written{Head: theirs, Commits: []string{""}}, done) != "" || s.head("sengu/checkout") != "" {
		t.Errorf("%+v", done)
	}
	for name, p := range map[string]gitrepo.Proposal{
		"itself":    {Branch: "main", Base: "main", Drafts: []gitrepo.Draft{draft("x", "a", "5")}},
		"an option": {Branch: "-x", Base: "main", Drafts: []gitrepo.Draft{draft("x", "a", "5")}},
		"no author": {Branch: "x", Base: "main", Drafts: []gitrepo.Draft{{Message: "x"}}},
		"no base":   {Branch: "x", Base: "none", Drafts: []gitrepo.Draft{draft("x", "a", "5")}},
	} {
		if _, err := s.repo.Propose(t.Context(), p, auth); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
	checkClean(t, s)
}

// TestProposalRaced lets somebody add to the branch, or make it, after it was looked at.
func TestProposalRaced(t *testing.T) {
	for _, exists := range []bool{true, false} {
		s := serve(t, gitserver.Options{}, gitrepo.Options{Wait: func(context.Context, time.Duration) error { return nil }})
		s.commit("main", "", map[string]string{"a": "1"})
		var known []string
		if exists {
			written, err := s.repo.Propose(t.Context(), gitrepo.Proposal{Branch: "ours", Base: "main", Drafts: []gitrepo.Draft{draft("x", "a", "2")}}, gitrepo.Auth{})
			if err != nil {
				t.Fatal(err)
			}
			known = []string{written.Head}
		}
		theirs := ""
		edit := func(context.Context, fs.FS) (map[string][]byte, error) {
			if theirs == "" {
				theirs = s.commit("ours", s.head("main"), map[string]string{"a": "theirs"})
			}
			return map[string][]byte{"a": []byte("3")}, nil
		}
		_, err := s.repo.Propose(t.Context(), gitrepo.Proposal{Branch: "ours", Base: "main", Known: known, Drafts: []gitrepo.Draft{
			{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{edit}},
		}}, gitrepo.Auth{})
		if !errors.Is(err, gitrepo.ErrForeign) || s.head("ours") != theirs {
			t.Errorf("exists %t: %v", exists, err)
		}
	}
}
