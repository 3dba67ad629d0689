package gitrepo_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// TestCredentialsStayHidden fetches with every kind of credential, well and badly, while the arguments of every process
// are watched, and looks for the planted ones in arguments, logs, errors and files.
func TestCredentialsStayHidden(t *testing.T) {
	var mu sync.Mutex
	var seen bytes.Buffer
	note := func(s string) { mu.Lock(); defer mu.Unlock(); seen.WriteString(s + "\n") }
	log := slog.New(slog.NewTextHandler(writerFunc(note), &slog.HandlerOptions{Level: slog.LevelDebug}))
	root, dir := t.TempDir(), t.TempDir()
	remote := newRemote(t, root, "x.git")
	remote.commit("main", "", map[string]string{"a": "1"})
	signer, identity := newKey(t)
	sshd := startSSH(t, signer.PublicKey())
	inner := gitserver.New(root, gitserver.Options{Token: token})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/echo"): // a server that repeats what it was given
			http.Error(w, "no: "+r.Header.Get("Authorization")+" "+token, http.StatusForbidden)
			return
		case strings.HasPrefix(r.URL.Path, "/older"):
			r.Header.Del("Git-Protocol")
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/older")
		}
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	watch, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { watchArguments(watch, note) })
	store := gitrepotest.Open(t, dir, gitrepo.Options{Logger: log})
	https := tokenAuth(t, token)
	key := sshAuth(t, identity, sshd.knownHosts(sshd.hostKey))
	for url, auth := range map[string]gitrepo.Auth{
		web.URL + "/x.git": https, web.URL + "/older/x.git": https, web.URL + "/echo/x.git": https, web.URL + "/older/nothing.git": https,
		"http://127.0.0.1:1/x.git": https, "ssh://git@" + sshd.addr + remote.dir: key, "ssh://git@" + sshd.addr + "/nothing": key,
	} {
		for range 3 {
			if _, err := repository(t, store, url).Fetch(t.Context(), "main", auth); err != nil {
				note(fmt.Sprintf("%v %+v %#v", err, err, err))
			}
		}
	}
	stop()
	wg.Wait()
	noteFiles(dir, note)
	secretLine := strings.Split(string(identity), "\n")[2]
	_, basic, _ := strings.Cut(basicHeader("x-access-token", token), " ")
	for _, hidden := range []string{token, basic, secretLine} {
		if i := strings.Index(seen.String(), hidden); i >= 0 {
			t.Errorf("a credential shows: …%s…", seen.String()[max(i-200, 0):i])
		}
	}
	if !strings.Contains(seen.String(), "upload-pack") && !strings.Contains(seen.String(), "git") {
		t.Error("no process was watched")
	}
}

// noteFiles notes what every file below a folder holds.
func noteFiles(dir string, note func(string)) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() != "lock" {
			b, _ := os.ReadFile(p)
			note(string(b))
		}
		return nil
	})
}

func basicHeader(user, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

type writerFunc func(string)

func (f writerFunc) Write(p []byte) (int, error) { f(string(p)); return len(p), nil }

// watchArguments notes the arguments of every process on the machine until ctx ends.
func watchArguments(ctx context.Context, note func(string)) {
	known := map[string]bool{}
	for ctx.Err() == nil {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range files {
			b, err := os.ReadFile(f)
			if text := strings.ReplaceAll(string(b), "\x00", " "); err == nil && !known[text] {
				known[text] = true
				note(text)
			}
		}
	}
}
