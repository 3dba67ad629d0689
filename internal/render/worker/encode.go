package worker

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// dialect says how plain scalars are read.
type dialect int

const (
	// asKustomize reads `yes` as a string, as kustomize does before it prints an object.
	asKustomize dialect = iota
	// asKubectl reads `yes` as true, as kubectl and Helm do.
	asKubectl
)

// encoder writes YAML nodes as JSON, without the detour over text that the libraries take.
type encoder struct {
	buf  []byte
	file string
	d    dialect
}

// encodeDoc returns document n as JSON. Keys that stand twice are a fault, unless lastWins.
func encodeDoc(file string, n *yaml.Node, d dialect, lastWins bool) (out []byte, duplicates []int, err error) {
	s, err := inspect(file, n)
	if err != nil {
		return nil, nil, err
	}
	if len(s.duplicates) > 0 && !lastWins {
		line := s.duplicates[0]
		return nil, nil, faultf(file, line, "%s sets a key that the same map has already: remove one of them", at(file, line))
	}
	if s.aliases || len(s.duplicates) > 0 {
		out, err = encodeByText(file, n, d)
		return out, s.duplicates, err
	}
	e := encoder{buf: make([]byte, 0, 2048), file: file, d: d}
	if err := e.value(n); err != nil {
		return nil, nil, err
	}
	return e.buf, nil, nil
}

// encodeByText goes the long way of the libraries, for aliases, merge keys and keys that stand twice.
func encodeByText(file string, n *yaml.Node, d dialect) ([]byte, error) {
	if d == asKustomize {
		var v map[string]any
		if err := n.Decode(&v); err != nil {
			return nil, yamlFault(file, err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			return nil, faultf(file, n.Line, "%s has a key that is not a string: put it in quotes", at(file, n.Line))
		}
		return out, nil
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return nil, yamlFault(file, err)
	}
	out, err := sigsyaml.YAMLToJSON(text)
	if err != nil {
		return nil, yamlFault(file, err)
	}
	return out, nil
}

func (e *encoder) value(n *yaml.Node) error {
	switch n.Kind {
	case yaml.DocumentNode:
		return e.value(n.Content[0])
	case yaml.MappingNode:
		e.buf = append(e.buf, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			if err := e.key(n.Content[i]); err != nil {
				return err
			}
			e.buf = append(e.buf, ':')
			if err := e.value(n.Content[i+1]); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, '}')
	case yaml.SequenceNode:
		e.buf = append(e.buf, '[')
		for i, c := range n.Content {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			if err := e.value(c); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, ']')
	case yaml.ScalarNode:
		return e.scalar(n)
	default:
		e.buf = append(e.buf, "null"...)
	}
	return nil
}

func (e *encoder) key(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return faultf(e.file, n.Line, "%s has a map or list as a key: a key must be a string", at(e.file, n.Line))
	}
	if n.ShortTag() == "!!str" && (e.d == asKustomize || !ambiguous(n)) {
		return e.text(n.Value, n.Line)
	}
	if e.d == asKustomize {
		return faultf(e.file, n.Line, "%s has a key that is not a string: put it in quotes", at(e.file, n.Line))
	}
	j, err := sigsyaml.YAMLToJSON([]byte(n.Value + ": 0"))
	if err != nil || len(j) < 4 {
		return faultf(e.file, n.Line, "%s has a key that is not a string: put it in quotes", at(e.file, n.Line))
	}
	e.buf = append(e.buf, j[1:len(j)-3]...) // {"key":0}
	return nil
}

func (e *encoder) scalar(n *yaml.Node) error {
	tag := n.ShortTag()
	switch {
	case tag == "!!str" && (e.d == asKustomize || !ambiguous(n)):
		return e.text(n.Value, n.Line)
	case tag == "!!null":
		e.buf = append(e.buf, "null"...)
		return nil
	case tag == "!!int" && plainInt(n.Value):
		e.buf = append(e.buf, n.Value...)
		return nil
	case tag == "!!bool" && (n.Value == "true" || n.Value == "false"):
		e.buf = append(e.buf, n.Value...)
		return nil
	}
	if e.d == asKubectl && n.Style&yaml.TaggedStyle == 0 && !strings.ContainsAny(n.Value, " \n\t") {
		j, err := sigsyaml.YAMLToJSON([]byte(n.Value))
		if err != nil {
			return yamlFault(e.file, fmt.Errorf("line %d: this value cannot be read", n.Line))
		}
		e.buf = append(e.buf, j...)
		return nil
	}
	if e.d == asKubectl && tag == "!!timestamp" {
		return e.text(n.Value, n.Line)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return yamlFault(e.file, fmt.Errorf("line %d: this value does not fit its tag", n.Line))
	}
	j, err := json.Marshal(v)
	if err != nil {
		return yamlFault(e.file, fmt.Errorf("line %d: this value has no form in JSON", n.Line))
	}
	e.buf = append(e.buf, j...)
	return nil
}

// plainInt tells whether s is a decimal number that stands in JSON as it stands in YAML.
func plainInt(s string) bool {
	d := strings.TrimPrefix(s, "-")
	if d == "" || len(d) > 18 || (d[0] == '0' && len(s) > 1) {
		return false
	}
	for i := range len(d) {
		if d[i] < '0' || d[i] > '9' {
			return false
		}
	}
	return true
}

// ambiguous tells whether YAML 1.1, which kubectl reads, may see something else than a string in a plain scalar.
func ambiguous(n *yaml.Node) bool {
	const quotedStyles = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	if n.Style&quotedStyles != 0 || n.Value == "" || strings.ContainsAny(n.Value, " \n\t") {
		return false
	}
	c := n.Value[0]
	if (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' {
		return true
	}
	return len(n.Value) <= 5 && strings.IndexByte("yYnNtTfFoO~=<", c) >= 0
}

const hexDigits = "0123456789abcdef"

func (e *encoder) text(s string, line int) error {
	if !utf8.ValidString(s) {
		return faultf(e.file, line, "%s is not UTF-8: save it as UTF-8", at(e.file, line))
	}
	e.buf = append(e.buf, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		e.buf = append(e.buf, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			e.buf = append(e.buf, '\\', c)
		case '\n':
			e.buf = append(e.buf, '\\', 'n')
		default:
			e.buf = append(e.buf, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	e.buf = append(e.buf, s[from:]...)
	e.buf = append(e.buf, '"')
	return nil
}
