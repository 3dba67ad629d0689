package remote

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client fetches and keeps what it fetched. It is safe for concurrent use.
type Client struct {
	dir   string // "" keeps nothing
	limit int64  // bytes kept
	key   []byte // of [Policy.Reader]

	mu sync.Mutex // of writing to dir
}

// New returns a Client that keeps at most limit bytes in dir, which it makes when it needs it; nothing when dir is "". What
// was fetched with a credential is found again by whoever has the same one, under the same key.
func New(dir string, limit int64, key []byte) *Client {
	return &Client{dir: dir, limit: limit, key: key}
}

// File fetches a single file of at most limit bytes.
func (c *Client) File(ctx context.Context, p Policy, u string, limit int64) (data []byte, digest string, err error) {
	data, err = get(ctx, p, u, limit)
	if err != nil {
		return nil, "", err
	}
	return data, digestOf(data), nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// known returns an archive from disk: one that is named by its digest, or by an exact version, which never changes.
func (c *Client) known(r Ref) ([]byte, string, bool) {
	if c.dir == "" {
		return nil, "", false
	}
	digest := r.Digest
	if exact(r.Version) || strings.HasPrefix(r.Version, "sha256:") {
		if b, err := os.ReadFile(c.refFile(r)); err == nil {
			digest = string(b)
		}
	}
	data, err := os.ReadFile(c.blobFile(r, digest))
	if err != nil || digest == "" || digestOf(data) != digest {
		return nil, "", false
	}
	now := time.Now()
	_ = os.Chtimes(c.blobFile(r, digest), now, now) // only the order in which it goes hangs on it
	return data, digest, true
}

func (c *Client) blobFile(r Ref, digest string) string {
	return filepath.Join(c.dir, r.reader+strings.ReplaceAll(filepath.Base(digest), ":", "-")+".tgz")
}

// refFile remembers which digest a version has. A digest that is asked for is part of the name.
func (c *Client) refFile(r Ref) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{strings.TrimSuffix(r.Repository, "/"), r.Name, r.Version, lockOf(r), r.reader}, "\n")))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16])+".ref")
}

// lockOf is the digest that the caller asked for, not the one that an index claims.
func lockOf(r Ref) string {
	if r.URL != "" {
		return ""
	}
	return r.Digest
}

// store keeps an archive. What cannot be kept is fetched again.
func (c *Client) store(r Ref, digest string, data []byte) {
	if c.dir == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return
	}
	if write(c.blobFile(r, digest), data) != nil {
		return
	}
	if exact(r.Version) || strings.HasPrefix(r.Version, "sha256:") {
		_ = write(c.refFile(r), []byte(digest)) // without it the archive is found by its digest only
	}
	c.trim()
}

// write writes a file whole or not at all.
func write(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// trim takes away the archives used longest ago until the rest fits.
func (c *Client) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	type file struct {
		name string
		size int64
		at   time.Time
	}
	var files []file
	var total int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, file{e.Name(), info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	for _, f := range files {
		if total <= c.limit {
			return
		}
		if os.Remove(filepath.Join(c.dir, f.name)) == nil {
			total -= f.size
		}
	}
}
