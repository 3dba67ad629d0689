package cli

import (
	"fmt"
	"strings"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// text shows what would happen to the objects of one App; "" if nothing would.
func (o outcome) text(c painter) string {
	if len(o.alterations) == 0 {
		return ""
	}
	var b strings.Builder
	s := o.subject
	head := c.paint(bold, s.title()) + "  " + c.paint(dim, "cluster "+s.spec.Source.Cluster+", namespace "+s.spec.Source.Namespace)
	switch {
	case s.gone:
		head += "  " + c.paint(red, "its folder is gone: Sengu would remove it within its budget, or after `sengu confirm`")
	case s.app == nil:
		head += "  " + c.paint(green, "new")
	}
	b.WriteString(head + "\n")
	for _, a := range o.alterations {
		b.WriteString(a.text(c))
	}
	b.WriteByte('\n')
	return b.String()
}

// marks are the style of each action, and its word for the head of an object.
var marks = map[action]style{made: green, altered: yellow, deleted: red, kept: yellow}

func (a alteration) text(c painter) string {
	var b strings.Builder
	head := string(a.action) + " " + a.ref.String()
	if a.remark != "" {
		head += " (" + a.remark + ")"
	}
	b.WriteString("  " + c.paint(marks[a.action], head) + "\n")
	for _, line := range a.lines {
		switch line.Op {
		case manifest.Section:
			fmt.Fprintf(&b, "    %s\n", c.paint(cyan, "@ "+line.Text))
		case manifest.Added:
			fmt.Fprintf(&b, "    %s\n", c.paint(green, "+ "+line.Text))
		case manifest.Removed:
			fmt.Fprintf(&b, "    %s\n", c.paint(red, "- "+line.Text))
		default:
			fmt.Fprintf(&b, "      %s\n", line.Text)
		}
	}
	return b.String()
}

// summary counts what a comparison found.
type summary struct {
	apps, made, altered, deleted, kept, failed int
}

func (s *summary) add(o outcome) {
	if o.err != nil {
		s.failed++
	}
	if len(o.alterations) > 0 {
		s.apps++
	}
	for _, a := range o.alterations {
		switch a.action {
		case made:
			s.made++
		case altered:
			s.altered++
		case deleted:
			s.deleted++
		case kept:
			s.kept++
		}
	}
}

// changes is what a cluster would see of it.
func (s summary) changes() int { return s.made + s.altered + s.deleted }

// String is the last line of a comparison.
func (s summary) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{s.altered, "changed"}, {s.made, "made"}, {s.deleted, "deleted"}, {s.kept, "left behind"}} {
		if p.n > 0 {
			parts = append(parts, plural(p.n, "object", "objects")+" "+p.word)
		}
	}
	text := "nothing would change"
	if len(parts) > 0 {
		text = list(parts) + " in " + plural(s.apps, "app", "apps")
	}
	if s.failed > 0 {
		text += "; " + plural(s.failed, "app", "apps") + " could not be compared"
	}
	return text
}
