package worker

import (
	"bytes"
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"

	"sigs.k8s.io/kustomize/api/types"
)

// kustomizeFault makes one sentence of an error of kustomize. kustomize says what it tried, in words nested in each
// other; what is wrong is found again by looking at the files that it read, which also gives the line.
func (j *job) kustomizeFault(dir string, err error) error {
	if j.vfs.fault != nil {
		return j.vfs.fault
	}
	if f, ok := asFault(err); ok {
		return f
	}
	if f := j.explainCycle(err.Error()); f != nil {
		return f
	}
	for i := len(j.kustomizations) - 1; i >= 0; i-- { // the last one read is the one it stumbled over
		if f := j.explain(j.kustomizations[i]); f != nil {
			return f
		}
	}
	file := dir
	if len(j.kustomizations) > 0 {
		file = j.kustomizations[len(j.kustomizations)-1].file
	}
	msg := err.Error()
	if m := pluginError.FindStringSubmatch(msg); m != nil {
		return faultf(file, 0, "%s uses the function or plugin %s: a plugin is a program, and programs are not allowed in a render", file, m[1])
	}
	if strings.Contains(msg, "Found multiple kustomization files") {
		return faultf(dir, 0, "%s has more than one kustomization file: keep one of kustomization.yaml, kustomization.yml and Kustomization", dir)
	}
	if sentence := said(msg); sentence != "" {
		return faultf(file, 0, "%s: %s", file, j.mask(sentence, nil))
	}
	return faultf(file, 0, "%s cannot be built by kustomize: %s", file, j.mask(innermost(msg), nil))
}

var (
	pluginError = regexp.MustCompile(`unable to load external plugin '([^']*)'|plugin kind '?([^' ]*)'? not`)
	wrapping    = regexp.MustCompile(`(?s)^.*?(?:accumulating resources: |accumulation err='.*': |recursed accumulation of path '[^']*': |accumulating components: )`)
	configBlock = regexp.MustCompile("(?s) with config: `.*?`")
	rooted      = regexp.MustCompile(`(['" ])/([\w.-])`)
)

// innermost strips from a message of kustomize what it was doing, and what it was configured with.
func innermost(msg string) string {
	msg = configBlock.ReplaceAllString(msg, "")
	for {
		rest := wrapping.ReplaceAllString(msg, "")
		if rest == msg || rest == "" {
			break
		}
		msg = rest
	}
	msg = rooted.ReplaceAllString(msg, "$1$2")
	msg = strings.Join(strings.Fields(msg), " ")
	if len(msg) > 240 {
		msg = msg[:240] + " …"
	}
	return msg
}

// explain looks for what is wrong in a kustomization file and in the files that it names.
func (j *job) explain(k kustomization) *fault {
	if f := unknownField(k.file, j.seenKustomizations[k.file]); f != nil {
		return f
	}
	root := path.Dir(k.file)
	for _, e := range k.entries {
		if remoteKind(e.value) != local {
			continue
		}
		name := path.Join(root, e.value)
		n, err := j.vfs.lookup(name)
		if err != nil {
			continue
		}
		say := func(what string) *fault {
			return faultf(k.file, e.line, "%s: %s names %s, %s", at(k.file, e.line), e.field, e.value, what)
		}
		switch {
		case n == nil:
			return say("which does not exist")
		case n.dir && !e.dir:
			return say("which is a folder and should be a file")
		case !n.dir && !e.file:
			return say("which is a file and should be a folder")
		case n.dir:
			if found, err := j.kustomizationIn(name); err == nil && found == "" {
				return say("a folder without a kustomization.yaml")
			}
		case root != "." && !strings.HasPrefix(name, root+"/"):
			return say("which is not in or below " + root + ": a kustomization may read files in its own folder only, so name a folder with a kustomization.yaml, or move the file")
		case e.field == "resources" || e.field == "patchesStrategicMerge":
			if f := j.explainManifest(name, n.data, e.field == "resources"); f != nil {
				return f
			}
		}
	}
	if f := j.explainGenerators(k); f != nil {
		return f
	}
	return j.explainTwice(k, root)
}

// explainManifest looks for what is wrong in a file of objects.
func (j *job) explainManifest(file string, data []byte, complete bool) *fault {
	docs, err := parseYAML(file, data)
	if err != nil {
		f, _ := asFault(err)
		return f
	}
	for _, d := range docs {
		js, _, err := encodeDoc(file, d, asKustomize, false)
		if err != nil {
			f, _ := asFault(err)
			return f
		}
		var o struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		place := at(file, d.Line)
		switch err := json.Unmarshal(js, &o); {
		case bytes.Equal(js, []byte("null")):
		case err != nil:
			return faultf(file, d.Line, "%s holds something that is no Kubernetes object: it must be a map with apiVersion, kind and metadata", place)
		case o.Kind == "":
			return faultf(file, d.Line, "%s has an object without a kind", place)
		case o.Metadata.Name == "" && !strings.HasSuffix(o.Kind, "List") && complete:
			return faultf(file, d.Line, "%s has a %s without a metadata.name", place, o.Kind)
		}
	}
	return nil
}

// explainTwice looks for an object that two files of a kustomization hold.
func (j *job) explainTwice(k kustomization, root string) *fault {
	seen := map[string]string{}
	for _, e := range k.entries {
		name := path.Join(root, e.value)
		n := j.vfs.nodes[name]
		if e.field != "resources" || n == nil || n.dir {
			continue
		}
		for _, o := range scanObjects(name, n.data) {
			id := o.kind + " " + o.namespace + "/" + o.name
			if first, ok := seen[id]; ok && o.name != "" {
				return faultf(name, o.line, "%s has %s %s a second time, first in %s: an App may hold an object once", at(name, o.line), o.kind, o.name, first)
			}
			seen[id] = at(name, o.line)
		}
	}
	return nil
}

var unknown = regexp.MustCompile(`unknown field "([^"]*)"`)

// unknownField refuses a field that kustomize does not know, or whose value has another type than it wants.
func unknownField(file string, data []byte) *fault {
	js, err := sigsyaml.YAMLToJSON(data)
	if err != nil {
		return yamlFault(file, err)
	}
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.DisallowUnknownFields()
	err = dec.Decode(&types.Kustomization{})
	if err == nil {
		return nil
	}
	if m := unknown.FindStringSubmatch(err.Error()); m != nil {
		line := 0
		if i := bytes.Index(data, []byte(m[1]+":")); i >= 0 {
			line = lineAt(data, int64(i))
		}
		return faultf(file, line, "%s has the field %s, which a kustomization does not have: look for a typing error", at(file, line), m[1])
	}
	te, ok := err.(*json.UnmarshalTypeError) //nolint:errorlint // the decoder returns it bare
	if !ok {
		return faultf(file, 0, "%s has a value of the wrong type", file)
	}
	line := 0
	if i := bytes.Index(data, []byte(te.Field[strings.LastIndexByte(te.Field, '.')+1:]+":")); i >= 0 {
		line = lineAt(data, int64(i))
	}
	return faultf(file, line, "%s: %s must be %s", at(file, line), te.Field, wanted(te.Type.Kind()))
}

// wanted says what a field of a kind takes.
func wanted(kind reflect.Kind) string {
	switch kind {
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "text: put the value in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "a map"
	}
	return "a number"
}
