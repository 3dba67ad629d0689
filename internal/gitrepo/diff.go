package gitrepo

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
)

// Change is one path that differs between two commits. From and To are Git hashes, hexadecimal, "" where it is absent.
type Change struct {
	Path     string
	From, To string
	// Dir says that it is a directory where it exists; a path that was one and is a file now has Dir false.
	Dir bool
	// Module says that it is a submodule at either side; what is below it is not compared.
	Module bool
}

// Changes are all paths that differ: files, links and submodules, and every directory above or below them that is
// changed, new or gone; the root is ".".
type Changes struct {
	byPath  map[string]Change
	modules []string
}

// Len is the number of paths that differ.
func (c Changes) Len() int { return len(c.byPath) }

// Has says whether what is at a path may differ: it is in the list, or inside a submodule that is.
func (c Changes) Has(p string) bool {
	p = path.Clean(p)
	if _, ok := c.byPath[p]; ok {
		return true
	}
	for len(c.modules) > 0 && p != "." {
		p = path.Dir(p)
		if c.byPath[p].Module {
			return true
		}
	}
	return false
}

// Get gives the change of one path.
func (c Changes) Get(p string) (Change, bool) {
	change, ok := c.byPath[path.Clean(p)]
	return change, ok
}

// All gives the changes, in no order.
func (c Changes) All() iter.Seq[Change] { return maps.Values(c.byPath) }

// Paths are the paths that differ, sorted.
func (c Changes) Paths() []string { return slices.Sorted(maps.Keys(c.byPath)) }

// Files are the changes that are no directories at both sides, sorted by path.
func (c Changes) Files() []Change {
	var list []Change
	for _, p := range c.Paths() {
		if change := c.byPath[p]; !change.Dir {
			list = append(list, change)
		}
	}
	return list
}

// Diff compares the trees of two commits, by their full hashes, without reading a file. Only directories whose hash
// differs are looked into, so that the cost is that of the change. An empty from, or to, stands for the empty tree.
func (r *Repository) Diff(ctx context.Context, from, to string) (Changes, error) {
	d := differ{repo: r, out: Changes{byPath: map[string]Change{}}}
	var roots [2]entry
	for i, rev := range []string{from, to} {
		if rev == "" {
			continue
		}
		c, err := r.commit(ctx, rev)
		if err != nil {
			return Changes{}, fmt.Errorf("compare %q with %q: %w", from, to, err)
		}
		roots[i] = entry{name: ".", hash: rawHash(c.tree), mode: modeDir}
	}
	if err := d.compare(ctx, ".", roots[0], roots[1]); err != nil {
		return Changes{}, fmt.Errorf("compare %q with %q: %w", from, to, err)
	}
	return d.out, nil
}

type differ struct {
	repo *Repository
	out  Changes
}

// compare notes that two entries of one path differ, and looks into them. The zero entry is an absent one.
func (d *differ) compare(ctx context.Context, p string, a, b entry) error {
	if a.hash == b.hash && a.mode == b.mode {
		return nil
	}
	change := Change{Path: p, From: hexHash(a.hash), To: hexHash(b.hash), Module: a.isModule() || b.isModule()}
	change.Dir = (a.isDir() || a.hash == "") && (b.isDir() || b.hash == "")
	d.out.byPath[p] = change
	if change.Module {
		d.out.modules = append(d.out.modules, p)
	}
	if !a.isDir() && !b.isDir() {
		return nil
	}
	left, err := d.children(ctx, a)
	if err != nil {
		return err
	}
	right, err := d.children(ctx, b)
	if err != nil {
		return err
	}
	for len(left) > 0 || len(right) > 0 {
		var x, y entry
		switch {
		case len(right) == 0 || (len(left) > 0 && left[0].name < right[0].name):
			x, left = left[0], left[1:]
		case len(left) == 0 || right[0].name < left[0].name:
			y, right = right[0], right[1:]
		default:
			x, left = left[0], left[1:]
			y, right = right[0], right[1:]
		}
		name := x.name
		if x.hash == "" {
			name = y.name
		}
		if err := d.compare(ctx, path.Join(p, name), x, y); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) children(ctx context.Context, e entry) (entries, error) {
	if !e.isDir() {
		return nil, nil
	}
	return d.repo.tree(ctx, e.hash)
}
