package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// The special hashes of a [ReadSet].
const (
	hashAbsent  = ""       // nothing was there
	hashDir     = "dir"    // a directory was there and its content did not matter
	hashFile    = "file"   // a file was there where a directory was looked for
	hashRefused = "denied" // the source refused to look, for instance because a link leaves the repository
)

const remotePrefix = "remote:"

// ReadSet is everything that a render looked at: path → identity of the content ([Source.Hash]), "" for what it
// found absent. A directory that was read as a whole stands for all that is in it. A path that ends in "/" is a
// directory of which only the existence mattered. "remote:…" entries are inputs from outside, with their digest.
type ReadSet map[string]string

// Paths returns the sorted paths. With [ReadSet.Digest] they are enough to ask later, by [DigestOf], whether another
// revision would read the same.
func (s ReadSet) Paths() []string {
	paths := make([]string, 0, len(s))
	for p, h := range s {
		if strings.HasPrefix(p, remotePrefix) {
			p += "@" + h
		}
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// Digest returns one hash of the whole set.
func (s ReadSet) Digest() string {
	d, _ := digest(s.Paths(), func(p string) (string, error) { return s[p], nil })
	return d
}

// Changed tells whether src differs in anything that was read. Remote inputs do not change: they are named with their
// digest.
func (s ReadSet) Changed(src Source) (bool, error) {
	for p, was := range s {
		if strings.HasPrefix(p, remotePrefix) {
			continue
		}
		is, err := hashOf(src, p)
		if err != nil {
			return false, err
		}
		if is != was {
			return true, nil
		}
	}
	return false, nil
}

// DigestOf returns what [ReadSet.Digest] would be had the render read paths, as [ReadSet.Paths] returned them, from
// src.
func DigestOf(src Source, paths []string) (string, error) {
	return digest(paths, func(p string) (string, error) { return hashOf(src, p) })
}

func digest(paths []string, hash func(string) (string, error)) (string, error) {
	sum := sha256.New()
	for _, p := range paths {
		h := ""
		if !strings.HasPrefix(p, remotePrefix) {
			var err error
			if h, err = hash(p); err != nil {
				return "", err
			}
		}
		_, _ = fmt.Fprintf(sum, "%q %q\n", p, h) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// hashOf returns the identity of what is at path p of a read-set. A source that refuses to follow a link is an answer
// too; every other trouble is an error.
func hashOf(src Source, p string) (string, error) {
	if name, ok := strings.CutSuffix(p, "/"); ok {
		info, err := fs.Stat(src, name)
		switch {
		case err == nil && info.IsDir():
			return hashDir, nil
		case err == nil:
			return hashFile, nil
		}
		return hashOfError(err)
	}
	h, err := src.Hash(p)
	if err != nil {
		return hashOfError(err)
	}
	return h, nil
}

func hashOfError(err error) (string, error) {
	if absent(err) {
		return hashAbsent, nil
	}
	if refusal(err) {
		return hashRefused, nil
	}
	return "", fmt.Errorf("hash for a read-set: %w", err)
}

// Recorder is a [Source] that remembers what was read through it. A caller that looks at files before a render, to
// decide how to render, hands the same Recorder to [Renderer.Render], and the read-set of the result covers both.
type Recorder struct {
	src Source

	mu   sync.Mutex
	seen map[string]bool
	set  ReadSet // remote inputs

	stats map[string]fs.FileInfo // what is known of a path, links not followed; nil when nothing is there
}

// NewRecorder returns a Recorder that has seen nothing.
func NewRecorder(src Source) *Recorder {
	return &Recorder{src: src, seen: map[string]bool{}, set: ReadSet{}, stats: map[string]fs.FileInfo{}}
}

func (r *Recorder) saw(name string) {
	r.mu.Lock()
	r.seen[name] = true
	r.mu.Unlock()
}

func (r *Recorder) sawRemote(ref, digest string) {
	r.mu.Lock()
	r.set[remotePrefix+ref] = digest
	r.mu.Unlock()
}

// Open opens a file and records its content, or that it is absent.
func (r *Recorder) Open(name string) (fs.File, error) {
	r.saw(name)
	return r.src.Open(name)
}

// ReadFile reads a file and records its content, or that it is absent.
func (r *Recorder) ReadFile(name string) ([]byte, error) {
	r.saw(name)
	return fs.ReadFile(r.src, name)
}

// ReadDir lists a directory and records all that is in it.
func (r *Recorder) ReadDir(name string) ([]fs.DirEntry, error) {
	r.saw(name)
	return fs.ReadDir(r.src, name)
}

// Stat describes a file or directory. It records the content of a file, and of a directory only that it exists.
func (r *Recorder) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(r.src, name)
	if err == nil && info.IsDir() {
		r.saw(name + "/")
	} else {
		r.saw(name)
	}
	return info, err
}

// Hash returns the identity of a file or directory and records it.
func (r *Recorder) Hash(name string) (string, error) {
	r.saw(name)
	return r.src.Hash(name)
}

// ReadSet returns what has been seen so far.
func (r *Recorder) ReadSet() (ReadSet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := make(ReadSet, len(r.seen)+len(r.set))
	add := func(p string) error {
		if _, ok := s[p]; ok {
			return nil
		}
		h, err := hashOf(r.src, p)
		if err == nil {
			s[p] = h
		}
		return err
	}
	for p := range r.seen {
		name, existence := strings.CutSuffix(p, "/")
		if existence && r.seen[name] {
			continue // all of the directory is in the set
		}
		if err := add(p); err != nil {
			return nil, err
		}
		links, end := r.trail(name)
		if len(links) == 0 {
			continue
		}
		if existence {
			end += "/"
		}
		for _, l := range append(links, end) {
			if err := add(l); err != nil {
				return nil, err
			}
		}
	}
	for p, h := range r.set {
		s[p] = h
	}
	return s, nil
}

// trail returns the symbolic links that name leads through, and where it ends. Both belong to the read-set beside
// name itself: a change is told by the path at which it happens.
func (r *Recorder) trail(name string) (links []string, end string) {
	src, ok := r.src.(fs.ReadLinkFS)
	if !ok {
		return nil, name
	}
	done, rest := "", name
	for rest != "" && len(links) < 40 {
		var first string
		first, rest, _ = strings.Cut(rest, "/")
		p := path.Join(done, first)
		info, ok := r.stats[p]
		if !ok {
			info, _ = src.Lstat(p) // nothing there is no link
			r.stats[p] = info
		}
		if info == nil || info.Mode()&fs.ModeSymlink == 0 {
			done = p
			continue
		}
		links = append(links, p)
		text, err := src.ReadLink(p)
		to := path.Join(path.Dir(p), text)
		if err != nil || path.IsAbs(text) || !fs.ValidPath(to) {
			return links, p // refused by the source
		}
		done, rest = "", strings.TrimSuffix(path.Join(to, rest), "/")
	}
	if done == "" {
		done = "."
	}
	return links, done
}
