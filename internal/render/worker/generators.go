package worker

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// explainGenerators looks for what is wrong in configMapGenerator and secretGenerator: files that are not there or not
// its own, and literals without a key. It never quotes a literal.
func (j *job) explainGenerators(k kustomization) *fault {
	if k.root == nil {
		return nil
	}
	for i := 0; i+1 < len(k.root.Content); i += 2 {
		field := k.root.Content[i].Value
		if field != "configMapGenerator" && field != "secretGenerator" {
			continue
		}
		for _, item := range k.root.Content[i+1].Content {
			if f := j.explainGenerator(k.file, field, item); f != nil {
				return f
			}
		}
	}
	return nil
}

func (j *job) explainGenerator(file, field string, item *yaml.Node) *fault {
	name := fieldOf(item, "name")
	if name == nil {
		return faultf(file, item.Line, "%s: %s has an entry without a name: add name", at(file, item.Line), field)
	}
	for _, list := range []string{"files", "envs", "literals"} {
		values := fieldOf(item, list)
		if values == nil {
			continue
		}
		for _, v := range values.Content {
			say := func(what string) *fault {
				return faultf(file, v.Line, "%s: %s %s has %s", at(file, v.Line), field, name.Value, what)
			}
			key, source, hasKey := strings.Cut(v.Value, "=")
			if list == "literals" {
				if !hasKey || key == "" {
					return say("a literal that is not KEY=VALUE")
				}
				continue
			}
			if !hasKey {
				source = v.Value
			}
			if f := j.explainGeneratorFile(file, list, source, say); f != nil {
				return f
			}
		}
	}
	return nil
}

func (j *job) explainGeneratorFile(file, list, source string, say func(string) *fault) *fault {
	root := path.Dir(file)
	if remoteKind(source) != local {
		return nil
	}
	target := path.Join(root, source)
	n, err := j.vfs.lookup(target)
	switch {
	case leaves(root, source):
		return say("the file " + source + " in " + list + ", which leads out of the repository")
	case err != nil:
		return nil //nolint:nilerr // the tree has kept the refusal, which is told before anything is explained
	case n == nil:
		return say("the file " + source + " in " + list + ", which does not exist")
	case n.dir:
		return say("the folder " + source + " in " + list + ": name files")
	case root != "." && !strings.HasPrefix(target, root+"/"):
		return say("the file " + source + " in " + list + ", which is not in or below " + root + ": move or copy it there")
	}
	return nil
}

// fieldOf returns the value of a field of a map, nil if it has none.
func fieldOf(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}
