package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

const (
	treeFiles = 64        // a folder of at most so many files …
	treeBytes = 256 << 10 // … and bytes is sent as a whole
)

// server answers the questions of one job. It is the only way of a worker to the files, and it records every answer,
// so that a worker cannot hide what it read.
type server struct {
	fetches
	fileLimit int64
	readLimit int64 // bytes left that the job may read
}

// refusal tells whether err is a decision of the source about one path, and not trouble with reading. Sources are
// known here by their words only: os.Root says "escapes", a Git source names the symbolic link or the size.
func refusal(err error) bool {
	if errors.Is(err, fs.ErrPermission) {
		return true
	}
	s := err.Error()
	for _, words := range []string{"symbolic link", "escapes", "are not read"} {
		if strings.Contains(s, words) {
			return true
		}
	}
	return false
}

// refuse returns the Reply for a path that the source refuses.
func refuse(name string, err error) []byte {
	s := err.Error()
	switch {
	case strings.Contains(s, "escapes"), strings.Contains(s, "out of the repository"):
		return refused("%s is a symbolic link that leads out of the repository: commit the file itself", name)
	case strings.Contains(s, "too many levels"), strings.Contains(s, "of a loop"):
		return refused("%s is a symbolic link that leads in a circle: commit the file itself", name)
	}
	return refused("%s cannot be used: %s", name, s)
}

// answer returns the payload of the Reply to one question. An error means that the source failed, not the job.
func (s *server) answer(ctx context.Context, k wire.Kind, payload []byte) ([]byte, error) {
	if k == wire.Fetch {
		return s.fetches.answer(ctx, payload)
	}
	name := wire.NewReader(payload).String()
	if !fs.ValidPath(name) {
		return refused("%q leads out of the repository: name files and folders within it", name), nil
	}
	if k == wire.List {
		return s.list(name)
	}
	return s.open(name)
}

// saw records name, unless it is in another repository, which is recorded as its commit.
func (s *server) saw(name string) {
	if _, _, own := s.source(name); own {
		s.rec.saw(name)
	}
}

func withLength(data []byte) []byte {
	var b wire.Buffer
	b.Data(data)
	return b.Bytes()
}

func refused(format string, args ...any) []byte {
	var b wire.Buffer
	b.String(fmt.Sprintf(format, args...))
	return append([]byte{byte(wire.Refused)}, b.Bytes()...)
}

func (s *server) open(name string) ([]byte, error) {
	src, in, _ := s.source(name)
	info, err := fs.Stat(src, in)
	switch {
	case err != nil && absent(err):
		s.saw(name)
		return []byte{byte(wire.Absent)}, nil
	case err != nil && refusal(err):
		s.saw(name)
		return refuse(name, err), nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case info.IsDir():
		return s.openDir(name)
	case !info.Mode().IsRegular():
		return refused("%s is no regular file", name), nil
	}
	s.saw(name)
	if info.Size() > s.fileLimit {
		return refused("%s has %d MiB and a file to render may have %d MiB: keep what is not a manifest out of the rendered folders", name, info.Size()>>20, s.fileLimit>>20), nil
	}
	if s.readLimit -= info.Size(); s.readLimit < 0 {
		return refused("%s is one file too many: a render may read no more in total, so split the folder into several Apps", name), nil
	}
	data, err := fs.ReadFile(src, in)
	if err != nil {
		if refusal(err) {
			return refuse(name, err), nil
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return append([]byte{byte(wire.File)}, withLength(data)...), nil
}

func (s *server) openDir(name string) ([]byte, error) {
	entries, ok, err := s.tree(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		s.saw(name + "/")
		return []byte{byte(wire.Dir)}, nil
	}
	var b wire.Buffer
	wire.AppendEntries(&b, entries)
	return append([]byte{byte(wire.Tree)}, b.Bytes()...), nil
}

func (s *server) list(name string) ([]byte, error) {
	s.saw(name)
	src, in, _ := s.source(name)
	entries, err := fs.ReadDir(src, in)
	if err != nil {
		if absent(err) {
			return []byte{byte(wire.Absent)}, nil
		}
		return nil, fmt.Errorf("list %s: %w", name, err)
	}
	names := make([]wire.Entry, 0, len(entries))
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		dir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			s.saw(path.Join(name, e.Name())) // the hash of the directory knows the link, not what it leads to
			info, err := fs.Stat(src, path.Join(in, e.Name()))
			dir = err == nil && info.IsDir()
		}
		names = append(names, wire.Entry{Path: e.Name(), Dir: dir})
	}
	var b wire.Buffer
	wire.AppendEntries(&b, names)
	return append([]byte{byte(wire.Names)}, b.Bytes()...), nil
}

// tree returns all of a small directory and records it; ok is false when the directory is not small or anything in it
// needs a closer look.
func (s *server) tree(name string) (entries []wire.Entry, ok bool, err error) {
	src, in, _ := s.source(name)
	t := treeReader{src: src}
	ok, err = t.read(in, "", 0)
	if err != nil || !ok || int64(t.bytes) > s.readLimit {
		return nil, false, err
	}
	s.readLimit -= int64(t.bytes)
	s.saw(name)
	for _, l := range t.links {
		s.saw(path.Join(name, l))
	}
	return t.entries, true, nil
}

type treeReader struct {
	src     Source
	entries []wire.Entry
	links   []string
	files   int
	bytes   int
}

func (t *treeReader) read(root, rel string, depth int) (bool, error) {
	dir, err := fs.ReadDir(t.src, path.Join(root, rel))
	if err != nil {
		if absent(err) || refusal(err) {
			return false, nil
		}
		return false, fmt.Errorf("list %s: %w", path.Join(root, rel), err)
	}
	if t.files+len(dir) > treeFiles || depth > 8 {
		return false, nil
	}
	for _, e := range dir {
		name := path.Join(root, rel, e.Name())
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := fs.Stat(t.src, name)
			if err != nil {
				return false, nil //nolint:nilerr // whoever needs the file asks for it by name and is told why not
			}
			isDir = info.IsDir()
			t.links = append(t.links, path.Join(rel, e.Name()))
		}
		t.files++
		if isDir {
			t.entries = append(t.entries, wire.Entry{Path: path.Join(rel, e.Name()), Dir: true})
			if ok, err := t.read(root, path.Join(rel, e.Name()), depth+1); !ok || err != nil {
				return false, err
			}
			continue
		}
		if !t.file(e, name, path.Join(rel, e.Name())) {
			return false, nil
		}
	}
	return true, nil
}

// file takes a file along; it returns false for one that needs a closer look.
func (t *treeReader) file(e fs.DirEntry, name, rel string) bool {
	info, err := e.Info()
	if err != nil || t.bytes+int(info.Size()) > treeBytes || e.Type()&^fs.ModeSymlink != 0 {
		return false // the file is asked for by name, and its trouble told, when it is needed
	}
	data, err := fs.ReadFile(t.src, name)
	if err != nil {
		return false // as above
	}
	if t.bytes += len(data); t.bytes > treeBytes {
		return false
	}
	t.entries = append(t.entries, wire.Entry{Path: rel, Data: data})
	return true
}
