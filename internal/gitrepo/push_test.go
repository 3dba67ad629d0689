package gitrepo_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// hooked is a remote behind the real `git http-backend`, with a hook that decides over pushes.
func hooked(t *testing.T, name, script string) *served {
	t.Helper()
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	hook := filepath.Join(s.dir, "hooks", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(hook), 0o755), os.WriteFile(hook, []byte("#!/bin/sh\n"+script), 0o755)); err != nil {
		t.Fatal(err)
	}
	s.git("config", "http.receivepack", "true")
	backend := filepath.Join(gitIn(t, s.root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Fatalf("git http-backend is needed: %v", err)
	}
	web := httptest.NewServer(&cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "PATH=" + os.Getenv("PATH"),
	}})
	t.Cleanup(web.Close)
	s.url = web.URL + "/shop/manifests.git"
	s.repo = repository(t, s.store, s.url)
	return s
}

func TestProtectedBranch(t *testing.T) {
	long := strings.Repeat("very long words ", 100)
	tests := map[string]struct{ hook, script, want string }{
		"pre-receive": {"pre-receive", "echo 'GH006: Protected branch update failed'\necho 'Changes must be made through a pull request.' >&2\nexit 1\n", "GH006: Protected branch update failed; Changes must be made through a pull request. [remote rejected] (pre-receive hook declined)"},
		"update":      {"update", "test $1 = refs/heads/main && printf 'no \\033[31mway\\033[0m\\n' && exit 1\nexit 0\n", "no  [31mway [0m"},
		"wordy":       {"pre-receive", "echo '" + long + "'\nexit 1\n", "very long words very"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := hooked(t, tc.hook, tc.script)
			head := s.commit("main", "", map[string]string{"a": "1"})
			_, err := s.repo.Write(t.Context(), "main", gitrepo.Auth{}, draft("x", "a", "2"))
			var pushed *gitrepo.PushError
			if !errors.Is(err, gitrepo.ErrProtected) || !errors.As(err, &pushed) || pushed.Ref != "main" || !strings.Contains(pushed.Detail, tc.want) {
				t.Fatalf("got %v", err)
			}
			if len(pushed.Detail) > 410 || strings.ContainsAny(pushed.Detail, "\n\x1b") {
				t.Errorf("detail is %q", pushed.Detail)
			}
			if !strings.Contains(err.Error(), "promote by pull request") {
				t.Errorf("no way out: %v", err)
			}
			if s.head("main") != head {
				t.Error("the branch has moved")
			}
			checkClean(t, s)
		})
	}
}

// TestPushFailure reads the words of forges, which no server here says.
func TestPushFailure(t *testing.T) {
	status := func(s string) string {
		return "To https://git.example.com/x\n!\tabc:refs/heads/main\t" + s + "\nDone\n"
	}
	tests := map[string]struct {
		stdout, stderr string
		want           error
		detail         string
	}{
		"GitHub, protected": {
			status("[remote rejected] (protected branch hook declined)"), "remote: error: GH006: Protected branch update failed for refs/heads/main.        \nremote: \nremote: error: Changes must be made through a pull request.\nerror: failed to push some refs",
			gitrepo.ErrProtected, "error: GH006: Protected branch update failed for refs/heads/main.; error: Changes must be made through a pull request. [remote rejected] (protected branch hook declined)",
		},
		"GitHub, race":      {status("[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)"), "", gitrepo.ErrRace, "[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)"},
		"GitHub, fault":     {status("[remote rejected] (Internal Server Error)"), "", gitrepo.ErrUnreachable, "[remote rejected] (Internal Server Error)"},
		"stale":             {status("[rejected] (stale info)"), "", gitrepo.ErrRace, "[rejected] (stale info)"},
		"broken off":        {status("[remote failure] (remote failed to report status)"), "", gitrepo.ErrUnreachable, "[remote failure] (remote failed to report status)"},
		"GitHub, read-only": {"", "ERROR: The key you are authenticating with has been marked as read only.\nfatal: Could not read from remote repository.\n", gitrepo.ErrAuth, "ERROR: The key you are authenticating with has been marked as read only.; Could not read from remote repository."},
		"GitHub, denied":    {"", "remote: Permission to shop/x.git denied to bot.\nfatal: unable to access 'https://github.com/shop/x.git/': The requested URL returned error: 403\n", gitrepo.ErrAuth, "Permission to shop/x.git denied to bot.; unable to access 'https://github.com/shop/x.git/': The requested URL returned error: 403"},
		"GitLab, read-only": {"", "remote: \nremote: ERROR: This deploy key does not have write access to this project.\nfatal: Could not read from remote repository.\n", gitrepo.ErrAuth, "ERROR: This deploy key does not have write access to this project.; Could not read from remote repository."},
		"no answer":         {"", "fatal: unable to access 'https://git.example.com/x/': Could not resolve host: git.example.com\n", gitrepo.ErrUnreachable, "unable to access 'https://git.example.com/x/': Could not resolve host: git.example.com"},
		"unknown":           {"", "fatal: something else\n", nil, "something else"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			detail, reason := gitrepo.PushFailure(tc.stdout, tc.stderr)
			if !errors.Is(reason, tc.want) || detail != tc.detail {
				t.Errorf("%v: %q", reason, detail)
			}
		})
	}
}

// TestOneRefusedOfSeveral lets a hook refuse one commit of a push of many.
func TestOneRefusedOfSeveral(t *testing.T) {
	s := hooked(t, "pre-receive", "read old new ref\ngit log --format=%s $old..$new | grep -q bad && echo 'bad is not taken' && exit 1\nexit 0\n")
	s.commit("main", "", map[string]string{"a": "1"})
	begun, release := make(chan struct{}), make(chan struct{})
	first := count("first", "counter")
	inner := first.Edits[0]
	var once sync.Once
	first.Edits[0] = func(ctx context.Context, tree fs.FS) (map[string][]byte, error) {
		once.Do(func() { close(begun); <-release })
		return inner(ctx, tree)
	}
	var wg sync.WaitGroup
	failures := make([]error, 4)
	for i, d := range []gitrepo.Draft{first, count("good", "counter"), count("bad", "counter"), count("fine", "counter")} {
		wg.Go(func() { _, failures[i] = s.repo.Write(t.Context(), "main", gitrepo.Auth{}, d) })
		if i == 0 {
			<-begun
		}
	}
	eventually(t, "three wait", func() bool { return s.repo.WaitingWrites() == 3 })
	close(release)
	wg.Wait()
	for i, err := range failures {
		if (i == 2) != errors.Is(err, gitrepo.ErrProtected) || (i != 2 && err != nil) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got := s.git("show", "main:counter"); got != "xxx" {
		t.Errorf("counter %q", got)
	}
}

func TestReadOnlyCredentials(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token, ReadOnly: true}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"a": "1"})
	_, err := s.repo.Write(t.Context(), "main", tokenAuth(t, token), draft("x", "a", "2"))
	var pushed *gitrepo.PushError
	if !errors.Is(err, gitrepo.ErrAuth) || !errors.As(err, &pushed) || !strings.Contains(err.Error(), "the right to write") || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("HTTP: %v", err)
	}
	if _, err := s.repo.Write(t.Context(), "main", tokenAuth(t, "wrong-t0ken"), draft("x", "a", "2")); !errors.Is(err, gitrepo.ErrAuth) || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("a wrong token: %v", err)
	}
	signer, identity := newKey(t)
	sshd := startSSH(t, signer.PublicKey())
	repo := repository(t, s.store, "ssh://git@"+sshd.addr+s.dir)
	auth := sshAuth(t, identity, sshd.knownHosts(sshd.hostKey))
	sshd.refusal = "ERROR: The key you are authenticating with has been marked as read only."
	if _, err := repo.Write(t.Context(), "main", auth, draft("x", "a", "2")); !errors.Is(err, gitrepo.ErrAuth) || !strings.Contains(err.Error(), "marked as read only") {
		t.Errorf("ssh: %v", err)
	}
	sshd.refusal = ""
	if s.head("main") != head {
		t.Error("the branch has moved")
	}
	written, err := repo.Write(t.Context(), "main", auth, draft("x", "a", "2"))
	if err != nil || written.Head != s.head("main") || s.git("show", "main:a") != "2" {
		t.Errorf("with a key that may write: %+v, %v", written, err)
	}
	if left := leftovers(t, s.storeDir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestWriteToOtherTransports writes to a folder, to a remote of long hashes, and to one that moved.
func TestWriteToOtherTransports(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	long := filepath.Join(root, "long.git")
	if out, err := exec.Command("git", "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", long).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sha256 := &remoteRepo{t: t, dir: long, when: 1}
	sha256.commit("main", "", map[string]string{"a": "1"})
	inner := gitserver.New(root, gitserver.Options{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/old") {
			http.Redirect(w, r, "/x.git/info/refs?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	store := gitrepotest.Open(t, filepath.Join(t.TempDir(), `a:b"c`), gitrepo.Options{AllowFile: true})
	key, _ := newSigningKey(t, "ed25519")
	for url, there := range map[string]*remoteRepo{remote.dir: remote, web.URL + "/long.git": sha256, web.URL + "/old.git": remote} {
		d := draft("x", "d/b", url)
		d.Key = key
		written, err := repository(t, store, url).Write(t.Context(), "main", tokenAuth(t, token), d)
		if err != nil || written.Head != there.head("main") || there.git("show", "main:d/b") != url {
			t.Errorf("%s: %+v, %v", url, written, err)
		}
		there.git("fsck", "--full", "--strict")
		if field := "\ngpgsig-sha256 "; strings.Contains(there.git("cat-file", "commit", written.Head), field) != (there == sha256) {
			t.Errorf("%s is not signed as its hashes want", url)
		}
	}
}

// TestWriteOverTLS trusts the bundle of the Secret and nothing else.
func TestWriteOverTLS(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	web := httptest.NewUnstartedServer(gitserver.New(root, gitserver.Options{Token: token}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshakes that are refused
	web.StartTLS()
	defer web.Close()
	dir := t.TempDir()
	repo := repository(t, gitrepotest.Open(t, dir, gitrepo.Options{}), web.URL+"/x.git")
	auth := tokenAuth(t, token)
	auth.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if written, err := repo.Write(t.Context(), "main", auth, draft("x", "a", "2")); err != nil || written.Head != remote.head("main") {
		t.Errorf("%+v, %v", written, err)
	}
	if _, err := repo.Write(t.Context(), "main", tokenAuth(t, token), draft("x", "a", "3")); !errors.Is(err, gitrepo.ErrUnreachable) {
		t.Errorf("without the bundle: %v", err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestAnswerLost breaks the connection after the remote has taken a push.
func TestAnswerLost(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	inner := gitserver.New(root, gitserver.Options{})
	var lose atomic.Int32
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "receive-pack") && lose.Add(-1) >= 0 {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	repo := repository(t, gitrepotest.Open(t, dir, gitrepo.Options{Wait: func(context.Context, time.Duration) error { return nil }}), web.URL+"/x.git")
	lose.Store(1)
	written, err := repo.Write(t.Context(), "main", gitrepo.Auth{}, count("once", "counter"))
	if err != nil || written.Head != remote.head("main") || len(written.Commits) != 1 || written.Commits[0] != written.Head {
		t.Errorf("%+v, %v", written, err)
	}
	if got := remote.git("show", "main:counter"); got != "x" {
		t.Errorf("counter %q: it was written twice", got)
	}
	lose.Store(1)
	state := gitrepo.StateUpdate{Ref: "refs/sengu/state/shop", Files: map[string][]byte{"a": []byte("1")}, Keep: []string{written.Head}, Author: bot, Message: "state"}
	hash, err := repo.PushState(t.Context(), state, gitrepo.Auth{})
	if err != nil || remote.git("rev-parse", "refs/sengu/state/shop") != hash {
		t.Errorf("state: %s, %v", hash, err)
	}
	lose.Store(1)
	proposed, err := repo.Propose(t.Context(), gitrepo.Proposal{Branch: "sengu/x", Base: "main", Drafts: []gitrepo.Draft{draft("y", "y", "1")}}, gitrepo.Auth{})
	if err != nil || remote.head("sengu/x") != proposed.Head || proposed.Commits[0] != proposed.Head {
		t.Errorf("proposal: %+v, %v", proposed, err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPushedCredentialsStayHidden writes with every kind of credential, well and badly, to remotes that repeat them.
func TestPushedCredentialsStayHidden(t *testing.T) {
	var mu sync.Mutex
	var seen bytes.Buffer
	note := func(s string) { mu.Lock(); defer mu.Unlock(); seen.WriteString(s + "\n") }
	logger := slog.New(slog.NewTextHandler(writerFunc(note), &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := t.TempDir()
	store := gitrepotest.Open(t, dir, gitrepo.Options{Logger: logger})
	s := hooked(t, "pre-receive", "read old new ref\ncase $ref in *echo) echo 'no: "+token+"'; exit 1;; esac\nexit 0\n")
	s.commit("main", "", map[string]string{"a": "1"})
	s.git("update-ref", "refs/heads/echo", "main")
	signer, identity := newKey(t)
	sshd := startSSH(t, signer.PublicKey())
	key, secret := newSigningKey(t, "ed25519")
	inner := gitserver.New(s.root, gitserver.Options{Token: token})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/echo") && strings.Contains(r.URL.String(), "receive-pack") {
			http.Error(w, "no: "+r.Header.Get("Authorization")+" "+token, http.StatusForbidden)
			return
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/echo")
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	watch, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { watchArguments(watch, note) })
	https, withKey := tokenAuth(t, token), sshAuth(t, identity, sshd.knownHosts(sshd.hostKey))
	for url, auth := range map[string]gitrepo.Auth{
		web.URL + "/shop/manifests.git": https, web.URL + "/echo/shop/manifests.git": https, s.url: https, "ssh://git@" + sshd.addr + s.dir: withKey,
	} {
		for _, branch := range []string{"main", "echo"} {
			d := draft("x", "a", url)
			d.Key = key
			if branch == "echo" && strings.HasPrefix(url, "ssh") {
				continue // what the hook says is not the credential of this one
			}
			_, err := repository(t, store, url).Write(t.Context(), branch, auth, d)
			note(fmt.Sprintf("%v %+v %#v %+v %#v", err, err, err, d, d))
		}
	}
	stop()
	wg.Wait()
	noteFiles(dir, note)
	_, basic, _ := strings.Cut(basicHeader("x-access-token", token), " ")
	for _, hidden := range []string{token, basic, strings.Split(string(identity), "\n")[2], strings.Split(string(secret), "\n")[2]} {
		if i := strings.Index(seen.String(), hidden); i >= 0 {
			t.Errorf("a credential shows: …%s…", seen.String()[max(i-200, 0):i])
		}
	}
	for _, want := range []string{"no: ***", "push --porcelain", "gitrepo.SigningKey{ssh signing key}"} {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("%q was not seen: this test would not notice anything", want)
		}
	}
}

// writer is set in the process that TestKilledWhileWriting kills.
const writer = "SENGU_TEST_GITREPO_WRITER"

// writeForever writes again and again until it is killed.
func writeForever() {
	dir, url, _ := strings.Cut(os.Getenv(writer), "|")
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
	for i := 0; ; i++ {
		_, _ = repo.Write(context.Background(), "main", gitrepo.Auth{}, count("counted", "counter"), draft("noise", "d/noise", noise(uint32(i), 10_000)))
	}
}

func TestKilledWhileWriting(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	inner := gitserver.New(root, gitserver.Options{})
	passed := make(chan string, 1000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say := func(moment string) {
			select {
			case passed <- moment:
			default:
			}
		}
		if !strings.Contains(r.URL.String(), "receive-pack") {
			inner.ServeHTTP(w, r)
			say("fetched")
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Method == http.MethodGet {
			say("staged")
		} else {
			say("sent")
		}
		inner.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			say("taken")
		}
	}))
	defer web.Close()
	for _, moment := range []string{"fetched", "staged", "sent", "taken", "taken", "sent", "staged", "fetched", "taken"} {
		killWriterAt(t, dir, web.URL+"/x.git", passed, moment)
		remote.git("fsck", "--full", "--strict")
	}
	store := gitrepotest.Open(t, dir, gitrepo.Options{})
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	repo := repository(t, store, web.URL+"/x.git")
	written, err := repo.Write(t.Context(), "main", gitrepo.Auth{}, count("counted", "counter"))
	if err != nil || written.Head != remote.head("main") {
		t.Fatalf("%+v, %v", written, err)
	}
	if n, got := strings.Count(remote.git("log", "--format=%s", "main"), "counted"), len(remote.git("show", "main:counter")); n != got {
		t.Errorf("%d commits have counted to %d", n, got)
	}
	if out := gitIn(t, repo.Dir(), "fsck", "--full", "--strict"); strings.Contains(out, "missing") || strings.Contains(out, "dangling") {
		t.Errorf("fsck: %s", out)
	}
	_ = filepath.WalkDir(repo.Dir(), func(p string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(p, ".lock") || strings.Contains(filepath.Base(p), "tmp_") {
			t.Errorf("left behind: %s", p)
		}
		return nil
	})
}

func killWriterAt(t *testing.T, dir, url string, passed chan string, moment string) {
	t.Helper()
	killProcessAt(t, writer+"="+dir+"|"+url, passed, moment)
}
