package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/sengu-dev/sengu/internal/history"
)

// The longest texts of an event that a sink is given, in characters.
const (
	maxTitle    = 500
	maxSentence = 1000
	maxPerson   = 200
	maxName     = 253
	maxImages   = 32
)

// Text makes one line of what strangers wrote: at most so many characters, of which the last is … if there were more.
// Control characters become spaces, and those that turn the direction of writing go, because with them a text shows
// as something else than it is.
func Text(s string, most int) string {
	runes, space := make([]rune, 0, min(len(s), most)), false
	for _, r := range s {
		switch {
		case turns(r):
			continue
		case unicode.IsControl(r) || unicode.IsSpace(r):
			space = len(runes) > 0
			continue
		case space:
			runes, space = append(runes, ' '), false
		}
		if runes = append(runes, r); len(runes) > most {
			return strings.TrimRight(string(runes[:max(most-1, 0)]), " ") + "…"
		}
	}
	return string(runes)
}

// maxKey is the longest key that Key leaves as it is, in bytes.
const maxKey = 300

// Key makes a key of bounded length of one that may be long. Two keys never become the same.
func Key(key string) string {
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// turns reports whether a character changes the direction of those that follow.
func turns(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// bounded is the event as sinks get it: no text longer than a page can show, and every text one line of valid UTF-8.
// The key stays as it is, because it is the identity.
func bounded(e history.Event) history.Event {
	for _, f := range []struct {
		text *string
		most int
	}{
		{&e.Fleet, maxName}, {&e.Service, maxName}, {&e.Environment, maxName}, {&e.Release, maxName}, {&e.Group, maxName},
		{&e.Revision, maxName}, {&e.Previous, maxName}, {&e.Title, maxTitle}, {&e.Author, maxPerson}, {&e.By, maxPerson},
		{&e.Why, maxSentence},
	} {
		*f.text = Text(*f.text, f.most)
	}
	images := make([]history.Image, 0, min(len(e.Images), maxImages))
	for _, i := range e.Images[:min(len(e.Images), maxImages)] {
		images = append(images, history.Image{Name: Text(i.Name, maxName), Tag: Text(i.Tag, maxName), Digest: Text(i.Digest, maxName)})
	}
	e.Images = images
	if len(images) == 0 {
		e.Images = nil
	}
	return e
}
