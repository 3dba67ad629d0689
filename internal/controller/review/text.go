package review

import (
	"strings"

	"github.com/sengu-dev/sengu/internal/markdown"
)

// What is shown comes from others: names of files, objects and images, and what they say.

const (
	maxName = 120 // characters of a name
	maxCell = 48  // characters of a name in a table
	maxLine = 400 // characters of a line of a manifest
)

// cell is code within a table, where a bar would end it.
func cell(text string) string { return strings.ReplaceAll(markdown.Code(text, maxCell), "|", `\|`) }

// line is one line of a block of code.
func line(text string) string {
	return markdown.Clip(strings.ReplaceAll(markdown.Visible(text), "\n", " "), maxLine)
}
