package worker

import (
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// sprigFunctions are the functions of a nameTemplate.
func sprigFunctions() template.FuncMap {
	f := sprig.TxtFuncMap()
	delete(f, "env")
	delete(f, "expandenv")
	return f
}

var (
	secretKey  = regexp.MustCompile(`(?i)pass|secret|token|credential|private|api_?key|connection|dsn|auth`)
	secretMark = regexp.MustCompile(`(?m)^\s*(?:-\s*)?kind:\s*["']?Secret\b|secretGenerator`)
	openKey    = regexp.MustCompile(`^(?:kind|apiVersion|type|name|namespace|labels|annotations|metadata|resources|namePrefix|nameSuffix|app|immutable|behavior)$`)
)

// mask takes out of a message whatever may be the value of a Secret: what values keep under a telling key, and what
// stands in a file that holds a Secret or makes one.
func (j *job) mask(msg string, values map[string]any) string {
	words := tellingValues(values, false, nil)
	for _, file := range j.vfs.read {
		if n := j.vfs.nodes[file]; n != nil && secretMark.Match(n.data) {
			words = append(words, secretWords(string(n.data))...)
		}
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, w := range words {
		if len(w) >= 4 {
			msg = strings.ReplaceAll(msg, w, "(not shown)")
		}
	}
	return msg
}

func tellingValues(v any, telling bool, out []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			out = tellingValues(c, telling || secretKey.MatchString(k), out)
		}
	case []any:
		for _, c := range v {
			out = tellingValues(c, telling, out)
		}
	case string:
		if telling {
			out = append(out, v)
		}
	}
	return out
}

// secretWords returns the values in a file that holds a Secret; keys that only name things keep theirs.
func secretWords(text string) []string {
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "- "))
		key, value, ok := strings.Cut(line, ":")
		if k, v, isLiteral := strings.Cut(line, "="); isLiteral && (!ok || len(k) < len(key)) {
			key, value, ok = k, v, true
		}
		if !ok {
			words = append(words, line)
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'[]{},`)
		if value != "" && !openKey.MatchString(strings.Trim(key, `"' `)) {
			words = append(words, value)
		}
	}
	return words
}
