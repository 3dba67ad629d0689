package manifest

import (
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// DiffOp says what a line of a diff is.
type DiffOp byte

// The kinds of lines.
const (
	Same    DiffOp = ' ' // in both
	Removed DiffOp = '-' // only before
	Added   DiffOp = '+' // only after
	Section DiffOp = '@' // the path of the first change of what follows, where lines that are the same have been left out
)

// DiffLine is one line of a diff, without its line break.
type DiffLine struct {
	Op   DiffOp
	Text string
}

// diffContext is how many lines that are the same are shown around each change.
const diffContext = 3

// Diff shows how an object changes, as lines of YAML. Values of a Secret are masked, and only say whether they
// change; what only a cluster writes (status, managedFields, resourceVersion …) is left out. Before is nil for an
// object that is made, after for one that is deleted. The result is empty if nothing would be seen to change.
func Diff(before, after *unstructured.Unstructured) []DiffLine {
	a, b := maskPair(before, after)
	left, right := yamlLines(a), yamlLines(b)
	var lines []DiffLine
	for _, group := range difflib.NewMatcher(left, right).GetGroupedOpCodes(diffContext) {
		first := group[slices.IndexFunc(group, func(code difflib.OpCode) bool { return code.Tag != 'e' })]
		if where := section(left, first.I1, right, first.J1); where != "" && group[0].I1 > 0 {
			lines = append(lines, DiffLine{Section, where})
		}
		for _, code := range group {
			if code.Tag == 'e' {
				lines = appendLines(lines, Same, left[code.I1:code.I2])
				continue
			}
			lines = appendLines(lines, Removed, left[code.I1:code.I2])
			lines = appendLines(lines, Added, right[code.J1:code.J2])
		}
	}
	return lines
}

func appendLines(lines []DiffLine, op DiffOp, texts []string) []DiffLine {
	for _, text := range texts {
		lines = append(lines, DiffLine{op, text})
	}
	return lines
}

// yamlLines writes u, without what only a cluster writes, as lines of YAML.
func yamlLines(u *unstructured.Unstructured) []string {
	if u == nil {
		return nil
	}
	object := shallow(u)
	delete(object, "status")
	if meta, ok := object["metadata"].(map[string]any); ok {
		for _, field := range serverFields {
			delete(meta, field)
		}
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		// Only a value that is no JSON cannot be written, and no decoder makes one.
		return []string{"(cannot be shown)"}
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// section returns the path of the fields around a line: the lines above it that are indented less.
func section(left []string, i int, right []string, j int) string {
	lines, at := left, i
	if i >= len(left) {
		lines, at = right, j
	}
	if at == 0 || at >= len(lines) {
		return ""
	}
	indent := depth(lines[at])
	var names []string
	for at--; at >= 0 && indent > 0; at-- {
		name, value, ok := strings.Cut(strings.TrimSpace(lines[at]), ":")
		if d := depth(lines[at]); d < indent && ok && strings.TrimSpace(value) == "" {
			names = append(names, strings.TrimPrefix(name, "- "))
			indent = d
		}
	}
	var b strings.Builder
	for n := len(names) - 1; n >= 0; n-- {
		b.WriteString(names[n])
		if n > 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// depth is how far a line of YAML is indented, with the dash of a list item as part of the indentation.
func depth(line string) int {
	text := strings.TrimLeft(line, " ")
	d := len(line) - len(text)
	if strings.HasPrefix(text, "- ") {
		d++
	}
	return d
}
