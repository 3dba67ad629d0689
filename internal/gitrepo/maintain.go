package gitrepo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// When a mirror is repacked: about this many loose objects, or packs.
const (
	manyLoose = 4000
	manyPacks = 40
)

// maintainSoon starts maintenance beside other work when there is enough to do.
func (r *Repository) maintainSoon() {
	if !r.wantsMaintenance() {
		return
	}
	r.store.background(func(ctx context.Context) {
		if err := r.Maintain(ctx); err != nil && ctx.Err() == nil {
			r.store.opts.Logger.Warn("maintenance of a mirror failed", "url", r.remote.raw, "err", err)
		}
	})
}

// wantsMaintenance looks at one of the 256 folders of loose objects, as git does.
func (r *Repository) wantsMaintenance() bool {
	loose, _ := os.ReadDir(filepath.Join(r.dir, "objects", "17"))
	packs, _ := filepath.Glob(filepath.Join(r.dir, "objects", "pack", "*.pack"))
	return len(loose) > manyLoose/256 || len(packs) > manyPacks
}

// Maintain packs loose objects and merges small packs, so that reading stays quick, and forgets the oldest seen heads
// beyond Options.SeenLimit that nobody retains. It drops no object. Fetch starts it when it is worth it; it lasts ten
// minutes at most, and one runs at a time.
func (r *Repository) Maintain(ctx context.Context) error {
	if !r.maintaining.TryLock() {
		return nil
	}
	defer r.maintaining.Unlock()
	if !r.exists() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if _, err := r.store.git(ctx, run{dir: r.dir, args: []string{"repack", "-d", "-l", "-q", "--geometric=2"}}); err != nil {
		return fmt.Errorf("repack %s: %w", r.remote.raw, err)
	}
	r.readers.drop()
	// Refs are written by fetches only, so that nothing else moves while they are packed.
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := r.forgetSeen(ctx); err != nil {
		return err
	}
	if _, err := r.store.git(ctx, run{dir: r.dir, args: []string{"pack-refs", "--all"}}); err != nil {
		return fmt.Errorf("pack refs of %s: %w", r.remote.raw, err)
	}
	return nil
}

// forgetSeen deletes the oldest seen refs beyond the limit.
func (r *Repository) forgetSeen(ctx context.Context) error {
	seen, keep := listRefs(r.dir, refSeen), listRefs(r.dir, refKeep)
	var free []string
	for name, hash := range seen {
		if _, ok := keep[refKeep+hash]; !ok {
			free = append(free, name)
		}
	}
	if len(free) <= r.store.opts.SeenLimit {
		return nil
	}
	slices.Sort(free)
	var b strings.Builder
	for _, name := range free[:len(free)-r.store.opts.SeenLimit] {
		b.WriteString("delete " + name + "\n")
	}
	_, err := r.store.git(ctx, run{dir: r.dir, args: []string{"update-ref", "--stdin"}, stdin: strings.NewReader(b.String())})
	if err != nil {
		return fmt.Errorf("forget old heads of %s: %w", r.remote.raw, err)
	}
	return nil
}

// Retain keeps a commit and everything it reaches until Release, whatever happens to its branch. Retaining twice is
// retaining once: who shares a repository counts for himself.
func (r *Repository) Retain(ctx context.Context, rev string) error {
	if _, err := r.commit(ctx, rev); err != nil {
		return fmt.Errorf("retain %s: %w", rev, err)
	}
	return r.withRefs(ctx, func() error { return r.writeRef(refKeep+rev, rev) })
}

// Release ends Retain. The commit stays readable for as long as a branch or a seen head leads to it.
func (r *Repository) Release(ctx context.Context, rev string) error {
	if !fullHash.MatchString(rev) {
		return fmt.Errorf("release %q: it is not a full commit hash", rev)
	}
	return r.withRefs(ctx, func() error {
		if _, ok := r.readRef(refKeep + rev); !ok {
			return nil
		}
		_, err := r.store.git(ctx, run{dir: r.dir, args: []string{"update-ref", "-d", refKeep + rev}})
		if err != nil {
			return fmt.Errorf("release %s: %w", rev, err)
		}
		return nil
	})
}

// withRefs runs f while no fetch writes refs.
func (r *Repository) withRefs(ctx context.Context, f func() error) error {
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
		return f()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.store.ctx.Done():
		return ErrClosed
	}
}
