package worker

import (
	"path"
	"regexp"
	"strings"
)

// kustomizeWords turns what kustomize says into a sentence that names the way out, by the first pattern that fits.
// Values are never taken over: only kinds, names, fields and paths are.
var kustomizeWords = []struct {
	said *regexp.Regexp
	say  string
}{
	{
		regexp.MustCompile(`no resource matches strategic merge patch "(\w+)\.[^/"]*/([^"]+)\.(?:\[noNs\]|[^."]+)"`),
		"a patch is for $1 $2, which is none of its resources: correct the patch, or add the resource",
	},
	{
		regexp.MustCompile(`unable to parse SM or JSON patch`),
		"a patch is neither an object with apiVersion, kind and metadata.name nor a list of operations with op and path",
	},
	{
		regexp.MustCompile(`(add|replace|remove|copy|move|test) operation does not apply: doc is missing (?:path|key): /?([^\s:]+)`),
		"a patch has the operation $1 for /$2, which the object does not have: correct the path, or add what it leads through",
	},
	{
		regexp.MustCompile("(?:configmap|secret) (\\S+) illegally repeats the key `([^`]*)`"),
		"the generator $1 has the key $2 twice: remove one of them",
	},
	{
		regexp.MustCompile(`a (?:configmap|secret) must have a name`),
		"a generator has no name: add name",
	},
	{
		regexp.MustCompile(`expected kind '(\w+)' for path '([^']*)' but got '(\w+)'`),
		"$2 has the kind $3 where $1 is wanted: set its kind to $1, or name it under another field",
	},
	{
		regexp.MustCompile(`nothing selected by (\w+)\.[^/]*/([^:\s]+)\.(?:\[noNs\]|[^.:\s]+):`),
		"a replacement takes its value from $1 $2, which is none of its resources: correct source, or add the resource",
	},
	{
		regexp.MustCompile("fieldPath `([^`]*)` is missing for replacement source (\\w+)\\.[^/]*/(\\S+)\\.(?:\\[noNs\\]|[^.\\s]+)"),
		"a replacement takes its value from $1 of $2 $3, which has no such field: correct source.fieldPath",
	},
	{
		regexp.MustCompile(`already registered id: (\w+)\.[^/]*/(\S+)\.(?:\[noNs\]|[^.\s]+)`),
		"$1 $2 comes from two of its resources: an App may hold an object once",
	},
	{
		regexp.MustCompile(`kind should be Kustomization or Component`),
		"its kind is neither Kustomization nor Component: correct it, or leave it out",
	},
}

// said finds the sentence for a message of kustomize, "" if there is none.
func said(msg string) string {
	msg = rooted.ReplaceAllString(msg, "$1$2")
	for _, w := range kustomizeWords {
		if m := w.said.FindStringSubmatchIndex(msg); m != nil {
			return string(w.said.ExpandString(nil, w.say, msg, m))
		}
	}
	return ""
}

var cycle = regexp.MustCompile(`cycle detected: candidate root '([^']*)' contains visited root '([^']*)'`)

// explainCycle finds the entry by which kustomizations lead back to where they come from.
func (j *job) explainCycle(msg string) *fault {
	m := cycle.FindStringSubmatch(msg)
	if m == nil || len(j.kustomizations) == 0 {
		return nil
	}
	back := strings.Trim(m[1], "/")
	k := j.kustomizations[len(j.kustomizations)-1]
	for _, e := range k.entries {
		if remoteKind(e.value) == local && path.Join(path.Dir(k.file), e.value) == path.Join(".", back) {
			return faultf(k.file, e.line, "%s: %s names %s, which leads back here: break the cycle, for instance by moving what both need into a base of its own", at(k.file, e.line), e.field, e.value)
		}
	}
	return faultf(k.file, 0, "%s leads back to itself by way of %s: break the cycle", k.file, path.Join(".", back))
}

var (
	templateCode   = regexp.MustCompile(`at <([^>]*)>`)
	nilPointer     = regexp.MustCompile(`nil pointer evaluating \S+(?: \{\})?\.(\w+)$`)
	noField        = regexp.MustCompile(`can't evaluate field (\w+) in type`)
	noFunction     = regexp.MustCompile(`function ("[^"]*") not defined`)
	noTemplate     = regexp.MustCompile(`no template ("[^"]*") associated`)
	placelessError = regexp.MustCompile(`^(?:template: :|error calling \w+:)\s*`)
)

// templateWords turns what the template engine says, of which msg is the whole and what the end, into the end of a
// sentence that names what to do.
func templateWords(msg, what string) string {
	code := "a value"
	if m := templateCode.FindAllStringSubmatch(msg, -1); len(m) > 0 {
		code = m[len(m)-1][1]
	}
	for what != placelessError.ReplaceAllString(what, "") {
		what = placelessError.ReplaceAllString(what, "")
	}
	switch {
	case strings.Contains(what, "nested reference name"):
		return ": a template includes itself without end"
	case nilPointer.MatchString(what):
		return " reads " + code + ", and nothing is set that could have " + nilPointer.FindStringSubmatch(what)[1] + ": set it in the values, or guard it with if or default"
	case noField.MatchString(what):
		return " reads " + code + ", and what should have " + noField.FindStringSubmatch(what)[1] + " is no map: correct the values"
	case noFunction.MatchString(what):
		return " calls the function " + noFunction.FindStringSubmatch(what)[1] + ", which Helm does not have: correct its name, or write it otherwise"
	case noTemplate.MatchString(what):
		return " includes the template " + noTemplate.FindStringSubmatch(what)[1] + ", which the chart does not define: correct the name, or add it"
	case strings.HasPrefix(msg, "parse error") && what == "unexpected EOF":
		return " is no valid template: an if, range, with or define has no end"
	case strings.HasPrefix(msg, "parse error"):
		return " is no valid template: " + what
	case what == "":
		return " cannot be rendered with these values"
	}
	return ": " + what
}
