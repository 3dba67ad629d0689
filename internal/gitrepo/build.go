package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// maxWritten bounds the files of one commit that is made here, in bytes, and maxFiles their number.
const (
	maxWritten = 64 << 20
	maxFiles   = 10_000
)

// folder is what is to change in a directory.
type folder struct {
	files map[string][]byte // nil takes the file away
	dirs  map[string]*folder
}

func newFolder() *folder { return &folder{files: map[string][]byte{}, dirs: map[string]*folder{}} }

// folders sorts changes by directory and refuses paths that no repository should have.
func folders(changes map[string][]byte) (*folder, error) {
	if len(changes) > maxFiles {
		return nil, fmt.Errorf("%d files are to be written at once, and %d are allowed", len(changes), maxFiles)
	}
	root, size := newFolder(), 0
	for p, data := range changes {
		if size += len(data); size > maxWritten {
			return nil, fmt.Errorf("more than %d bytes are to be written at once", maxWritten)
		}
		if err := checkPath(p); err != nil {
			return nil, err
		}
		at := root
		parts := strings.Split(p, "/")
		for _, name := range parts[:len(parts)-1] {
			if at.dirs[name] == nil {
				at.dirs[name] = newFolder()
			}
			at = at.dirs[name]
		}
		at.files[parts[len(parts)-1]] = data
	}
	return root, nil
}

func checkPath(p string) error {
	bad := p == "." || !fs.ValidPath(p) || strings.ContainsFunc(p, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' })
	for name := range strings.SplitSeq(p, "/") {
		bad = bad || strings.EqualFold(strings.TrimRight(name, ". "), ".git") || len(name) > 255
	}
	if bad || len(p) > 4096 {
		return fmt.Errorf("%q is not a path that is written to", p)
	}
	return nil
}

// builder makes trees and commits on top of what a repository has.
type builder struct {
	*made
	repo *Repository // with what was made
}

func (r *Repository) builder() *builder {
	m := newMade(r.format())
	return &builder{made: m, repo: r.over(m)}
}

// apply makes the tree that a directory becomes, and returns its raw hash: "" when nothing is left in it. Dir is the
// raw hash of what it is now, "" for nothing.
func (b *builder) apply(ctx context.Context, at, dir string, f *folder) (string, error) {
	var list entries
	if dir != "" {
		es, err := b.repo.tree(ctx, dir)
		if err != nil {
			return "", err
		}
		list = slices.Clone(es)
	}
	changed := false
	for _, name := range sortedNames(f.dirs) {
		old, _ := list.find(name)
		was := ""
		switch {
		case old.hash == "":
		case old.isDir():
			was = old.hash
		default:
			return "", notAFolder(at+name, old)
		}
		now, err := b.apply(ctx, at+name+"/", was, f.dirs[name])
		if err != nil {
			return "", err
		}
		changed = changed || now != was
		list = list.with(entry{name: name, hash: now, mode: modeDir})
	}
	for _, name := range sortedNames(f.files) {
		old, _ := list.find(name)
		if old.hash != "" && (old.isDir() || old.isLink() || old.isModule()) {
			return "", fmt.Errorf("%s cannot be written as a file, because it is %s", at+name, old.what())
		}
		e := entry{name: name, mode: cmp.Or(old.mode, modeFile)}
		if data := f.files[name]; data != nil {
			e.hash = rawHash(b.add("blob", bytes.Clone(data)))
		}
		changed = changed || e.hash != old.hash
		list = list.with(e)
	}
	switch {
	case !changed:
		return dir, nil
	case len(list) == 0:
		return "", nil
	}
	return rawHash(b.add("tree", list.encode())), nil
}

func notAFolder(p string, e entry) error {
	if e.isLink() {
		return fmt.Errorf("%s is a symbolic link, and no file is written through one: edit the file that it leads to", p)
	}
	return fmt.Errorf("%s is %s, and no file is written below it", p, e.what())
}

func (e entry) what() string {
	switch {
	case e.isDir():
		return "a directory"
	case e.isLink():
		return "a symbolic link"
	case e.isModule():
		return "a submodule"
	}
	return "a file"
}

// with puts an entry into its place, or takes it away when it has no hash.
func (es entries) with(e entry) entries {
	i, found := slices.BinarySearchFunc(es, e.name, func(x entry, name string) int { return strings.Compare(x.name, name) })
	switch {
	case found && e.hash == "":
		return slices.Delete(es, i, i+1)
	case found:
		es[i] = e
	case e.hash != "":
		return slices.Insert(es, i, e)
	}
	return es
}

// encode is the reverse of parseTree.
func (es entries) encode() []byte {
	sorted := slices.Clone(es)
	key := func(e entry) string {
		if e.isDir() {
			return e.name + "/"
		}
		return e.name
	}
	slices.SortFunc(sorted, func(a, b entry) int { return strings.Compare(key(a), key(b)) })
	var b bytes.Buffer
	for _, e := range sorted {
		fmt.Fprintf(&b, "%o %s\x00%s", e.mode, e.name, e.hash)
	}
	return b.Bytes()
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// errNothing says that an edit would leave the branch without any file.
var errNothing = errors.New("the edit takes away every file of the repository, and no such commit is made")

// change makes the tree of a commit with changes, and returns its hash, hexadecimal.
func (b *builder) change(ctx context.Context, tree string, changes map[string][]byte) (string, error) {
	root, err := folders(changes)
	if err != nil {
		return "", err
	}
	hash, err := b.apply(ctx, "", rawHash(tree), root)
	if err == nil && hash == "" {
		err = errNothing
	}
	return hexHash(hash), err
}

// treeOf is the tree of a commit that is here or was made.
func (b *builder) treeOf(ctx context.Context, commit string) (string, error) {
	c, err := b.repo.readCommit(ctx, commit)
	return c.tree, err
}
