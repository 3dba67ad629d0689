package history

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Filter says which events are wanted. Its zero value wants all of them. Empty fields ask nothing.
type Filter struct {
	Fleet, Service, Environment, Release, Group string
	// Kinds are the kinds wanted; all if empty.
	Kinds []Kind
	// From is the first moment wanted, and To the first that is not.
	From, To time.Time
	// Limit is how many events are wanted at most; zero leaves it to the store.
	Limit int
	// Before continues a list: only what a list, newest first, shows after this place.
	Before Cursor
}

// Match reports whether the event is one that the filter wants, whatever its Limit.
func (f Filter) Match(e Event) bool {
	same := func(want, is string) bool { return want == "" || want == is }
	switch {
	case !same(f.Fleet, e.Fleet), !same(f.Service, e.Service), !same(f.Environment, e.Environment):
		return false
	case !same(f.Release, e.Release), !same(f.Group, e.Group):
		return false
	case len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind):
		return false
	case !f.From.IsZero() && e.Time.Before(f.From), !f.To.IsZero() && !e.Time.Before(f.To):
		return false
	}
	return f.Before.IsZero() || Compare(e, Event{Time: f.Before.Time, Key: f.Before.Key}) < 0
}

// Compare orders events by time, and those of one moment by key, so that a list has one order only. The keys of one Release
// differ in the number that they end with, and what happens in one second is in the order of that number: a shorter key comes
// first, since 9 comes before 10. A store sorts the same way.
func Compare(a, b Event) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(len(a.Key), len(b.Key)), strings.Compare(a.Key, b.Key))
}

// Cursor is a place in a list of events. Its text is opaque to whoever carries it.
type Cursor struct {
	Time time.Time
	Key  string
}

// After returns the cursor of the page that follows one that ends with e.
func After(e Event) Cursor { return Cursor{Time: e.Time, Key: e.Key} }

// IsZero reports whether the cursor is the beginning.
func (c Cursor) IsZero() bool { return c.Time.IsZero() && c.Key == "" }

// String is the text that ParseCursor reads; empty for the zero Cursor.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.Time.UnixNano(), 10) + " " + c.Key))
}

// maxCursor bounds the text of a cursor, in bytes.
const maxCursor = 2 << 10

var errCursor = errors.New("the place in the list cannot be read: take it from the answer of the page before, or begin without one")

// ParseCursor reads what String wrote. The empty text is the zero Cursor.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	if len(s) > maxCursor {
		return Cursor{}, errCursor
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return Cursor{}, errCursor
	}
	nanos, key, ok := strings.Cut(string(raw), " ")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if !ok || err != nil || key == "" {
		return Cursor{}, errCursor
	}
	return Cursor{Time: time.Unix(0, n).UTC(), Key: key}, nil
}

// MarshalText makes the cursor its text in JSON.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the cursor from its text.
func (c *Cursor) UnmarshalText(text []byte) error {
	parsed, err := ParseCursor(string(text))
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	*c = parsed
	return nil
}
