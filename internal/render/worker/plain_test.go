package worker

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

var scalars = []string{
	"yes", "No", "on", "OFF", "y", "n", "true", "True", "FALSE", "null", "~", "", "12", "-7", "+5", "007", "0o17", "0x1F", "0b101", "1_000",
	"1e3", "1.50", ".5", "-.inf", ".nan", "1:30", "2024-05-06", "2024-05-06T07:08:09Z", "text", "a b", "'12'", `"yes"`, `"a\tb\u00e9\x01"`, "=", "!!str 12", "!!int \"3\"",
	"!!float 1", "|\n  a\n  b\n", ">-\n  a\n  b\n", "12345678901234567890", "-0", "0.0", "1e400", "{a: b}", "[1, yes]", "é", "日本",
}

// TestEncodeAsKubectl compares the direct way with the library that kubectl uses.
func TestEncodeAsKubectl(t *testing.T) {
	for _, s := range scalars {
		text := "k: " + s + "\n"
		want, wantErr := sigsyaml.YAMLToJSON([]byte(text))
		docs, err := parseYAML("f", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		got, _, gotErr := encodeDoc("f", docs[0], asKubectl, false)
		compareJSON(t, s, want, got, wantErr, gotErr)
	}
	for _, s := range []string{"yes", "12", "1.5", "true", "null", "a"} {
		text := s + ": x\n"
		want, wantErr := sigsyaml.YAMLToJSON([]byte(text))
		docs, err := parseYAML("f", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, _, gotErr := encodeDoc("f", docs[0], asKubectl, false)
		compareJSON(t, s+" as a key", want, got, wantErr, gotErr)
	}
}

// TestEncodeAsKustomize compares the direct way with kustomize's own.
func TestEncodeAsKustomize(t *testing.T) {
	for _, s := range scalars {
		n, err := yaml.Parse("k: " + s + "\n")
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := n.MarshalJSON()
		got, _, gotErr := encodeDoc("f", n.YNode(), asKustomize, false)
		compareJSON(t, s, want, got, wantErr, gotErr)
	}
}

func compareJSON(t *testing.T, name string, want, got []byte, wantErr, gotErr error) {
	t.Helper()
	if (wantErr != nil) != (gotErr != nil) {
		t.Errorf("%q: error %v, want %v", name, gotErr, wantErr)
		return
	}
	if wantErr != nil {
		return
	}
	var a, b any
	if err := json.Unmarshal(want, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Errorf("%q: %s is no JSON: %v", name, got, err)
		return
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%q: got %s, want %s", name, got, want)
	}
}

// FuzzPlain shows that no file makes the parser panic, that what it accepts is JSON, and that it means the same to
// kubectl's library.
func FuzzPlain(f *testing.F) {
	for _, s := range scalars {
		f.Add([]byte("k: " + s + "\n"))
	}
	f.Add([]byte("a: &a [1]\nb: *a\nc: {<<: {d: 1}}\n"))
	f.Add([]byte("---\na: b\n--- # x\nc: d\n...\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := parseYAML("f", data)
		if err != nil || checkAliases("f", data) != nil {
			return
		}
		for _, d := range docs {
			for _, dialect := range []dialect{asKubectl, asKustomize} {
				js, _, err := encodeDoc("f", d, dialect, false)
				if err == nil && !json.Valid(js) {
					t.Fatalf("%q becomes %q", data, js)
				}
			}
		}
		scanObjects("f", data)
		if err := checkJSON("f", data); err == nil && strings.TrimSpace(string(data)) != "" && !json.Valid(data) {
			dec := json.NewDecoder(strings.NewReader(string(data)))
			for dec.More() {
				var v any
				if dec.Decode(&v) != nil {
					t.Fatalf("%q is accepted as JSON", data)
				}
			}
		}
	})
}

func TestScanObjects(t *testing.T) {
	text := "# a comment\napiVersion: v1\nkind: ConfigMap # x\nmetadata:\n  labels: {name: no}\n  name: \"a\"\n  namespace: n\n---\n\nkind: Secret\nmetadata: {name: b, namespace: m}\nspec:\n  metadata:\n    name: no\n"
	want := []scanned{{file: "f", kind: "ConfigMap", namespace: "n", name: "a", line: 2, start: 1}, {file: "f", kind: "Secret", namespace: "m", name: "b", line: 10, start: 9}}
	if got := scanObjects("f", []byte(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

// TestNamesOfTheTable guards the link to kustomize's table of generators.
func TestNamesOfTheTable(t *testing.T) {
	if err := installHelmGenerator(); err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for _, f := range generatorFactories {
		if _, ok := f().(*helmGenerator); ok {
			replaced++
		}
	}
	if replaced != 1 || len(generatorFactories) < 3 {
		t.Errorf("%d of %d generators replaced", replaced, len(generatorFactories))
	}
}

func TestInnermost(t *testing.T) {
	msg := "accumulating resources: accumulation err='accumulating resources from '../b': '/b' must resolve to a file': recursed accumulation of path '/b': trouble with config: `\npassword: x\n`: the end in '/b/c'"
	if got, want := innermost(msg), "trouble: the end in 'b/c'"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
