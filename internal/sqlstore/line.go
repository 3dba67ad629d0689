package sqlstore

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// line is what an error says, in one line.
func line(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// cut shortens text to at most limit bytes, and shows that it did.
func cut(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// clean makes text of anything that has come from outside: no database keeps a zero byte in a text.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "")
}
