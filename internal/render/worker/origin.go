package worker

import (
	"strings"
)

// scanned is an object that a file seems to hold.
type scanned struct {
	file, kind, namespace, name string
	line                        int // of the object
	start                       int // of its document
}

// scanObjects finds the objects of a YAML file by its lines alone, which is enough to tell people where an object
// comes from, and costs nothing beside parsing.
func scanObjects(file string, data []byte) []scanned {
	var out []scanned
	cur := scanned{file: file, start: 1}
	inMetadata, indent := false, 0
	flush := func(next int) {
		if cur.kind != "" {
			out = append(out, cur)
		}
		cur, inMetadata = scanned{file: file, start: next}, false
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, " \r\n")
		if strings.HasPrefix(line, "---") {
			flush(n + 1)
			continue
		}
		trimmed := strings.TrimLeft(line, " ")
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if cur.line == 0 {
			cur.line = n
		}
		depth := len(line) - len(trimmed)
		key, value, _ := strings.Cut(trimmed, ":")
		value = scalar(value)
		switch {
		case depth == 0:
			inMetadata, indent = key == "metadata", 0
			if key == "kind" {
				cur.kind = value
			}
			if inMetadata && strings.HasPrefix(value, "{") {
				cur.name, cur.namespace = flowField(value, "name"), flowField(value, "namespace")
			}
		case inMetadata:
			if indent == 0 {
				indent = depth
			}
			if depth == indent && key == "name" {
				cur.name = value
			}
			if depth == indent && key == "namespace" {
				cur.namespace = value
			}
		}
	}
	flush(0)
	return out
}

// scalar returns the value of a line without quotes and comment.
func scalar(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return strings.Trim(s, `"'`)
}

// flowField returns a field of a map in braces.
func flowField(s, key string) string {
	for part := range strings.SplitSeq(strings.Trim(s, "{} "), ",") {
		k, v, _ := strings.Cut(part, ":")
		if strings.TrimSpace(k) == key {
			return scalar(v)
		}
	}
	return ""
}

// origins knows where objects come from.
type origins struct {
	exact  map[string]scanned
	byKind map[string][]scanned
}

// origins scans the manifests that the job has read.
func (j *job) origins() *origins {
	o := &origins{exact: map[string]scanned{}, byKind: map[string][]scanned{}}
	done := map[string]bool{}
	for _, file := range j.vfs.read {
		if done[file] || !isYAMLName(file) || isKustomizationName(file) {
			continue
		}
		done[file] = true
		for _, s := range scanObjects(file, j.vfs.nodes[file].data) {
			if _, ok := o.exact[s.kind+"/"+s.name]; !ok { // what comes later is a patch
				o.exact[s.kind+"/"+s.name] = s
			}
			o.byKind[s.kind] = append(o.byKind[s.kind], s)
		}
	}
	return o
}

// find returns where an object comes from: the file that has it under its name, or the one that has it under the
// longest part of its name, as kustomize may have added a prefix and a suffix.
func (o *origins) find(kind, name string) (scanned, bool) {
	if s, ok := o.exact[kind+"/"+name]; ok {
		return s, true
	}
	best, found := scanned{}, false
	for _, s := range o.byKind[kind] {
		if s.name != "" && strings.Contains(name, s.name) && len(s.name) > len(best.name) {
			best, found = s, true
		}
	}
	return best, found
}
