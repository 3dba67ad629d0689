package cli

import (
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
	// span is how many columns the field stretches over when it is more than one; the others are left empty.
	span int
}

// table lines fields up in columns. A row may have fewer fields than the others.
type table struct {
	rows [][]cell
	// gap is the space after column i, two columns wide when it is not named.
	gap map[int]int
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

// head adds a row of headings.
func (t *table) head(words ...string) {
	row := make([]cell, len(words))
	for i, w := range words {
		row[i] = heading(w)
	}
	t.add(row...)
}

func heading(word string) cell { return cell{text: strings.ToUpper(word), style: bold} }

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if c.span < 2 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	for _, row := range t.rows {
		for i, c := range row {
			if c.span > 1 {
				t.stretch(widths, i, c)
			}
		}
	}
	return widths
}

// stretch widens the last column under a field that stretches over several, if they are too narrow for it together.
func (t *table) stretch(widths []int, from int, c cell) {
	last := from + c.span - 1
	room := widths[last]
	for i := from; i < last; i++ {
		room += widths[i] + t.space(i)
	}
	widths[last] += max(0, utf8.RuneCountInString(c.text)-room)
}

func (t *table) space(column int) int {
	if n, ok := t.gap[column]; ok {
		return n
	}
	return 2
}

// width returns the columns that the table takes.
func (t *table) width() int {
	n := 0
	for i, w := range t.widths() {
		n += w + t.space(i)
	}
	return n
}

// render returns the table as lines, with nothing after the last field of each.
func (t *table) render(c painter) string {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		pending := 0
		for i, f := range row {
			if f.text != "" {
				b.WriteString(strings.Repeat(" ", pending))
				pending = 0
				b.WriteString(c.paint(f.style, f.text))
			}
			pending += widths[i] - utf8.RuneCountInString(f.text) + t.space(i)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
