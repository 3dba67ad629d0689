package gitrepo_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestTreeIsAFileSystem(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	s.commit("main", "", map[string]string{
		"README.md": "hello", "apps/a/x.yaml": "x", "apps/a.yaml": "sorts before a/", "apps/b/run.sh": asExec + "#!/bin/sh",
		"base": asLink + "apps/a", "apps/b/up.yaml": asLink + "../a/x.yaml", "empty": "",
	})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	tree := mustTree(t, s.repo, rev.Hash)
	if err := fstest.TestFS(tree, "README.md", "apps/a/x.yaml", "apps/a.yaml", "apps/b/run.sh", "apps/b/up.yaml", "empty"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"base/x.yaml": "x", "apps/b/up.yaml": "x", "README.md": "hello", "empty": ""} {
		got, err := tree.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("ReadFile(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
	info, err := tree.Stat("apps/b/run.sh")
	if err != nil || info.Mode() != 0o755 || info.Size() != 9 {
		t.Errorf("Stat(run.sh) = %v, %v", info, err)
	}
	if _, err := tree.ReadFile("apps/c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
	if _, err := tree.ReadFile("README.md/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a file: %v", err)
	}
	if _, err := tree.ReadFile("../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a name that leaves: %v", err)
	}
}

func TestLinks(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	s.commit("main", "", map[string]string{
		"base/x.yaml": "x", "apps/a/base": asLink + "../../base", "apps/a/deep": asLink + "base/../apps/a/base/x.yaml",
		"out": asLink + "../secret", "deep/out": asLink + "../../etc/passwd", "abs": asLink + "/etc/passwd",
		"loop1": asLink + "loop2", "loop2": asLink + "loop1", "self": asLink + "self/x", "dangling": asLink + "nothing/here",
		"via": asLink + "apps/a/base", "around": asLink + "apps/../../x",
	})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	tree := mustTree(t, s.repo, rev.Hash)
	tests := map[string]struct {
		want, link, err string
		trail           gitrepo.Trail
	}{
		"apps/a/base/x.yaml": {want: "x", trail: gitrepo.Trail{Path: "base/x.yaml", Links: []string{"apps/a/base"}, Exists: true}},
		"apps/a/deep":        {want: "x", trail: gitrepo.Trail{Path: "base/x.yaml", Links: []string{"apps/a/deep", "apps/a/base", "apps/a/base"}, Exists: true}},
		"via/x.yaml":         {want: "x", trail: gitrepo.Trail{Path: "base/x.yaml", Links: []string{"via", "apps/a/base"}, Exists: true}},
		"dangling":           {err: "not exist", trail: gitrepo.Trail{Path: "nothing/here", Links: []string{"dangling"}}},
		"via/y.yaml":         {err: "not exist", trail: gitrepo.Trail{Path: "base/y.yaml", Links: []string{"via", "apps/a/base"}}},
		"out":                {link: "out", err: "out of the repository"},
		"deep/out":           {link: "deep/out", err: "out of the repository"},
		"around":             {link: "around", err: "out of the repository"},
		"abs":                {link: "abs", err: "absolute"},
		"loop1":              {link: "loop1", err: "loop"},
		"self":               {link: "self", err: "loop"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tree.ReadFile(name)
			if tc.err == "" {
				if err != nil || string(got) != tc.want {
					t.Fatalf("got %q, %v; want %q", got, err, tc.want)
				}
			} else if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %q, %v; want an error with %q", got, err, tc.err)
			}
			var link *gitrepo.LinkError
			if errors.As(err, &link) != (tc.link != "") || (link != nil && link.Link != tc.link) {
				t.Fatalf("got link error %v, want one of %q", link, tc.link)
			}
			trail, err := tree.Trace(name)
			if tc.link != "" {
				if err == nil {
					t.Fatalf("Trace gave %v and no error", trail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.trail, trail); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHash(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	files := map[string]string{"a/x": "1", "b/x": "1", "l": asLink + "a/x", "d": asLink + "a"}
	one := s.commit("main", "", files)
	two := s.commit("main", "", map[string]string{"a/x": "2"})
	three := s.commit("main", "", map[string]string{"a/x": "1", "l": asLink + "b/x"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	hash := func(rev, name string) string {
		t.Helper()
		h, err := mustTree(t, s.repo, rev).Hash(name)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if got, want := hash(one, "a/x"), s.git("rev-parse", one+":a/x"); got != want {
		t.Errorf("file: %s, want %s", got, want)
	}
	if got, want := hash(one, "a"), s.git("rev-parse", one+":a"); got != want {
		t.Errorf("directory: %s, want %s", got, want)
	}
	if got, want := hash(one, "."), s.git("rev-parse", one+"^{tree}"); got != want {
		t.Errorf("root: %s, want %s", got, want)
	}
	if hash(one, "l") == hash(two, "l") {
		t.Error("the target's content changed and the link's hash did not")
	}
	if hash(one, "l") == hash(three, "l") {
		t.Error("the link changed and its hash did not")
	}
	if hash(one, "d/x") == hash(one, "a/x") {
		t.Error("through a link the hash is the target's own")
	}
	if _, err := mustTree(t, s.repo, one).Hash("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func TestLargeFile(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{MaxBlob: 1 << 20})
	s.commit("main", "", map[string]string{"big": strings.Repeat("x", 3<<20), "middle": strings.Repeat("y", 1<<20), "small": "z"})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	tree := mustTree(t, s.repo, rev.Hash)
	for range 2 {
		if info, err := tree.Stat("big"); err != nil || info.Size() != 3<<20 {
			t.Fatalf("Stat(big) = %v, %v", info, err)
		}
	}
	var large *gitrepo.TooLargeError
	if _, err := tree.ReadFile("big"); !errors.As(err, &large) || large.Size != 3<<20 || large.Path != "big" {
		t.Errorf("ReadFile(big): %v", err)
	}
	if b, err := tree.ReadFile("middle"); err != nil || len(b) != 1<<20 {
		t.Errorf("ReadFile(middle): %d bytes, %v", len(b), err)
	}
	list, err := tree.ReadDir(".")
	if err != nil || len(list) != 3 {
		t.Fatalf("ReadDir: %v, %v", list, err)
	}
	if info, err := list[0].Info(); err != nil || info.Size() != 3<<20 {
		t.Errorf("Info(big) = %v, %v", info, err)
	}
}

func TestDiff(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	one := s.commit("main", "", map[string]string{"a/b/c": "1", "a/b/d": "1", "same/x": "1", "was-dir/x": "1", "gone/x/y": "1", "l": "a"})
	two := s.commit("main", "", map[string]string{
		"a/b/c": "2", "was-dir/x": deleted, "was-dir": "file", "gone/x/y": deleted, "new/z/w": "1", "l": asLink + "a",
	})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	changes, err := s.repo.Diff(t.Context(), one, two)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".", "a", "a/b", "a/b/c", "gone", "gone/x", "gone/x/y", "l", "new", "new/z", "new/z/w", "was-dir", "was-dir/x"}
	if diff := cmp.Diff(want, changes.Paths()); diff != "" {
		t.Error(diff)
	}
	if c, _ := changes.Get("new/z/w"); c.From != "" || c.To == "" || c.Dir {
		t.Errorf("new file: %+v", c)
	}
	if c, _ := changes.Get("gone/x"); c.To != "" || !c.Dir {
		t.Errorf("gone directory: %+v", c)
	}
	if changes.Has("same/x") || !changes.Has("a/b/c") {
		t.Error("Has is wrong")
	}
	back, err := s.repo.Diff(t.Context(), two, one)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changes.Paths(), back.Paths()); diff != "" {
		t.Error(diff)
	}
	all, err := s.repo.Diff(t.Context(), "", one)
	if err != nil || !all.Has("same/x") || all.Len() != 13 {
		t.Errorf("from nothing: %v, %v", all.Paths(), err)
	}
	none, err := s.repo.Diff(t.Context(), one, one)
	if err != nil || none.Len() != 0 {
		t.Errorf("with itself: %v, %v", none.Paths(), err)
	}
}
