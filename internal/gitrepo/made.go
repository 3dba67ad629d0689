package gitrepo

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that Git names objects by; it guards no secret
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
)

// made are objects that were made here and are stored nowhere yet, so that a write that fails leaves nothing.
type made struct {
	format string // sha1 or sha256
	byHash map[string]object
}

func newMade(format string) *made { return &made{format: format, byHash: map[string]object{}} }

func (m *made) hasher() hash.Hash {
	if m.format == "sha256" {
		return sha256.New()
	}
	return sha1.New() //nolint:gosec // as above
}

// add makes an object and returns its hash, hexadecimal.
func (m *made) add(kind string, data []byte) string {
	h := m.hasher()
	_, _ = fmt.Fprintf(h, "%s %d\x00", kind, len(data))
	h.Write(data)
	name := hex.EncodeToString(h.Sum(nil))
	m.byHash[name] = object{kind: kind, size: int64(len(data)), data: data}
	return name
}

// get is readers.get for what was made.
func (m *made) get(name string, withData bool, limit int64) (object, bool) {
	obj, ok := m.byHash[name]
	if !withData || obj.size > limit {
		obj.data = nil
	}
	return obj, ok
}

// packKinds are the numbers of the kinds in a pack.
var packKinds = map[string]byte{"commit": 1, "tree": 2, "blob": 3}

// reach lists what was made and an object leads to, itself included.
func (m *made) reach(name string, seen map[string]bool) ([]string, error) {
	obj, ok := m.byHash[name]
	if !ok || seen[name] {
		return nil, nil
	}
	seen[name] = true
	list, next := []string{name}, []string(nil)
	switch obj.kind {
	case "commit":
		c, err := parseCommit(name, string(obj.data))
		if err != nil {
			return nil, err
		}
		next = append([]string{c.tree}, c.parents...)
	case "tree":
		es, err := parseTree(string(obj.data), m.hasher().Size())
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			next = append(next, hexHash(e.hash))
		}
	}
	for _, n := range next {
		more, err := m.reach(n, seen)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// pack writes what was made and a commit leads to the way Git sends it (gitformat-pack), nothing as a delta.
func (m *made) pack(tip string) ([]byte, error) {
	names, err := m.reach(tip, map[string]bool{})
	if err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, [2]uint32{2, uint32(len(names))}) //nolint:gosec // a write has a few thousand files at most
	// One for all: it is large.
	z := zlib.NewWriter(&b)
	for _, name := range names {
		obj := m.byHash[name]
		size := uint64(obj.size) //nolint:gosec // a length
		head := packKinds[obj.kind]<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			b.WriteByte(head | 0x80)
			head = byte(size & 0x7f)
		}
		b.WriteByte(head)
		z.Reset(&b)
		if _, err := z.Write(obj.data); err != nil {
			return nil, fmt.Errorf("write pack: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("write pack: %w", err)
		}
	}
	h := m.hasher()
	h.Write(b.Bytes())
	return h.Sum(b.Bytes()), nil
}

// over is this repository with the objects that were made, for reading only.
func (r *Repository) over(m *made) *Repository {
	above := &Repository{store: r.store, remote: r.remote, dir: r.dir}
	above.readers = &readers{repo: above, made: m, under: r.readers}
	r.mu.Lock()
	above.auth, above.moved = r.auth, r.moved
	r.mu.Unlock()
	return above
}

// stage stores the objects in a folder beside the mirror, where git checks each of them and that everything that they
// name is there. It returns the environment in which git finds both, and how to remove the folder.
func (r *Repository) stage(ctx context.Context, pack []byte) (env []string, done func(), err error) {
	dir, err := os.MkdirTemp(filepath.Join(r.store.dir, "tmp"), "objects-")
	if err != nil {
		return nil, func() {}, fmt.Errorf("stage commits: %w", err)
	}
	done = func() { _ = os.RemoveAll(dir) }
	env = []string{"GIT_OBJECT_DIRECTORY=" + dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + alternate(filepath.Join(r.dir, "objects"))}
	if err := r.unpackInto(ctx, bytes.NewReader(pack), env); err != nil {
		done()
		return nil, func() {}, fmt.Errorf("stage commits for %s: %w", r.remote.raw, err)
	}
	return env, done, nil
}

// alternate is one folder of a list that is divided by colons.
func alternate(dir string) string {
	if !strings.ContainsAny(dir, `:"`) {
		return dir
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`
}
