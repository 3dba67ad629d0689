package gitrepo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// Repository is the mirror of one remote. It is safe for concurrent use: fetches of one repository follow one another,
// and reading goes on meanwhile.
type Repository struct {
	store   *Store
	remote  remote
	dir     string
	readers *readers

	fetching    chan struct{} // holds one token while a fetch, or a push, runs
	writes      writes
	wire        *wire // of the fetch that runs; nil until the server has said what it speaks
	maintaining sync.Mutex
	damaged     atomic.Bool // set by a reader, cleared when the mirror has been made anew

	mu    sync.Mutex
	auth  Auth            // of the last fetch that succeeded, for Options.SameHostSubmodules
	moved string          // where the remote redirects to; on another host if that was learnt without a credential
	shown map[string]bool // commits that the remote lets credentials read
}

// URL is the URL that the repository was opened with.
func (r *Repository) URL() string { return r.remote.raw }

// Dir is the folder of the bare mirror; it exists after the first fetch.
func (r *Repository) Dir() string { return r.dir }

// exists says whether the mirror has been made and its bones are whole.
func (r *Repository) exists() bool { return wholeMirror(r.dir) }

func wholeMirror(dir string) bool {
	for _, f := range []string{"HEAD", "config"} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Size() == 0 {
			return false
		}
	}
	for _, d := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, d)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// create makes an empty bare repository beside the mirrors and returns its folder; it is renamed into place when it is
// worth having.
func (s *Store) create(ctx context.Context, format string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "mirror-")
	if err != nil {
		return "", fmt.Errorf("make mirror: %w", err)
	}
	_, err = s.git(ctx, run{dir: dir, args: []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--object-format=" + format, "."}})
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("make mirror: %w", err)
	}
	return dir, nil
}

// format is the hash that the mirror is built on.
func (r *Repository) format() string {
	b, _ := os.ReadFile(filepath.Join(r.dir, "config"))
	if strings.Contains(strings.ToLower(string(b)), "objectformat = sha256") {
		return "sha256"
	}
	return "sha1"
}

// ensure makes the mirror when there is none.
func (r *Repository) ensure(ctx context.Context, format string) error {
	if format != "sha1" && format != "sha256" {
		return &FetchError{URL: r.remote.raw, Reason: ErrRejected, Detail: "its objects have an unknown kind of hash"}
	}
	if r.exists() {
		return nil
	}
	if _, err := os.Stat(r.dir); err == nil {
		return ErrCorrupt
	}
	dir, err := r.store.create(ctx, format)
	if err != nil {
		return err
	}
	if err := os.Rename(dir, r.dir); err != nil {
		return fmt.Errorf("make mirror: %w", err)
	}
	return nil
}

// sweepMirror removes the locks and half-received packs of a killed git.
func sweepMirror(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be listed is left to git, which says what is wrong with it
		}
		name := d.Name()
		if d.IsDir() {
			// Loose objects have no locks, and there may be many of them.
			if len(name) == 2 && filepath.Base(filepath.Dir(p)) == "objects" {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, ".tmp-") {
			_ = os.Remove(p) //nolint:gosec // Open holds the lock of the folder, and nothing runs in it yet
		}
		return nil
	})
}
