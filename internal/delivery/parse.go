package delivery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxSize is the size in bytes of the largest file.
	MaxSize = 1 << 20
	// lfsPointer is what Git LFS leaves in place of a file.
	lfsPointer = "version https://git-lfs.github.com/spec/v1"
	// maxProblems is how many problems one error names.
	maxProblems = 10
)

// Parse reads the file called name, a path from the root of the repository. Paths in it become paths from the root. The
// error names every problem, up to ten, each with the file and the line, and holds no value of the file.
func Parse(name string, data []byte) (Delivery, error) {
	d := &decoder{file: name, lines: map[string]int{}}
	root, err := d.read(data)
	if err != nil {
		return Delivery{}, err
	}
	var doc document
	d.value(root, reflect.ValueOf(&doc).Elem(), "", 0)
	if len(d.problems) == 0 {
		d.check(&doc)
	}
	if err := d.err(); err != nil {
		return Delivery{}, err
	}
	return doc.Delivery, nil
}

// problem is one thing that is wrong, and where.
type problem struct {
	line int
	text string
}

type decoder struct {
	file     string
	lines    map[string]int // the line of each path
	problems []problem
	nodes    int // values seen so far, those behind aliases each time
}

func (d *decoder) fail(line int, format string, args ...any) {
	d.problems = append(d.problems, problem{line, fmt.Sprintf(format, args...)})
}

func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var all []error
	for i, p := range d.problems {
		if i == maxProblems {
			all = append(all, fmt.Errorf("%s: and %d more", d.file, len(d.problems)-maxProblems))
			break
		}
		all = append(all, fmt.Errorf("%s:%d: %s", d.file, p.line, p.text))
	}
	return errors.Join(all...)
}

// read parses the YAML and returns the one document of the file.
func (d *decoder) read(data []byte) (*yaml.Node, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", d.file, MaxSize)
	}
	if bytes.HasPrefix(data, []byte(lfsPointer)) {
		return nil, fmt.Errorf("%s:1: the file is a Git LFS pointer: commit the file itself (git lfs migrate export)", d.file)
	}
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var root *yaml.Node
	for {
		var node yaml.Node
		err := stream.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, d.syntax(err)
		}
		content := &node
		if node.Kind == yaml.DocumentNode {
			content = node.Content[0]
		}
		if isNull(content) {
			continue // nothing between two separators
		}
		if root != nil {
			return nil, fmt.Errorf("%s:%d: the file holds a second document: put what differs by environment under environments", d.file, content.Line)
		}
		root = content
	}
	if root == nil {
		return nil, fmt.Errorf("%s:1: the file is empty: it needs at least apiVersion: %s and kind: %s", d.file, APIVersion, Kind)
	}
	return root, nil
}

var (
	syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	// parserProblem matches what the library's parser says, which counts lines from 0; its scanner counts from 1.
	parserProblem = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key|',' or)|found (duplicate|incompatible|undefined))`)
)

// syntax turns an error of the YAML library, which names what it expected but no values, into one with file and line.
func (d *decoder) syntax(err error) error {
	line, text := 1, err.Error()
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
			if parserProblem.MatchString(text) {
				line++
			}
		}
	}
	return fmt.Errorf("%s:%d: this is no YAML: %s", d.file, line, text)
}

const (
	maxDepth = 64     // of nesting; more is an alias of itself
	maxNodes = 50_000 // values, counted again for each alias
)

// enter counts n and follows an alias. It returns nil where reading must stop.
func (d *decoder) enter(n *yaml.Node, at string, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.nodes++
	switch {
	case depth > maxDepth:
		d.fail(n.Line, "%s is nested deeper than %d levels", place(at), maxDepth)
		return nil
	case d.nodes > maxNodes:
		if d.nodes == maxNodes+1 {
			d.fail(n.Line, "the file holds more than %d values once its aliases are written out", maxNodes)
		}
		return nil
	}
	return n
}

func place(at string) string { return cmp.Or(at, "the file") }

// value reads n into v, which is the field at the path at.
func (d *decoder) value(n *yaml.Node, v reflect.Value, at string, depth int) {
	line := n.Line
	if n = d.enter(n, at, depth); n == nil || (isNull(n) && at != "") {
		return // an empty field is as one that is not there
	}
	d.lines[at] = line
	if v.Type() == durationType {
		d.duration(n, v, at, line)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), at, depth+1)
	case reflect.Struct:
		d.structure(n, v, at, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(line, "%s must be a list", place(at))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			d.value(item, v.Index(i), at+"["+strconv.Itoa(i)+"]", depth+1)
		}
	case reflect.Map:
		d.mapping(n, v, at, depth)
	case reflect.Bool:
		b, ok := boolean(n)
		if !ok {
			d.fail(line, "%s must be true or false", place(at))
			return
		}
		v.SetBool(b)
	case reflect.Int:
		d.integer(n, v, at, line)
	case reflect.String:
		switch {
		case n.Kind != yaml.ScalarNode:
			d.fail(line, "%s must be text", place(at))
		case n.Tag != "!!str":
			d.fail(line, "%s must be text: put the value in quotes", place(at))
		default:
			v.SetString(n.Value)
		}
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// structure reads a map with known fields.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, at string, depth int) {
	fields := fieldsOf(v.Type())
	short := slices.IndexFunc(fields, func(f field) bool { return f.short })
	switch {
	case n.Kind == yaml.MappingNode:
		d.pairs(n, at, func(key, value *yaml.Node) {
			if f, ok := find(fields, key.Value); ok {
				d.assign(f, v, key.Line, value, at, depth)
				return
			}
			d.unknown(key, at, names(fields))
		})
	case short >= 0 && n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		d.assign(fields[short], v, n.Line, n, at, depth)
	default:
		d.noMap(n, at, fields, short >= 0)
		return
	}
	for _, f := range fields {
		if _, there := d.lines[join(at, f.name)]; there {
			continue
		}
		if f.required {
			d.fail(n.Line, "%s is missing", join(at, f.name))
		}
		f.setStandard(v.FieldByIndex(f.index))
	}
}

// noMap says what may stand where something else than a map is.
func (d *decoder) noMap(n *yaml.Node, at string, fields []field, short bool) {
	switch {
	case at == "":
		d.fail(n.Line, "the file must be a map")
	case short:
		d.fail(n.Line, "%s must be a name or a map; the fields of the map are %s", at, strings.Join(names(fields), ", "))
	default:
		d.fail(n.Line, "%s must be a map; its fields are %s", at, strings.Join(names(fields), ", "))
	}
}

// assign reads value into the field f of v.
func (d *decoder) assign(f field, v reflect.Value, line int, value *yaml.Node, at string, depth int) {
	path := join(at, f.name)
	target := v.FieldByIndex(f.index)
	before := len(d.problems)
	d.value(value, target, path, depth+1)
	if isNull(value) {
		return
	}
	d.lines[path] = line
	if len(d.problems) > before {
		return
	}
	if f.max != "" {
		d.bounds(f, target, path)
	}
	if target.Kind() != reflect.String {
		return
	}
	switch got := target.String(); {
	case f.constant != "" && got != f.constant:
		d.fail(line, "%s must be %s", path, f.constant)
	case len(f.enum) > 0 && got != "" && !slices.Contains(f.enum, got):
		d.fail(line, "%s must be one of %s", path, strings.Join(f.enum, ", "))
	}
}

func (d *decoder) unknown(key *yaml.Node, at string, known []string) {
	text := fmt.Sprintf("unknown field %q", key.Value)
	if at != "" {
		text += " in " + at
	}
	if near := nearest(key.Value, known); near != "" {
		d.fail(key.Line, "%s; did you mean %q?", text, near)
		return
	}
	d.fail(key.Line, "%s; the fields here are %s", text, strings.Join(known, ", "))
}

// mapping reads a map whose keys are the user's.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, at string, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, at, func(key, value *yaml.Node) {
		elem := reflect.New(v.Type().Elem()).Elem()
		path := join(at, key.Value)
		if elem.Kind() == reflect.Interface {
			if free := d.free(value, path, depth+1); free != nil {
				elem.Set(reflect.ValueOf(free))
			}
		} else {
			d.value(value, elem, path, depth+1)
			d.lines[path] = key.Line
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	})
}

// pairs calls do for each key of a map, once per key.
func (d *decoder) pairs(n *yaml.Node, at string, do func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n.Line, "%s must be a map", place(at))
		return
	}
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fail(key.Line, "a key in %s is not a word", place(at))
			continue
		case key.Tag == "!!merge":
			d.fail(key.Line, "%s holds a merge key (<<), which is not read: write its fields out", place(at))
			continue
		}
		if line, twice := first[key.Value]; twice {
			d.fail(key.Line, "%q is there twice in %s, first in line %d", key.Value, place(at), line)
			continue
		}
		first[key.Value] = key.Line
		do(key, value)
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}
