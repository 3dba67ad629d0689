package worker

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustFS shows a vfs to kustomize, which wants absolute paths and a file system that it may write to.
type kustFS struct{ v *vfs }

var errReadOnly = errors.New("the tree is read-only")

// rel turns a path of kustomize into one of the tree. A path cannot leave the tree: ".." at the root is the root.
func rel(p string) string {
	p = path.Clean("/" + p)
	if p == "/" {
		return "."
	}
	return p[1:]
}

func (k kustFS) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (k kustFS) Mkdir(string) error                  { return errReadOnly }
func (k kustFS) MkdirAll(string) error               { return errReadOnly }
func (k kustFS) RemoveAll(string) error              { return errReadOnly }
func (k kustFS) WriteFile(string, []byte) error      { return errReadOnly }
func (k kustFS) Glob(pattern string) ([]string, error) {
	dir, last := path.Split(pattern)
	entries, err := k.v.list(rel(dir))
	if err != nil {
		return nil, nil //nolint:nilerr // a glob in a directory that is not there matches nothing
	}
	var out []string
	for _, e := range entries {
		ok, err := path.Match(last, e.Path)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, dir+e.Path)
		}
	}
	return out, nil
}

func (k kustFS) Open(p string) (filesys.File, error) {
	data, err := k.ReadFile(p)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: strings.NewReader(string(data)), name: path.Base(p)}, nil
}

func (k kustFS) IsDir(p string) bool {
	n, err := k.v.lookup(rel(p))
	return err == nil && n != nil && n.dir
}

func (k kustFS) Exists(p string) bool {
	n, err := k.v.lookup(rel(p))
	return err == nil && n != nil
}

func (k kustFS) ReadDir(p string) ([]string, error) {
	entries, err := k.v.list(rel(p))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Path
	}
	return names, nil
}

// CleanedAbs splits p into its directory and file, as kustomize defines it.
func (k kustFS) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	p = path.Clean("/" + p)
	n, err := k.v.lookup(rel(p))
	if err != nil {
		return "", "", err
	}
	if n == nil {
		return "", "", &fs.PathError{Op: "stat", Path: rel(p), Err: fs.ErrNotExist}
	}
	if n.dir {
		return filesys.ConfirmedDir(p), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(p)), path.Base(p), nil
}

func (k kustFS) ReadFile(p string) ([]byte, error) { return k.v.readFile(rel(p)) }

func (k kustFS) Walk(p string, walk filepath.WalkFunc) error {
	return k.v.walk(rel(p), func(r string, dir bool) error {
		return walk(path.Join(p, r), fileInfo{name: path.Base(r), dir: dir}, nil)
	})
}

// openFile is a file that was opened for reading.
type openFile struct {
	*strings.Reader
	name string
}

func (f *openFile) Write([]byte) (int, error)  { return 0, errReadOnly }
func (f *openFile) Close() error               { return nil }
func (f *openFile) Stat() (fs.FileInfo, error) { return fileInfo{name: f.name, size: f.Size()}, nil }

var _ io.ReadWriteCloser = (*openFile)(nil)

// fileInfo is what can be said of a path of the tree.
type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.dir }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
