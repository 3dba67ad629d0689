package gitrepo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The framing of the Git protocol (gitprotocol-common): four hexadecimal digits of length, then the line. Lengths 0, 1
// and 2 are marks without a line.
const (
	pktFlush = iota
	pktDelim
	pktEnd
	pktLine
)

// pktMax is the longest line, its length included, in bytes.
const pktMax = 65520

// pktReader reads lines from an answer.
type pktReader struct {
	r   *bufio.Reader
	buf []byte
}

func newPktReader(r io.Reader) *pktReader { return &pktReader{r: bufio.NewReaderSize(r, 16<<10)} }

// next gives the kind of what comes, and the line, which is valid until the next call. A line that begins with ERR is
// the server's refusal.
func (p *pktReader) next() (kind int, line []byte, err error) {
	var size [4]byte
	if _, err := io.ReadFull(p.r, size[:]); err != nil {
		return 0, nil, err
	}
	n, err := strconv.ParseUint(string(size[:]), 16, 32)
	if err != nil || n == 3 || n > pktMax {
		return 0, nil, errNotGit
	}
	if n < 4 {
		return int(n), nil, nil
	}
	n -= 4
	if uint64(cap(p.buf)) < n {
		p.buf = make([]byte, n)
	}
	p.buf = p.buf[:n]
	if _, err := io.ReadFull(p.r, p.buf); err != nil {
		return 0, nil, fmt.Errorf("answer ended in a line: %w", io.ErrUnexpectedEOF)
	}
	if said, ok := bytes.CutPrefix(p.buf, []byte("ERR ")); ok {
		return 0, nil, &serverError{said: string(bytes.TrimSpace(said))}
	}
	return pktLine, p.buf, nil
}

// text is next for lines that are text; the newline at the end goes.
func (p *pktReader) text() (kind int, line string, err error) {
	kind, b, err := p.next()
	return kind, string(bytes.TrimSuffix(b, []byte("\n"))), err
}

// errNotGit is an answer in another language: a web page, or an older protocol.
var errNotGit = errors.New("the answer is not of the Git protocol")

// serverError is what the server said when it refused.
type serverError struct{ said string }

func (e *serverError) Error() string { return e.said }

// pktWriter builds a request.
type pktWriter struct{ bytes.Buffer }

func (w *pktWriter) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(&w.Buffer, "%04x%s\n", len(text)+5, text)
}

func (w *pktWriter) delim() { w.WriteString("0001") }
func (w *pktWriter) flush() { w.WriteString("0000") }

// packReader gives the bytes of a pack that come on band 1 of an answer, at most limit of them.
type packReader struct {
	pkt   *pktReader
	rest  []byte
	limit int64
	ended bool
}

func (p *packReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.ended {
			return 0, io.EOF
		}
		kind, line, err := p.pkt.next()
		switch {
		case errors.Is(err, io.EOF):
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case kind != pktLine:
			p.ended = true
		case len(line) == 0:
			return 0, errNotGit
		case line[0] == 1:
			p.rest = line[1:]
		case line[0] == 3:
			return 0, &serverError{said: string(bytes.TrimSpace(line[1:]))}
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	if p.limit -= int64(n); p.limit < 0 {
		return 0, fmt.Errorf("%w: the pack is larger than allowed", ErrRejected)
	}
	return n, nil
}
