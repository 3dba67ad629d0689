package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Modes of Git tree entries.
const (
	modeDir    = 0o040000
	modeFile   = 0o100644
	modeExec   = 0o100755
	modeLink   = 0o120000
	modeModule = 0o160000
	modeType   = 0o170000
)

// entry is one line of a Git tree. The strings share the memory of the tree's object.
type entry struct {
	name string
	hash string // raw bytes
	mode uint32
}

func (e entry) isDir() bool    { return e.mode&modeType == modeDir }
func (e entry) isLink() bool   { return e.mode&modeType == modeLink }
func (e entry) isModule() bool { return e.mode&modeType == modeModule }

// entries of one directory, sorted by name.
type entries []entry

func (es entries) find(name string) (entry, bool) {
	i, ok := slices.BinarySearchFunc(es, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
	if !ok {
		return entry{}, false
	}
	return es[i], true
}

// parseTree reads a tree object: "MODE NAME\0HASH" again and again. Names that could leave the tree are an error,
// although fsck has refused them when they arrived.
func parseTree(data string, hashSize int) (entries, error) {
	bad := errors.New("tree cannot be parsed")
	list := make(entries, 0, 1+len(data)/(hashSize+16))
	for len(data) > 0 {
		mode, rest, ok := strings.Cut(data, " ")
		name, tail, ok2 := strings.Cut(rest, "\x00")
		if !ok || !ok2 || len(tail) < hashSize || len(mode) > 7 {
			return nil, bad
		}
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil || name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return nil, bad
		}
		list = append(list, entry{name: name, hash: tail[:hashSize], mode: uint32(m)})
		data = tail[hashSize:]
	}
	// Git sorts a directory as if its name ended with a slash.
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return slices.Clip(list), nil
}

// entrySize is the memory of an entry, beside its share of the object, in bytes.
const entrySize = 40

// tree reads one directory by its raw hash.
func (r *Repository) tree(ctx context.Context, hash string) (entries, error) {
	if v, ok := r.store.cache.get(hash); ok {
		if es, ok := v.(entries); ok {
			return es, nil
		}
	}
	obj, err := r.readers.get(ctx, hexHash(hash), true, maxTree)
	if err != nil {
		return nil, r.lost(hash, err)
	}
	if obj.kind != "tree" || obj.data == nil {
		return nil, fmt.Errorf("read tree %s: it is a %s of %d bytes", hexHash(hash), obj.kind, obj.size)
	}
	es, err := parseTree(string(obj.data), len(hash))
	if err != nil {
		r.damaged.Store(true)
		return nil, fmt.Errorf("%w: read tree %s: %w", ErrCorrupt, hexHash(hash), err)
	}
	r.store.cache.put(hash, es, obj.size+int64(len(es))*entrySize)
	return es, nil
}

// smallBlob is the largest file that is cached, in bytes.
const smallBlob = 128 << 10

// blob reads a file by its raw hash. The bytes are shared: nobody may change them.
func (r *Repository) blob(ctx context.Context, hash string) (object, error) {
	if v, ok := r.store.cache.get(hash); ok {
		if data, ok := v.([]byte); ok {
			return object{kind: "blob", size: int64(len(data)), data: data}, nil
		}
	}
	obj, err := r.readers.get(ctx, hexHash(hash), true, r.store.opts.MaxBlob)
	if err != nil {
		return obj, r.lost(hash, err)
	}
	if obj.data != nil && obj.size <= smallBlob {
		r.store.cache.put(hash, obj.data, obj.size)
	}
	return obj, nil
}

// blobSize gives the size of a file. A small file is read for it, since whoever asks for the size of one file reads it
// next; of a large one no byte is kept.
func (r *Repository) blobSize(ctx context.Context, hash string) (int64, error) {
	key := "size " + hash
	if v, ok := r.store.cache.get(key); ok {
		return v.(int64), nil
	}
	if v, ok := r.store.cache.get(hash); ok {
		if data, ok := v.([]byte); ok {
			return int64(len(data)), nil
		}
	}
	obj, err := r.readers.get(ctx, hexHash(hash), true, smallBlob)
	if err != nil {
		return 0, r.lost(hash, err)
	}
	if obj.data != nil {
		r.store.cache.put(hash, obj.data, obj.size)
	} else {
		r.store.cache.put(key, obj.size, 8)
	}
	return obj.size, nil
}

// blobInfo gives the size of a file and loads nothing, for those who list many.
func (r *Repository) blobInfo(ctx context.Context, hash string) (int64, error) {
	obj, err := r.readers.get(ctx, hexHash(hash), false, 0)
	if err != nil {
		return 0, r.lost(hash, err)
	}
	return obj.size, nil
}

// lost turns a missing object that something names into damage; the next fetch repairs it.
func (r *Repository) lost(hash string, err error) error {
	if !errors.Is(err, errMissing) {
		return err
	}
	r.damaged.Store(true)
	return fmt.Errorf("%w: object %s is missing", ErrCorrupt, hexHash(hash))
}
