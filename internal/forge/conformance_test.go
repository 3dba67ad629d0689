package forge_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/forge/forgetest"
	"github.com/sengu-dev/sengu/internal/forge/giteatest"
)

// server is the Gitea of the tests of this package.
var server struct {
	once  sync.Once
	gitea *giteatest.Server
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.gitea != nil {
		if err := server.gitea.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func realGitea(t *testing.T) *giteatest.Server {
	t.Helper()
	server.once.Do(func() { server.gitea, server.err = giteatest.Launch() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	return server.gitea
}

func TestGitHub(t *testing.T) {
	forgetest.Run(t, func(t *testing.T, scenario string) forgetest.World {
		return forgetest.Replay(t, forge.GitHub, "shop/manifests", "", "testdata/github", scenario)
	})
}

func TestGitLab(t *testing.T) {
	forgetest.Run(t, func(t *testing.T, scenario string) forgetest.World {
		return forgetest.Replay(t, forge.GitLab, "shop/platform/manifests", "/api/v4", "testdata/gitlab", scenario)
	})
}

func TestGitea(t *testing.T) {
	forgetest.Run(t, func(t *testing.T, _ string) forgetest.World { return newWorld(t, realGitea(t)) })
}

// world is a repository on a real Gitea.
type world struct {
	server               *giteatest.Server
	owner, bot, reviewer giteatest.User
	write, read          string // tokens of the bot
	repo                 giteatest.Repository
}

func newWorld(t *testing.T, s *giteatest.Server) *world {
	t.Helper()
	w := &world{server: s, owner: s.User(t, "owner"), bot: s.User(t, "bot"), reviewer: s.User(t, "reviewer")}
	w.repo = s.Repository(t, w.owner, "manifests")
	s.Invite(t, w.repo, w.bot, "write")
	s.Invite(t, w.repo, w.reviewer, "write")
	w.write = s.Token(t, w.bot, "write:repository", "write:issue", "read:user")
	w.read = s.Token(t, w.bot, "read:repository", "read:issue")
	return w
}

func (w *world) config(token string) forge.Config {
	return forge.Config{
		Kind: forge.Gitea, BaseURL: w.server.URL + "/api/v1", Repository: w.repo.FullName(),
		Token: func(context.Context) (string, error) { return token, nil },
	}
}

func (w *world) Config() forge.Config { return w.config(w.write) }
func (w *world) Reader() forge.Config { return w.config(w.read) }
func (w *world) Bot() string          { return w.bot.Name }
func (w *world) Owner() string        { return w.owner.Name }
func (w *world) Reviewer() string     { return w.reviewer.Name }

func (w *world) Branch(t *testing.T, name string) string {
	t.Helper()
	return w.server.Commit(t, w.repo, name, name+".yaml", "branch: "+name+"\n")
}

func (w *world) Fork(t *testing.T, branch string) int {
	t.Helper()
	stranger := w.server.User(t, "stranger")
	w.server.Invite(t, w.repo, stranger, "read")
	fork := w.server.Fork(t, w.repo, stranger)
	w.server.Commit(t, fork, branch, "theirs.yaml", "x: 1\n")
	var made struct{ Number int }
	w.server.Call(t, stranger.Token, http.MethodPost, w.repo.API+"/pulls", map[string]string{
		"head": stranger.Name + "/" + fork.Name + ":" + branch, "base": "main", "title": "take me over",
	}, &made)
	return made.Number
}

func (w *world) Merge(t *testing.T, number int) string {
	t.Helper()
	return w.server.Merge(t, w.repo, number)
}

func (w *world) review(t *testing.T, number int, event string) {
	t.Helper()
	w.server.Call(t, w.reviewer.Token, http.MethodPost, fmt.Sprintf("%s/pulls/%d/reviews", w.repo.API, number),
		map[string]string{"event": event, "body": "as I see it"}, nil)
}

func (w *world) Approve(t *testing.T, number int) { t.Helper(); w.review(t, number, "APPROVED") }
func (w *world) Withdraw(t *testing.T, number int) {
	t.Helper()
	w.review(t, number, "REQUEST_CHANGES")
}

func (w *world) Comment(t *testing.T, number int, text string) {
	t.Helper()
	w.server.Call(t, w.reviewer.Token, http.MethodPost, fmt.Sprintf("%s/issues/%d/comments", w.repo.API, number), map[string]string{"body": text}, nil)
}
