package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// FieldPath is the way to one field of an object. Its elements are written as the API server writes them into
// managedFields: "f:spec", `k:{"name":"app"}`, `v:"x"`, "i:0"; and "*" for every item of a list.
type FieldPath []string

// anyItem is the element that stands for every item of a list.
const anyItem = "*"

// String returns p for people: spec.template.spec.containers[name=app].image. Items of sets are values and are not
// shown.
func (p FieldPath) String() string {
	var b strings.Builder
	for _, elem := range p {
		switch {
		case elem == anyItem:
			b.WriteString("[*]")
		case strings.HasPrefix(elem, "f:"):
			writeField(&b, elem[2:])
		case strings.HasPrefix(elem, "i:"):
			b.WriteString("[" + elem[2:] + "]")
		case strings.HasPrefix(elem, "k:"):
			keys, _ := parseKeys(elem)
			b.WriteByte('[')
			for i, key := range keys {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(key.name + "=" + keyText(key.value))
			}
			b.WriteByte(']')
		case strings.HasPrefix(elem, "v:"):
			b.WriteString("[…]")
		}
	}
	return b.String()
}

func writeField(b *strings.Builder, name string) {
	if name == "" || strings.IndexFunc(name, isSpecial) >= 0 {
		b.WriteString("[" + strconv.Quote(name) + "]")
		return
	}
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	b.WriteString(name)
}

// isSpecial says whether a field with r in its name is written in brackets and quotes.
func isSpecial(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '$'
}

// keyText returns the value of a key for people.
func keyText(v any) string {
	if s, ok := v.(string); ok && strings.IndexFunc(s, func(r rune) bool { return isSpecial(r) && r != '.' && r != '/' }) < 0 && s != "" {
		return s
	}
	return canonical(v)
}

// ParseFieldPath reads a path as people write it: a JSON pointer (/spec/template/spec/containers/0/image), or field
// names with dots, where an item of a list is chosen by its keys, by its place or as every item
// (spec.template.spec.containers[name=app].image, spec.ports[0], spec.rules[*].host) and a name with dots in it is
// quoted (metadata.annotations["example.com/a"]).
func ParseFieldPath(s string) (FieldPath, error) {
	path, err := parsePointer(s)
	if !strings.HasPrefix(s, "/") {
		path, err = parseDotted(s)
	}
	if err != nil {
		return nil, fmt.Errorf("field path %q: %w", s, err)
	}
	return path, nil
}

func parsePointer(s string) (FieldPath, error) {
	var path FieldPath
	for token := range strings.SplitSeq(strings.TrimPrefix(s, "/"), "/") {
		if token == "" {
			return nil, errors.New("an element is empty")
		}
		if token == anyItem {
			path = append(path, anyItem)
			continue
		}
		token = strings.ReplaceAll(token, "~1", "/")
		path = append(path, "f:"+strings.ReplaceAll(token, "~0", "~"))
	}
	return path, nil
}

func parseDotted(s string) (FieldPath, error) {
	var path FieldPath
	rest := strings.TrimPrefix(s, ".")
	for rest != "" {
		if rest[0] == '[' {
			elem, after, err := parseBracket(rest)
			if err != nil {
				return nil, err
			}
			path, rest = append(path, elem), after
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, errors.New("an element is empty")
			}
			path, rest = append(path, "f:"+rest[:end]), rest[end:]
		}
		if strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" {
				return nil, errors.New("it ends with a dot")
			}
		} else if rest != "" && rest[0] != '[' {
			return nil, errors.New("after ] comes a dot or another [")
		}
	}
	if len(path) == 0 {
		return nil, errors.New("it is empty")
	}
	return path, nil
}

// parseBracket reads one element in brackets from the front of s.
func parseBracket(s string) (elem, rest string, err error) {
	if quoted, err := strconv.QuotedPrefix(s[1:]); err == nil && strings.HasPrefix(s[1+len(quoted):], "]") {
		name, err := strconv.Unquote(quoted)
		if err != nil {
			return "", "", errors.New("a name in quotes cannot be read")
		}
		return "f:" + name, s[len(quoted)+2:], nil
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return "", "", errors.New("a [ has no ]")
	}
	inner, rest := strings.TrimSpace(s[1:end]), s[end+1:]
	if inner == anyItem {
		return anyItem, rest, nil
	}
	if !strings.Contains(inner, "=") {
		if _, err := strconv.ParseUint(inner, 10, 31); err != nil {
			return "", "", errors.New(`in brackets there is a place ([0]), a key ([name=app]), [*] or a name in quotes (["a.b"])`)
		}
		return "i:" + inner, rest, nil
	}
	keys := map[string]any{}
	for part := range strings.SplitSeq(inner, ",") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return "", "", errors.New("keys in brackets are written [name=value,name=value]")
		}
		keys[name] = keyValue(strings.TrimSpace(value))
	}
	return "k:" + canonical(keys), rest, nil
}

// keyValue reads the value of a key: a number if it looks like one and is not in quotes, text otherwise.
func keyValue(s string) any {
	if unquoted, err := strconv.Unquote(s); err == nil {
		return unquoted
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return s
}

// Owned lists the fields that manager has applied to live, by its Apply entry in managedFields: the leaves, and the
// items and containers that it holds as such. The order is that of the paths.
func Owned(live *unstructured.Unstructured, manager string) []FieldPath {
	var paths []FieldPath
	e := newEncoder()
	defer e.release()
	var walk func(fields map[string]any, at FieldPath)
	walk = func(fields map[string]any, at FieldPath) {
		if _, self := fields["."]; (self || len(fields) == 0) && len(at) > 0 {
			paths = append(paths, append(FieldPath(nil), at...))
		}
		base, end := e.sorted(fields)
		for i := base; i < end; i++ {
			if p := e.pairs[i]; p.key != "." {
				below, _ := p.value.(map[string]any)
				walk(below, append(at, p.key))
			}
		}
		e.pairs = e.pairs[:base]
	}
	walk(applied(live, manager), nil)
	return paths
}

// Owns says whether manager has applied the field at path, something in it, or the whole that it is part of.
func Owns(live *unstructured.Unstructured, manager string, path FieldPath) bool {
	fields := applied(live, manager)
	return len(fields) > 0 && holds(fields, path)
}

// holds says whether path leads into fields.
func holds(fields map[string]any, path FieldPath) bool {
	for _, elem := range path {
		if len(fields) == 0 {
			return true // a leaf above: the whole is owned
		}
		below, ok := fields[elem]
		if !ok {
			return false
		}
		fields, _ = below.(map[string]any)
	}
	return true
}
