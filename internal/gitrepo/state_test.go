package gitrepo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

const stateRef = "refs/sengu/state/shop"

func state(lease, content string, keep ...string) gitrepo.StateUpdate {
	return gitrepo.StateUpdate{
		Ref: stateRef, Lease: lease, Keep: keep, Author: bot, Message: "state",
		Files: map[string][]byte{"apps/checkout.yaml": []byte(content), "empty": {}},
	}
}

func mustPushState(t testing.TB, repo *gitrepo.Repository, u gitrepo.StateUpdate, auth gitrepo.Auth) string {
	t.Helper()
	hash, err := repo.PushState(t.Context(), u, auth)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestStateKeepsWhatRuns loses the branch on the remote and everything here, and renders from the state alone.
func TestStateKeepsWhatRuns(t *testing.T) {
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{})
	auth := tokenAuth(t, token)
	good := s.commit("main", "", map[string]string{"d/a": "good"})
	running := s.commit("main", "", map[string]string{"d/a": "running"})
	mustFetch(t, s.repo, "main", auth)
	if _, err := s.repo.FetchState(t.Context(), stateRef, auth); !errors.Is(err, gitrepo.ErrStateMissing) {
		t.Errorf("before there is any: %v", err)
	}
	one := mustPushState(t, s.repo, state("", "1", running, good, running), auth)
	// Rewritten, and a new head that runs somewhere.
	other := s.commit("main", "none", map[string]string{"d/a": "other"})
	mustFetch(t, s.repo, "main", auth)
	two := mustPushState(t, s.repo, state(one, "2", other), auth)
	s.commit("main", "none", map[string]string{"x": "y"})
	s.git("reflog", "expire", "--expire=now", "--all")
	s.git("gc", "--quiet", "--prune=now")

	fresh := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), s.url)
	got, err := fresh.FetchState(t.Context(), stateRef, auth)
	want := gitrepo.State{Hash: two, Files: map[string][]byte{"apps/checkout.yaml": []byte("2"), "empty": {}}, Parents: []string{one, other}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(gitrepo.State{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff(one+"\n"+running+"\n"+good, s.git("rev-parse", two+"^1", one+"^1", one+"^2")); diff != "" {
		t.Error(diff)
	}
	for rev, content := range map[string]string{good: "good", running: "running", other: "other"} {
		if b, err := mustTree(t, fresh, rev).ReadFile("d/a"); err != nil || string(b) != content {
			t.Errorf("%q, %v", b, err)
		}
	}
	// Nothing is new, and that is noticed without a transfer.
	if again, err := fresh.FetchState(t.Context(), stateRef, auth); err != nil || again.Hash != two {
		t.Errorf("%+v, %v", again, err)
	}
	// It can be built on from there.
	three := mustPushState(t, fresh, state(two, "3", good), auth)
	if s.git("rev-parse", stateRef) != three {
		t.Error("the third state is not there")
	}
	checkClean(t, s)
}

// TestStateIsFetchedOnce counts the bytes that come when only a state was fetched before.
func TestStateIsFetchedOnce(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"noise": noise(1, 200_000)})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	one := mustPushState(t, s.repo, state("", "1", head), gitrepo.Auth{})
	var sent, requests atomic.Int64
	inner := gitserver.New(s.root, gitserver.Options{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		inner.ServeHTTP(&counting{ResponseWriter: w, n: &sent}, r)
	}))
	defer web.Close()
	fresh := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/shop/manifests.git")
	for i, most := range []int64{300_000, 5_000, 2_000} {
		sent.Store(0)
		requests.Store(0)
		if _, err := fresh.FetchState(t.Context(), stateRef, gitrepo.Auth{}); err != nil {
			t.Fatal(err)
		}
		if n := sent.Load(); n > most || (i == 0 && n < 200_000) {
			t.Errorf("fetch %d brought %d bytes", i, n)
		}
		if n := requests.Load(); i == 2 && n != 1 {
			t.Errorf("%d requests to find that nothing is new", n)
		}
		if i == 0 {
			mustPushState(t, s.repo, state(one, "2"), gitrepo.Auth{})
		}
	}
}

type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

func TestStateLease(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{Wait: func(context.Context, time.Duration) error {
		t.Error("it is tried again")
		return nil
	}})
	head := s.commit("main", "", map[string]string{"a": "1"})
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	one := mustPushState(t, s.repo, state("", "1", head), gitrepo.Auth{})
	if same := mustPushState(t, s.repo, state(one, "1", head), gitrepo.Auth{}); same != one {
		t.Errorf("the same state made a commit: %s", same)
	}
	two := mustPushState(t, s.repo, state(one, "2"), gitrepo.Auth{})
	for name, lease := range map[string]string{"an old one": one, "none": "", "unknown": strings.Repeat("1", 40)} {
		_, err := s.repo.PushState(t.Context(), state(lease, "3"), gitrepo.Auth{})
		var pushed *gitrepo.PushError
		if !errors.Is(err, gitrepo.ErrRace) || !errors.As(err, &pushed) || s.git("rev-parse", stateRef) != two {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Written elsewhere: here the lease is not known yet.
	other := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), s.url)
	mustFetch(t, other, "main", gitrepo.Auth{})
	three := mustPushState(t, other, state(two, "3"), gitrepo.Auth{})
	four := mustPushState(t, s.repo, state(three, "4"), gitrepo.Auth{})
	if s.git("rev-parse", stateRef) != four {
		t.Error("the fourth state is not there")
	}
	// Set back by hand: what was there stays readable here.
	s.git("update-ref", stateRef, one)
	got, err := s.repo.FetchState(t.Context(), stateRef, gitrepo.Auth{})
	if err != nil || got.Hash != one || !s.repo.Has(t.Context(), four) || !strings.Contains(gitIn(t, s.repo.Dir(), "for-each-ref"), four) {
		t.Errorf("%+v, %v", got, err)
	}
	checkClean(t, s)
}

// TestStateChanges writes single files, and counts what that sends.
func TestStateChanges(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	var sent atomic.Int64
	inner := gitserver.New(s.root, gitserver.Options{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(max(r.ContentLength, 0))
		inner.ServeHTTP(w, r)
	}))
	defer web.Close()
	repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/shop/manifests.git")
	s.repo = repo
	head := s.commit("main", "", map[string]string{"a": "1"})
	mustFetch(t, repo, "main", gitrepo.Auth{})
	all := state("", "1", head)
	for i := range 100 {
		all.Files[fmt.Sprintf("apps/%d.yaml", i)] = []byte(noise(uint32(i), 1000))
	}
	one := mustPushState(t, repo, all, gitrepo.Auth{})
	changes := state(one, "2", head)
	changes.Changes, changes.Files = true, map[string][]byte{"apps/3.yaml": []byte("3"), "apps/4.yaml": nil}
	sent.Store(0)
	two := mustPushState(t, repo, changes, gitrepo.Auth{})
	if n := sent.Load(); n == 0 || n > 10_000 {
		t.Errorf("two files of 100 sent %d bytes", n)
	}
	all.Files["apps/3.yaml"] = []byte("3")
	delete(all.Files, "apps/4.yaml")
	got, err := repo.FetchState(t.Context(), stateRef, gitrepo.Auth{})
	if diff := cmp.Diff(all.Files, got.Files); err != nil || got.Hash != two || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	// What is so already makes no commit, and the whole is the same state.
	changes.Lease, all.Lease = two, two
	for name, u := range map[string]gitrepo.StateUpdate{"changes": changes, "the whole": all} {
		if same := mustPushState(t, repo, u, gitrepo.Auth{}); same != two {
			t.Errorf("%s of the same state made a commit: %s", name, same)
		}
	}
	checkClean(t, s)
}

func TestStateRefuses(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{MaxBlob: 1000})
	head := s.commit("main", "", map[string]string{"a": "1"})
	with := func(change func(u *gitrepo.StateUpdate)) gitrepo.StateUpdate {
		u := state("", "1", head)
		change(&u)
		return u
	}
	if _, err := s.repo.PushState(t.Context(), state("", "1"), gitrepo.Auth{}); err == nil {
		t.Error("a state in a mirror that is not there")
	}
	mustFetch(t, s.repo, "main", gitrepo.Auth{})
	tests := map[string]struct {
		update gitrepo.StateUpdate
		want   string
	}{
		"a branch":        {with(func(u *gitrepo.StateUpdate) { u.Ref = "refs/heads/main" }), "is not a ref of ours"},
		"a bad name":      {with(func(u *gitrepo.StateUpdate) { u.Ref = "refs/sengu/../heads/main" }), "is not a ref of ours"},
		"no name":         {with(func(u *gitrepo.StateUpdate) { u.Ref = "refs/sengu/" }), "is not a ref of ours"},
		"no files":        {with(func(u *gitrepo.StateUpdate) { u.Files = nil }), "no file"},
		"a nil file":      {with(func(u *gitrepo.StateUpdate) { u.Files = map[string][]byte{"a": nil} }), "has no content"},
		"changes to none": {with(func(u *gitrepo.StateUpdate) { u.Changes = true }), "need the state"},
		"a bad path":      {with(func(u *gitrepo.StateUpdate) { u.Files = map[string][]byte{"../a": {}} }), "is not a path"},
		"too large":       {with(func(u *gitrepo.StateUpdate) { u.Files = map[string][]byte{"a": bytes.Repeat([]byte("x"), 17<<20)} }), "are allowed"},
		"a short hash":    {with(func(u *gitrepo.StateUpdate) { u.Keep = []string{"abc"} }), "not a full commit hash"},
		"an unknown hash": {with(func(u *gitrepo.StateUpdate) { u.Keep = []string{strings.Repeat("1", 40)} }), "fetch it first"},
		"no author":       {with(func(u *gitrepo.StateUpdate) { u.Author = gitrepo.Identity{} }), "commit's author"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := s.repo.PushState(t.Context(), tc.update, gitrepo.Auth{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := s.repo.FetchState(t.Context(), "refs/heads/main", gitrepo.Auth{}); err == nil {
		t.Error("a branch is no state")
	}
	// What others put there.
	many := map[string]string{}
	for i := range 40_001 {
		many[fmt.Sprintf("d%d/f%d", i%7, i)] = "x"
	}
	for name, files := range map[string]map[string]string{
		"a link": {"a": asLink + "b"}, "a submodule": {"a": asModule + head}, "a large file": {"a": strings.Repeat("x", 2000)},
		"many files": many, "deep": {"1/2/3/4/5/6/7/8/9/10": "x"},
	} {
		s.git("update-ref", stateRef, s.commit("odd", "none", files))
		if _, err := s.repo.FetchState(t.Context(), stateRef, gitrepo.Auth{}); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// TestStateOverOtherTransports writes and reads a state over ssh, and on a branch for forges that take nothing else.
func TestStateOverOtherTransports(t *testing.T) {
	remote := newRemote(t, t.TempDir(), "x.git")
	head := remote.commit("main", "", map[string]string{"a": "1"})
	signer, identity := newKey(t)
	sshd := startSSH(t, signer.PublicKey())
	auth := sshAuth(t, identity, sshd.knownHosts(sshd.hostKey))
	repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), "ssh://git@"+sshd.addr+remote.dir)
	for _, ref := range []string{stateRef, "refs/heads/sengu/state/shop"} {
		if _, err := repo.FetchState(t.Context(), ref, auth); !errors.Is(err, gitrepo.ErrStateMissing) {
			t.Errorf("before there is any: %v", err)
		}
		mustFetch(t, repo, "main", auth)
		u := state("", "1", head)
		u.Ref = ref
		u.Key, _ = newSigningKey(t, "ed25519")
		one := mustPushState(t, repo, u, auth)
		if got, err := repo.FetchState(t.Context(), ref, auth); err != nil || got.Hash != one || string(got.Files["apps/checkout.yaml"]) != "1" {
			t.Errorf("%+v, %v", got, err)
		}
		if !strings.Contains(remote.git("cat-file", "commit", one), "SSH SIGNATURE") {
			t.Error("it is not signed")
		}
	}
}
