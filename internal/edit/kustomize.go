package edit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// The fields of an entry of `images`, in the order in which they are written.
const (
	fieldName    = "name"
	fieldNewName = "newName"
	fieldNewTag  = "newTag"
	fieldDigest  = "digest"
)

// Kustomize sets the image in the `images` of a kustomization. The entry of its name gets newTag and digest as the image has
// them, so that one of them goes away when the image does not have it, and newName when that is given. A missing entry is
// added behind the last one, and missing `images` at the end of the file, both written as the file writes its others.
func Kustomize(file []byte, image Image) ([]byte, error) {
	if err := image.check(); err != nil {
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
	k := kustomization{source: s, image: image, root: root}
	if err := k.edit(); err != nil {
		return nil, err
	}
	return s.result()
}

// kustomization is a file that is being edited, and what for.
type kustomization struct {
	*source
	image Image
	root  *yaml.Node
}

func (k *kustomization) edit() error {
	if k.root == nil {
		return k.appendImages()
	}
	if k.root.Kind != yaml.MappingNode || isTemplate(k.root) {
		return refuse(k.root.Line, "a kustomization is a mapping, and this is %s", kindOf(k.root))
	}
	key, images, err := pair(k.root, "images")
	switch {
	case err != nil:
		return err
	case images == nil:
		return k.appendImages()
	case isNull(images) || (images.Kind == yaml.SequenceNode && len(images.Content) == 0):
		return k.fillImages(key, images)
	case images.Kind != yaml.SequenceNode:
		return refuse(images.Line, "images must be a list, and is %s", kindOf(images))
	}
	entry, err := k.entry(images)
	if err != nil {
		return err
	}
	if entry == nil {
		return k.appendEntry(images)
	}
	return k.change(images, entry)
}

// entry finds the entry of the image, nil when there is none.
func (k *kustomization) entry(images *yaml.Node) (*yaml.Node, error) {
	var found *yaml.Node
	for _, e := range images.Content {
		if e.Kind != yaml.MappingNode {
			return nil, refuse(e.Line, "an entry of images is %s: write it out as a mapping with a name", kindOf(e))
		}
		_, merged, err := pair(e, "<<")
		if err == nil && merged != nil {
			return nil, refuse(merged.Line, "an entry of images merges another (<<): write it out")
		}
		_, name, err := pair(e, fieldName)
		if err != nil {
			return nil, err
		}
		if name == nil || resolved(name).Value != k.image.Name {
			continue
		}
		if found != nil {
			return nil, refuse(e.Line, "image %s is here and on line %d: keep one entry", k.image.Name, found.Line)
		}
		found = e
	}
	return found, nil
}

// resolved is the node itself, or what it is an alias of.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field is a field of an entry and what it is to be; a field that is not kept goes away when its value is "".
type field struct {
	name, value string
	keep        bool
}

func (k *kustomization) fields() []field {
	return []field{{fieldNewName, k.image.NewName, true}, {fieldNewTag, k.image.Tag, false}, {fieldDigest, k.image.Digest, false}}
}

// change makes an entry what the image is.
func (k *kustomization) change(images, entry *yaml.Node) error {
	around := []*yaml.Node{k.root, images, entry}
	var add, drop []field
	for _, f := range k.fields() {
		_, value, err := pair(entry, f.name)
		switch {
		case err != nil:
			return err
		case f.value == "" && (value == nil || f.keep):
		case f.value == "":
			drop = append(drop, f)
		case value == nil:
			add = append(add, f)
		default:
			if err := k.set(value, f.value, around); err != nil {
				return err
			}
		}
	}
	if len(add)+len(drop) > 0 {
		if err := k.unaliased(around); err != nil {
			return err
		}
	}
	// A tag that becomes a digest, or the reverse, stays on its line.
	if n := len(add); n > 0 && len(drop) > 0 && !add[n-1].keep {
		if err := k.rename(entry, drop[0].name, add[n-1]); err != nil {
			return err
		}
		add, drop = add[:n-1], drop[1:]
	}
	for _, f := range drop {
		if err := k.remove(entry, f.name); err != nil {
			return err
		}
	}
	return k.insert(entry, add)
}

// rename makes one field another, with another value.
func (k *kustomization) rename(entry *yaml.Node, from string, to field) error {
	key, value, _ := pair(entry, from)
	start, end, err := k.span(key)
	if err != nil {
		return err
	}
	k.put(start, end, write(to.name, key.Style, k.inFlow[key]))
	key.Value = to.name
	return k.set(value, to.value, nil)
}

// insert adds fields to an entry, each behind what comes before it in an entry.
func (k *kustomization) insert(entry *yaml.Node, add []field) error {
	for _, f := range add {
		after := k.before(entry, f.name)
		key, value := entry.Content[after], entry.Content[after+1]
		_, end, err := k.span(value)
		if err != nil {
			return err
		}
		flow := entry.Style&yaml.FlowStyle != 0
		text := written(f, keyQuotes(entry), quotesOf(entry, f.name), flow)
		if flow {
			k.put(end, end, ", "+text)
		} else {
			end = k.lineEnd(value.Line)
			k.put(end, end, k.lineBreak(value.Line)+strings.Repeat(" ", key.Column-1)+text)
		}
	}
	// The nodes last, since those above must be of the file.
	for _, f := range add {
		at := k.before(entry, f.name) + 2
		entry.Content = append(entry.Content[:at:at], append(pairOf(f), entry.Content[at:]...)...)
	}
	return nil
}

// before is the index of the key in an entry that a field comes behind.
func (k *kustomization) before(entry *yaml.Node, name string) int {
	at := 0
	for _, before := range []string{fieldName, fieldNewName, fieldNewTag, fieldDigest} {
		if before == name {
			break
		}
		for i := 0; i < len(entry.Content); i += 2 {
			if entry.Content[i].Value == before {
				at = i
			}
		}
	}
	return at
}

// remove takes a field out of an entry, with its line.
func (k *kustomization) remove(entry *yaml.Node, name string) error {
	i := 0
	for entry.Content[i].Value != name {
		i += 2
	}
	key, value := entry.Content[i], entry.Content[i+1]
	start, err := k.offset(key)
	if err != nil {
		return err
	}
	_, end, err := k.span(value)
	if err != nil {
		return err
	}
	last := i+2 == len(entry.Content)
	switch {
	case entry.Style&yaml.FlowStyle != 0 && i > 0:
		if _, start, err = k.span(entry.Content[i-1]); err != nil {
			return err
		}
	case i > 0: // on a line of its own
		start, end = k.lineStart(key.Line), k.nextLine(value.Line)
		if end == len(k.text) && k.lineEnd(value.Line) == end && key.Line > 1 {
			start = k.lineEnd(key.Line - 1) // the file ends without a break, as before
		}
	case last || (entry.Style&yaml.FlowStyle == 0 && entry.Content[i+2].Line != value.Line+1):
		return refuse(key.Line, "%s cannot be taken away where it stands: put the name of the image before it", name)
	default:
		if end, err = k.offset(entry.Content[i+2]); err != nil {
			return err
		}
	}
	k.put(start, end, "")
	entry.Content = append(entry.Content[:i:i], entry.Content[i+2:]...)
	return nil
}

// written is a field as text.
func written(f field, keys, values yaml.Style, flow bool) string {
	return write(f.name, keys, flow) + ": " + write(f.value, values, flow)
}

// quotesOf are the quotes that an entry has around the value of a field, or of the one most like it, or else around its
// keys. Those that a value cannot do without are no habit.
func quotesOf(entry *yaml.Node, name string) yaml.Style {
	like := []string{fieldName, fieldNewName}
	switch name {
	case fieldNewName:
		like = []string{fieldNewName, fieldName}
	case fieldNewTag:
		like = []string{fieldNewTag, fieldDigest}
	case fieldDigest:
		like = []string{fieldDigest, fieldNewTag}
	}
	for _, other := range like {
		_, value, _ := pair(entry, other)
		if value != nil && value.Kind == yaml.ScalarNode && !readsAsOther(value.Value) {
			return value.Style & quoted
		}
	}
	return keyQuotes(entry)
}

// keyQuotes are the quotes around the first key of a mapping.
func keyQuotes(n *yaml.Node) yaml.Style {
	if n == nil || len(n.Content) == 0 {
		return 0
	}
	return n.Content[0].Style & quoted
}

func pairOf(f field) []*yaml.Node {
	return []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.name}, {Kind: yaml.ScalarNode, Tag: "!!str", Value: f.value}}
}
