package edit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// newEntry is the entry of the image, and the fields that it is written with.
func (k *kustomization) newEntry() (*yaml.Node, []field) {
	list := []field{{name: fieldName, value: k.image.Name}}
	for _, f := range k.fields() {
		if f.value != "" {
			list = append(list, f)
		}
	}
	entry := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, f := range list {
		entry.Content = append(entry.Content, pairOf(f)...)
	}
	return entry, list
}

// appendEntry adds the image behind the last entry of a list.
func (k *kustomization) appendEntry(images *yaml.Node) error {
	if err := k.unaliased([]*yaml.Node{k.root, images}); err != nil {
		return err
	}
	last := images.Content[len(images.Content)-1]
	entry, list := k.newEntry()
	flow := (images.Style|last.Style)&yaml.FlowStyle != 0
	var fields []string
	for _, f := range list {
		fields = append(fields, written(f, keyQuotes(last), quotesOf(last, f.name), flow))
	}
	end, line, err := k.end(last)
	if err != nil {
		return err
	}
	switch {
	case images.Style&yaml.FlowStyle != 0:
		k.put(end, end, ", {"+strings.Join(fields, ", ")+"}")
	case flow:
		end = k.lineEnd(line)
		k.put(end, end, k.lineBreak(line)+k.dash(images, last)+"{"+strings.Join(fields, ", ")+"}")
	default:
		end = k.lineEnd(line)
		dash := k.lineBreak(line) + k.dash(images, last)
		k.put(end, end, dash+strings.Join(fields, k.lineBreak(line)+strings.Repeat(" ", last.Column-1)))
	}
	images.Content = append(images.Content, entry)
	return nil
}

// dash is what stands before the first field of an entry, as in the last entry.
func (k *kustomization) dash(images, last *yaml.Node) string {
	return strings.Repeat(" ", images.Column-1) + "-" + strings.Repeat(" ", max(last.Column-images.Column-1, 1))
}

// end is the offset behind an entry, and the line that it is on.
func (k *kustomization) end(entry *yaml.Node) (offset, line int, err error) {
	for _, n := range entry.Content {
		_, end, err := k.span(n)
		if err != nil {
			return 0, 0, err
		}
		offset, line = max(offset, end), max(line, n.Line)
	}
	if entry.Style&yaml.FlowStyle == 0 {
		if line == 0 {
			return 0, 0, refuse(entry.Line, "the entry of images has no field: write one, or take it away")
		}
		return offset, line, nil
	}
	if line == 0 {
		if offset, err = k.offset(entry); err != nil {
			return 0, 0, err
		}
	}
	closing := strings.IndexByte(string(k.text[offset:]), '}')
	if closing < 0 {
		return 0, 0, refuse(entry.Line, "the end of the entry of images is not found: write it with a field on each line")
	}
	offset += closing + 1
	return offset, k.lineOf(offset), nil
}

// fillImages puts the first entry into a list that is there and empty: "images:", "images: []", "images: null".
func (k *kustomization) fillImages(key, images *yaml.Node) error {
	if err := k.unaliased([]*yaml.Node{k.root, images}); err != nil {
		return err
	}
	if images.Anchor != "" || k.root.Style&yaml.FlowStyle != 0 {
		return refuse(images.Line, "images is empty and cannot be filled where it stands: write one entry by hand")
	}
	_, colon, err := k.span(key)
	if err != nil {
		return err
	}
	start, err := k.offset(images)
	if err != nil {
		return err
	}
	end := start + len(images.Value)
	if images.Kind == yaml.SequenceNode {
		closing := strings.IndexByte(string(k.text[start:k.lineEnd(images.Line)]), ']')
		if closing < 0 {
			return refuse(images.Line, "images is empty over several lines: write images: []")
		}
		end = start + closing + 1
	}
	for start > colon+1 && (k.text[start-1] == ' ' || k.text[start-1] == '\t') {
		start--
	}
	entry, text := k.block(strings.Repeat(" ", key.Column-1), k.lineBreak(key.Line))
	if start < end {
		k.put(start, end, "")
	}
	at := k.lineEnd(key.Line)
	k.put(at, at, text)
	*images = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{entry}}
	return nil
}

// appendImages adds `images` at the end of the file.
func (k *kustomization) appendImages() error {
	indent := ""
	if k.root != nil {
		if k.root.Style&yaml.FlowStyle != 0 {
			return refuse(k.root.Line, "the kustomization is written in braces, and images cannot be added to it: write images: [] into it, or one field on each line")
		}
		indent = strings.Repeat(" ", k.root.Column-1)
		if err := k.unaliased([]*yaml.Node{k.root}); err != nil {
			return err
		}
	}
	br := k.lineBreak(1)
	entry, text := k.block(indent, br)
	text = indent + write("images", keyQuotes(k.root), false) + ":" + text
	if end := len(k.text); len(k.text) > 0 && k.lineStart(len(k.lines)) < end && string(k.text) != bom {
		text = br + text // the last line has no break, and gets none
	} else {
		text += br
	}
	k.put(len(k.text), len(k.text), text)
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "images"}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{entry}}
	if k.root != nil {
		k.root.Content = append(k.root.Content, key, list)
		return nil
	}
	k.docs = []*yaml.Node{{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{key, list}}}}}
	return nil
}

// block is a new list of the one image as text, each line with its break before it, indented as the file indents its lists.
func (k *kustomization) block(indent, br string) (*yaml.Node, string) {
	entry, list := k.newEntry()
	if k.root != nil {
		for i := 0; i+1 < len(k.root.Content); i += 2 {
			key, value := k.root.Content[i], k.root.Content[i+1]
			if value.Kind == yaml.SequenceNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0 && value.Anchor == "" {
				indent += strings.Repeat(" ", max(value.Column-key.Column, 0))
				break
			}
		}
	}
	text := br + indent + "- "
	for i, f := range list {
		if i > 0 {
			text += br + indent + "  "
		}
		text += written(f, keyQuotes(k.root), keyQuotes(k.root), false)
	}
	return entry, text
}
