package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/render"
)

// checkout is a working tree of a Git repository on disk.
type checkout struct {
	// top is the folder that holds .git, and within the folder that was named, relative to it.
	top, within string
}

// openCheckout finds the working tree that folder belongs to.
func openCheckout(folder string) (checkout, error) {
	abs, err := resolved(folder)
	if err != nil {
		return checkout{}, fmt.Errorf("there is no folder %s: %w", folder, reason(err))
	}
	for top := abs; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			rel, err := filepath.Rel(top, abs)
			if err != nil {
				return checkout{}, fmt.Errorf("find the repository of %s: %w", folder, err)
			}
			return checkout{top: top, within: filepath.ToSlash(rel)}, nil
		}
		if top == filepath.Dir(top) {
			return checkout{}, fmt.Errorf("%s is not in a checkout of a Git repository: run this in one, or name its folder", abs)
		}
	}
}

// git runs git in the working tree and returns what it prints.
func (c checkout) git(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the arguments are those of this file
	cmd.Dir = c.top
	cmd.Env = append(os.Environ(), append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("git is missing: install it")
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// remotes are the normalised addresses of the repository's remotes.
func (c checkout) remotes(ctx context.Context) ([]string, error) {
	out, err := c.git(ctx, nil, "remote", "-v")
	if err != nil {
		return nil, err
	}
	var urls []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 {
			if url := gitrepo.NormalizeURL(f[1]); url != "" {
				urls = append(urls, url)
			}
		}
	}
	return urls, nil
}

// resolve returns the hash of the commit that rev names.
func (c checkout) resolve(ctx context.Context, rev string) (string, error) {
	out, err := c.git(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("there is no revision %s in %s: fetch it first", rev, c.top)
	}
	return strings.TrimSpace(out), nil
}

// tree opens the working tree, or the files of a commit, which it unpacks into a folder for as long. The caller calls
// the function that is returned at the end.
func (c checkout) tree(ctx context.Context, commit string) (*render.Dir, func(), error) {
	if commit == "" {
		dir, err := render.DirSource(c.top)
		if err != nil {
			return nil, nil, err
		}
		return dir, func() { _ = dir.Close() }, nil
	}
	temporary, err := os.MkdirTemp("", "sengu-diff-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder for revision %s: %w", short(commit), err)
	}
	remove := func() { _ = os.RemoveAll(temporary) }
	files := filepath.Join(temporary, "files")
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(temporary, "index"), "GIT_LFS_SKIP_SMUDGE=1"}
	if err := os.Mkdir(files, 0o700); err != nil {
		remove()
		return nil, nil, fmt.Errorf("make a folder for revision %s: %w", short(commit), err)
	}
	for _, args := range [][]string{{"read-tree", commit}, {"checkout-index", "--all", "--prefix=" + files + "/"}} {
		if _, err := c.git(ctx, env, args...); err != nil {
			remove()
			return nil, nil, fmt.Errorf("unpack revision %s: %w", short(commit), err)
		}
	}
	dir, err := render.DirSource(files)
	if err != nil {
		remove()
		return nil, nil, err
	}
	return dir, func() { _ = dir.Close(); remove() }, nil
}

// changed lists the files that differ between the commit from and the commit to, or the working tree when to is empty.
// It is false if the repository does not hold from.
func (c checkout) changed(ctx context.Context, from, to string) ([]string, bool) {
	args := []string{"diff", "--name-only", "--no-renames", "--ignore-submodules=none", "-z", from}
	if to != "" {
		args = append(args, to)
	}
	out, err := c.git(ctx, nil, append(args, "--")...)
	if err != nil {
		return nil, false
	}
	files := split(out)
	if to == "" {
		out, err := c.git(ctx, nil, "ls-files", "--others", "-z")
		if err != nil {
			return nil, false
		}
		files = append(files, split(out)...)
	}
	return files, true
}

func split(out string) []string {
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 })
}
