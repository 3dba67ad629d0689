package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rebuild makes a damaged mirror anew from the remote. The old one stays in its place until the branch has arrived, so
// that an unreachable remote costs nothing that can still be read. Every commit that was kept is taken over from the
// old mirror where it is whole there, or else asked for at the remote; one that neither has is reported and lost.
func (r *Repository) rebuild(ctx context.Context, branch string, cred credential, why error) error {
	log := r.store.opts.Logger
	log.Warn("a mirror is damaged and is made anew", "url", r.remote.raw, "err", why)
	dir, err := r.store.create(ctx, r.format())
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := r.program(ctx, dir, "+refs/heads/"+branch+":"+refIncoming, cred); err != nil {
		err = r.explain(ctx, branch, cred, err)
		if errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("fetch %s of %s: %w", branch, r.remote.raw, err)
		}
		return err
	}
	var lost []string
	old := listRefs(r.dir, "refs/sengu/")
	for _, name := range sortedRefs(old) {
		if name == refIncoming {
			continue
		}
		if err := r.rescue(ctx, dir, name, old[name], cred); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			lost = append(lost, old[name])
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		log.Error("commits that were kept are lost with the damaged mirror", "url", r.remote.raw, "commits", slices.Compact(lost))
	}
	return r.replace(dir)
}

// next is what a mirror is called that is about to take the place of a damaged one.
const next = ".next"

// replace puts the new mirror into the place of the old one. Killed at any moment, one of the two is whole, and Open
// puts it back.
func (r *Repository) replace(dir string) error {
	r.readers.drop()
	broken := filepath.Join(r.store.dir, "tmp", "broken-"+filepath.Base(dir))
	if err := os.Rename(dir, r.dir+next); err != nil {
		return fmt.Errorf("make mirror anew: %w", err)
	}
	if err := os.Rename(r.dir, broken); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("make mirror anew: %w", err)
	}
	if err := os.Rename(r.dir+next, r.dir); err != nil {
		return fmt.Errorf("make mirror anew: %w", err)
	}
	_ = os.RemoveAll(broken)
	r.damaged.Store(false)
	return nil
}

// finishReplace ends a replace that was killed.
func finishReplace(nextDir string) error {
	dir := strings.TrimSuffix(nextDir, next)
	if _, err := os.Stat(dir); err == nil {
		return os.RemoveAll(nextDir)
	}
	return os.Rename(nextDir, dir)
}

// rescue brings one kept ref into the new mirror.
func (r *Repository) rescue(ctx context.Context, dir, name, hash string, cred credential) error {
	set := func() error {
		_, err := r.store.git(ctx, run{dir: dir, args: []string{"update-ref", name, hash}})
		return err
	}
	// What the new branch leads to is there already.
	if _, err := r.store.git(ctx, run{dir: dir, args: []string{"rev-list", "--quiet", "--objects", "--max-count=1", hash}}); err == nil {
		return set()
	}
	_, err := r.store.git(ctx, run{
		dir: dir, args: []string{"fetch", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head", "--no-progress", "--", r.dir, "+" + name + ":" + name},
		config: [][2]string{{"protocol.file.allow", "always"}},
	})
	if err == nil {
		return nil
	}
	return r.program(ctx, dir, "+"+hash+":"+name, cred)
}

func sortedRefs(refs map[string]string) []string {
	names := make([]string, 0, len(refs))
	for name := range refs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
