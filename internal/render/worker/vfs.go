package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// node is what the worker knows of one path of the tree.
type node struct {
	dir      bool
	complete bool // a directory of which every descendant is known
	data     []byte
	err      error // refused by the parent
	names    []wire.Entry
}

// vfs is the tree that one job reads. It asks the parent once for each path and remembers the answer. Paths are
// slash-separated, clean and relative to the root of the tree; the root is ".".
type vfs struct {
	ask   func(k wire.Kind, payload []byte) (*wire.Reader, wire.Status, error)
	nodes map[string]*node
	read  []string // files whose content was used, in order
	limit int
	fault *fault // the first file that could not be used although it was asked for

	// kustomization checks a kustomization file and returns the text to read in its place.
	kustomization func(name string, data []byte) ([]byte, error)
}

func newVFS(limit int, ask func(wire.Kind, []byte) (*wire.Reader, wire.Status, error)) *vfs {
	return &vfs{ask: ask, nodes: map[string]*node{}, limit: limit}
}

// preload stores all of directory dir.
func (v *vfs) preload(dir string, entries []wire.Entry) {
	v.nodes[dir] = &node{dir: true, complete: true}
	for _, e := range entries {
		v.nodes[path.Join(dir, e.Path)] = &node{dir: e.Dir, complete: e.Dir, data: e.Data}
	}
}

// lookup returns what is at name, or nil when nothing is.
func (v *vfs) lookup(name string) (*node, error) {
	if n, ok := v.nodes[name]; ok {
		if n != nil && n.err != nil {
			return nil, n.err
		}
		return n, nil
	}
	for dir := name; dir != "."; {
		dir = path.Dir(dir)
		if n, ok := v.nodes[dir]; ok && (n == nil || n.complete || !n.dir) {
			v.nodes[name] = nil
			return nil, nil
		}
	}
	var b wire.Buffer
	b.String(name)
	r, status, err := v.ask(wire.Open, b.Bytes())
	if err != nil {
		return nil, err
	}
	switch status {
	case wire.Absent:
		v.nodes[name] = nil
	case wire.File:
		v.nodes[name] = &node{data: r.Data()}
	case wire.Dir:
		v.nodes[name] = &node{dir: true}
	case wire.Tree:
		v.preload(name, r.Entries())
	case wire.Refused:
		f := faultf(name, 0, "%s", r.String())
		if v.fault == nil {
			v.fault = f
		}
		v.nodes[name] = &node{err: f}
		return nil, f
	default:
		return nil, fmt.Errorf("open %s: unexpected answer %d", name, status)
	}
	return v.nodes[name], r.Err()
}

// readFile returns the content of the file name.
func (v *vfs) readFile(name string) ([]byte, error) {
	n, err := v.lookup(name)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n.dir:
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	v.read = append(v.read, name)
	if err := v.check(name, n.data); err != nil {
		return nil, err
	}
	if !isKustomizationName(name) {
		return n.data, nil
	}
	data, err := v.kustomization(name, n.data)
	if f, ok := asFault(err); ok && v.fault == nil {
		v.fault = f
	}
	return data, err
}

var lfsPrefix = []byte("version https://git-lfs.github.com/spec/v1")

// check refuses content that no renderer should see, and remembers the refusal: kustomize sometimes swallows it.
func (v *vfs) check(name string, data []byte) error {
	var f *fault
	switch {
	case bytes.HasPrefix(data, lfsPrefix):
		f = faultf(name, 1, "%s is a Git LFS pointer, not the file itself: Sengu reads plain Git objects, so commit the file without LFS (git lfs migrate export)", name)
	case len(data) > v.limit:
		f = faultf(name, 0, "%s has %d MiB and a rendered file may have %d MiB: keep what is not a manifest out of the rendered folders", name, len(data)>>20, v.limit>>20)
	case isYAMLName(name):
		f = checkAliases(name, data)
	}
	if f == nil {
		return nil
	}
	if v.fault == nil {
		v.fault = f
	}
	return f
}

// list returns the names directly in directory name, sorted.
func (v *vfs) list(name string) ([]wire.Entry, error) {
	n, err := v.lookup(name)
	if err != nil {
		return nil, err
	}
	if n == nil || !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	if n.names != nil {
		return n.names, nil
	}
	if n.complete {
		n.names = v.children(name)
		return n.names, nil
	}
	var b wire.Buffer
	b.String(name)
	r, status, err := v.ask(wire.List, b.Bytes())
	if err != nil {
		return nil, err
	}
	if status == wire.Refused {
		return nil, faultf(name, 0, "%s", r.String())
	}
	if status != wire.Names {
		return nil, fmt.Errorf("list %s: unexpected answer %d", name, status)
	}
	n.names = r.Entries()
	return n.names, r.Err()
}

func (v *vfs) children(dir string) []wire.Entry {
	var out []wire.Entry
	for p, n := range v.nodes {
		if n != nil && p != dir && path.Dir(p) == dir {
			out = append(out, wire.Entry{Path: path.Base(p), Dir: n.dir})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

// walk calls f for every file below directory dir, in the order of their paths; f gets the path relative to dir and
// may return fs.SkipDir for a directory.
func (v *vfs) walk(dir string, f func(rel string, isDir bool) error) error {
	return v.walkIn(dir, "", f)
}

func (v *vfs) walkIn(dir, rel string, f func(string, bool) error) error {
	if strings.Count(rel, "/") > 64 {
		return faultf(dir, 0, "%s is nested more than 64 folders deep: a symbolic link may lead back into itself", dir)
	}
	entries, err := v.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		r := path.Join(rel, e.Path)
		err := f(r, e.Dir)
		if e.Dir && errors.Is(err, fs.SkipDir) {
			continue
		}
		if err == nil && e.Dir {
			err = v.walkIn(path.Join(dir, e.Path), r, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isYAMLName(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return path.Base(name) == "Kustomization"
}
