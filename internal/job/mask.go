package job

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
)

const (
	// minSecret is how long a value must be to be hidden, and minLine one line of a longer one, in bytes: hiding every
	// "1" of a log would hide the log.
	minSecret = 4
	minLine   = 8
)

// hidden stands where something was hidden.
const hidden = "***"

// Mask knows values that must not be shown. The zero value knows none, and hides only what looks like a credential by
// itself.
type Mask struct {
	needles [][]byte
	longest int
}

// NewMask returns a Mask of values as Secrets hold them. It finds them also line by line, in base64, and as JSON and
// URLs write them, and the password of a URL by itself. Values of less than four bytes are not hidden.
func NewMask(values ...[]byte) Mask {
	var m Mask
	for _, value := range values {
		m.add(value)
	}
	slices.SortFunc(m.needles, bytes.Compare)
	m.needles = slices.CompactFunc(m.needles, bytes.Equal)
	for _, needle := range m.needles {
		m.longest = max(m.longest, len(needle))
	}
	return m
}

func (m *Mask) add(value []byte) {
	for _, v := range [][]byte{value, bytes.TrimSpace(value)} {
		if len(v) < minSecret {
			continue
		}
		m.needles = append(m.needles, slices.Clone(v))
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			m.needles = append(m.needles, []byte(encoding.EncodeToString(v)))
		}
		m.needles = append(m.needles, []byte(url.QueryEscape(string(v))), []byte(url.PathEscape(string(v))))
		if text, err := json.Marshal(string(v)); err == nil {
			m.needles = append(m.needles, text[1:len(text)-1])
		}
	}
	lines := bytes.Split(value, []byte("\n"))
	for _, line := range lines {
		if line = bytes.TrimSpace(line); len(lines) > 1 && len(line) >= minLine {
			m.needles = append(m.needles, slices.Clone(line))
		}
	}
	if u, err := url.Parse(string(bytes.TrimSpace(value))); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok && len(password) >= minSecret {
			m.needles = append(m.needles, []byte(password), []byte(url.QueryEscape(password)))
		}
	}
}

// credentials finds what is a credential whatever Secret it comes from: the password of a URL, a token behind the word
// that announces it, and a signed token.
var credentials = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]+@`), "$1:" + hidden + "@"},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}`), "$1 " + hidden},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), hidden},
}

// Hide returns text without the values. It finds them where they overlap as well.
func (m Mask) Hide(text []byte) []byte {
	var spans [][2]int
	for _, needle := range m.needles {
		for from := 0; ; {
			at := bytes.Index(text[from:], needle)
			if at < 0 {
				break
			}
			from += at
			spans = append(spans, [2]int{from, from + len(needle)})
			from++
		}
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	out := make([]byte, 0, len(text))
	done := 0
	for _, span := range spans {
		if span[0] > done || len(out) == 0 || !bytes.HasSuffix(out, []byte(hidden)) {
			out = append(append(out, text[min(done, span[0]):span[0]]...), hidden...)
		}
		done = max(done, span[1])
	}
	out = append(out, text[done:]...)
	for _, c := range credentials {
		out = c.find.ReplaceAll(out, []byte(c.with))
	}
	return out
}
