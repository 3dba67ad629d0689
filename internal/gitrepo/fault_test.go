package gitrepo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(victim) != "":
		fetchForever()
	case os.Getenv(writer) != "":
		writeForever()
	}
	goleak.VerifyTestMain(m)
}

// leftovers are the temporary files of a Store.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// eventually polls until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// damage calls f for every file of the objects of a mirror.
func damage(t *testing.T, repo *gitrepo.Repository, f func(path string) error) {
	t.Helper()
	err := filepath.WalkDir(mirrorFile(repo, "objects"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_ = os.Chmod(p, 0o644)
		return f(p)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamagedMirrorIsMadeAnew(t *testing.T) {
	truncate := func(p string) error { return os.Truncate(p, 0) }
	tests := map[string]func(t *testing.T, repo *gitrepo.Repository){
		"objects emptied": func(t *testing.T, repo *gitrepo.Repository) { damage(t, repo, truncate) },
		"objects gone":    func(t *testing.T, repo *gitrepo.Repository) { damage(t, repo, os.Remove) },
		"objects garbled": func(t *testing.T, repo *gitrepo.Repository) {
			damage(t, repo, func(p string) error { return os.WriteFile(p, []byte("no zlib stream"), 0o644) })
		},
		"no HEAD":      func(_ *testing.T, repo *gitrepo.Repository) { _ = os.Remove(mirrorFile(repo, "HEAD")) },
		"empty config": func(_ *testing.T, repo *gitrepo.Repository) { _ = truncate(mirrorFile(repo, "config")) },
		"empty refs": func(t *testing.T, repo *gitrepo.Repository) {
			_ = truncate(mirrorFile(repo, "refs", "sengu", "heads", "main"))
			damage(t, repo, truncate)
		},
	}
	for name, hurt := range tests {
		for _, moved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moved %t", name, moved), func(t *testing.T) {
				s := serve(t, gitserver.Options{}, gitrepo.Options{IdleTimeout: time.Millisecond})
				old := s.commit("main", "", map[string]string{"d/a": "old"})
				mustFetch(t, s.repo, "main", gitrepo.Auth{})
				s.git("update-ref", "refs/heads/elsewhere", old)
				head := s.commit("main", "none", map[string]string{"d/a": "new"})
				mustFetch(t, s.repo, "main", gitrepo.Auth{})
				hurt(t, s.repo)
				if moved {
					head = s.commit("main", "", map[string]string{"d/b": "newer"})
				}
				if rev := mustFetch(t, s.repo, "main", gitrepo.Auth{}); rev.Hash != head {
					t.Errorf("%+v", rev)
				}
				if b, err := mustTree(t, s.repo, head).ReadFile("d/a"); err != nil || string(b) != "new" {
					t.Errorf("head: %q, %v", b, err)
				}
				if b, err := mustTree(t, s.repo, old).ReadFile("d/a"); err != nil || string(b) != "old" {
					t.Errorf("a head of before: %q, %v", b, err)
				}
			})
		}
	}
}

// TestDamageFoundByReading loses one file, and the next fetch brings it back although nothing is new.
func TestDamageFoundByReading(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"d/a": "1"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	blob := s.git("rev-parse", head+":d/a")
	if err := os.Remove(mirrorFile(s.repo, "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	if _, err := mustTree(t, s.repo, head).ReadFile("d/a"); !errors.Is(err, gitrepo.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a lost file: %v", err)
	}
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	if b, err := mustTree(t, s.repo, head).ReadFile("d/a"); err != nil || string(b) != "1" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestDamageWithTheRemoteGone(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	one := s.commit("main", "", map[string]string{"a": "1"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	two := s.commit("main", "", map[string]string{"a": "2"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	blob := s.git("rev-parse", two+":a")
	if err := os.Remove(mirrorFile(s.repo, "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	_, _ = mustTree(t, s.repo, two).ReadFile("a")
	hidden := s.dir + ".hidden"
	if err := os.Rename(s.dir, hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Fetch(t.Context(), "main", gitrepo.Auth{}); !errors.Is(err, gitrepo.ErrRemoteMissing) {
		t.Errorf("got %v", err)
	}
	if b, err := mustTree(t, s.repo, one).ReadFile("a"); err != nil || string(b) != "1" {
		t.Errorf("what was whole is lost: %q, %v", b, err)
	}
}

// victim is set in the process that TestKilledInTheMiddle kills.
const victim = "SENGU_TEST_GITREPO_VICTIM"

// fetchForever fetches again and again until it is killed.
func fetchForever() {
	dir, url, _ := strings.Cut(os.Getenv(victim), "|")
	store, err := gitrepo.Open(dir, gitrepo.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	repo, err := store.Repository(url)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for {
		_, _ = repo.Fetch(context.Background(), "main", gitrepo.Auth{})
	}
}

// moments tells when a fetch has come how far.
type moments struct {
	http.ResponseWriter
	passed  chan string
	written int
}

func (m *moments) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *moments) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	if m.written == 0 {
		m.say("first bytes")
	}
	if m.written += n; m.written > 40_000 {
		m.say("many bytes")
	}
	return n, err
}

func (m *moments) say(moment string) {
	select {
	case m.passed <- moment:
	default:
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	remote := newRemote(t, root, "x.git")
	inner := gitserver.New(root, gitserver.Options{})
	passed := make(chan string, 1000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte("command=fetch")) {
			inner.ServeHTTP(w, r)
			return
		}
		m := &moments{ResponseWriter: w, passed: passed}
		m.say("asked")
		inner.ServeHTTP(m, r)
		m.say("answered")
	}))
	defer web.Close()
	var heads []string
	for i, moment := range []string{"asked", "first bytes", "many bytes", "answered", "many bytes", "answered", "first bytes", "answered"} {
		from := ""
		if i%3 == 2 {
			from = "none" // a rewritten branch
		}
		files := map[string]string{}
		for j := range 50 + 30*i {
			files[fmt.Sprintf("d%d/f%d", j%10, j)] = noise(uint32(1000*i+j), 1000)
		}
		heads = append(heads, remote.commit("main", from, files))
		remote.git("update-ref", fmt.Sprintf("refs/heads/kept%d", i), heads[i])
		killAt(t, dir, web.URL+"/x.git", passed, moment)
	}
	mirrors, _ := filepath.Glob(filepath.Join(dir, "*.git"))
	for _, name := range []string{"refs/sengu/heads/main.lock", "packed-refs.lock", "objects/pack/tmp_pack_x"} {
		p := filepath.Join(mirrors[0], name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	repo := repository(t, gitrepotest.Open(t, dir, gitrepo.Options{}), web.URL+"/x.git")
	if rev := mustFetch(t, repo, "main", gitrepo.Auth{}); rev.Hash != heads[len(heads)-1] {
		t.Errorf("%+v", rev)
	}
	if out := gitIn(t, repo.Dir(), "fsck", "--full", "--strict", "--no-dangling"); strings.Contains(out, "missing") {
		t.Errorf("fsck: %s", out)
	}
	left, _ := filepath.Glob(filepath.Join(repo.Dir(), "objects", "pack", "tmp_*"))
	if left = append(left, leftovers(t, dir)...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// killAt starts a process that fetches, and kills it when a fetch has come to a moment.
func killAt(t *testing.T, dir, url string, passed chan string, moment string) {
	t.Helper()
	killProcessAt(t, victim+"="+dir+"|"+url, passed, moment)
}

// killProcessAt starts this program with a variable set, and kills it at a moment.
func killProcessAt(t *testing.T, variable string, passed chan string, moment string) {
	t.Helper()
	for len(passed) > 0 {
		<-passed
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for got := ""; got != moment; {
		select {
		case got = <-passed:
		case <-late.C:
			t.Errorf("it did not come to %q", moment)
			got = moment
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// noise is text that does not compress.
func noise(seed uint32, n int) string {
	b := make([]byte, n)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return string(b)
}

func TestOneProcessHasTheDirectory(t *testing.T) {
	dir := t.TempDir()
	store, err := gitrepo.Open(dir, gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gitrepo.Open(dir, gitrepo.Options{}); err == nil {
		t.Error("opened twice")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Repository("https://git.example.com/x"); !errors.Is(err, gitrepo.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	gitrepotest.Open(t, dir, gitrepo.Options{})
}

func TestIdleReadersAreLetGo(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{IdleTimeout: 30 * time.Millisecond})
	s.commit("main", "", map[string]string{"a": "1"})
	rev := mustFetch(t, s.repo, "main", gitrepo.Auth{})
	eventually(t, "no reading process", func() bool { return running(t, s.repo.Dir()) == 0 })
	if b, err := mustTree(t, s.repo, rev.Hash).ReadFile("a"); err != nil || string(b) != "1" {
		t.Errorf("after that: %q, %v", b, err)
	}
}

// running counts the processes whose working directory is the mirror.
func running(t testing.TB, dir string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == dir {
			n++
		}
	}
	return n
}
