package origin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
)

const (
	// patience is how long a Follow waits for services that lie in other repositories.
	patience = 10 * time.Second
	// mostTries is how many such services of a Fleet are looked at at once. Each may hold one of the few fetches that the
	// store runs at a time.
	mostTries = 2
	// firstLimit bounds a try. Each that fails doubles it for the next, so that what takes long to come does come, up to
	// firstLimit << mostDoublings.
	firstLimit    = time.Minute
	mostDoublings = 3
)

// tries are looks at services that could not be read at once, by service. They go on when the Follow that began them has
// ended: a host that never answers keeps nobody waiting again.
type tries struct {
	slots chan struct{}
	by    map[string]*try
	// failures counts the tries of a service that failed one after the other.
	failures map[string]int
}

// try is a look at one service.
type try struct {
	service, revision string
	limit             time.Duration
	ctx               context.Context //nolint:containedctx // it is what cancel ends
	cancel            context.CancelFunc
	// done is closed when found and err say how it ended.
	done  chan struct{}
	found layout.Found
	err   error
}

// settle tries what an Atlas could not read of a tree, takes in what has ended, and returns the services that can be read
// again.
func (t *tries) settle(ctx context.Context, a *Atlas, tree *gitrepo.Tree) map[string]struct{} {
	unreadable, mended := a.index.Unreadable(), map[string]struct{}{}
	for service, is := range t.by {
		if _, still := unreadable[service]; !still || is.revision != tree.Revision() {
			t.drop(service)
		}
	}
	maps.DeleteFunc(t.failures, func(service string, _ int) bool { return unreadable[service] == nil })
	if len(unreadable) == 0 {
		return mended
	}
	limit := cmp.Or(a.Patience, patience)
	wait(ctx, t.begin(ctx, a.parsed, tree, unreadable), limit)
	for service, is := range t.by {
		select {
		case <-is.done:
			a.index.Settle(service, is.found, is.err)
			if t.failures[service]++; is.err == nil {
				delete(t.failures, service)
				mended[service] = struct{}{}
			}
			t.drop(service)
		default:
			a.index.Settle(service, layout.Found{}, fmt.Errorf("its folder is in another repository, which did not answer in %s and is waited for", limit))
		}
	}
	return mended
}

// begin begins to look at those services that nobody looks at yet, at those last that have failed before.
func (t *tries) begin(ctx context.Context, parsed layout.Layout, tree *gitrepo.Tree, services map[string]error) []*try {
	if t.by == nil {
		t.slots, t.by, t.failures = make(chan struct{}, mostTries), map[string]*try{}, map[string]int{}
	}
	var begun []*try
	for service := range services {
		if t.by[service] != nil {
			continue
		}
		is := &try{service: service, revision: tree.Revision(), limit: firstLimit << min(t.failures[service], mostDoublings), done: make(chan struct{})}
		is.ctx, is.cancel = context.WithCancel(ctx)
		t.by[service], begun = is, append(begun, is)
	}
	slices.SortFunc(begun, func(a, b *try) int {
		return cmp.Or(cmp.Compare(a.limit, b.limit), cmp.Compare(a.service, b.service))
	})
	queue, slots := slices.Clone(begun), t.slots
	go func() {
		for _, is := range queue {
			select {
			case slots <- struct{}{}:
				go is.look(is.ctx, parsed, tree, func() { <-slots })
			case <-is.ctx.Done():
				is.err = is.ctx.Err()
				close(is.done)
			}
		}
	}()
	return begun
}

// look looks at a service.
func (is *try) look(ctx context.Context, parsed layout.Layout, tree *gitrepo.Tree, ended func()) {
	defer close(is.done)
	defer ended()
	ctx, cancel := context.WithTimeout(ctx, is.limit)
	defer cancel()
	is.found, is.err = parsed.Service(is.service, tree.Anew(ctx))
}

// wait waits until all of some tries have ended, but not for long, and less if it has been waited for all of them before.
func wait(ctx context.Context, begun []*try, limit time.Duration) {
	if !slices.ContainsFunc(begun, func(is *try) bool { return is.limit == firstLimit }) {
		limit /= 10
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, is := range begun {
		select {
		case <-is.done:
		case <-ctx.Done():
			return
		}
	}
}

// drop gives a try up, or forgets one that has ended.
func (t *tries) drop(service string) {
	t.by[service].cancel()
	delete(t.by, service)
}

// end gives up all.
func (t *tries) end() {
	for service := range t.by {
		t.drop(service)
	}
}
