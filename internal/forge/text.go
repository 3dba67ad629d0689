package forge

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName        = 255 // characters of a title, a context or an environment: the least that a forge takes
	maxDescription = 140 // characters that GitHub takes
	maxLabel       = 50  // characters, likewise
)

var markerWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}$`)

// markerLine is the first line of a comment of ours. Only there it is believed: what a comment shows may hold anything.
func markerLine(marker string) (string, error) {
	// Two dashes would end the comment of HTML, which then shows.
	if !markerWord.MatchString(marker) || strings.Contains(marker, "--") || strings.HasSuffix(marker, "-") {
		return "", fmt.Errorf("%q is no marker of a comment: use letters, digits, dots, slashes and single dashes", clip(marker, 100))
	}
	return "<!-- sengu:" + marker + " -->\n", nil
}

const cutNote = "> **This was cut, because it is longer than the forge allows.** What is missing is at its end.\n\n"

// fit puts prefix before text, and cuts the text where both together would be longer than limit, in characters. The note
// is at the top, where an unclosed block at the end cannot hide it.
func fit(prefix, text string, limit int) string {
	text = normal(text)
	if utf8.RuneCountInString(prefix)+utf8.RuneCountInString(text) <= limit {
		return prefix + text
	}
	prefix += cutNote
	text = string([]rune(text)[:max(0, limit-utf8.RuneCountInString(prefix))])
	if line := strings.LastIndexByte(text, '\n'); line > len(text)/2 {
		text = text[:line]
	}
	return prefix + normal(text)
}

// plain makes of text what every forge takes and keeps: they disagree about the ends of lines.
var plain = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\uFFFD")

// normal is text as it is sent and compared.
func normal(text string) string {
	return strings.TrimSpace(plain.Replace(strings.ToValidUTF8(text, "\uFFFD")))
}

// oneLine makes text one line of at most limit characters, without control characters.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return clip(strings.Join(strings.Fields(text), " "), limit)
}

// clip cuts text at limit characters, the last of which then says so.
func clip(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
