package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// TestLeaderGoesAway ends the call that works for others too, in the middle of its own edit.
func TestLeaderGoesAway(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	s.commit("main", "", map[string]string{"a": "1"})
	var wg sync.WaitGroup
	blocked := func(begun chan struct{}) gitrepo.Draft {
		return gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{func(ctx context.Context, _ fs.FS) (map[string][]byte, error) {
			close(begun)
			<-ctx.Done()
			return nil, nil
		}}}
	}
	start := func(ctx context.Context, d gitrepo.Draft, want error) {
		wg.Go(func() {
			if _, err := s.repo.Write(ctx, "main", gitrepo.Auth{}, d); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", d.Message, err, want)
			}
		})
	}
	late, end := context.WithTimeout(t.Context(), 30*time.Second) // for those that nobody works for
	defer end()
	one, cancelOne := context.WithCancel(t.Context())
	two, cancelTwo := context.WithCancel(t.Context())
	oneBegun, twoBegun := make(chan struct{}), make(chan struct{})
	start(one, blocked(oneBegun), context.Canceled)
	<-oneBegun
	start(two, blocked(twoBegun), context.Canceled)
	eventually(t, "the next to lead waits", func() bool { return s.repo.WaitingWrites() == 1 })
	for i := range 3 {
		start(late, count(fmt.Sprint("z", i), "z"), nil)
	}
	eventually(t, "four wait", func() bool { return s.repo.WaitingWrites() == 4 })
	cancelOne()
	<-twoBegun
	if n := s.repo.WaitingWrites(); n != 0 {
		t.Errorf("%d still wait, and not with the one that leads", n)
	}
	cancelTwo()
	wg.Wait()
	if got := s.git("show", "main:z"); got != "xxx" {
		t.Errorf("z is %q", got)
	}
	checkClean(t, s)
}

// TestBranchMovesDuringWrite changes the remote while the edit runs, in every way.
func TestBranchMovesDuringWrite(t *testing.T) {
	tests := map[string]struct {
		move func(s *served, base, head string)
		want string // the files after it
	}{
		"a commit more": {func(s *served, _, _ string) { s.commit("main", "", map[string]string{"other": "1"}) }, "base\nhead\nother\nours"},
		"rewritten":     {func(s *served, base, _ string) { s.commit("main", base, map[string]string{"rewritten": "1"}) }, "base\nours\nrewritten"},
		"set back":      {func(s *served, base, _ string) { s.git("update-ref", "refs/heads/main", base) }, "base\nours"},
		"anew":          {func(s *served, _, _ string) { s.commit("main", "none", map[string]string{"anew": "1"}) }, "anew\nours"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var waits []time.Duration
			s := serve(t, gitserver.Options{}, gitrepo.Options{Wait: func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}})
			base := s.commit("main", "", map[string]string{"base": "1"})
			head := s.commit("main", "", map[string]string{"head": "1"})
			mustFetch(t, s.repo, "main", gitrepo.Auth{})
			calls := 0
			mustWrite(t, s.repo, gitrepo.Auth{}, gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{
				func(context.Context, fs.FS) (map[string][]byte, error) {
					if calls++; calls == 1 {
						tc.move(s, base, head)
					}
					return map[string][]byte{"ours": []byte("1")}, nil
				},
			}})
			if got := s.git("ls-tree", "-r", "--name-only", "main"); got != tc.want || calls != 2 || len(waits) != 1 || waits[0] <= 0 {
				t.Errorf("%d calls, waits %v, files %q", calls, waits, got)
			}
			if !s.repo.Has(t.Context(), head) {
				t.Error("the head of before is lost here")
			}
			// The rewrite is for Fetch to notice.
			if rev := mustFetch(t, s.repo, "main", gitrepo.Auth{}); rev.Forced != (name != "a commit more") || rev.Hash != s.head("main") {
				t.Errorf("%+v", rev)
			}
		})
	}
}

func TestRaceIsGivenUp(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{WriteTries: 3, Wait: func(context.Context, time.Duration) error { return nil }})
	s.commit("main", "", map[string]string{"a": "1"})
	calls := 0
	_, err := s.repo.Write(t.Context(), "main", gitrepo.Auth{}, gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{
		func(context.Context, fs.FS) (map[string][]byte, error) {
			calls++
			s.commit("main", "", map[string]string{"b": fmt.Sprint(calls)})
			return map[string][]byte{"ours": []byte("1")}, nil
		},
	}})
	var pushed *gitrepo.PushError
	if !errors.Is(err, gitrepo.ErrRace) || !errors.As(err, &pushed) || calls != 3 {
		t.Errorf("%d calls: %v", calls, err)
	}
	checkClean(t, s)
}

func TestWriteEndsWithItsContext(t *testing.T) {
	s := serve(t, gitserver.Options{}, gitrepo.Options{Wait: func(ctx context.Context, _ time.Duration) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	s.commit("main", "", map[string]string{"a": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.repo.Write(ctx, "main", gitrepo.Auth{}, gitrepo.Draft{Author: bot, Message: "x", Edits: []gitrepo.EditFunc{
		func(context.Context, fs.FS) (map[string][]byte, error) {
			s.commit("main", "", map[string]string{"b": "1"})
			time.AfterFunc(time.Millisecond, cancel) // while it waits for the next try, or before
			return map[string][]byte{"ours": []byte("1")}, nil
		},
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s.git("ls-tree", "-r", "--name-only", "main") != "a\nb" {
		t.Error("it was written nevertheless")
	}
	checkClean(t, s)
}
