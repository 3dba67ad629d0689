package delivery

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSchema(t *testing.T) {
	const golden = "testdata/schema.json"
	got := Schema()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the schema differs from %s (go test -update writes it): -want, +got:\n%s", golden, diff)
	}
	if !json.Valid(got) {
		t.Error("the schema is not JSON")
	}
}

// TestSchemaAgrees reads files by the schema and by the parser: an editor must not mark what Sengu takes, and must mark
// what has another shape.
func TestSchemaAgrees(t *testing.T) {
	definition, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("sengu.json", definition); err != nil {
		t.Fatal(err)
	}
	schema := compiler.MustCompile("sengu.json")
	good, err := os.ReadFile("testdata/sengu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		given string
		want  bool
	}{
		"Everything":   {string(good), true},
		"Least":        {head, true},
		"NoKind":       {"apiVersion: sengu.dev/v1alpha1", false},
		"Unknown":      {head + "sorce: {}", false},
		"CheckText":    {head + "checks: [a]", true},
		"CheckNumber":  {head + "checks: [1]", false},
		"CheckNoName":  {head + "checks: [{job: a}]", false},
		"CheckUnknown": {head + "checks: [{name: a, htpp: {}}]", false},
		"Status":       {head + "checks: [{name: a, http: {url: 'https://a', status: [600]}}]", false},
		"Failures":     {head + "checks: [{name: a, http: {url: 'https://a', failures: -1}}]", false},
		"Fraction":     {head + "checks: [{name: a, http: {url: 'https://a', failures: 1.5}}]", false},
		"Duration":     {head + "failAfter: 1h30m", true},
		"DurationDays": {head + "failAfter: 1d", false},
		"DurationNone": {head + "failAfter: 60", false},
		"StepText":     {head + "before: [a]", false},
		"Track":        {head + "images: [{name: a, repository: ghcr.io/a, track: {alphabetical: up}}]", false},
		"Rollback":     {head + "rollback: {}", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(tc.given), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); (err == nil) != tc.want {
				t.Errorf("the schema says: %v", err)
			}
			if _, err := Parse(testFile, []byte(tc.given)); (err == nil) != tc.want {
				t.Errorf("Parse(...): %v", err)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var walk func(typ reflect.Type, at string)
	walk = func(typ reflect.Type, at string) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem(), at)
		case reflect.Struct:
			for _, f := range fieldsOf(typ) {
				if f.name == "" || f.doc == "" {
					t.Errorf("field %q in %s (%s) lacks a name or a description", f.name, at, typ)
				}
				checkNumber(t, f, at)
				walk(f.typ, at+"."+f.name)
			}
		}
	}
	walk(reflect.TypeFor[document](), "")
}

// checkNumber reads what the tags of a number or a duration say, which panics if it is none.
func checkNumber(t *testing.T, f field, at string) {
	t.Helper()
	typ := f.typ
	if typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Int && typ != durationType {
		if f.min+f.max != "" {
			t.Errorf("field %q in %s has bounds, and is no number", f.name, at)
		}
		return
	}
	least, most := f.number(typ, f.min), f.number(typ, f.max)
	if f.typ.Kind() == reflect.Slice {
		return
	}
	if standard := f.number(typ, f.standard); standard < least || standard > most {
		t.Errorf("the default of field %q in %s is out of its bounds", f.name, at)
	}
}

// TestStandards compares what holds if the file does not say with what the table tells people.
func TestStandards(t *testing.T) {
	fields := fieldsOf(reflect.TypeFor[Settings]())
	for name, want := range map[string]time.Duration{"failAfter": Settings{}.FailsAfter(), "progressDeadline": Settings{}.HealthyWithin()} {
		f, _ := find(fields, name)
		if got := time.Duration(f.number(durationType, f.standard)); got != want {
			t.Errorf("the default of %s is %s, and the table says %s", name, want, got)
		}
	}
	f, _ := find(fieldsOf(reflect.TypeFor[HTTP]()), "method")
	if got := (HTTP{}).Verb(); got != f.standard {
		t.Errorf("the default of method is %s, and the table says %s", got, f.standard)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"source", "ignore", "health", "deletion", "createNamespace", "environments"}
	cases := map[string]string{
		"sorce": "source", "suorce": "source", "Source": "source", "healht": "health", "environment": "environments",
		"createNamespaces": "createNamespace", "images": "", "x": "", "": "",
	}
	for given, want := range cases {
		if got := nearest(given, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}
