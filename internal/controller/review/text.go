package review

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is shown comes from others: names of files, objects and images, and what they say. In code a forge acts on no
// word of it: it tells nobody whose name is in it, closes nothing, and follows no link.

const (
	maxName     = 120 // characters of a name
	maxCell     = 48  // characters of a name in a table
	maxSentence = 700 // characters of a sentence
	maxLine     = 400 // characters of a line of a manifest
)

// code makes text a piece of code within a line.
func code(text string, limit int) string {
	text = clip(strings.Join(strings.Fields(visible(text)), " "), limit)
	if text == "" {
		return "` `"
	}
	fence := strings.Repeat("`", longest(text, '`')+1)
	if text[0] == '`' || text[len(text)-1] == '`' {
		text = " " + text + " "
	}
	return fence + text + fence
}

// cell is code within a table, where a bar would end it.
func cell(text string) string { return strings.ReplaceAll(code(text, maxCell), "|", `\|`) }

// fenced makes lines a block of code.
func fenced(language string, lines []string) string {
	fence := "```"
	for _, line := range lines {
		if n := longest(line, '`'); n >= len(fence) {
			fence = strings.Repeat("`", n+1)
		}
	}
	return fence + language + "\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// visible is text without what cannot be seen, or makes it look like another: control characters, and those that turn
// the direction of writing.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\u200b', r == '\ufeff':
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// line is one line of a block of code.
func line(text string) string {
	return clip(strings.ReplaceAll(visible(text), "\n", " "), maxLine)
}

// clip cuts text at limit characters, the last of which then says so.
func clip(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// longest is how often a character comes in a row.
func longest(text string, c rune) int {
	most, n := 0, 0
	for _, r := range text {
		if r == c {
			n++
		} else {
			n = 0
		}
		most = max(most, n)
	}
	return most
}
