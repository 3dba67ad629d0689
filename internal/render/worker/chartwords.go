package worker

import (
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	missingField = regexp.MustCompile(`validation: chart\.metadata\.(\w+) is required`)
	badVersion   = regexp.MustCompile(`validation: chart\.metadata\.version ("[^"]*") is invalid`)
	badMetadata  = regexp.MustCompile(`validation: (?:chart\.metadata\.)?(.+)`)
	typeInChart  = regexp.MustCompile(`Go struct field Metadata\.(\w+)`)
	subchart     = regexp.MustCompile(`error unpacking (?:subchart|tar in|subchart tar) (\S+)(?: in \S+)?: (.*)`)
	schema       = regexp.MustCompile(`values don't meet the specifications of the schema\(s\) in the following chart\(s\):\s*(.*)`)
	schemaPlace  = regexp.MustCompile(`\s*- at '([^']*)': `)
)

// chartWords makes a fault of what Helm says about a chart whose message is what, in one line; nil if it is not known.
func chartWords(in inflation, what string) *fault {
	if f := brokenFile(in); f != nil {
		return f
	}
	file := path.Join(in.dir, "Chart.yaml")
	if m := missingField.FindStringSubmatch(what); m != nil {
		return faultf(file, 0, "%s has no %s: a chart needs apiVersion, name and version", file, m[1])
	}
	if m := badVersion.FindStringSubmatch(what); m != nil {
		return faultf(file, 0, "%s has the version %s: write a semantic version, such as 1.2.3", file, m[1])
	}
	if m := badMetadata.FindStringSubmatch(what); m != nil {
		return faultf(file, 0, "%s is not valid: %s", file, m[1])
	}
	if m := typeInChart.FindStringSubmatch(what); m != nil {
		return faultf(file, 0, "%s has a value of the wrong type in %s", file, m[1])
	}
	if m := subchart.FindStringSubmatch(what); m != nil {
		name := path.Join(in.dir, "charts", m[1])
		if strings.Contains(m[2], "Chart.yaml file is missing") {
			return faultf(name, 0, "%s has no Chart.yaml, and everything in charts must be a chart: add it, or move the folder", name)
		}
		return faultf(name, 0, "%s cannot be read as a chart (%s): run helm dependency build again and commit what it fetches", name, m[2])
	}
	if m := schema.FindStringSubmatch(what); m != nil {
		return schemaFault(in, m[1])
	}
	return nil
}

// schemaFault says which values do not fit the schema that the chart has for them.
func schemaFault(in inflation, text string) *fault {
	file := path.Join(in.dir, "values.schema.json")
	places := schemaPlace.FindAllStringSubmatch(text, -1)
	parts := schemaPlace.Split(text, -1)
	if len(places) == 0 {
		_, problem, _ := strings.Cut(text, ": ")
		return faultf(file, 0, "%s cannot be read as a JSON schema: %s", file, problem)
	}
	problems := make([]string, 0, len(places))
	for i, p := range places {
		problem := strings.TrimSpace(parts[i+1])
		if p[1] != "" {
			problem = strings.ReplaceAll(strings.TrimPrefix(p[1], "/"), "/", ".") + ": " + problem
		}
		problems = append(problems, problem)
	}
	return faultf(in.dir, 0, "the values of the chart in %s do not fit its values.schema.json: %s", in.dir, strings.Join(problems, "; "))
}

// brokenFile finds a Chart.yaml or values.yaml of a chart that is no YAML or no map.
func brokenFile(in inflation) *fault {
	for _, f := range in.files {
		if base := path.Base(f.Name); base != "Chart.yaml" && base != "values.yaml" {
			continue
		}
		name := path.Join(in.dir, f.Name)
		docs, err := parseYAML(name, f.Data)
		if fault, ok := asFault(err); ok {
			return fault
		}
		if len(docs) > 0 && docs[0].Kind != yaml.MappingNode && docs[0].ShortTag() != "!!null" {
			return faultf(name, docs[0].Line, "%s holds no map: write it as fields with values", at(name, docs[0].Line))
		}
	}
	return nil
}
