package scribe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/internal/render"
)

// files is what [Over] lays something over.
type files interface {
	render.Source
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
}

// overlay is a revision in which some files say something else.
type overlay struct {
	files
	changed map[string][]byte
	// hashes of what is laid over, by path.
	hashes map[string]string
}

// Over returns what a revision would be if some of its files said something else. Only files that are there are replaced.
func Over(tree files, changed map[string][]byte) render.Source {
	o := &overlay{files: tree, changed: changed, hashes: map[string]string{}}
	for name, content := range changed {
		sum := sha256.Sum256(content)
		o.hashes[name] = hex.EncodeToString(sum[:])
	}
	return o
}

// Hash identifies a file, or a directory with all that is in it.
func (o *overlay) Hash(name string) (string, error) {
	hash, err := o.files.Hash(name)
	if err != nil {
		return "", err
	}
	if is, ok := o.hashes[name]; ok {
		return is, nil
	}
	var below []string
	for file := range o.hashes {
		if name == "." || strings.HasPrefix(file, name+"/") {
			below = append(below, file)
		}
	}
	if len(below) == 0 {
		return hash, nil
	}
	slices.Sort(below)
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "over %s\n", hash)
	for _, file := range below {
		_, _ = fmt.Fprintf(sum, "%q %s\n", file, o.hashes[file])
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Open opens a file.
func (o *overlay) Open(name string) (fs.File, error) {
	content, ok := o.changed[name]
	if !ok {
		return o.files.Open(name)
	}
	return &file{Reader: bytes.NewReader(content), info: info{path.Base(name), int64(len(content))}}, nil
}

// ReadFile reads a file.
func (o *overlay) ReadFile(name string) ([]byte, error) {
	if content, ok := o.changed[name]; ok {
		return bytes.Clone(content), nil
	}
	return o.files.ReadFile(name)
}

// Stat describes a file.
func (o *overlay) Stat(name string) (fs.FileInfo, error) {
	if content, ok := o.changed[name]; ok {
		return info{path.Base(name), int64(len(content))}, nil
	}
	return o.files.Stat(name)
}

// file is a file that was laid over another.
type file struct {
	*bytes.Reader
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

type info struct {
	name string
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o644 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
