package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// ours is this project's package.
type ours struct {
	store *gitrepo.Store
	repo  *gitrepo.Repository
}

func newGitrepo(dir, url string) (*ours, error) {
	store, err := gitrepo.Open(dir, gitrepo.Options{})
	if err != nil {
		return nil, err
	}
	repo, err := store.Repository(url)
	return &ours{store, repo}, err
}

func (o *ours) close() error { return o.store.Close() }

func (o *ours) clone(ctx context.Context) error { _, err := o.fetch(ctx); return err }

func (o *ours) fetch(ctx context.Context) (string, error) {
	rev, err := o.repo.Fetch(ctx, "main", gitrepo.Auth{})
	return rev.Hash, err
}

func (o *ours) read(ctx context.Context, rev string, dirs []string) (int, error) {
	tree, err := o.repo.Tree(ctx, rev)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, dir := range dirs {
		entries, err := tree.ReadDir(dir)
		if err != nil {
			return n, err
		}
		for _, e := range entries {
			if _, err := tree.ReadFile(dir + "/" + e.Name()); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func (o *ours) diff(ctx context.Context, from, to string) (int, error) {
	changes, err := o.repo.Diff(ctx, from, to)
	return len(changes.Files()), err
}

func (o *ours) list(ctx context.Context, rev string) (int, error) {
	tree, err := o.repo.Tree(ctx, rev)
	if err != nil {
		return 0, err
	}
	n := 0
	err = fs.WalkDir(tree, ".", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	return n, err
}

// program is the git program with one command for each thing to do.
type program struct{ dir, url string }

func (p *program) close() error { return nil }

func (p *program) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", p.dir, "-c", "gc.auto=0", "-c", "transfer.fsckObjects=true"}, args...)...) //nolint:gosec // the commands of this file
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (p *program) clone(ctx context.Context) error {
	if _, err := p.git(ctx, "init", "--quiet", "--bare", "."); err != nil {
		return err
	}
	_, err := p.fetch(ctx)
	return err
}

func (p *program) fetch(ctx context.Context) (string, error) {
	_, err := p.git(ctx, "fetch", "--quiet", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head", p.url, "+refs/heads/main:refs/heads/main")
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(p.dir + "/refs/heads/main")
	return strings.TrimSpace(string(b)), err
}

// read asks one `git cat-file --batch` for each folder and file by its path.
func (p *program) read(ctx context.Context, rev string, dirs []string) (int, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", p.dir, "cat-file", "--batch") //nolint:gosec // in a folder of this program
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	out, n := bufio.NewReader(stdout), 0
	for _, dir := range dirs {
		for _, name := range append([]string{""}, filesOfFolder...) {
			if _, err := fmt.Fprintf(in, "%s:%s/%s\n", rev, dir, name); err != nil {
				return n, err
			}
			line, err := out.ReadString('\n')
			if err != nil {
				return n, err
			}
			size, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1 : len(line)-1])
			if err != nil {
				return n, err
			}
			if _, err := out.Discard(size + 1); err != nil {
				return n, err
			}
			n++
		}
	}
	_ = in.Close()
	return n - len(dirs), cmd.Wait()
}

func (p *program) diff(ctx context.Context, from, to string) (int, error) {
	out, err := p.git(ctx, "diff-tree", "-r", "--name-only", from, to)
	return strings.Count(out, "\n") + 1, err
}

func (p *program) list(ctx context.Context, rev string) (int, error) {
	out, err := p.git(ctx, "ls-tree", "-r", "--name-only", rev)
	return strings.Count(out, "\n") + 1, err
}

// ancestor is the commit n before the head of the remote.
func ancestor(ctx context.Context, dir string, n int) string {
	out, _ := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", fmt.Sprintf("refs/heads/main~%d", n)).Output() //nolint:gosec // in a folder of this program
	return strings.TrimSpace(string(out))
}

// library is go-git, with its own transport and its own reading.
type library struct {
	dir, url string
	repo     *gogit.Repository
}

func (l *library) close() error { return nil }

func (l *library) clone(ctx context.Context) (err error) {
	l.repo, err = gogit.PlainCloneContext(ctx, l.dir, true, &gogit.CloneOptions{URL: l.url, SingleBranch: true, ReferenceName: "refs/heads/main", Tags: gogit.NoTags})
	return err
}

func (l *library) fetch(ctx context.Context) (string, error) {
	err := l.repo.FetchContext(ctx, &gogit.FetchOptions{RefSpecs: []config.RefSpec{"+refs/heads/main:refs/heads/main"}, Tags: gogit.NoTags})
	if err != nil && !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		return "", err
	}
	ref, err := l.repo.Reference("refs/heads/main", true)
	if err != nil {
		return "", err
	}
	return ref.Hash().String(), nil
}

func (l *library) tree(rev string) (*object.Tree, error) {
	c, err := l.repo.CommitObject(plumbing.NewHash(rev))
	if err != nil {
		return nil, err
	}
	return c.Tree()
}

func (l *library) read(_ context.Context, rev string, dirs []string) (int, error) {
	root, err := l.tree(rev)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, dir := range dirs {
		tree, err := root.Tree(dir)
		if err != nil {
			return n, err
		}
		for _, e := range tree.Entries {
			file, err := tree.TreeEntryFile(&e)
			if err != nil {
				return n, err
			}
			if _, err := file.Contents(); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func (l *library) diff(ctx context.Context, from, to string) (int, error) {
	a, err := l.tree(from)
	if err != nil {
		return 0, err
	}
	b, err := l.tree(to)
	if err != nil {
		return 0, err
	}
	changes, err := object.DiffTreeWithOptions(ctx, a, b, nil)
	return len(changes), err
}

func (l *library) list(_ context.Context, rev string) (int, error) {
	tree, err := l.tree(rev)
	if err != nil {
		return 0, err
	}
	n := 0
	err = tree.Files().ForEach(func(*object.File) error { n++; return nil })
	return n, err
}
