package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"
)

// Submodule is a commit of another repository in the place of a directory.
type Submodule struct {
	Parent string // URL of the repository that it is in
	Path   string // where in it
	URL    string // of the submodule, made absolute
	Commit string // full hash
}

// SubmoduleFunc opens a submodule, or says why not. It decides which URLs may be reached and with which credential.
type SubmoduleFunc func(ctx context.Context, m Submodule) (*Tree, error)

// Access says with which credential the repository of a URL may be read, or with a sentence why it may not.
type Access func(ctx context.Context, url string) (Auth, error)

// Reaching is the same tree, in which submodules lead to other repositories where access lets them, also from one
// submodule into the next. Without it none does: whoever writes .gitmodules, the author of a pull request among them,
// would read what the credential of this repository may read.
func (t *Tree) Reaching(access Access) *Tree {
	return &Tree{repo: t.repo, ctx: t.ctx, rev: t.rev, root: t.root, depth: t.depth, reach: access}
}

// Anew is the same tree while ctx lasts, in which no submodule has been opened yet. One that takes long to come keeps
// everybody waiting who opens one of the same tree.
func (t *Tree) Anew(ctx context.Context) *Tree {
	return &Tree{repo: t.repo, ctx: ctx, rev: t.rev, root: t.root, depth: t.depth, reach: t.reach}
}

// maxDepth is how many submodules may lie in one another.
const maxDepth = 8

// module opens the submodule at a path of this tree, once.
func (t *Tree) module(p, commit string) (*Tree, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sub, ok := t.modules[p]; ok {
		return sub, nil
	}
	if t.depth >= maxDepth {
		return nil, fmt.Errorf("submodule %s: more than %d submodules in one another", p, maxDepth)
	}
	link, err := t.moduleURL(p)
	if err != nil {
		return nil, fmt.Errorf("submodule %s: %w", p, err)
	}
	m := Submodule{Parent: t.repo.remote.raw, Path: p, URL: link, Commit: commit}
	open := t.repo.store.opts.Submodule
	switch {
	case open != nil:
	case t.repo.store.opts.SameHostSubmodules:
		open = t.repo.sameHostSubmodule
	default:
		open = t.reachSubmodule
	}
	found, err := open(t.ctx, m)
	if err != nil {
		return nil, fmt.Errorf("submodule %s: %w", p, err)
	}
	sub := &Tree{repo: found.repo, ctx: t.ctx, rev: found.rev, root: found.root, depth: t.depth + 1, reach: t.reach}
	if t.modules == nil {
		t.modules = map[string]*Tree{}
	}
	t.modules[p] = sub
	return sub, nil
}

// reachSubmodule opens a submodule with the credential that the tree's Access has for its URL. The URL is refused first if
// nobody could reach it, so that Access is asked about nothing else.
func (t *Tree) reachSubmodule(ctx context.Context, m Submodule) (*Tree, error) {
	store := t.repo.store
	if err := ValidateURL(m.URL, store.opts); err != nil {
		return nil, err
	}
	if t.reach == nil {
		return nil, fmt.Errorf("its URL %s leads to another repository, which is not followed from here: commit what it holds", m.URL)
	}
	auth, err := t.reach(ctx, m.URL)
	if err != nil {
		return nil, err
	}
	sub, err := store.Repository(m.URL)
	if err != nil {
		return nil, err
	}
	if err := sub.FetchRevision(ctx, m.Commit, auth); err != nil {
		return nil, err
	}
	return sub.Tree(ctx, m.Commit)
}

// sameHostSubmodule is what Options.SameHostSubmodules does.
func (r *Repository) sameHostSubmodule(ctx context.Context, m Submodule) (*Tree, error) {
	rem, err := parseURL(m.URL, r.store.opts)
	if err != nil {
		return nil, err
	}
	if !sameHost(r.remote, rem) && (r.remote.scheme != "file" || rem.scheme != "file") {
		return nil, fmt.Errorf("its URL %s is not on the host of %s, whose credential would be sent there: allow submodules of that host, or use a URL of the same scheme and host", m.URL, r.remote.raw)
	}
	sub, err := r.store.Repository(m.URL)
	if err != nil {
		return nil, err
	}
	if !sub.Has(ctx, m.Commit) {
		r.mu.Lock()
		auth := r.auth
		r.mu.Unlock()
		if err := sub.FetchRevision(ctx, m.Commit, auth); err != nil {
			return nil, err
		}
	}
	return sub.Tree(ctx, m.Commit)
}

// moduleURL finds the URL of the submodule at a path in .gitmodules, which git itself reads.
func (t *Tree) moduleURL(p string) (string, error) {
	es, err := t.repo.tree(t.ctx, t.root)
	if err != nil {
		return "", err
	}
	e, ok := es.find(".gitmodules")
	if !ok || e.isLink() || e.isDir() {
		return "", fmt.Errorf("%w: there is no file .gitmodules that says where it comes from", fs.ErrInvalid)
	}
	out, err := t.repo.store.git(t.ctx, run{
		dir: t.repo.dir, args: []string{"config", "--blob", hexHash(e.hash), "--no-includes", "-z", "--list"},
	})
	if err != nil {
		return "", fmt.Errorf("read .gitmodules: %w", err)
	}
	paths, urls := map[string]string{}, map[string]string{}
	for line := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(line, "\n")
		if name, ok := strings.CutSuffix(key, ".path"); ok && strings.HasPrefix(key, "submodule.") {
			paths[path.Clean(value)] = name
		}
		if name, ok := strings.CutSuffix(key, ".url"); ok && strings.HasPrefix(key, "submodule.") {
			urls[name] = value
		}
	}
	name, ok := paths[p]
	if !ok || urls[name] == "" {
		return "", fmt.Errorf("%w: .gitmodules has no url for it", fs.ErrInvalid)
	}
	return resolveURL(t.repo.remote, urls[name])
}

// resolveURL makes the URL of a submodule absolute: ./ and ../ are relative to the URL of the parent.
func resolveURL(parent remote, ref string) (string, error) {
	if !strings.HasPrefix(ref, "./") && !strings.HasPrefix(ref, "../") {
		return ref, nil
	}
	base := strings.Trim(parent.path, "/")
	joined := path.Join("/", base, ref)
	if strings.Count(path.Clean(ref), "..") > strings.Count("/"+base, "/") || joined == "/" {
		return "", errors.New("its relative URL leads above the host")
	}
	switch {
	case parent.scp:
		user := ""
		if parent.user != "" {
			user = parent.user + "@"
		}
		if !strings.HasPrefix(parent.path, "/") {
			joined = strings.TrimPrefix(joined, "/")
		}
		return user + parent.host + ":" + joined, nil
	case parent.scheme == "file":
		return strings.TrimSuffix(parent.raw[:strings.Index(parent.raw, "/")+1], "/") + fileRest(parent.raw, joined), nil
	}
	u := url.URL{Scheme: parent.scheme, Host: parent.host, Path: joined}
	if parent.user != "" {
		u.User = url.User(parent.user)
	}
	return u.String(), nil
}

// fileRest writes a local path in the form that the parent's URL has.
func fileRest(parent, joined string) string {
	if strings.HasPrefix(parent, "/") {
		return joined
	}
	return "//" + joined
}
