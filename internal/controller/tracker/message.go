package tracker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/image"
)

// byPlace orders changes by their image, and then by where they are written.
func byPlace(a, b change) int {
	return cmp.Or(strings.Compare(a.image.Name, b.image.Name), strings.Compare(a.place.File, b.place.File), strings.Compare(a.place.Field, b.place.Field))
}

// subject is the first line of the message.
func (c *commit) subject() string {
	var names []string
	moves := map[string][]string{}
	for _, ch := range c.changes {
		if !slices.Contains(names, ch.image.Name) {
			names = append(names, ch.image.Name)
		}
		if move := ch.move(); !slices.Contains(moves[ch.image.Name], move) {
			moves[ch.image.Name] = append(moves[ch.image.Name], move)
		}
	}
	if len(names) > 3 {
		return fmt.Sprintf("%s: %d images", c.service, len(names))
	}
	texts := make([]string, 0, len(names))
	for _, name := range names {
		text := moves[name][0]
		if len(moves[name]) > 1 { // its environments came from different versions
			text = "to " + version(c.changes[slices.IndexFunc(c.changes, func(ch change) bool { return ch.image.Name == name })].to)
		}
		if len(names) > 1 {
			text = name + " " + text
		}
		texts = append(texts, text)
	}
	return c.service + ": " + strings.Join(texts, ", ")
}

// move says from which version to which, "1.4.2 → 1.5.0".
func (ch change) move() string {
	switch {
	case ch.from == (image.Reference{}):
		return "to " + version(ch.to)
	case ch.from.Tag == ch.to.Tag && ch.from.Digest != "":
		return fmt.Sprintf("%s %s → %s", ch.to.Tag, short(ch.from.Digest), short(ch.to.Digest))
	}
	return version(ch.from) + " → " + version(ch.to)
}

func version(ref image.Reference) string {
	switch {
	case ref.Digest == "":
		return ref.Tag
	case ref.Tag == "":
		return short(ref.Digest)
	}
	return ref.Tag + " " + short(ref.Digest)
}

// text is the message of the commit, and its trailers: each image once.
func (c *commit) text() (string, []gitrepo.Trailer) {
	var b strings.Builder
	b.WriteString(c.subject() + "\n")
	var trailers []gitrepo.Trailer
	for _, ch := range c.changes {
		fmt.Fprintf(&b, "\n%s: %s\n%s\nIn %s, for %s.\n", ch.repository, ch.move(), sentence(ch.why), ch.place.File, strings.Join(ch.environments, ", "))
		value := image.Reference{Repository: ch.repository, Tag: ch.choice.Tag, Digest: ch.choice.Digest}.String()
		if is := (gitrepo.Trailer{Key: scribe.TrailerImage, Value: value}); !slices.Contains(trailers, is) {
			trailers = append(trailers, is)
		}
	}
	return b.String(), trailers
}

// sentence begins with a capital and ends with a full stop, unless it begins with a tag.
func sentence(text string) string { return strings.TrimSuffix(text, ".") + "." }
