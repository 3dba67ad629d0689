package worker

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxDepth = 100     // of nested lists and maps; Kubernetes objects, CRDs included, stay far below
	maxNodes = 500_000 // of one file, aliases expanded
)

// parseYAML reads the documents of a YAML file. A mistake is a fault with the line, and never quotes the file.
func parseYAML(file string, data []byte) ([]*yaml.Node, error) {
	if !utf8.Valid(data) {
		return nil, faultf(file, invalidLine(data), "%s is not UTF-8: save it as UTF-8", at(file, invalidLine(data)))
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var docs []*yaml.Node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, yamlFault(file, err)
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size <= 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return 0
}

var yamlError = regexp.MustCompile(`(?s)(?:line (\d+): )?(.*)`)

// yamlFault turns an error of the YAML parser into a sentence. What follows a quote or a backtick may be the value of
// a Secret and is left out.
func yamlFault(file string, err error) *fault {
	msg := err.Error()
	for _, p := range []string{"yaml: ", "unmarshal errors:\n", "  "} {
		if len(msg) > len(p) && msg[:len(p)] == p {
			msg = msg[len(p):]
		}
	}
	line := 0
	if m := yamlError.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	msg = hideQuoted(firstLine(msg))
	return faultf(file, line, "%s is not valid YAML: %s", at(file, line), msg)
}

func firstLine(s string) string {
	for i := range len(s) {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}

var quoted = regexp.MustCompile("(?s)`[^`]*`|\"[^\"]*\"|'[^']*'")

// hideQuoted takes out what an error message quotes, but for single signs, such as the bracket that is missing.
func hideQuoted(s string) string {
	return quoted.ReplaceAllStringFunc(s, func(q string) string {
		if len(q) <= len("','") {
			return q
		}
		return "(not shown)"
	})
}

// shape is what a walk over a document found.
type shape struct {
	aliases    bool
	duplicates []int // lines of keys that stand twice in one map
}

// inspect walks a document and refuses what no object needs: too deep, or too large once its aliases are expanded.
func inspect(file string, n *yaml.Node) (shape, error) {
	i := inspector{file: file}
	err := i.walk(n, 0)
	return i.shape, err
}

type inspector struct {
	shape
	file  string
	nodes int
}

func (i *inspector) walk(n *yaml.Node, depth int) error {
	if i.nodes++; i.nodes > maxNodes {
		return faultf(i.file, n.Line, "%s expands to more than %d values: write out or remove its YAML aliases", at(i.file, n.Line), maxNodes)
	}
	if depth > maxDepth {
		return faultf(i.file, n.Line, "%s is nested more than %d levels deep", at(i.file, n.Line), maxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		i.aliases = true
		return i.walk(n.Alias, depth+1)
	case yaml.MappingNode:
		i.duplicateKeys(n)
	case yaml.ScalarNode:
		return nil
	}
	for _, c := range n.Content {
		if err := i.walk(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (i *inspector) duplicateKeys(n *yaml.Node) {
	keys := len(n.Content) / 2
	if keys <= 12 {
		for a := range keys {
			for b := range a {
				if n.Content[2*a].Value == n.Content[2*b].Value && n.Content[2*a].Kind == yaml.ScalarNode {
					i.duplicates = append(i.duplicates, n.Content[2*a].Line)
				}
			}
		}
	} else {
		seen := make(map[string]bool, keys)
		for a := range keys {
			k := n.Content[2*a]
			if k.Kind == yaml.ScalarNode && seen[k.Value] {
				i.duplicates = append(i.duplicates, k.Line)
			}
			seen[k.Value] = true
		}
	}
	for a := range keys {
		if n.Content[2*a].Value == "<<" {
			i.aliases = true
		}
	}
}

// checkAliases refuses a file whose aliases expand beyond reason, before anything expands them.
func checkAliases(file string, data []byte) *fault {
	if bytes.IndexByte(data, '*') < 0 || bytes.IndexByte(data, '&') < 0 {
		return nil
	}
	docs, err := parseYAML(file, data)
	if err != nil {
		return nil //nolint:nilerr // whoever wants the file as YAML says so; a text with both characters may be no YAML at all
	}
	for _, d := range docs {
		if _, err := inspect(file, d); err != nil {
			if f, ok := asFault(err); ok {
				return f
			}
		}
	}
	return nil
}
