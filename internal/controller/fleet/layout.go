package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// tree is what discovery reads of a revision: names and hashes, never the content of a file.
type tree interface {
	fs.FS
	Hash(name string) (string, error)
}

// place is a folder of the layout: one service in one environment.
type place struct {
	Service, Environment, Path string
}

// layout is a parsed FleetSpec.Layout, one pattern for each path element.
type layout []*regexp.Regexp

// nameOf matches what may stand for {service} and {environment}: a DNS label, since it becomes part of object names.
const nameOf = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`

// parseLayout turns "apps/{service}/overlays/{environment}" into patterns. The schema of Fleet has already refused a
// layout that lacks a placeholder or leaves the repository.
func parseLayout(s string) (layout, error) {
	var l layout
	for element := range strings.SplitSeq(s, "/") {
		expr := regexp.QuoteMeta(element)
		expr = strings.ReplaceAll(expr, `\{service\}`, `(?P<service>`+nameOf+`)`)
		expr = strings.ReplaceAll(expr, `\{environment\}`, `(?P<environment>`+nameOf+`)`)
		re, err := regexp.Compile("^" + expr + "$")
		if err != nil {
			return nil, fmt.Errorf("layout %q: element %q: %w", s, element, err)
		}
		l = append(l, re)
	}
	return l, nil
}

// literal reports whether pattern i has no placeholder, and the name it stands for.
func (l layout) literal(i int) (string, bool) {
	if l[i].NumSubexp() > 0 {
		return "", false
	}
	quoted := strings.TrimSuffix(strings.TrimPrefix(l[i].String(), "^"), "$")
	return unquote(quoted), true
}

// unquote undoes regexp.QuoteMeta.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// memo remembers what was found below a folder, so that a commit costs only the folders that it changed. A folder is
// known by its hash, which covers everything below it.
type memo map[memoKey][]place

type memoKey struct {
	hash                 string
	depth                int
	service, environment string
}

// discover lists the places of tree that the layout describes. old is the memo of the previous call (or nil); the
// memo returned holds what this call used and nothing else, so that it does not grow.
func (l layout) discover(t tree, old memo) ([]place, memo, error) {
	d := discovery{layout: l, tree: t, old: old, fresh: memo{}}
	places, err := d.below(".", 0, place{})
	return places, d.fresh, err
}

type discovery struct {
	layout layout
	tree   tree
	old    memo
	fresh  memo
}

// below lists the places under dir, whose elements match the layout's patterns before depth. Paths in the memo are
// relative to dir, so that a renamed folder is still remembered.
func (d *discovery) below(dir string, depth int, at place) ([]place, error) {
	if depth == len(d.layout) {
		return []place{{Service: at.Service, Environment: at.Environment, Path: dir}}, nil
	}
	hash, err := d.tree.Hash(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	key := memoKey{hash, depth, at.Service, at.Environment}
	if relative, ok := d.old[key]; ok {
		d.fresh[key] = relative
		return absolute(dir, relative), nil
	}
	found, err := d.read(dir, depth, at)
	if err != nil {
		return nil, err
	}
	relative := make([]place, len(found))
	for i, p := range found {
		relative[i] = p
		if dir != "." {
			relative[i].Path = strings.TrimPrefix(p.Path, dir+"/")
		}
	}
	d.fresh[key] = relative
	return found, nil
}

func absolute(dir string, relative []place) []place {
	out := make([]place, len(relative))
	for i, p := range relative {
		out[i] = p
		out[i].Path = path.Join(dir, p.Path)
	}
	return out
}

// read looks into dir for the folders that match the pattern at depth.
func (d *discovery) read(dir string, depth int, at place) ([]place, error) {
	if name, ok := d.layout.literal(depth); ok {
		child := path.Join(dir, name)
		if isDir, err := d.isDir(child); err != nil || !isDir {
			return nil, err
		}
		return d.below(child, depth+1, at)
	}
	entries, err := fs.ReadDir(d.tree, dir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	var found []place
	for _, entry := range entries {
		next, ok := d.match(entry.Name(), depth, at)
		if !ok || (!entry.IsDir() && entry.Type()&fs.ModeSymlink == 0) {
			continue
		}
		child := path.Join(dir, entry.Name())
		if isDir, err := d.isDir(child); err != nil || !isDir {
			if err != nil {
				return nil, err
			}
			continue
		}
		below, err := d.below(child, depth+1, next)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

func (d *discovery) isDir(name string) (bool, error) {
	info, err := fs.Stat(d.tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read folder %s: %w", name, err)
	}
	return info.IsDir(), nil
}

// match reads the placeholders out of one path element.
func (d *discovery) match(name string, depth int, at place) (place, bool) {
	re := d.layout[depth]
	m := re.FindStringSubmatch(name)
	if m == nil {
		return at, false
	}
	for i, group := range re.SubexpNames() {
		switch group {
		case "service":
			at.Service = m[i]
		case "environment":
			at.Environment = m[i]
		}
	}
	return at, true
}
