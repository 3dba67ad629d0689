package manifest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
)

// encoder writes values as JSON with sorted keys and without white space, so that equal values are equal bytes. It
// is reused, because it is on the way of every object of every sync.
type encoder struct {
	buf  []byte
	keys []string // a stack: each map sorts its keys on top of those of the maps around it
}

var encoders = sync.Pool{New: func() any { return &encoder{buf: make([]byte, 0, 4096), keys: make([]string, 0, 64)} }}

// maxPooled is the capacity in bytes above which a buffer is not kept.
const maxPooled = 1 << 20

func newEncoder() *encoder {
	e := encoders.Get().(*encoder)
	e.buf, e.keys = e.buf[:0], e.keys[:0]
	return e
}

func (e *encoder) release() {
	clear(e.buf[:cap(e.buf)]) // it may have held a Secret
	if cap(e.buf) <= maxPooled {
		clear(e.keys[:cap(e.keys)])
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
		key := e.keys[i]
		e.text(key)
		e.buf = append(e.buf, ':')
		e.value(m[key])
	}
	e.buf = append(e.buf, '}')
	e.keys = e.keys[:base]
}

// sorted pushes the keys of m in order, and returns where they are. The caller pops them.
func (e *encoder) sorted(m map[string]any) (base, end int) {
	base = len(e.keys)
	for key := range m {
		e.keys = append(e.keys, key)
	}
	slices.Sort(e.keys[base:])
	return base, len(e.keys)
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
