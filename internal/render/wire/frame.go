// Package wire is the language between the renderer and its sandboxed workers: length-prefixed frames over a pair of
// pipes, and the compact encoding of what the frames hold.
//
// It knows nothing of rendering. It refuses a frame that is longer than the reader allows before it reserves memory
// for it, and a payload whose lengths do not add up, because the other end may be hostile.
package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kind says what a frame holds.
type Kind byte

// The kinds of frames. A worker that starts says Hello. Then the parent sends a Job; the worker asks (Open, List,
// Fetch) and gets one Reply for each question; and it ends the job with one Result or one Failure.
const (
	Hello Kind = iota + 1
	Job
	Open
	List
	Fetch
	Reply
	Result
	Failure
)

// ErrTooLong is returned for a frame beyond the limit of the reader.
var ErrTooLong = errors.New("frame is longer than allowed")

const headerSize = 5

// WriteFrame sends one frame whose payload is the parts in order.
func WriteFrame(w io.Writer, k Kind, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if uint64(n) > 1<<32-1 {
		return fmt.Errorf("write a frame of %d bytes: %w", n, ErrTooLong)
	}
	buf := make([]byte, headerSize, headerSize+min(n, 64<<10))
	binary.LittleEndian.PutUint32(buf, uint32(n))
	buf[4] = byte(k)
	for _, p := range parts {
		if len(buf)+len(p) <= cap(buf) {
			buf = append(buf, p...)
			continue
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
		if len(p) > cap(buf) {
			if _, err := w.Write(p); err != nil {
				return err
			}
			continue
		}
		buf = append(buf, p...)
	}
	if len(buf) == 0 {
		return nil
	}
	_, err := w.Write(buf)
	return err
}

// ReadFrame reads one frame of at most limit bytes of payload. It returns io.EOF when the stream ends between
// frames, and io.ErrUnexpectedEOF when it ends within one.
func ReadFrame(r io.Reader, limit int) (Kind, []byte, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(h[:]))
	k := Kind(h[4])
	if k < Hello || k > Failure {
		return 0, nil, fmt.Errorf("read frame: unknown kind %d", k)
	}
	if n > int64(limit) {
		return k, nil, fmt.Errorf("read frame of %d bytes, %d allowed: %w", n, limit, ErrTooLong)
	}
	if n == 0 {
		return k, nil, nil
	}
	b, err := readBody(r, n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return k, b, err
}

// readBody reads n bytes. A header that lies about a long payload reserves no more than twice what has arrived.
func readBody(r io.Reader, n int64) ([]byte, error) {
	const trusted = 1 << 20
	if n <= trusted {
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var buf bytes.Buffer
	buf.Grow(trusted)
	if _, err := io.CopyN(&buf, r, n); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
