package manifest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Key makes hashes that say nothing to those who do not have it: a plain hash of a short secret can be guessed. One
// Sengu keeps one Key for all of its hashes; under another Key every object looks changed.
type Key []byte

const (
	keySize  = 32 // bytes, the strength of SHA-256
	hashSize = 12 // bytes of a hash that are kept: 16 characters of base64url, 96 bits
)

// What a hash is about. The first byte keeps hashes of different things apart.
const (
	aboutObject   = 'o'
	aboutBaseline = 'b'
	aboutDigest   = 'd'
)

// NewKey makes a Key of 32 bytes from random.
func NewKey(random io.Reader) (Key, error) {
	key := make(Key, keySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("read random bytes for the key of hashes: %w", err)
	}
	return key, nil
}

// Hash returns 16 characters that stand for all of u: HMAC-SHA256 over its canonical JSON. It is the same for equal
// objects, whatever the order of their keys, and the order of lists counts.
func (k Key) Hash(u *unstructured.Unstructured) string {
	e := newEncoder()
	defer e.release()
	e.buf = append(e.buf, aboutObject)
	e.value(u.Object)
	return k.sum(e.buf)
}

// Digest returns 16 characters that stand for all of objects, whatever their order, and for what else decides how they
// are applied.
func (k Key) Digest(objects []Object, rest []byte) string {
	hashes := make([]string, 0, len(objects))
	for _, o := range objects {
		hashes = append(hashes, k.Hash(o.Unstructured))
	}
	slices.Sort(hashes)
	data := []byte{aboutDigest}
	for _, hash := range hashes {
		data = append(data, hash...)
	}
	return k.sum(append(append(data, 0), rest...))
}

// Baseline returns 16 characters that stand for what manager has applied of live: the paths and the values that its
// Apply entry in managedFields owns, and nothing of what others own. The order of keyed lists and of sets does not
// count. It is false if manager owns nothing of live.
func (k Key) Baseline(live *unstructured.Unstructured, manager string) (string, bool) {
	fields := applied(live, manager)
	if len(fields) == 0 {
		return "", false
	}
	e := newEncoder()
	defer e.release()
	e.buf = append(e.buf, aboutBaseline)
	e.owned(fields, live.Object, true)
	return k.sum(e.buf), true
}

func (k Key) sum(data []byte) string {
	mac := hmac.New(sha256.New, k)
	mac.Write(data)
	var digest [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(mac.Sum(digest[:0])[:hashSize])
}

// owned writes the part of v that fields names: its paths in order, and the values of the leaves.
func (e *encoder) owned(fields map[string]any, v any, present bool) {
	if !present {
		e.buf = append(e.buf, '-')
		return
	}
	if len(fields) == 0 {
		e.value(v)
		return
	}
	if _, alone := fields["."]; alone && len(fields) == 1 {
		// The container itself is owned, and nothing in it.
		e.buf = append(e.buf, '.')
		return
	}
	node := container{value: v}
	base, end := e.sorted(fields)
	e.buf = append(e.buf, '{')
	for i := base; i < end; i++ {
		elem := e.pairs[i].key
		e.text(elem)
		if elem == "." {
			continue
		}
		below, _ := e.pairs[i].value.(map[string]any)
		item, ok := node.get(elem, len(fields))
		e.owned(below, item, ok)
	}
	e.buf = append(e.buf, '}')
	e.pairs = e.pairs[:base]
}
