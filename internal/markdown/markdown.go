// Package markdown puts the words of others into Markdown as code, in which a forge acts on no word of it: it tells nobody
// whose name is in it, closes nothing, and follows no link.
//
// It is responsible for blocks and pieces of code that nothing in them can end, and for showing nothing that cannot be
// seen. It refuses to write Markdown of its own.
package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentence is how much is shown of the sentence of another, in characters: a limit for Code and Clip.
const Sentence = 700

// Code makes text a piece of code within a line.
func Code(text string, limit int) string {
	text = Clip(strings.Join(strings.Fields(Visible(text)), " "), limit)
	if text == "" {
		return "` `"
	}
	fence := strings.Repeat("`", longest(text, '`')+1)
	if text[0] == '`' || text[len(text)-1] == '`' {
		text = " " + text + " "
	}
	return fence + text + fence
}

// Fenced makes lines a block of code.
func Fenced(language string, lines []string) string {
	fence := "```"
	for _, line := range lines {
		if n := longest(line, '`'); n >= len(fence) {
			fence = strings.Repeat("`", n+1)
		}
	}
	return fence + language + "\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
}

// Visible is text without what cannot be seen, or makes it look like another: control characters, and those that turn
// the direction of writing.
func Visible(text string) string {
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

// Clip cuts text at limit characters, the last of which then says so.
func Clip(text string, limit int) string {
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
