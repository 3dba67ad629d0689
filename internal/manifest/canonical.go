package manifest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// encoder writes values as JSON with sorted keys and without white space, so that equal values are equal bytes. It
// is reused, because it is on the way of every object of every sync.
type encoder struct {
	buf   []byte
	pairs []pair // a stack: each map sorts its pairs on top of those of the maps around it
}

// pair is a key of a map with its value, so that a map is walked once and never searched.
type pair struct {
	key   string
	value any
}

var encoders = sync.Pool{New: func() any { return &encoder{buf: make([]byte, 0, 4096), pairs: make([]pair, 0, 64)} }}

// maxPooled is the capacity in bytes above which a buffer is not kept.
const maxPooled = 1 << 20

func newEncoder() *encoder {
	e := encoders.Get().(*encoder)
	e.buf, e.pairs = e.buf[:0], e.pairs[:0]
	return e
}

func (e *encoder) release() {
	// They may have held a Secret.
	clear(e.buf[:cap(e.buf)])
	clear(e.pairs[:cap(e.pairs)])
	if cap(e.buf) <= maxPooled {
		encoders.Put(e)
	}
}

func (e *encoder) value(v any) {
	switch t := v.(type) {
	case map[string]any:
		e.object(t)
	case []any:
		e.buf = append(e.buf, '[')
		for i, item := range t {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.value(item)
		}
		e.buf = append(e.buf, ']')
	case string:
		e.text(t)
	case nil:
		e.buf = append(e.buf, "null"...)
	case bool:
		e.buf = strconv.AppendBool(e.buf, t)
	case int64:
		e.buf = strconv.AppendInt(e.buf, t, 10)
	case int:
		e.buf = strconv.AppendInt(e.buf, int64(t), 10)
	case int32:
		e.buf = strconv.AppendInt(e.buf, int64(t), 10)
	case uint64:
		e.buf = strconv.AppendUint(e.buf, t, 10)
	case float64:
		e.float(t)
	default:
		// No decoder makes other types. Type and value together keep what is different different.
		e.text(fmt.Sprintf("%T %v", t, t))
	}
}

// float writes a whole number as an integer, because 1 and 1.0 are one number to the API.
func (e *encoder) float(f float64) {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		e.buf = strconv.AppendInt(e.buf, int64(f), 10)
		return
	}
	e.buf = strconv.AppendFloat(e.buf, f, 'g', -1, 64)
}

func (e *encoder) object(m map[string]any) {
	base, end := e.sorted(m)
	e.buf = append(e.buf, '{')
	for i := base; i < end; i++ {
		if i > base {
			e.buf = append(e.buf, ',')
		}
		p := e.pairs[i]
		e.text(p.key)
		e.buf = append(e.buf, ':')
		e.value(p.value)
	}
	e.buf = append(e.buf, '}')
	e.pairs = e.pairs[:base]
}

// insertUpTo is the number of pairs up to which they are sorted by insertion, which is how small most maps are.
const insertUpTo = 12

// sorted pushes the pairs of m in the order of their keys, and returns where they are. The caller pops them.
func (e *encoder) sorted(m map[string]any) (base, end int) {
	base = len(e.pairs)
	for key, value := range m {
		e.pairs = append(e.pairs, pair{key, value})
	}
	pairs := e.pairs[base:]
	if len(pairs) > insertUpTo {
		slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
		return base, len(e.pairs)
	}
	for i := 1; i < len(pairs); i++ {
		p, j := pairs[i], i
		for ; j > 0 && p.key < pairs[j-1].key; j-- {
			pairs[j] = pairs[j-1]
		}
		pairs[j] = p
	}
	return base, len(e.pairs)
}

const hexDigits = "0123456789abcdef"

// text writes s in quotes. Bytes that are not UTF-8 stay as they are, so that no two texts become one.
func (e *encoder) text(s string) {
	e.buf = append(e.buf, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		e.buf = append(e.buf, s[start:i]...)
		switch c {
		case '"', '\\':
			e.buf = append(e.buf, '\\', c)
		case '\n':
			e.buf = append(e.buf, '\\', 'n')
		case '\t':
			e.buf = append(e.buf, '\\', 't')
		case '\r':
			e.buf = append(e.buf, '\\', 'r')
		default:
			e.buf = append(e.buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		start = i + 1
	}
	e.buf = append(e.buf, s[start:]...)
	e.buf = append(e.buf, '"')
}

// canonical returns v as canonical JSON.
func canonical(v any) string {
	e := newEncoder()
	defer e.release()
	e.value(v)
	return string(e.buf)
}

// equal compares two values as the API does: 1 and 1.0 are the same, the order of keys means nothing.
func equal(a, b any) bool { return canonical(a) == canonical(b) }
