package worker

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
)

// entry is a path that a kustomization file names, where it names it.
type entry struct {
	field string
	value string
	line  int
	dir   bool // a folder is fine
	file  bool // a file is fine
	node  *yaml.Node
}

// kustomization is a kustomization file that the job has read.
type kustomization struct {
	file    string
	root    *yaml.Node
	entries []entry
}

// referring are the fields of a kustomization file that list paths.
var referring = []struct {
	field     string
	dir, file bool
}{
	{"resources", true, true}, {"bases", true, false}, {"components", true, false}, {"crds", false, true},
	{"configurations", false, true}, {"generators", true, true}, {"transformers", true, true}, {"validators", true, true},
	{"patchesStrategicMerge", false, true},
}

func isKustomizationName(name string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(name))
}

// kustomizationFile checks a kustomization file before kustomize reads it, for what kustomize would pass over or do by
// itself: keys that stand twice, and paths out of the repository. It returns the text that kustomize is to read.
func (j *job) kustomizationFile(file string, data []byte) ([]byte, error) {
	if j.seenKustomizations[file] != nil {
		return j.seenKustomizations[file], nil
	}
	docs, err := parseYAML(file, data)
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 || (docs[0].Kind == yaml.ScalarNode && docs[0].ShortTag() == "!!null") {
		return nil, faultf(file, 0, "%s is empty: name at least one resource", file)
	}
	s, err := inspect(file, docs[0])
	if err != nil {
		return nil, err
	}
	if len(s.duplicates) > 0 {
		return nil, faultf(file, s.duplicates[0], "%s sets a key that the same map has already: remove one of them", at(file, s.duplicates[0]))
	}
	k := kustomization{file: file, root: docs[0], entries: entriesOf(docs[0])}
	j.kustomizations = append(j.kustomizations, k)
	changed := false
	for _, e := range k.entries {
		c, err := j.entry(file, e)
		if err != nil {
			return nil, err
		}
		changed = changed || c
	}
	if changed {
		if data, err = yaml.Marshal(docs[0]); err != nil {
			return nil, yamlFault(file, err)
		}
	}
	if j.seenKustomizations == nil {
		j.seenKustomizations = map[string][]byte{}
	}
	j.seenKustomizations[file] = data
	return data, nil
}

// entry checks one path of a kustomization file. It rewrites a remote folder that the parent has fetched to where the
// parent shows it, and tells whether it did.
func (j *job) entry(file string, e entry) (changed bool, err error) {
	switch remoteKind(e.value) {
	case remoteFile:
		// kustomize fetches it, through the parent, and so does every other field that takes a URL.
		_, err := j.fetchURL(e.value)
		return false, placed(file, e, err)
	case remoteFolder:
		if !e.dir {
			return false, faultf(file, e.line, "%s: %s names the folder %s where it takes a file", at(file, e.line), e.field, e.value)
		}
		mount, err := j.fetchGit(e.value)
		if err != nil {
			return false, placed(file, e, err)
		}
		up := strings.Repeat("../", strings.Count(path.Dir("/"+file), "/"))
		if path.Dir(file) == "." {
			up = ""
		}
		e.node.Value, e.node.Style = up+mount, yaml.DoubleQuotedStyle
		return true, nil
	}
	if leaves(path.Dir(file), e.value) {
		return false, faultf(file, e.line, "%s: %s names %s, which leads out of the repository: name files and folders within it", at(file, e.line), e.field, e.value)
	}
	return false, nil
}

// placed adds the place of an entry to the sentence about it.
func placed(file string, e entry, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := asFault(err); ok {
		if rest, same := strings.CutPrefix(f.Sentence, hideUser(e.value)+" "); same {
			return faultf(file, e.line, "%s: %s names %s, which %s", at(file, e.line), e.field, hideUser(e.value), rest)
		}
		return faultf(file, e.line, "%s: %s names %s: %s", at(file, e.line), e.field, hideUser(e.value), f.Sentence)
	}
	return err
}

// hideUser takes a password out of a URL.
func hideUser(s string) string {
	if u, err := url.Parse(s); err == nil && u.User != nil {
		return u.Redacted()
	}
	return s
}

// leaves tells whether name, relative to dir, leads above the root of the tree.
func leaves(dir, name string) bool {
	if path.IsAbs(name) {
		return true
	}
	p := path.Join(dir, name)
	return p == ".." || strings.HasPrefix(p, "../")
}

// entriesOf lists the paths that a kustomization names.
func entriesOf(k *yaml.Node) []entry {
	var out []entry
	if k.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(k.Content); i += 2 {
		field, list := k.Content[i].Value, k.Content[i+1]
		for _, r := range referring {
			if field != r.field || list.Kind != yaml.SequenceNode {
				continue
			}
			for _, n := range list.Content {
				if n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") && !strings.Contains(n.Value, ": ") {
					out = append(out, entry{field: field, value: n.Value, line: n.Line, dir: r.dir, file: r.file, node: n})
				}
			}
		}
		if field == "patches" || field == "patchesJson6902" || field == "replacements" {
			out = append(out, pathsIn(field, list)...)
		}
	}
	return out
}

// pathsIn lists the `path:` of the items of a list.
func pathsIn(field string, list *yaml.Node) []entry {
	var out []entry
	for _, item := range list.Content {
		for i := 0; i+1 < len(item.Content) && item.Kind == yaml.MappingNode; i += 2 {
			if n := item.Content[i+1]; item.Content[i].Value == "path" && n.Kind == yaml.ScalarNode {
				out = append(out, entry{field: field, value: n.Value, line: n.Line, file: true, node: n})
			}
		}
	}
	return out
}

type place int

const (
	local place = iota
	remoteFile
	remoteFolder
)

// remoteKind tells what kustomize takes a path for.
func remoteKind(p string) place {
	for _, prefix := range []string{"git@", "git::", "gh:", "ssh://", "git+", "file://", "org-"} {
		if strings.HasPrefix(p, prefix) && (prefix != "org-" || strings.Contains(p, "@github.com:")) {
			return remoteFolder
		}
	}
	for _, host := range []string{"github.com/", "www.github.com/", "gitlab.com/", "bitbucket.org/"} {
		if strings.HasPrefix(p, host) {
			return remoteFolder
		}
	}
	u, err := url.Parse(p)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return local
	}
	if isYAMLName(u.Path) && !strings.Contains(u.Path, "//") {
		return remoteFile
	}
	return remoteFolder
}
