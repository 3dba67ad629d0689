package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Source is what a render reads: one revision of a repository. Names are those of [fs.FS]. Symbolic links are
// resolved by the source, and it refuses those that lead out of it with an error. It should implement
// [fs.ReadFileFS], [fs.ReadDirFS], [fs.StatFS] and [fs.ReadLinkFS]; its ReadDir should show a link as
// [fs.ModeSymlink].
type Source interface {
	fs.FS
	// Hash returns the identity of the content of a file, or of a directory with all that is in it. It returns an
	// error that is [fs.ErrNotExist] when nothing is there. Links are followed.
	Hash(name string) (string, error)
}

// Dir is a working tree on disk as a [Source]. Links that lead out of it are refused by the operating system.
type Dir struct {
	root *os.Root
	fs.FS
}

// DirSource opens the directory dir. The caller closes it.
func DirSource(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open working tree %s: %w", dir, err)
	}
	return &Dir{root: root, FS: root.FS()}, nil
}

// WorkingTree opens the repository that folder belongs to: the nearest folder above it that has a .git, or the whole
// file system when there is none, as a kustomization may refer to folders beside its own. It also returns the name of
// folder in that source. The caller closes it.
func WorkingTree(folder string) (*Dir, string, error) {
	abs, err := filepath.Abs(folder)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, "", fmt.Errorf("open working tree of %s: %w", folder, err)
	}
	top := abs
	for {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			break
		}
		parent := filepath.Dir(top)
		if parent == top {
			break
		}
		top = parent
	}
	name, err := filepath.Rel(top, abs)
	if err != nil {
		return nil, "", fmt.Errorf("open working tree of %s: %w", folder, err)
	}
	src, err := DirSource(top)
	return src, filepath.ToSlash(name), err
}

// Close lets go of the directory.
func (d *Dir) Close() error { return d.root.Close() }

// ReadFile returns the content of a file.
func (d *Dir) ReadFile(name string) ([]byte, error) { return fs.ReadFile(d.FS, name) }

// ReadDir returns the entries of a directory, sorted by name.
func (d *Dir) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(d.FS, name) }

// Stat describes a file or directory; links are followed.
func (d *Dir) Stat(name string) (fs.FileInfo, error) { return fs.Stat(d.FS, name) }

// Lstat describes a name, a link as a link.
func (d *Dir) Lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(name) }

// ReadLink returns the text of a link.
func (d *Dir) ReadLink(name string) (string, error) { return d.root.Readlink(name) }

// Hash reads the file, or every file below the directory. A folder named .git counts for nothing.
func (d *Dir) Hash(name string) (string, error) { return d.hash(name, 0) }

func (d *Dir) hash(name string, depth int) (string, error) {
	if depth > 64 {
		return "", fmt.Errorf("hash %s: more than 64 folders deep", name)
	}
	info, err := d.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "irregular", nil // to open a pipe is to wait for who writes into it
	}
	sum := sha256.New()
	if !info.IsDir() {
		data, err := d.ReadFile(name)
		if err != nil {
			return "", err
		}
		sum.Write(data)
		return hex.EncodeToString(sum.Sum(nil)), nil
	}
	entries, err := d.ReadDir(name)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		h, err := d.hash(path.Join(name, e.Name()), depth+1)
		if err != nil {
			h = "unreadable"
		}
		_, _ = fmt.Fprintf(sum, "%q %s\n", e.Name(), h) // a hash takes everything
	}
	return "tree-" + hex.EncodeToString(sum.Sum(nil)), nil
}

// absent tells whether err means that nothing is there, a path through a file included.
func absent(err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	var p *fs.PathError
	return errors.As(err, &p) && p.Err != nil && strings.Contains(p.Err.Error(), "not a directory")
}
