package wire

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is returned by [Reader.Err] when a payload is shorter than its lengths say.
var ErrCorrupt = errors.New("corrupt payload")

// Buffer builds a payload.
type Buffer struct{ b []byte }

// Bytes returns what has been built so far. It is valid until the next call.
func (b *Buffer) Bytes() []byte { return b.b }

// Len returns the size in bytes of what has been built so far.
func (b *Buffer) Len() int { return len(b.b) }

// Uint appends a number.
func (b *Buffer) Uint(n uint64) { b.b = binary.AppendUvarint(b.b, n) }

// String appends a string.
func (b *Buffer) String(s string) {
	b.Uint(uint64(len(s)))
	b.b = append(b.b, s...)
}

// Data appends bytes.
func (b *Buffer) Data(p []byte) {
	b.Uint(uint64(len(p)))
	b.b = append(b.b, p...)
}

// Reader takes a payload apart, in the order in which it was built. After the first mistake every method returns a
// zero value and Err tells.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader returns a reader of payload b, which it does not copy.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns ErrCorrupt when anything that was read did not fit.
func (r *Reader) Err() error {
	if r.bad {
		return ErrCorrupt
	}
	return nil
}

// Rest returns how many bytes are still unread.
func (r *Reader) Rest() int { return len(r.b) }

// Uint reads a number.
func (r *Reader) Uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || r.bad {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// Count reads the number of items that follow. Every item takes a byte at least, so a number beyond what is left is
// corrupt; a caller may reserve memory for it.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n) //nolint:gosec // n is at most the length of a slice
}

// Data reads bytes; they share memory with the payload.
func (r *Reader) Data() []byte {
	n := r.Count()
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

// String reads a string.
func (r *Reader) String() string { return string(r.Data()) }
