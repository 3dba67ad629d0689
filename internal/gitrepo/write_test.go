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
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

var bot = gitrepo.Identity{Name: "Sengu", Email: "sengu@example.com"}

// edits makes an edit of files; a nil content takes the file away.
func edits(files map[string][]byte) gitrepo.EditFunc {
	return func(context.Context, fs.FS) (map[string][]byte, error) { return files, nil }
}

// draft is a commit of one file.
func draft(message, path, content string) gitrepo.Draft {
	return gitrepo.Draft{Author: bot, Message: message, Edits: []gitrepo.EditFunc{edits(map[string][]byte{path: []byte(content)})}}
}

func mustWrite(t testing.TB, repo *gitrepo.Repository, auth gitrepo.Auth, drafts ...gitrepo.Draft) gitrepo.Written {
	t.Helper()
	written, err := repo.Write(t.Context(), "main", auth, drafts...)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// checkClean looks for what a write may not leave behind.
func checkClean(t testing.TB, s *served) {
	t.Helper()
	if out := gitIn(t, s.repo.Dir(), "fsck", "--full", "--strict"); strings.TrimSpace(strings.ReplaceAll(out, "notice: HEAD points to an unborn branch (none)", "")) != "" {
		t.Errorf("fsck of the mirror: %s", out)
	}
	if out := s.git("fsck", "--full", "--strict", "--no-dangling"); out != "" {
		t.Errorf("fsck of the remote: %s", out)
	}
	if left := leftovers(t, s.storeDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWrite(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{Now: func() time.Time { return clock }})
	auth := tokenAuth(t, token)
	base := s.commit("main", "", map[string]string{
		"apps/a/k.yaml": "a: 1\n", "apps/a/run": asExec + "old", "apps/b/k.yaml": "b: 1\n", "apps/b.yaml": "x", "apps/c/k": "1", "apps/c.yaml": "x", "link": asLink + "apps", "z/only": "1",
	})
	var seen []string
	look := func(_ context.Context, tree fs.FS) (map[string][]byte, error) {
		b, err := fs.ReadFile(tree, "link/a/k.yaml")
		seen = append(seen, string(b))
		return map[string][]byte{"apps/a/k.yaml": []byte("a: 3\n"), "apps/none": nil, "none/none": nil}, err
	}
	written := mustWrite(t, s.repo, auth,
		gitrepo.Draft{
			Author: bot, Committer: gitrepo.Identity{Name: "式年 遷宮", Email: "x"}, Message: "shop: bump\r\n\r\nbody\n\n",
			Trailers: []gitrepo.Trailer{{Key: "Sengu-Release", Value: "checkout-1"}, {Key: "Sengu-Environment", Value: " staging "}},
			Edits: []gitrepo.EditFunc{
				edits(map[string][]byte{"apps/a/k.yaml": []byte("a: 2\n"), "apps/a/run": []byte("new"), "apps/new/deep/file": {}, "apps/b/k.yaml": nil, "z/only": nil}),
				look,
			},
		},
		draft("nothing", "apps/a/k.yaml", "a: 3\n"),
		gitrepo.Draft{Author: bot, Message: "second", Edits: []gitrepo.EditFunc{look, edits(map[string][]byte{"second": []byte("2")})}},
	)
	if diff := cmp.Diff([]string{"a: 2\n", "a: 3\n"}, seen); diff != "" {
		t.Error(diff)
	}
	head := s.head("main")
	if written.Head != head || len(written.Commits) != 3 || written.Commits[1] != "" || written.Commits[2] != head || s.git("rev-parse", "main^") != written.Commits[0] || s.git("rev-parse", "main~2") != base {
		t.Errorf("%+v", written)
	}
	want := "Sengu <sengu@example.com> 2026-01-02T03:04:05+00:00\n式年 遷宮 <x> 2026-01-02T03:04:05+00:00\nshop: bump\n\nbody\n\nSengu-Release: checkout-1\nSengu-Environment: staging"
	if diff := cmp.Diff(want, s.git("log", "-1", "--date=iso-strict", "--format=%an <%ae> %ad%n%cn <%ce> %cd%n%B", "main^")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("checkout-1", s.git("log", "-1", "--format=%(trailers:key=Sengu-Release,valueonly)", "main^")); diff != "" {
		t.Error(diff)
	}
	wantTree := "100644 apps/a/k.yaml\n100755 apps/a/run\n100644 apps/b.yaml\n100644 apps/c.yaml\n100644 apps/c/k\n100644 apps/new/deep/file\n120000 link\n100644 second"
	if diff := cmp.Diff(wantTree, s.git("ls-tree", "-r", "--format=%(objectmode) %(path)", "main")); diff != "" {
		t.Error(diff)
	}
	if text, err := s.repo.Message(t.Context(), written.Commits[0]); err != nil || text != "shop: bump\n\nbody\n\nSengu-Release: checkout-1\nSengu-Environment: staging\n" {
		t.Errorf("Message is %q, %v", text, err)
	}
	if got := s.git("show", "main:apps/a/k.yaml"); got != "a: 3" {
		t.Errorf("k.yaml is %q", got)
	}
	// It is here without a fetch, and the next one has nothing new to say.
	if b, err := mustTree(t, s.repo, head).ReadFile("second"); err != nil || string(b) != "2" {
		t.Errorf("%q, %v", b, err)
	}
	if rev := mustFetch(t, s.repo, "main", auth); rev.Changed() || rev.Hash != head {
		t.Errorf("%+v", rev)
	}
	// The same once more makes no commit.
	again := mustWrite(t, s.repo, auth, draft("second", "second", "2"))
	if diff := cmp.Diff(gitrepo.Written{Head: head, Commits: []string{""}}, again); diff != "" || s.head("main") != head {
		t.Error(diff)
	}
	checkClean(t, s)
}

func TestWriteRefuses(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"d/a": "1", "link": asLink + "d", "sub": asModule + strings.Repeat("1", 40), ".gitmodules": "x"})
	ok := func(path string) gitrepo.Draft { return draft("x", path, "2") }
	oops := errors.New("oops")
	tests := map[string]struct {
		draft gitrepo.Draft
		want  string
	}{
		"no author":        {gitrepo.Draft{Message: "x", Edits: ok("a").Edits}, "cannot be those of a commit's author"},
		"bad address":      {gitrepo.Draft{Author: gitrepo.Identity{Name: "a", Email: "a>\nb"}, Message: "x", Edits: ok("a").Edits}, "cannot be those of a commit's author"},
		"no message":       {gitrepo.Draft{Author: bot, Message: " \n", Edits: ok("a").Edits}, "message"},
		"bad trailer":      {gitrepo.Draft{Author: bot, Message: "x", Trailers: []gitrepo.Trailer{{Key: "A", Value: "x\nB: y"}}, Edits: ok("a").Edits}, "trailer"},
		"no edit":          {gitrepo.Draft{Author: bot, Message: "x"}, "no edit"},
		"out of the tree":  {ok("../a"), "is not a path"},
		"the root":         {ok("."), "is not a path"},
		"absolute":         {ok("/a"), "is not a path"},
		".git":             {ok("d/.GIT/config"), "is not a path"},
		".git of Windows":  {ok(".git. /config"), "is not a path"},
		"control":          {ok("a\nb"), "is not a path"},
		"through a link":   {ok("link/a"), "link is a symbolic link, and no file is written through one"},
		"onto a link":      {ok("link"), "link cannot be written as a file, because it is a symbolic link"},
		"onto a directory": {ok("d"), "d cannot be written as a file, because it is a directory"},
		"below a file":     {ok("d/a/b"), "d/a is a file, and no file is written below it"},
		"in a submodule":   {ok("sub/a"), "sub is a submodule, and no file is written below it"},
		"everything gone": {gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{func(context.Context, fs.FS) (map[string][]byte, error) {
			return map[string][]byte{"d/a": nil, "link": nil}, nil
		}}}, "cannot be written as a file"},
		"an edit that fails": {gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{func(context.Context, fs.FS) (map[string][]byte, error) {
			return nil, oops
		}}}, "oops"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.repo.Write(t.Context(), "main", gitrepo.Auth{}, tc.draft)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
			if name == "an edit that fails" && !errors.Is(err, oops) {
				t.Errorf("it is not the edit's own error: %v", err)
			}
		})
	}
	if s.head("main") != head {
		t.Error("the branch has moved")
	}
	if _, err := s.repo.Write(t.Context(), "none", gitrepo.Auth{}, ok("a")); !errors.Is(err, gitrepo.ErrBranchMissing) {
		t.Errorf("no such branch: %v", err)
	}
	if _, err := s.repo.Write(t.Context(), "--all", gitrepo.Auth{}, ok("a")); err == nil {
		t.Error("a branch that is an option")
	}
	only := s.commit("only", "none", map[string]string{"a": "1"})
	gone := gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{edits(map[string][]byte{"a": nil})}}
	if _, err := s.repo.Write(t.Context(), "only", gitrepo.Auth{}, gone); err == nil || s.head("only") != only {
		t.Errorf("a commit without any file: %v", err)
	}
}

// TestTwoPushersLoseNothing lets two programs write to one branch at the same time.
func TestTwoPushersLoseNothing(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	s.commit("main", "", map[string]string{"a": "1"})
	auth := tokenAuth(t, token)
	other := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), s.url)
	const each = 20
	var wg sync.WaitGroup
	for i, repo := range []*gitrepo.Repository{s.repo, other} {
		wg.Go(func() {
			for n := range each {
				subject := fmt.Sprintf("pusher %d, commit %d", i, n)
				if _, err := repo.Write(t.Context(), "main", auth, count(subject, "counter")); err != nil {
					t.Errorf("%s: %v", subject, err)
				}
			}
		})
	}
	wg.Wait()
	subjects := strings.Split(s.git("log", "--format=%s", "--first-parent", "main"), "\n")
	if len(subjects) != 2*each+1 {
		t.Errorf("%d commits, want %d", len(subjects), 2*each+1)
	}
	for i := range 2 {
		for n := range each {
			if want := fmt.Sprintf("pusher %d, commit %d", i, n); !contains(subjects, want) {
				t.Errorf("lost: %s", want)
			}
		}
	}
	if got := s.git("show", "main:counter"); len(got) != 2*each {
		t.Errorf("the counter is at %d, want %d: a commit has undone another", len(got), 2*each)
	}
	checkClean(t, s)
}

// count adds one character to a file.
func count(subject, path string) gitrepo.Draft {
	return gitrepo.Draft{Author: bot, Message: subject, Edits: []gitrepo.EditFunc{func(_ context.Context, tree fs.FS) (map[string][]byte, error) {
		b, err := fs.ReadFile(tree, path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return map[string][]byte{path: append(b, 'x')}, nil
	}}}
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

// TestWaitingWritesGoOutTogether holds the first write in its edit until ten more wait.
func TestWaitingWritesGoOutTogether(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	var pushes atomic.Int32
	inner := gitserver.New(root, gitserver.Options{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "receive-pack") {
			pushes.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	repo := repository(t, gitrepotest.Open(t, dir, gitrepo.Options{}), web.URL+"/x.git")
	begun, release := make(chan struct{}), make(chan struct{})
	first := gitrepo.Draft{Author: bot, Message: "first", Edits: []gitrepo.EditFunc{func(context.Context, fs.FS) (map[string][]byte, error) {
		close(begun)
		<-release
		return map[string][]byte{"first": []byte("1")}, nil
	}}}
	oops := errors.New("oops")
	var wg sync.WaitGroup
	results := make([]gitrepo.Written, 12)
	failures := make([]error, 12)
	start := func(i int, d gitrepo.Draft) {
		wg.Go(func() { results[i], failures[i] = repo.Write(t.Context(), "main", gitrepo.Auth{}, d) })
	}
	start(0, first)
	<-begun
	for i := 1; i <= 10; i++ {
		start(i, count(fmt.Sprint("commit ", i), "counter"))
	}
	start(11, gitrepo.Draft{Author: bot, Message: "bad", Edits: []gitrepo.EditFunc{func(context.Context, fs.FS) (map[string][]byte, error) {
		return nil, oops
	}}})
	eventually(t, "eleven wait", func() bool { return repo.WaitingWrites() == 11 })
	close(release)
	wg.Wait()
	for i := range 11 {
		if failures[i] != nil || len(results[i].Commits) != 1 || results[i].Commits[0] == "" {
			t.Errorf("%d: %+v, %v", i, results[i], failures[i])
		}
	}
	if !errors.Is(failures[11], oops) {
		t.Errorf("the bad one: %v", failures[11])
	}
	if n := pushes.Load(); n != 2 {
		t.Errorf("%d pushes, want 2", n)
	}
	if got := remote.git("rev-list", "--count", "main"); got != "12" {
		t.Errorf("%s commits, want 12", got)
	}
	if got := remote.git("show", "main:counter"); got != "xxxxxxxxxx" {
		t.Errorf("counter %q", got)
	}
}

// TestOnesTroubleIsNotTheOthers lets the one that leads go away, and an edit panic, while others wait.
func TestOnesTroubleIsNotTheOthers(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	s.commit("main", "", map[string]string{"a": "1"})
	ctx, cancel := context.WithCancelCause(t.Context())
	begun := make(chan struct{})
	gaveUp := errors.New("gave up")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.repo.Write(ctx, "main", gitrepo.Auth{}, gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{
			func(ctx context.Context, _ fs.FS) (map[string][]byte, error) {
				close(begun)
				<-ctx.Done()
				return map[string][]byte{"x": []byte("1")}, nil
			},
		}})
		if !errors.Is(err, gaveUp) {
			t.Errorf("the one that leads: %v", err)
		}
	})
	<-begun
	wg.Go(func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("the panic is %v", p)
			}
		}()
		_, err := s.repo.Write(t.Context(), "main", gitrepo.Auth{}, gitrepo.Draft{Author: bot, Message: "y", Edits: []gitrepo.EditFunc{
			func(context.Context, fs.FS) (map[string][]byte, error) { panic("boom") },
		}})
		t.Errorf("no panic, but %v", err)
	})
	late, cancelLate := context.WithCancelCause(t.Context())
	wg.Go(func() {
		if _, err := s.repo.Write(late, "main", gitrepo.Auth{}, draft("late", "late", "1")); !errors.Is(err, gaveUp) {
			t.Errorf("one that waits and gives up: %v", err)
		}
	})
	for i := range 3 {
		wg.Go(func() { mustWrite(t, s.repo, gitrepo.Auth{}, count(fmt.Sprint("z", i), "z")) })
	}
	eventually(t, "five wait", func() bool { return s.repo.WaitingWrites() == 5 })
	cancelLate(gaveUp)
	eventually(t, "four wait", func() bool { return s.repo.WaitingWrites() == 4 })
	cancel(gaveUp)
	wg.Wait()
	if got := s.git("ls-tree", "-r", "--name-only", "main"); got != "a\nz" || s.git("show", "main:z") != "xxx" {
		t.Errorf("the branch has %q", got)
	}
	checkClean(t, s)
}
