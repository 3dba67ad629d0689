package scribe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/edit"
	"github.com/sengu-dev/sengu/internal/image"
)

// Place is the field that an image is written into. Two images of one Place would overwrite each other.
type Place struct{ File, Field string }

// PlaceOf returns where an image is written for an environment whose folder is given. The error is a sentence.
func PlaceOf(tree fs.FS, is delivery.Image, folder string) (Place, error) {
	file, err := fileOf(tree, is, folder)
	if err != nil {
		return Place{}, err
	}
	if is.Update.ValuesFile != "" {
		return Place{file, is.Update.Key}, nil
	}
	return Place{file, "image " + is.Name}, nil
}

// Read returns the tag and the digest that are written at the Place of an image now, for an environment whose folder is
// given; the zero Reference where nothing is written yet. The error is a sentence that names the file, and the one that
// writing would give.
func Read(tree fs.FS, is delivery.Image, folder string) (image.Reference, error) {
	file, err := fileOf(tree, is, folder)
	if err != nil {
		return image.Reference{}, err
	}
	content, err := fs.ReadFile(tree, file)
	if err != nil {
		return image.Reference{}, fmt.Errorf("%s, where %s says that the image %s is written, cannot be read: %w", file, is.At, is.Name, err)
	}
	var ref image.Reference
	if is.Update.ValuesFile != "" || is.Update.MarkedFile != "" {
		ref, err = readEdited(content, is)
	} else {
		ref, err = readKustomize(content, is.Name)
	}
	if err != nil {
		return image.Reference{}, fmt.Errorf("%s: the image %s cannot be read: %w", file, is.Name, err)
	}
	return ref, nil
}

// readKustomize reads the entry of an image in a kustomization.
func readKustomize(content []byte, name string) (image.Reference, error) {
	if _, err := edit.Kustomize(content, edit.Image{Name: name, Tag: probeTag}); err != nil {
		return image.Reference{}, err
	}
	// As nodes, since a tag such as 1.10 is no number.
	var document struct {
		Images []map[string]yaml.Node `yaml:"images"`
	}
	if yaml.Unmarshal(content, &document) != nil {
		return image.Reference{}, errors.New("it is no kustomization") // an error of the parser may quote values
	}
	for _, entry := range document.Images {
		if text(entry["name"]) == name {
			return image.Reference{Tag: text(entry["newTag"]), Digest: text(entry["digest"])}, nil
		}
	}
	return image.Reference{}, nil
}

// text is what a single value says, "" for nothing.
func text(n yaml.Node) string {
	is := &n
	if is.Kind == yaml.AliasNode {
		is = is.Alias
	}
	if is.Kind != yaml.ScalarNode || is.ShortTag() == "!!null" {
		return ""
	}
	return is.Value
}

// What is written to find out where something is written. No registry has them.
const (
	probeTag    = "sengu-looks-where-this-goes"
	probeDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

// readEdited reads the values that an edit would change: it makes the edit with a version that nothing has, and looks
// which values differ. So whatever can be written can be read, and nothing else.
func readEdited(content []byte, is delivery.Image) (image.Reference, error) {
	var after []byte
	var err error
	if is.Update.ValuesFile != "" {
		after, err = edit.Values(content, is.Update.Key, probeTag+"@"+probeDigest)
	} else {
		after, err = edit.Marked(content, edit.Image{Name: is.Name, Tag: probeTag, Digest: probeDigest})
	}
	if err != nil {
		return image.Reference{}, err
	}
	was, err := documents(content)
	if err != nil {
		return image.Reference{}, err
	}
	now, err := documents(after)
	if err != nil {
		return image.Reference{}, err
	}
	var ref image.Reference
	for i := range min(len(was), len(now)) {
		compare(was[i], now[i], func(was, now string) {
			tag, digest := parts(was, now)
			if ref.Tag == "" {
				ref.Tag = tag
			}
			if ref.Digest == "" {
				ref.Digest = digest
			}
		})
	}
	return ref, nil
}

// parts takes a value apart, by what stands in its place once the probe is written.
func parts(was, now string) (tag, digest string) {
	switch now {
	case probeTag:
		return was, ""
	case probeDigest:
		return "", was
	case probeTag + "@" + probeDigest: // a version in a file of values
		if image.ValidDigest(was) {
			return "", was
		}
	default: // a whole reference, of which a colon before the last slash is that of a port
		name, digest, _ := strings.Cut(was, "@")
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			return name[i+1:], digest
		}
		return "", digest
	}
	tag, digest, _ = strings.Cut(was, "@")
	return tag, digest
}

// compare tells of each single value that differs between two documents of one shape.
func compare(was, now *yaml.Node, differs func(was, now string)) {
	if was.Kind == yaml.ScalarNode && now.Kind == yaml.ScalarNode && was.Value != now.Value {
		before := was.Value
		if was.ShortTag() == "!!null" {
			before = ""
		}
		differs(before, now.Value)
	}
	for i := range min(len(was.Content), len(now.Content)) {
		compare(was.Content[i], now.Content[i], differs)
	}
}

func documents(content []byte) ([]*yaml.Node, error) {
	var all []*yaml.Node
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		document := &yaml.Node{}
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, errors.New("it is no YAML") // which an edit would have said; an error of the parser may quote values
		}
		all = append(all, document)
	}
}
