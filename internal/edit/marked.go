package edit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// comment is where a comment begins, mark what in it says which image a value follows.
var (
	comment = regexp.MustCompile(`(?:^|[ \t])#`)
	mark    = regexp.MustCompile(`(?:^|[ \t#])sengu:image[ \t]+([^\s,;]+)`)
)

// Marked sets every value whose line ends with the comment "# sengu:image NAME" of the image's name, in all documents of
// the file; the package comment has the parts that may follow the name. The error matches [ErrMissing] when the file has
// no such mark.
func Marked(file []byte, image Image) ([]byte, error) {
	if err := image.check(); err != nil {
		return nil, err
	}
	s, err := parse(file)
	if err != nil {
		return nil, err
	}
	values := map[int][]located{}
	for _, doc := range s.docs {
		s.locate(doc, nil, values)
	}
	found := false
	for line := 1; line <= len(s.lines); line++ {
		part, ok := s.markOn(line, values[line], image.Name)
		if !ok {
			continue
		}
		found = true
		if err := s.follow(line, part, image, values[line]); err != nil {
			return nil, err
		}
	}
	if !found {
		return nil, &missing{fmt.Sprintf("no value is marked with the comment \"# sengu:image %s\": put it behind the value that follows the image", image.Name)}
	}
	return s.result()
}

// located is a value that stands on one line.
type located struct {
	node   *yaml.Node
	around []*yaml.Node
	ends   int   // offset behind it
	err    error // why it cannot be replaced
}

// locate collects the values of each line, keys left out.
func (s *source) locate(n *yaml.Node, around []*yaml.Node, values map[int][]located) {
	inner := append(slices.Clip(around), n)
	switch n.Kind {
	case yaml.MappingNode:
		if isTemplate(n) {
			values[n.Line] = append(values[n.Line], located{node: n, err: refuse(n.Line, "the value is computed by a template: write it out")})
			return
		}
		for i := 1; i < len(n.Content); i += 2 {
			s.locate(n.Content[i], inner, values)
		}
	case yaml.ScalarNode, yaml.AliasNode:
		v := located{node: n, around: around}
		_, v.ends, v.err = s.span(n)
		values[n.Line] = append(values[n.Line], v)
	default:
		for _, c := range n.Content {
			s.locate(c, inner, values)
		}
	}
}

// markOn finds the mark of a name in the comment of a line, which comes behind its values.
func (s *source) markOn(line int, values []located, name string) (part string, ok bool) {
	from := s.lineStart(line)
	for _, v := range values {
		from = max(from, v.ends)
	}
	rest := s.text[from:s.lineEnd(line)]
	begins := comment.FindIndex(rest)
	if begins == nil {
		return "", false
	}
	for _, m := range mark.FindAllSubmatch(rest[begins[0]:], -1) {
		part, ok := strings.CutPrefix(string(m[1]), name)
		if ok && slices.Contains([]string{"", ":tag", ":digest", ":name"}, part) {
			return part, true
		}
	}
	return "", false
}

// follow sets the value of a marked line.
func (s *source) follow(line int, part string, image Image, values []located) error {
	switch {
	case len(values) == 0:
		return refuse(line, "the mark of image %s stands behind no value: put it on the line of a value, which must be on one line", image.Name)
	case len(values) > 1:
		return refuse(line, "the mark of image %s stands behind %d values: put each on a line of its own", image.Name, len(values))
	}
	v := values[0]
	if v.err != nil && v.node.Kind == yaml.MappingNode {
		return v.err
	}
	repository := image.NewName
	if repository == "" && v.node.Kind == yaml.ScalarNode {
		repository = repositoryOf(v.node.Value)
	}
	wanted := map[string]string{":tag": image.Tag, ":digest": image.Digest, ":name": image.NewName, "": image.reference(repository)}[part]
	switch {
	case part == ":name" && wanted == "":
		return nil // it stays
	case part == "" && repository == "":
		return refuse(line, "the mark wants the whole image %s, and no repository is known: write the image once by hand", image.Name)
	case wanted == "":
		return refuse(line, "the mark wants the %s of image %s, which has none: mark another part, or track the image by it", strings.TrimPrefix(part, ":"), image.Name)
	}
	return s.set(v.node, wanted, v.around)
}
