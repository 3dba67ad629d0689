package render

import (
	"bytes"
	"compress/flate"
	"container/list"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// candidates bounds how many results are kept for one question: as many as there are states of the repository between
// which environments move, not all that ever were.
const candidates = 4

// cache keeps results on disk by content: a file is named after the question (path, parameters, version of the
// renderer) and after the digest of what was read, so a result is found again whenever the same would be read. Files
// are written whole or not at all; one that is damaged is as good as none.
//
// The list of files is kept in memory with their sizes, the one used last first.
type cache struct {
	dir   string
	limit int64
	aead  cipher.AEAD // nil: not encrypted

	mu    sync.Mutex
	files map[string]*list.Element // file name → element of used
	byKey map[string][]string      // key → file names, the newest last
	used  *list.List               // of *cacheFile
	size  int64
}

type cacheFile struct {
	name string
	size int64
}

const cacheSuffix = ".render"

// openCache opens or makes the directory. It must not be shared with another process.
func openCache(o Options) (*cache, error) {
	if o.CacheDir == "" {
		return nil, nil
	}
	c := &cache{dir: o.CacheDir, limit: o.CacheLimit, files: map[string]*list.Element{}, byKey: map[string][]string{}, used: list.New()}
	if len(o.CacheKey) > 0 {
		key := sha256.Sum256(append([]byte("sengu render cache\n"), o.CacheKey...))
		block, err := aes.NewCipher(key[:])
		if err == nil {
			c.aead, err = cipher.NewGCM(block)
		}
		if err != nil {
			return nil, fmt.Errorf("open render cache: %w", err)
		}
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open render cache: %w", err)
	}
	if err := os.Chmod(c.dir, 0o700); err != nil { //nolint:gosec // a directory, and its owner has to enter it
		return nil, fmt.Errorf("open render cache: %w", err)
	}
	if err := c.scan(); err != nil {
		return nil, fmt.Errorf("open render cache: %w", err)
	}
	return c, nil
}

// scan learns what is in the directory and takes away what was not finished.
func (c *cache) scan() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type found struct {
		name string
		size int64
		at   time.Time
	}
	var all []found
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if !strings.HasSuffix(e.Name(), cacheSuffix) {
			if strings.HasPrefix(e.Name(), "new-") {
				_ = os.Remove(filepath.Join(c.dir, e.Name())) // of a process that was killed
			}
			continue
		}
		all = append(all, found{e.Name(), info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b found) int { return a.at.Compare(b.at) })
	for _, f := range all {
		c.insert(&cacheFile{name: f.name, size: f.size})
	}
	return nil
}

func (c *cache) insert(f *cacheFile) {
	key, _, _ := strings.Cut(f.name, "-")
	if old, ok := c.files[f.name]; ok {
		c.forget(old)
	}
	c.files[f.name] = c.used.PushFront(f)
	c.byKey[key] = append(c.byKey[key], f.name)
	c.size += f.size
}

// forget takes a file off the list; mu is held or the cache is not shared yet.
func (c *cache) forget(e *list.Element) {
	f := c.used.Remove(e).(*cacheFile)
	key, _, _ := strings.Cut(f.name, "-")
	delete(c.files, f.name)
	c.byKey[key] = slices.DeleteFunc(c.byKey[key], func(n string) bool { return n == f.name })
	if len(c.byKey[key]) == 0 {
		delete(c.byKey, key)
	}
	c.size -= f.size
}

// cacheHeader is what a file says of itself.
type cacheHeader struct {
	Set ReadSet `json:"set"`
}

// get returns the payload of an earlier render of key whose read-set is the same in src.
func (c *cache) get(key string, src Source) (payload []byte, set ReadSet, ok bool) {
	c.mu.Lock()
	names := slices.Clone(c.byKey[key])
	c.mu.Unlock()
	slices.Reverse(names)
	for _, name := range names {
		h, payload, err := c.read(name)
		if err != nil {
			c.drop(name)
			continue
		}
		_, want, _ := strings.Cut(strings.TrimSuffix(name, cacheSuffix), "-")
		is, err := DigestOf(src, h.Set.Paths())
		if err != nil || shortDigest(is) != want {
			continue
		}
		c.touch(name)
		return payload, h.Set, true
	}
	return nil, nil, false
}

func (c *cache) touch(name string) {
	c.mu.Lock()
	if e, ok := c.files[name]; ok {
		c.used.MoveToFront(e)
	}
	c.mu.Unlock()
	now := time.Now()
	_ = os.Chtimes(filepath.Join(c.dir, name), now, now) // only the order of eviction after a restart hangs on it
}

func (c *cache) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.files[name]; ok {
		c.forget(e)
	}
	_ = os.Remove(filepath.Join(c.dir, name))
}

// put keeps the payload of a render. A failure to write is no failure of the render.
func (c *cache) put(key string, set ReadSet, payload []byte) error {
	head, err := json.Marshal(cacheHeader{Set: set})
	if err != nil {
		return err
	}
	name := key + "-" + shortDigest(set.Digest()) + cacheSuffix
	data, err := c.seal(name, head, payload)
	if err != nil {
		return err
	}
	if int64(len(data)) > c.limit/4 {
		return nil
	}
	if err := c.write(name, data); err != nil {
		return fmt.Errorf("keep a render: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(&cacheFile{name: name, size: int64(len(data))})
	for names := c.byKey[key]; len(names) > candidates; names = c.byKey[key] {
		c.evict(c.files[names[0]])
	}
	for c.size > c.limit && c.used.Len() > 1 {
		c.evict(c.used.Back())
	}
	return nil
}

func (c *cache) evict(e *list.Element) {
	name := e.Value.(*cacheFile).name
	c.forget(e)
	_ = os.Remove(filepath.Join(c.dir, name))
}

func (c *cache) write(name string, data []byte) error {
	f, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data) // CreateTemp made it 0600
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

var cacheMagic = []byte("sengu1\n")

var errDamaged = errors.New("damaged")

// compressors are reused: the tables of one are larger than most results.
var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// seal compresses, encrypts when there is a key, and seals with a checksum when there is none.
func (c *cache) seal(name string, head, payload []byte) ([]byte, error) {
	var b wire.Buffer
	b.Data(head)
	b.Data(payload)
	var z bytes.Buffer
	w, _ := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(&z)
	if _, err := w.Write(b.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if c.aead == nil {
		sum := sha256.Sum256(z.Bytes())
		return slices.Concat(cacheMagic, sum[:], z.Bytes()), nil
	}
	nonce := make([]byte, c.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return c.aead.Seal(slices.Concat(cacheMagic, nonce), nonce, z.Bytes(), []byte(name)), nil
}

// maxUnpacked bounds what a file unpacks to, in bytes.
const maxUnpacked = 256 << 20

func (c *cache) read(name string) (h cacheHeader, payload []byte, err error) {
	data, err := os.ReadFile(filepath.Join(c.dir, name)) //nolint:gosec // scan or put made the name: one file of this directory
	if err != nil {
		return h, nil, err
	}
	data, ok := bytes.CutPrefix(data, cacheMagic)
	if !ok {
		return h, nil, errDamaged
	}
	if data, err = c.open(name, data); err != nil {
		return h, nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxUnpacked))
	if err != nil {
		return h, nil, err
	}
	r := wire.NewReader(raw)
	head := r.Data()
	payload = r.Data()
	if err := r.Err(); err != nil {
		return h, nil, err
	}
	return h, payload, json.Unmarshal(head, &h)
}

func (c *cache) open(name string, data []byte) ([]byte, error) {
	if c.aead == nil {
		if len(data) < sha256.Size {
			return nil, errDamaged
		}
		sum := sha256.Sum256(data[sha256.Size:])
		if !bytes.Equal(sum[:], data[:sha256.Size]) {
			return nil, errDamaged
		}
		return data[sha256.Size:], nil
	}
	n := c.aead.NonceSize()
	if len(data) < n {
		return nil, errDamaged
	}
	return c.aead.Open(nil, data[:n], data[n:], []byte(name))
}

func shortDigest(d string) string { return d[:min(len(d), 32)] }

// cacheKey names the question that a request asks: all that decides the output but what is read, and who asks, as far as
// that decides what may be fetched. The key is that of [remote.Policy.Reader].
func cacheKey(q Request, key []byte) (string, error) {
	b, err := json.Marshal(struct {
		Version    string
		Path       string
		Namespace  string
		Release    string
		Values     []string
		Inline     map[string]any
		Chart      *ChartRef
		Caps       Capabilities
		Undecided  bool
		RemoteRule string
		Reader     string `json:",omitempty"`
	}{Version(), q.Path, q.Namespace, q.Release, q.ValuesFiles, q.Values, q.Chart, q.Capabilities, q.AllowNondeterministic, q.Remote.Fingerprint(), q.Remote.Reader(key)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), nil
}
