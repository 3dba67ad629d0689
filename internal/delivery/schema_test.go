package delivery

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
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
				walk(f.typ, at+"."+f.name)
			}
		}
	}
	walk(reflect.TypeFor[document](), "")
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
