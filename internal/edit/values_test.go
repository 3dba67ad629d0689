package edit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/edit"
	"sigs.k8s.io/yaml"
)

func TestValues(t *testing.T) {
	tests := map[string]struct{ path, value, in, want string }{
		"plain":            {"image.tag", "v2", "image:\n  tag: v1 # c\n", "image:\n  tag: v2 # c\n"},
		"after a BOM":      {"a", "z", "\ufeffa: y\n", "\ufeffa: z\n"},
		"not sealed":       {"sops.version", "z", "sops:\n  version: y\n", "sops:\n  version: z\n"},
		"in a list":        {"c[1].image", "a:v2", "c:\n- image: x\n- image: a:v1\n", "c:\n- image: x\n- image: a:v2\n"},
		"a list in a list": {"c[0][1]", "z", "c: [[x, y]]\n", "c: [[x, z]]\n"},
		"the root a list":  {"[0].a", "z", "- a: y\n", "- a: z\n"},
		"dots":             {`a\.b.c\[0\]`, "z", "a.b:\n  c[0]: y\n", "a.b:\n  c[0]: z\n"},
		"backslash":        {`a\\b`, "z", "a\\b: y\n", "a\\b: z\n"},
		"quoted key":       {"a b", "z", "\"a b\": y\n", "\"a b\": z\n"},
		"a number":         {"a", "0123", "a: v1\n", "a: \"0123\"\n"},
		"an exponent":      {"a", "1e3", "a: v1\n", "a: \"1e3\"\n"},
		"a boolean":        {"a", "on", "a: 'off'\n", "a: 'on'\n"},
		"on as it is":      {"a", "on", "a: on\n", "a: \"on\"\n"},
		"a number as it is": {
			"a", "1.10", "a: 1.10\n", "a: \"1.10\"\n",
		},
		"a hash that is one":  {"a", "12e4567", "a: abc\n", "a: \"12e4567\"\n"},
		"a hash that is none": {"a", "12f4567", "a: abc\n", "a: 12f4567\n"},
		"base 60":             {"a", "1:30", "a: x\n", "a: \"1:30\"\n"},
		"a date":              {"a", "2026-01-02", "a: x\n", "a: \"2026-01-02\"\n"},
		"a dated version":     {"a", "2026-01-02.1", "a: x\n", "a: 2026-01-02.1\n"},
		"three numbers":       {"a", "1.2.3", "a: x\n", "a: 1.2.3\n"},
		"null":                {"a", "null", "a: x\n", "a: \"null\"\n"},
		"nothing":             {"a", "", "a: x\n", "a: \"\"\n"},
		"from nothing":        {"a.b", "z", "a:\n  b:\n  c: d\n", "a:\n  b: z\n  c: d\n"},
		"from nothing, list":  {"a[0]", "z", "a:\n-\n- x\n", "a:\n- z\n- x\n"},
		"from nothing, {}":    {"a.b", "z", "a: {b: , c: d}\n", "a: {b: z, c: d}\n"},
		"colon in braces":     {"a.b", "x:1", "a: {b: y}\n", "a: {b: \"x:1\"}\n"},
		"single":              {"a", "it's", "a: 'x'\n", "a: 'it''s'\n"},
		"single with break":   {"a", "x\ny\x01", "a: 'x'\n", "a: \"x\\ny\\x01\"\n"},
		"double":              {"a", `a "b" \c`, "a: \"x\"\n", `a: "a \"b\" \\c"` + "\n"},
		"a comment":           {"a", "x # y", "a: x\n", "a: \"x # y\"\n"},
		"unicode":             {"a", "é😀", "a: x\n", "a: \"é😀\"\n"},
		"template elsewhere":  {"a", "z", "a: y\nb: '{{ .x }}'\n", "a: z\nb: '{{ .x }}'\n"},
		"an anchor elsewhere": {"b.c", "z", "a: &a {x: y}\nb: &b\n  c: d\n  e: *a\n", "a: &a {x: y}\nb: &b\n  c: z\n  e: *a\n"},
		"documents of nothing": {
			"a", "z", "---\n# c\n---\na: y\n---\n", "---\n# c\n---\na: z\n---\n",
		},
		"old text block says so": {"a", "x\n", "a: |\n  x\n", "a: |\n  x\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			checkEdit(t, tc.in, tc.want, func(b []byte) ([]byte, error) { return edit.Values(b, tc.path, tc.value) })
		})
	}
}

func TestValuesRefuses(t *testing.T) {
	tests := map[string]struct {
		path, in, want string
		missing        bool
	}{
		"no key":             {"a.c", "a:\n  b: x\n", `line 2: a has no key "c", and a.c is not made up`, true},
		"no key in the file": {"b", "a: x\n", `line 1: the file has no key "b"`, true},
		"no entry":           {"a[1]", "a: [x]\n", "line 1: a has no entry [1]", true},
		"no list":            {"a[0]", "a: {b: x}\n", "line 1: a has no entry [0], because it is a mapping", true},
		"no mapping":         {"a.b", "a: x\n", `line 1: a has no key "b", because it is a single value`, true},
		"a list":             {"a.b", "a: [x]\n", `line 1: a has no key "b", because it is a list`, true},
		"nothing":            {"a", "# c\n", "the file has no values, and a is not made up", true},
		"merged":             {"b.c", "a: &a {c: d}\nb:\n  <<: *a\n", `line 3: b has no key "c" of its own, only what it merges`, true},
		"no value":           {"a", "a: {b: c}\n", "line 1: a single value is wanted here, and there is a mapping", false},
		"through an alias":   {"b.c", "a: &a {c: d}\nb: *a\n", "line 2: b is the alias *a", false},
		"an alias":           {"b", "a: &a d\nb: *a\n", "line 2: the value is the alias *a", false},
		"repeated":           {"a.c", "a: &a {c: d}\nb: *a\n", "line 1: what is anchored as &a here is repeated by line 2", false},
		"repeated above":     {"a.c.d", "a: &a\n  c:\n    d: e\nb:\n  <<: *a\n", "is repeated by line 5", false},
		"a key twice":        {"a", "a: b\na: c\n", `line 2: the key "a" is here and on line 1`, false},
		"a template":         {"a", "a: '{{ .x }}'\n", "line 1: the value is computed by a template", false},
		"within a template":  {"a.b", "a: {{ .x }}\n", "line 1: a is computed by a template", false},
		"two documents":      {"a", "a: b\n---\na: c\n", "line 2: a second document", false},
		"sealed":             {"a", "a: b\nsops:\n  mac: ENC[x]\n", "line 2: the file is encrypted by SOPS", false},
		"an empty path":      {"", "a: b\n", "a key is empty", false},
		"an empty key":       {"a..b", "a: b\n", "a key is empty", false},
		"a dot at the end":   {"a.", "a: b\n", "a key is empty", false},
		"no number":          {"a[x]", "a: b\n", "after [ comes a number and ]", false},
		"no end":             {"a[0", "a: b\n", "after [ comes a number and ]", false},
		"no dot":             {"a[0]b", "a: b\n", "after ] comes a dot", false},
		"a backslash":        {`a\`, "a: b\n", "ends in a backslash", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := edit.Values([]byte(tc.in), tc.path, "z")
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, edit.ErrMissing) != tc.missing {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
	if _, err := edit.Values([]byte("a: b\n"), "a", "\xff"); err == nil {
		t.Error("a value that is not UTF-8")
	}
}

// TestValuesAreStringsToHelm reads what was written the way Helm and kustomize do, which is not how it was parsed.
func TestValuesAreStringsToHelm(t *testing.T) {
	for _, value := range []string{
		"", "~", "null", "Null", "true", "Yes", "no", "ON", "off", "y", "N", "1", "-1", "+1", "0123", "0o17", "0x1F", "0b11", "1_000", "1.10", "1.",
		".5", "1e3", "1E+3", "12e4567", ".inf", "-.Inf", ".NaN", "1:30", "190:20:30.15", "2026-01-02", "2026-01-02T03:04:05Z", "<<", "=", "v1.2.3",
		"1.2.3", "1.2.3-rc.1+4", "a:b", "a: b", "a #b", "#a", "- a", "-", "---", "...", "? a", "*a", "&a", "!a", "%a", "@a", "`a", "[a", "{a", "|", ">",
		"'a'", "\"a\"", " a", "a ", "a\tb", "a\nb", "a\u0085b", "\ufeff", "é", "sha256:abc", "{{ .x }}",
	} {
		for _, in := range []string{"a: x\n", "a: 'x'\n", "a: \"x\"\n", "a: 1\n", "a:\n", "{a: x, b: y}\n"} {
			out, err := edit.Values([]byte(in), "a", value)
			if err != nil {
				t.Errorf("%q into %q: %v", value, in, err)
				continue
			}
			var got map[string]any
			if err := yaml.Unmarshal(out, &got); err != nil || got["a"] != value {
				t.Errorf("%q into %q is %#v, %v:\n%s", value, in, got["a"], err, out)
			}
		}
	}
}
