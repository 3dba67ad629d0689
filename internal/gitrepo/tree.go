package gitrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// Tree is a commit's files. It implements fs.FS, fs.ReadFileFS, fs.ReadDirFS, fs.StatFS and fs.ReadLinkFS, and is safe
// for concurrent use. It reads on demand and holds nothing, so that it may be made for every look.
//
// Symbolic links are followed inside the repository, also through directories and into submodules; those that lead out
// of it, and loops, are a *LinkError. A file larger than Options.MaxBlob can be listed and asked for its size, and
// reading it is a *TooLargeError. Times are zero, since Git keeps none.
type Tree struct {
	repo  *Repository
	ctx   context.Context //nolint:containedctx // of the work that the tree was opened for: fs.FS has no place for one
	rev   string
	root  string // raw hash
	depth int    // of submodules
	reach Access // nil leads to no other repository

	mu      sync.Mutex
	modules map[string]*Tree // by path of the gitlink
}

var (
	_ fs.ReadFileFS = (*Tree)(nil)
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
	_ fs.ReadLinkFS = (*Tree)(nil)
)

// Tree opens the files of a commit, by its full hash. It reads while ctx lasts; when it ends, every further read fails
// with its cause. The error matches ErrUnknownRevision when the commit is not here.
func (r *Repository) Tree(ctx context.Context, rev string) (*Tree, error) {
	c, err := r.commit(ctx, rev)
	if err != nil {
		return nil, fmt.Errorf("open tree of %s: %w", rev, err)
	}
	root := rawHash(c.tree)
	if _, err := r.tree(ctx, root); err != nil {
		return nil, fmt.Errorf("open tree of %s: %w", rev, err)
	}
	return &Tree{repo: r, ctx: ctx, rev: rev, root: root}, nil
}

// Revision is the hash of the commit.
func (t *Tree) Revision() string { return t.rev }

// Hash identifies the content of a name without reading it: the blob hash of a file, the tree hash of a directory, the
// commit of a submodule, hexadecimal. Where symbolic links lead to it, it is a hash over those links and what they lead
// to, so that it changes when either does. The hash of a directory covers the links in it by their text, not what they
// lead to. The error matches fs.ErrNotExist when there is nothing.
func (t *Tree) Hash(name string) (string, error) {
	p, err := t.walk("hash", name, walkHash)
	if err != nil {
		return "", err
	}
	if len(p.linkHashes) == 0 {
		return hexHash(p.entry.hash), nil
	}
	h := sha256.New()
	for _, l := range p.linkHashes {
		_, _ = fmt.Fprintf(h, "link %s\n", hexHash(l))
	}
	_, _ = fmt.Fprintf(h, "%o %s\n", p.entry.mode, hexHash(p.entry.hash))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Trail says where a name leads.
type Trail struct {
	// Path is the name with every symbolic link followed. Of an absent name it is where it would be.
	Path string
	// Links are the paths of the links on the way, in order.
	Links []string
	// Exists says whether there is something at Path.
	Exists bool
}

// Trace follows a name, so that a reader can record every path that its content depends on: Diff speaks of Path and
// Links, never of a name that a link leads through. That nothing is there is no error.
func (t *Tree) Trace(name string) (Trail, error) {
	p, err := t.walk("trace", name, walkHash)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Trail{}, err
	}
	return Trail{Path: p.path, Links: p.links, Exists: err == nil}, nil
}

// How far a walk goes.
const (
	walkFollow = iota // follow a last link, open a last submodule
	walkHash          // follow a last link, leave a last submodule closed
	walkLink          // leave both
)

// place is where a walk ended.
type place struct {
	owner      *Tree // whose objects: the tree itself or a submodule
	entry      entry
	path       string
	links      []string
	linkHashes []string
}

// dir is a directory on the way; the stack of them is what ".." in a link goes back on.
type dir struct {
	owner *Tree
	name  string
	hash  string
}

// step is one element of a path still to go; link is the link whose text it comes from.
type step struct {
	name string
	link *LinkError
}

// maxLinks is how many links one name may lead through, maxLinkText the length of one, in bytes.
const (
	maxLinks    = 40
	maxLinkText = 4096
)

func steps(p string, link *LinkError) []step {
	var list []step
	for name := range strings.SplitSeq(p, "/") {
		if name != "" && name != "." {
			list = append(list, step{name, link})
		}
	}
	return list
}

// walk goes down a path, link by link, and never above the root.
func (t *Tree) walk(op, name string, how int) (place, error) {
	if !fs.ValidPath(name) {
		return place{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	w := walker{stack: []dir{{owner: t, hash: t.root}}, todo: steps(name, nil)}
	p, err := w.run(how)
	if err != nil {
		return p, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if p.path == "." || name == "." {
		p.entry.name = "."
	} else {
		p.entry.name = path.Base(name)
	}
	return p, nil
}

type walker struct {
	stack []dir
	todo  []step
	place place
}

// here is the path of the deepest directory, with more elements behind it.
func (w *walker) here(more ...string) string {
	parts := make([]string, 0, len(w.stack)+len(more))
	for _, d := range w.stack[1:] {
		parts = append(parts, d.name)
	}
	parts = append(parts, more...)
	return path.Join(".", path.Join(parts...))
}

func (w *walker) run(how int) (place, error) {
	for len(w.todo) > 0 {
		at := w.todo[0]
		w.todo = w.todo[1:]
		if at.name == ".." {
			if len(w.stack) == 1 {
				e := *at.link
				e.Reason = "it leads out of the repository"
				return place{}, &e
			}
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		done, err := w.enter(at, how)
		if done || err != nil {
			return w.place, err
		}
	}
	top := w.stack[len(w.stack)-1]
	w.place.owner, w.place.path = top.owner, w.here()
	w.place.entry = entry{name: top.name, hash: top.hash, mode: modeDir}
	return w.place, nil
}

// enter takes one step down; done says that the walk has ended at a file.
func (w *walker) enter(at step, how int) (done bool, err error) {
	top := w.stack[len(w.stack)-1]
	es, err := top.owner.repo.tree(top.owner.ctx, top.hash)
	if err != nil {
		return false, err
	}
	e, ok := es.find(at.name)
	if !ok {
		w.place.path = w.absent(at)
		return false, fs.ErrNotExist
	}
	last := len(w.todo) == 0
	w.place.owner, w.place.entry = top.owner, e
	switch {
	case e.isLink() && (!last || how != walkLink):
		return false, w.follow(top, e)
	case e.isDir():
		w.stack = append(w.stack, dir{owner: top.owner, name: e.name, hash: e.hash})
		return false, nil
	case e.isModule() && (!last || how == walkFollow):
		sub, err := top.owner.module(w.inOwner(e.name), hexHash(e.hash))
		if err != nil {
			return false, err
		}
		w.stack = append(w.stack, dir{owner: sub, name: e.name, hash: sub.root})
		return false, nil
	case !last:
		w.place.path = w.absent(at)
		return false, fs.ErrNotExist
	}
	w.place.path = w.here(e.name)
	return true, nil
}

// absent is where a name would be that is not there.
func (w *walker) absent(at step) string {
	rest := append(make([]string, 0, 1+len(w.todo)), at.name)
	for _, s := range w.todo {
		rest = append(rest, s.name)
	}
	return w.here(rest...)
}

// inOwner is the path of a name in the repository that the deepest directory belongs to, as .gitmodules has it.
func (w *walker) inOwner(name string) string {
	owner := w.stack[len(w.stack)-1].owner
	parts := []string{}
	for i := len(w.stack) - 1; i > 0 && w.stack[i].owner == owner && w.stack[i-1].owner == owner; i-- {
		parts = append(parts, w.stack[i].name)
	}
	slices.Reverse(parts)
	return path.Join(append(parts, name)...)
}

// follow puts what a link says before what is still to go.
func (w *walker) follow(top dir, e entry) error {
	link := &LinkError{Link: w.here(e.name)}
	text, err := top.owner.linkText(e)
	if err != nil {
		return fmt.Errorf("read link %s: %w", link.Link, err)
	}
	link.Target = text
	switch {
	case path.IsAbs(text):
		link.Reason = "it is absolute, and leads out of the repository"
	case len(w.place.links) >= maxLinks:
		link.Reason = "it is one of more than 40 links, or of a loop"
	default:
		w.place.links = append(w.place.links, link.Link)
		w.place.linkHashes = append(w.place.linkHashes, e.hash)
		w.todo = append(steps(text, link), w.todo...)
		return nil
	}
	return link
}

func (t *Tree) linkText(e entry) (string, error) {
	obj, err := t.repo.blob(t.ctx, e.hash)
	if err != nil {
		return "", err
	}
	if obj.data == nil || obj.size > maxLinkText {
		return "", fmt.Errorf("its text has %d bytes", obj.size)
	}
	if strings.ContainsRune(string(obj.data), 0) {
		return "", errors.New("its text contains a zero byte")
	}
	return string(obj.data), nil
}
