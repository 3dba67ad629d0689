package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plain renders every YAML and JSON file in dir and below it. Names that begin with a dot and sengu.yaml are not
// manifests.
func (j *job) plain(dir string) error {
	files := 0
	err := j.vfs.walk(dir, func(r string, isDir bool) error {
		base := path.Base(r)
		switch {
		case strings.HasPrefix(base, ".") && isDir:
			return fs.SkipDir
		case strings.HasPrefix(base, "."):
			return nil
		case isDir:
			return j.refuseNested(dir, join(dir, r))
		case !isYAMLName(base) || base == "sengu.yaml" || base == "sengu.yml":
			return nil
		}
		files++
		return j.plainFile(join(dir, r))
	})
	if err != nil {
		return j.chartInstead(dir, err)
	}
	if files == 0 {
		return faultf(dir, 0, "%s holds no manifest: it needs a kustomization.yaml, a Chart.yaml, or YAML or JSON files", dir)
	}
	if len(j.out.Objects) == 0 {
		return faultf(dir, 0, "%s holds no object: its files are empty, and an empty folder is never taken for a wish to delete", dir)
	}
	return nil
}

// chartInstead says of a folder that cannot be read as plain YAML that it seems to be meant as a chart.
func (j *job) chartInstead(dir string, err error) error {
	templates := join(dir, "templates")
	if n, lookupErr := j.vfs.lookup(templates); lookupErr != nil || n == nil || !n.dir {
		return err
	}
	if f, ok := asFault(err); !ok || !strings.HasPrefix(f.File, templates+"/") && path.Base(f.File) != "values.yaml" {
		return err
	}
	return faultf(dir, 0, "%s has a templates folder as a Helm chart has, and no Chart.yaml: add one with apiVersion, name and version", dir)
}

// refuseNested refuses a folder within plain YAML that is meant for another renderer.
func (j *job) refuseNested(dir, sub string) error {
	name, err := j.kustomizationIn(sub)
	if err != nil {
		return err
	}
	if name == "" {
		n, err := j.vfs.lookup(join(sub, "Chart.yaml"))
		if err != nil {
			return err
		}
		if n == nil {
			return nil
		}
		name = "Chart.yaml"
	}
	return faultf(join(sub, name), 0, "%s is below %s, which is plain YAML: add a kustomization.yaml to %s that names what to deploy, or move the folder", join(sub, name), dir, dir)
}

func (j *job) plainFile(file string) error {
	data, err := j.vfs.readFile(file)
	if errors.Is(err, fs.ErrNotExist) { // it was in the list of its folder
		return faultf(file, 0, "%s is a symbolic link that leads to nothing: remove it, or commit what it should lead to", file)
	}
	if err != nil {
		return err
	}
	if path.Ext(file) == ".json" {
		return j.jsonFile(file, data)
	}
	docs, err := parseYAML(file, data)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if err := j.document(file, doc, false); err != nil {
			return err
		}
	}
	return nil
}

// document adds the object, or the list of objects, of one YAML document.
func (j *job) document(file string, doc *yaml.Node, rendered bool) error {
	if doc.Kind == yaml.ScalarNode && doc.ShortTag() == "!!null" {
		return nil
	}
	origin := at(file, doc.Line)
	if rendered {
		origin = file
	}
	if doc.Kind != yaml.MappingNode {
		return faultf(file, doc.Line, "%s holds something that is no Kubernetes object: it must be a map with apiVersion, kind and metadata", origin)
	}
	js, dups, err := encodeDoc(file, doc, asKubectl, rendered)
	if err != nil {
		return err
	}
	if len(dups) > 0 {
		j.warn("%s renders a map that has a key twice; the last one counts, as with Helm", file)
	}
	return j.addFlat(origin, js)
}

// addFlat adds an object, or what is in it when it is a list of objects.
func (j *job) addFlat(origin string, js []byte) error {
	if !bytes.Contains(js, []byte(`"items"`)) {
		return j.add(origin, js)
	}
	var list struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(js, &list); err != nil || !strings.HasSuffix(list.Kind, "List") || list.Items == nil {
		return j.add(origin, js) // an object that has items but is no list
	}
	for _, item := range list.Items {
		if err := j.addFlat(origin, item); err != nil {
			return err
		}
	}
	return nil
}

// jsonFile adds the objects of a JSON file, which may hold several values.
func (j *job) jsonFile(file string, data []byte) error {
	if err := checkJSON(file, data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		line := lineAt(data, dec.InputOffset())
		if err != nil {
			return faultf(file, line, "%s is not valid JSON", at(file, line))
		}
		if len(raw) == 0 || raw[0] != '{' {
			return faultf(file, line, "%s holds something that is no Kubernetes object: it must be a map with apiVersion, kind and metadata", at(file, line))
		}
		if err := j.addFlat(at(file, lineAt(data, dec.InputOffset()-int64(len(raw)))), raw); err != nil {
			return err
		}
	}
}

// checkJSON refuses JSON that is broken, too deep, or has a key twice in one map.
func checkJSON(file string, data []byte) error {
	type level struct {
		keys    map[string]bool // nil in a list
		wantKey bool
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var stack []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		line := lineAt(data, dec.InputOffset())
		if err != nil {
			return faultf(file, line, "%s is not valid JSON", at(file, line))
		}
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
		}
		d, isDelim := tok.(json.Delim)
		switch {
		case isDelim && (d == '{' || d == '['):
			if top != nil {
				top.wantKey = top.keys != nil
			}
			l := level{}
			if d == '{' {
				l = level{keys: map[string]bool{}, wantKey: true}
			}
			if stack = append(stack, l); len(stack) > maxDepth {
				return faultf(file, line, "%s is nested more than %d levels deep", at(file, line), maxDepth)
			}
		case isDelim:
			stack = stack[:len(stack)-1]
		case top == nil || top.keys == nil:
		case top.wantKey:
			k := fmt.Sprint(tok)
			if top.keys[k] {
				return faultf(file, line, "%s sets a key that the same map has already: remove one of them", at(file, line))
			}
			top.keys[k], top.wantKey = true, false
		default:
			top.wantKey = true
		}
	}
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}
