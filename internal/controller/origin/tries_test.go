package origin_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// borough is a Fleet's repository, one service of which lies in a submodule.
type borough struct {
	*reader
	fleet, lib bareRepo
	access     gitrepo.Access
	asked      atomic.Int32
}

func newBorough(t *testing.T) *borough {
	t.Helper()
	b := &borough{reader: newReader(t), fleet: newRemote(t), lib: newRemote(t)}
	b.atlas.Patience = 10 * time.Minute
	b.lib.commit(true, write("dev/x", "1"))
	b.fleet.commit(true, write("apps/cart/dev/x", "1"), write("apps/mail/dev/x", "1"))
	return b
}

// link puts the submodule in the place of a folder.
func (b *borough) link(folder string) {
	b.t.Helper()
	b.fleet.commit(false, "D "+folder+"\n", "M 160000 "+b.lib.git("", "rev-parse", "main")+" "+folder+"\n",
		write(".gitmodules", "[submodule \"lib\"]\n\tpath = "+folder+"\n\turl = "+b.lib.dir+"\n"))
}

// goes goes to the head, and returns the services that moved.
func (b *borough) goes() ([]string, error) {
	b.t.Helper()
	b.reader.fleet.Spec.Git.URL = b.fleet.dir
	repository, err := b.store.Repository(b.fleet.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	head, err := repository.Fetch(b.t.Context(), "main", gitrepo.Auth{})
	if err != nil {
		b.t.Fatal(err)
	}
	tree, err := repository.Tree(b.t.Context(), head.Hash)
	if err != nil {
		b.t.Fatal(err)
	}
	step, err := b.atlas.Follow(b.t.Context(), b.reader.fleet, repository, tree.Reaching(func(ctx context.Context, url string) (gitrepo.Auth, error) {
		b.asked.Add(1)
		return b.access(ctx, url)
	}))
	return moved(step), err
}

func (b *borough) follows() []string {
	b.t.Helper()
	services, err := b.goes()
	if err != nil {
		b.t.Fatal(err)
	}
	return services
}

// expect compares the services and those that cannot be read.
func (b *borough) expect(what string, services, unreadable []string) {
	b.t.Helper()
	if diff := cmp.Diff(services, b.services()); diff != "" {
		b.t.Errorf("%s: services: -want +got:\n%s", what, diff)
	}
	if diff := cmp.Diff(unreadable, slices.Sorted(maps.Keys(b.atlas.Unreadable()))); diff != "" {
		b.t.Errorf("%s: what cannot be read: -want +got:\n%s", what, diff)
	}
}

func refused(context.Context, string) (gitrepo.Auth, error) {
	return gitrepo.Auth{}, errors.New("it is not allowed")
}

func allowed(context.Context, string) (gitrepo.Auth, error) { return gitrepo.Auth{}, nil }

// TestAtlasWithoutASubmodule has services lie in submodules that cannot be read: all others are followed, what was known of
// them stays, and they come back by themselves.
func TestAtlasWithoutASubmodule(t *testing.T) {
	b := newBorough(t)
	b.access = refused
	b.follows()
	b.link("apps/mail")
	if got := b.follows(); !slices.Contains(got, "mail") {
		t.Errorf("a service that cannot be read any more is not told: %q", got)
	}
	b.expect("one that was read before", []string{"cart", "mail"}, []string{"mail"})
	if why := b.atlas.Unreadable()["mail"]; !strings.Contains(why.Error(), "it is not allowed") {
		t.Errorf("it says %v", why)
	}
	b.fleet.commit(false, write("apps/shop/dev/x", "1"))
	if diff := cmp.Diff([]string{"shop"}, b.follows()); diff != "" {
		t.Errorf("services that moved: -want +got:\n%s", diff)
	}
	asked := b.asked.Load()
	b.follows()
	if b.asked.Load() != asked+1 {
		t.Errorf("at the same revision, it was tried again %d times", b.asked.Load()-asked)
	}
	b.atlas = origin.Atlas{Patience: b.atlas.Patience}
	b.follows()
	b.expect("after a start", []string{"cart", "shop"}, []string{"mail"})
	b.access = allowed
	if diff := cmp.Diff([]string{"mail"}, b.follows()); diff != "" {
		t.Errorf("services that moved when the submodule was allowed: -want +got:\n%s", diff)
	}
	b.expect("it is allowed", []string{"cart", "mail", "shop"}, nil)

	b.access = refused
	b.fleet.commit(false, write("apps/cart/dev/x", "2"))
	b.follows()
	b.expect("it is refused, and nothing asks", []string{"cart", "mail", "shop"}, nil)
	b.fleet.commit(false, "D .gitmodules\n", "D apps/mail\n")
	b.follows()
	b.expect("it is gone", []string{"cart", "shop"}, nil)
}

// TestAtlasInASubmodule has the folder of all services be a submodule: without it, nothing is followed.
func TestAtlasInASubmodule(t *testing.T) {
	b := newBorough(t)
	b.lib.commit(false, write("cart/dev/x", "1"))
	b.access = refused
	b.follows()
	b.link("apps")
	if _, err := b.goes(); err == nil || !strings.Contains(err.Error(), "it is not allowed") {
		t.Errorf("the folder of all services cannot be read: %v", err)
	}
	if b.atlas.Unreadable() != nil {
		t.Error("an Atlas that failed is not empty")
	}
	b.access = allowed
	b.follows()
	b.expect("it is allowed", []string{"cart"}, nil)
	b.lib.commit(false, write("mail/dev/x", "1"))
	b.link("apps")
	if diff := cmp.Diff([]string{"mail"}, b.follows()); diff != "" {
		t.Errorf("services that moved within it: -want +got:\n%s", diff)
	}
}

// TestAtlasOfAHostThatHangs follows all others at once, asks nobody twice meanwhile, and takes in what came in the end.
func TestAtlasOfAHostThatHangs(t *testing.T) {
	b := newBorough(t)
	answers := make(chan struct{})
	b.access = func(ctx context.Context, _ string) (gitrepo.Auth, error) {
		select {
		case <-answers:
			return gitrepo.Auth{}, nil
		case <-ctx.Done():
			return gitrepo.Auth{}, ctx.Err()
		}
	}
	b.link("apps/away")
	b.atlas.Patience = time.Millisecond
	b.follows()
	b.expect("it hangs", []string{"cart", "mail"}, []string{"away"})
	if why := b.atlas.Unreadable()["away"]; !strings.Contains(why.Error(), "did not answer in 1ms") {
		t.Errorf("it says %v", why)
	}
	for b.asked.Load() == 0 {
		runtime.Gosched()
	}
	b.follows()
	if b.asked.Load() != 1 {
		t.Errorf("while it hangs, it is asked %d times", b.asked.Load())
	}
	close(answers)
	deadline := time.After(time.Minute)
	for len(b.atlas.Unreadable()) > 0 {
		select {
		case <-deadline:
			t.Fatalf("it never comes: %v", b.atlas.Unreadable())
		default:
			b.follows()
		}
	}
	b.expect("it answers", []string{"away", "cart", "mail"}, nil)
}
