package gitrepo

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"
)

// Open opens a file or directory. A file is loaded at the first Read.
func (t *Tree) Open(name string) (fs.File, error) {
	p, err := t.walk("open", name, walkFollow)
	if err != nil {
		return nil, err
	}
	if p.entry.isDir() {
		list, err := t.list(name, p)
		if err != nil {
			return nil, err
		}
		return &openDir{info: t.info(p), entries: list, name: name}, nil
	}
	return &openFile{tree: t, name: name, place: p}, nil
}

// ReadFile gives the bytes of a file, which are the caller's own.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	p, err := t.walk("read", name, walkFollow)
	if err != nil {
		return nil, err
	}
	data, err := t.load(name, p)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(data), nil
}

// load gives the bytes of a file, which nobody may change.
func (t *Tree) load(name string, p place) ([]byte, error) {
	if p.entry.isDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
	}
	obj, err := p.owner.repo.blob(p.owner.ctx, p.entry.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	if obj.data == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: &TooLargeError{Path: p.path, Size: obj.size, Limit: t.repo.store.opts.MaxBlob}}
	}
	if obj.kind != "blob" {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is not a file")}
	}
	return obj.data, nil
}

// ReadDir lists a directory by name. No file is read, and no submodule opened but the directory itself.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	p, err := t.walk("readdir", name, walkFollow)
	if err != nil {
		return nil, err
	}
	return t.list(name, p)
}

func (t *Tree) list(name string, p place) ([]fs.DirEntry, error) {
	if !p.entry.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	es, err := p.owner.repo.tree(p.owner.ctx, p.entry.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	list := make([]fs.DirEntry, len(es))
	for i, e := range es {
		list[i] = &listed{owner: p.owner, entry: e}
	}
	return list, nil
}

// Stat describes what a name leads to, links followed.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.stat("stat", name, walkFollow) }

// Lstat describes a name itself, a link as a link. It opens no submodule that the name ends at.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.stat("lstat", name, walkLink) }

func (t *Tree) stat(op, name string, how int) (fs.FileInfo, error) {
	p, err := t.walk(op, name, how)
	if err != nil {
		return nil, err
	}
	info := t.info(p)
	if info.Mode().IsDir() {
		return info, nil
	}
	if info.size, err = p.owner.repo.blobSize(p.owner.ctx, p.entry.hash); err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return info, nil
}

// ReadLink gives the text of a symbolic link.
func (t *Tree) ReadLink(name string) (string, error) {
	p, err := t.walk("readlink", name, walkLink)
	if err != nil {
		return "", err
	}
	if !p.entry.isLink() {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	text, err := p.owner.linkText(p.entry)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return text, nil
}

func (t *Tree) info(p place) *fileInfo {
	return &fileInfo{name: p.entry.name, mode: fileMode(p.entry)}
}

func fileMode(e entry) fs.FileMode {
	switch {
	case e.isDir(), e.isModule():
		return fs.ModeDir | 0o755
	case e.isLink():
		return fs.ModeSymlink | 0o777
	case e.mode&0o111 != 0:
		return 0o755
	}
	return 0o644
}

// fileInfo implements fs.FileInfo.
type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.size }
func (i *fileInfo) Mode() fs.FileMode  { return i.mode }
func (i *fileInfo) ModTime() time.Time { return time.Time{} }
func (i *fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i *fileInfo) Sys() any           { return nil }

// listed implements fs.DirEntry; the size is asked for only when Info is called.
type listed struct {
	owner *Tree
	entry entry
}

func (l *listed) Name() string      { return l.entry.name }
func (l *listed) IsDir() bool       { return fileMode(l.entry).IsDir() }
func (l *listed) Type() fs.FileMode { return fileMode(l.entry).Type() }
func (l *listed) String() string    { return fs.FormatDirEntry(l) }

func (l *listed) Info() (fs.FileInfo, error) {
	info := &fileInfo{name: l.entry.name, mode: fileMode(l.entry)}
	if info.IsDir() {
		return info, nil
	}
	size, err := l.owner.repo.blobInfo(l.owner.ctx, l.entry.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: l.entry.name, Err: err}
	}
	info.size = size
	return info, nil
}

// openFile is a file that is loaded when it is first read.
type openFile struct {
	tree   *Tree
	name   string
	place  place
	reader *bytes.Reader
	closed bool
}

func (f *openFile) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, &fs.PathError{Op: "stat", Path: f.name, Err: fs.ErrClosed}
	}
	info := f.tree.info(f.place)
	size, err := f.place.owner.repo.blobSize(f.place.owner.ctx, f.place.entry.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: f.name, Err: err}
	}
	info.size = size
	return info, nil
}

func (f *openFile) Read(b []byte) (int, error) {
	if f.closed {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrClosed}
	}
	if f.reader == nil {
		data, err := f.tree.load(f.name, f.place)
		if err != nil {
			return 0, err
		}
		f.reader = bytes.NewReader(data)
	}
	return f.reader.Read(b)
}

func (f *openFile) Close() error {
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed, f.reader = true, nil
	return nil
}

// openDir is a directory that is being listed.
type openDir struct {
	info    *fileInfo
	name    string
	entries []fs.DirEntry
	closed  bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *openDir) Close() error {
	d.closed = true
	return nil
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if d.closed {
		return nil, &fs.PathError{Op: "readdir", Path: d.name, Err: fs.ErrClosed}
	}
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	list := slices.Clone(d.entries[:n])
	d.entries = d.entries[n:]
	return list, nil
}
