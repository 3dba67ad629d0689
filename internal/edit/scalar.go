package edit

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle

// set makes a scalar the string value. What says so already stays as it is. Around are the nodes that the scalar is in.
func (s *source) set(n *yaml.Node, value string, around []*yaml.Node) error {
	if !utf8.ValidString(value) {
		return refuse(n.Line, "the new value is not UTF-8")
	}
	if says(n, value) {
		return nil
	}
	if err := s.unaliased(around); err != nil {
		return err
	}
	start, end, err := s.span(n)
	if err != nil {
		return err
	}
	text := write(value, n.Style, s.inFlow[n])
	if start == end && start > 0 && !strings.ContainsRune(" \t", rune(s.text[start-1])) {
		text = " " + text
	}
	s.put(start, end, text)
	n.Value, n.Tag = value, "!!str"
	return nil
}

// says reports whether every reader of YAML finds the string value in a node.
func says(n *yaml.Node, value string) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || n.Value != value || n.ShortTag() != "!!str" {
		return false
	}
	return n.Style&(quoted|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 || !readsAsOther(value)
}

// unaliased refuses to change what an alias repeats elsewhere.
func (s *source) unaliased(around []*yaml.Node) error {
	for _, n := range around {
		if line, ok := s.aliased[n]; ok {
			return refuse(n.Line, "what is anchored as &%s here is repeated by line %d, which would change as well: write the values out in one of the two places", n.Anchor, line)
		}
	}
	return nil
}

// span gives the bytes of a scalar that stands on one line, or says why it cannot be replaced.
func (s *source) span(n *yaml.Node) (start, end int, err error) {
	if known, ok := s.spans[n]; ok {
		return known[0], known[1], nil
	}
	if strings.Contains(n.Value, "{{") || isTemplate(n) {
		return 0, 0, refuse(n.Line, "the value is computed by a template: write it out")
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return 0, 0, refuse(n.Line, "the value is the alias *%s: write it out", n.Value)
	case n.Kind != yaml.ScalarNode:
		return 0, 0, refuse(n.Line, "a single value is wanted here, and there is %s", kindOf(n))
	case n.Anchor != "":
		return 0, 0, refuse(n.Line, "the value has the anchor &%s, and would change wherever it is repeated: take the anchor away", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!":
		return 0, 0, refuse(n.Line, "the value has a tag (!…): write it in quotes instead")
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, 0, refuse(n.Line, "the value is text over several lines: write it on one line")
	}
	if start, err = s.offset(n); err != nil {
		return 0, 0, err
	}
	length, ok := s.scan(start, n)
	if !ok {
		return 0, 0, refuse(n.Line, "the value is text over several lines: write it on one line")
	}
	s.spans[n] = [2]int{start, start + length}
	return start, start + length, nil
}

// scan measures a scalar that begins at an offset, in bytes; false when it does not end on its line.
func (s *source) scan(start int, n *yaml.Node) (int, bool) {
	line := s.text[min(start, s.lineEnd(n.Line)):s.lineEnd(n.Line)]
	token := doubleQuoted
	switch {
	case n.Style&quoted == 0:
		return len(n.Value), strings.HasPrefix(string(line), n.Value)
	case n.Style&yaml.SingleQuotedStyle != 0:
		token = singleQuoted
	}
	found := token.Find(line)
	var value string
	if err := yaml.Unmarshal(found, &value); err != nil || value != n.Value {
		return 0, false
	}
	return len(found), true
}

var (
	doubleQuoted = regexp.MustCompile(`^"(?:[^"\\]|\\.)*"`)
	singleQuoted = regexp.MustCompile(`^'(?:[^']|'')*'`)
)

// isTemplate recognises {{ … }} without quotes, which YAML reads as a mapping in a mapping.
func isTemplate(n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle == 0 || len(n.Content) == 0 {
		return false
	}
	key := n.Content[0]
	return key.Kind == yaml.MappingNode && key.Style&yaml.FlowStyle != 0 && key.Line == n.Line && key.Column == n.Column+1
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return "a single value"
}

// write puts a string the way the old one was written, as far as every reader then finds the same string.
func write(value string, style yaml.Style, flow bool) string {
	switch {
	case style&yaml.SingleQuotedStyle != 0 && plainText(value):
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case style&quoted != 0 || !plainWord.MatchString(value) || readsAsOther(value) || flow && strings.Contains(value, ":"):
		return doubleQuote(value)
	}
	return value
}

// plainWord is what needs no quotes in any place: names, versions and references of images, digests.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./](?:[A-Za-z0-9_./@+:-]*[A-Za-z0-9_./@+-])?$`)

// notAString matches what a reader of YAML 1.1 or 1.2 takes for a number, a time, a boolean or nothing.
var notAString = regexp.MustCompile(`^(?i:` + strings.Join([]string{
	`|~|null|true|false|y|n|yes|no|on|off|=|<<`,
	`[-+]?[0-9][0-9_]*`,                                 // 0123 is octal to some, decimal to others
	`[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:e[-+]?[0-9]+)?`, // 1.10, 1e3, .5
	`[-+]?0x[0-9a-f_]+`, `[-+]?0o[0-7_]+`, `[-+]?0b[01_]+`,
	`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?`,       // 1:30, in base 60
	`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:t|[ \t]+)[0-9].*)?`, // 2026-01-02
	`[-+]?\.inf|\.nan`,
	`---.*|\.\.\.`,
}, "|") + `)$`)

// readsAsOther reports whether a word without quotes is not the string that it looks like, to some reader.
func readsAsOther(word string) bool { return notAString.MatchString(word) }

// plainText reports whether every character may stand in quotes as it is.
func plainText(value string) bool {
	return !strings.ContainsFunc(value, func(c rune) bool { return c != ' ' && !unicode.IsPrint(c) })
}

func doubleQuote(value string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == ' ' || unicode.IsPrint(c):
			b.WriteRune(c)
		case c <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
