package edit

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values sets the value at a path of a file of Helm values. A path is keys with dots between them, and [N] for the
// entry of a list, from 0: image.tag, containers[0].image. A backslash takes the next character as it is, for keys with
// dots or brackets in them: annotations.example\.com/tag.
//
// The value is written as a string, in the quotes of the old one, and gets quotes where YAML would take it for a number, a
// boolean or nothing. The error matches [ErrMissing] when the file has no such path.
func Values(file []byte, path, value string) ([]byte, error) {
	steps, err := splitPath(path)
	if err != nil {
		return nil, err
	}
	s, err := parse(file)
	if err != nil {
		return nil, err
	}
	root, err := s.single()
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, &missing{fmt.Sprintf("the file has no values, and %s is not made up: write it once by hand, with any value", path)}
	}
	target, around, err := s.find(root, steps)
	if err != nil {
		return nil, err
	}
	if err := s.set(target, value, around); err != nil {
		return nil, err
	}
	return s.result()
}

// single gives the root of the only document, nil when there is nothing but comments.
func (s *source) single() (*yaml.Node, error) {
	var root *yaml.Node
	for _, doc := range s.docs {
		if len(doc.Content) == 0 || isNull(doc.Content[0]) {
			continue
		}
		if root != nil {
			return nil, refuse(doc.Line, "a second document begins (---), and only files with one are edited: keep one")
		}
		root = doc.Content[0]
	}
	return root, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// step is one element of a path: a key, or the number of an entry of a list.
type step struct {
	key     string
	index   int
	isIndex bool
}

func (p step) String() string {
	if p.isIndex {
		return "[" + strconv.Itoa(p.index) + "]"
	}
	return strings.NewReplacer(`\`, `\\`, `.`, `\.`, `[`, `\[`, `]`, `\]`).Replace(p.key)
}

// joinPath is the reverse of splitPath.
func joinPath(steps []step) string {
	var b strings.Builder
	for i, p := range steps {
		if i > 0 && !p.isIndex {
			b.WriteByte('.')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

func splitPath(path string) ([]step, error) {
	bad := func(why string) ([]step, error) {
		return nil, fmt.Errorf("%q is not a path of values: %s; write keys with dots between them and [N] for an entry of a list, such as image.tag or containers[0].image", path, why)
	}
	var steps []step
	rest := path
	for first := true; rest != "" || first; first = false {
		if strings.HasPrefix(rest, "[") {
			digits, tail, ok := strings.Cut(rest[1:], "]")
			index, err := strconv.ParseUint(digits, 10, 31)
			if !ok || err != nil {
				return bad("after [ comes a number and ]")
			}
			steps, rest = append(steps, step{index: int(index), isIndex: true}), tail
			continue
		}
		if !first {
			after, ok := strings.CutPrefix(rest, ".")
			if !ok {
				return bad("after ] comes a dot")
			}
			rest = after
		}
		key, tail, ok := cutKey(rest)
		if !ok {
			return bad("it ends in a backslash")
		}
		if key == "" {
			return bad("a key is empty")
		}
		steps, rest = append(steps, step{key: key}), tail
	}
	return steps, nil
}

// cutKey takes a key off the front of a path, and says whether its last character is whole.
func cutKey(path string) (key, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '.', '[':
			return b.String(), path[i:], true
		case '\\':
			if i++; i == len(path) {
				return "", "", false
			}
		}
		b.WriteByte(path[i])
	}
	return b.String(), "", true
}

// find follows a path from a node, and gives the node at its end and all that it is in.
func (s *source) find(n *yaml.Node, steps []step) (target *yaml.Node, around []*yaml.Node, err error) {
	for i, p := range steps {
		at := "the file"
		if i > 0 {
			at = joinPath(steps[:i])
		}
		around = append(around, n)
		switch {
		case n.Kind == yaml.AliasNode:
			return nil, nil, refuse(n.Line, "%s is the alias *%s: write it out", at, n.Value)
		case isTemplate(n):
			return nil, nil, refuse(n.Line, "%s is computed by a template: write it out", at)
		case p.isIndex:
			if n.Kind != yaml.SequenceNode || p.index >= len(n.Content) {
				return nil, nil, absent(n, at, fmt.Sprintf("entry %s", p), steps)
			}
			n = n.Content[p.index]
		default:
			_, value, err := pair(n, p.key)
			if err != nil {
				return nil, nil, err
			}
			if value == nil {
				return nil, nil, absent(n, at, fmt.Sprintf("key %q", p.key), steps)
			}
			n = value
		}
	}
	return n, around, nil
}

func absent(n *yaml.Node, at, what string, steps []step) error {
	if _, merged, _ := pair(n, "<<"); merged != nil {
		return &missing{fmt.Sprintf("line %d: %s has no %s of its own, only what it merges (<<): write %s out", n.Line, at, what, joinPath(steps))}
	}
	kind := ""
	if n.Kind == yaml.ScalarNode || (n.Kind == yaml.SequenceNode) != strings.HasPrefix(what, "entry") {
		kind = ", because it is " + kindOf(n)
	}
	return &missing{fmt.Sprintf("line %d: %s has no %s%s, and %s is not made up: write it once by hand, with any value", n.Line, at, what, kind, joinPath(steps))}
}

// pair finds a key of a mapping and its value, nil when there is none.
func pair(n *yaml.Node, name string) (key, value *yaml.Node, err error) {
	if n.Kind != yaml.MappingNode {
		return nil, nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Value != name {
			continue
		}
		if key != nil {
			return nil, nil, refuse(k.Line, "the key %q is here and on line %d: keep one", name, key.Line)
		}
		key, value = k, n.Content[i+1]
	}
	return key, value, nil
}
