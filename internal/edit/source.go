package edit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxSize is the size in bytes of the largest file that is edited.
const MaxSize = 4 << 20

// ErrMissing is matched by the error for a path, or a mark, that the file does not have.
var ErrMissing = errors.New("nothing to edit")

// missing is a sentence that matches ErrMissing.
type missing struct{ text string }

func (e *missing) Error() string { return e.text }
func (e *missing) Unwrap() error { return ErrMissing }

// refuse is a sentence that names a line.
func refuse(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}

// source is a file that is being edited: its bytes, the nodes that they stand for, and what is to be cut into them. A
// change is made to the nodes and to the bytes, so that the one can be checked against the other.
type source struct {
	text    []byte
	lines   []int // offset of the first byte of each line
	docs    []*yaml.Node
	aliased map[*yaml.Node]int    // nodes that an alias repeats, and the line of the alias
	inFlow  map[*yaml.Node]bool   // nodes inside [] or {}
	spans   map[*yaml.Node][2]int // what span has found: the nodes are changed later
	splices []splice
}

// splice puts text into the place of the bytes from start to end.
type splice struct {
	start, end int
	text       string
}

// parse reads a file. Nothing in it is executed or expanded: aliases stay what they are.
func parse(text []byte) (*source, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the file has %d bytes, and files over %d bytes are not edited", len(text), MaxSize)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the file is not UTF-8: save it as UTF-8")
	}
	s := &source{text: text, lines: lineStarts(text), aliased: map[*yaml.Node]int{}, inFlow: map[*yaml.Node]bool{}, spans: map[*yaml.Node][2]int{}}
	var err error
	if s.docs, err = documents(text); err != nil {
		if at := bytes.Index(text, []byte("{{")); at >= 0 {
			return nil, refuse(s.lineOf(at), "the file is a template and cannot be edited as YAML: move the image into a file of plain values")
		}
		return nil, fmt.Errorf("the file cannot be read as YAML (%s): correct it first", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	for _, doc := range s.docs {
		s.note(doc, false)
		if line := sealed(doc); line > 0 {
			return nil, refuse(line, "the file is encrypted by SOPS, and a change would break its seal: keep the image in a file of its own")
		}
	}
	return s, nil
}

// sealed is the line of the seal that SOPS puts over all values of a document, 0 when there is none.
func sealed(doc *yaml.Node) int {
	for _, root := range doc.Content {
		if key, sops, err := pair(root, "sops"); err == nil && key != nil {
			if mac, _, err := pair(sops, "mac"); err != nil || mac != nil {
				return key.Line
			}
		}
	}
	return 0
}

func documents(text []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, &doc)
	}
}

// note records what the place of a node does not say by itself.
func (s *source) note(n *yaml.Node, flow bool) {
	s.inFlow[n] = flow
	if n.Kind == yaml.AliasNode {
		s.aliased[n.Alias] = n.Line
	}
	for _, c := range n.Content {
		s.note(c, flow || n.Style&yaml.FlowStyle != 0)
	}
}

// lineStarts finds lines as the parser counts them: it knows more breaks than CR and LF.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i := 0; i < len(text); {
		n := breakAt(text, i)
		if n > 0 {
			starts = append(starts, i+n)
		}
		i += max(n, 1)
	}
	return starts
}

// breakAt is the length in bytes of the line break at an offset, 0 when there is none.
func breakAt(text []byte, i int) int {
	rest := text[i:]
	for _, b := range []string{"\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"} {
		if len(rest) >= len(b) && string(rest[:len(b)]) == b {
			return len(b)
		}
	}
	return 0
}

// lineOf is the number of the line that an offset is in.
func (s *source) lineOf(offset int) int {
	i, found := slices.BinarySearch(s.lines, offset)
	if found {
		return i + 1
	}
	return i
}

// lineStart and lineEnd are the offsets of the first byte of a line, and of its break or the end of the file.
func (s *source) lineStart(line int) int { return s.lines[line-1] }

func (s *source) lineEnd(line int) int {
	i := s.lineStart(line)
	for i < len(s.text) && breakAt(s.text, i) == 0 {
		i++
	}
	return i
}

// nextLine is the offset behind the break of a line.
func (s *source) nextLine(line int) int {
	end := s.lineEnd(line)
	if end < len(s.text) {
		end += breakAt(s.text, end)
	}
	return end
}

// lineBreak is how the line ends, or how the file ends its first line, or LF.
func (s *source) lineBreak(line int) string {
	for _, l := range []int{line, 1} {
		if end := s.lineEnd(l); end < len(s.text) {
			return string(s.text[end : end+breakAt(s.text, end)])
		}
	}
	return "\n"
}

// bom is the mark that some editors put before the first line. The parser does not count it.
const bom = "\xef\xbb\xbf"

// offset is where a node begins. The parser counts columns in characters.
func (s *source) offset(n *yaml.Node) (int, error) {
	lost := refuse(n.Line, "the value cannot be found in the file: simplify how it is written")
	if n.Line < 1 || n.Line > len(s.lines) {
		return 0, lost
	}
	at := s.lineStart(n.Line)
	if at == 0 && bytes.HasPrefix(s.text, []byte(bom)) {
		at = len(bom)
	}
	for range n.Column - 1 {
		if at >= len(s.text) {
			return 0, lost
		}
		_, size := utf8.DecodeRune(s.text[at:])
		at += size
	}
	return at, nil
}

func (s *source) put(start, end int, text string) {
	s.splices = append(s.splices, splice{start, end, text})
}

// result cuts the changes in, and checks that the file then says what the changed nodes say, and nothing else.
func (s *source) result() ([]byte, error) {
	if len(s.splices) == 0 {
		return s.text, nil
	}
	// What is only put in comes before what is taken away from there on.
	slices.SortStableFunc(s.splices, func(a, b splice) int {
		return cmp.Or(a.start-b.start, cmp.Compare(min(a.end-a.start, 1), min(b.end-b.start, 1)))
	})
	unsafe := refuse(s.lineOf(s.splices[0].start), "the file cannot be changed here without changing something else: write what is to change on a line of its own, in quotes")
	var out []byte
	at := 0
	for _, p := range s.splices {
		if p.start < at {
			return nil, unsafe
		}
		out = append(append(out, s.text[at:p.start]...), p.text...)
		at = p.end
	}
	out = append(out, s.text[at:]...)
	docs, err := documents(out)
	if err != nil || !slices.EqualFunc(docs, s.docs, same) {
		return nil, unsafe
	}
	return out, nil
}

// same compares two nodes by what they say: kinds, types, values, anchors and aliases, not how they are written.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value && a.Anchor == b.Anchor &&
		slices.EqualFunc(a.Content, b.Content, same)
}
