package render

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadSet shows that a render is to be made again when, and only when, something it looked at differs.
func TestReadSet(t *testing.T) {
	files := map[string]string{
		"apps/a/overlays/dev/kustomization.yaml": "resources: [../../base]\n",
		"apps/a/base/kustomization.yaml":         "resources: [cm.yaml]\n",
		"apps/a/base/cm.yaml":                    cm("a"),
		"apps/a/sengu.yaml":                      "kind: Delivery\n",
		"apps/a/overlays/prod/other.yaml":        cm("other"),
		"apps/b/cm.yaml":                         cm("b"),
		"README.md":                              "x",
	}
	tests := map[string]struct {
		change  map[string]string
		changed bool
	}{
		"nothing":                {nil, false},
		"another App":            {map[string]string{"apps/b/cm.yaml": cm("c")}, false},
		"another overlay":        {map[string]string{"apps/a/overlays/prod/other.yaml": "x"}, false},
		"a file at the root":     {map[string]string{"README.md": "y"}, false},
		"the base":               {map[string]string{"apps/a/base/cm.yaml": cm("a") + "data: {}\n"}, true},
		"the overlay":            {map[string]string{"apps/a/overlays/dev/kustomization.yaml": "resources: [../../base]\nnamePrefix: x-\n"}, true},
		"what was absent":        {map[string]string{"apps/a/overlays/dev/Kustomization": "resources: []\n"}, true},
		"what the caller read":   {map[string]string{"apps/a/sengu.yaml": "kind: Delivery\nx: y\n"}, true},
		"what the caller missed": {map[string]string{"apps/a/overlays/dev.yaml": "x"}, true},
	}
	r := newRenderer(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rec := NewRecorder(writeTree(t, files))
			if _, err := rec.ReadFile("apps/a/sengu.yaml"); err != nil {
				t.Fatal(err)
			}
			if _, err := rec.ReadFile("apps/a/overlays/dev.yaml"); err == nil {
				t.Fatal("read a file that is absent")
			}
			set := mustRender(t, r, Request{Source: rec, Path: "apps/a/overlays/dev"}).ReadSet
			after := map[string]string{}
			for _, m := range []map[string]string{files, test.change} {
				for f, c := range m {
					after[f] = c
				}
			}
			src := writeTree(t, after)
			changed, err := set.Changed(src)
			if err != nil || changed != test.changed {
				t.Errorf("changed %t, %v, want %t; %v", changed, err, test.changed, set)
			}
			digest, err := DigestOf(src, set.Paths())
			if err != nil || (digest != set.Digest()) != test.changed {
				t.Errorf("digest differs %t, %v, want %t", digest != set.Digest(), err, test.changed)
			}
		})
	}
}

// TestFailureHasReadSet shows that a failed render is not tried again until what it looked at differs.
func TestFailureHasReadSet(t *testing.T) {
	src := writeTree(t, map[string]string{"app/kustomization.yaml": "resources: [../base/gone]\n", "base/x.yaml": "x"})
	_, err := newRenderer(t).Render(context.Background(), Request{Source: src, Path: "app"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if changed, err := e.ReadSet.Changed(src); err != nil || changed {
		t.Errorf("changed %t, %v", changed, err)
	}
	gone := filepath.Join(src.root.Name(), "base/gone")
	if err := os.MkdirAll(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	if changed, err := e.ReadSet.Changed(src); err != nil || !changed {
		t.Errorf("what was missing is there now, changed %t, %v; %v", changed, err, e.ReadSet)
	}
}

// TestLargeFolder reads a folder that is too large to be sent whole.
func TestLargeFolder(t *testing.T) {
	files := map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a"), "app/more/b.yaml": cm("b")}
	for i := range 100 {
		files["app/unused/"+strings.Repeat("x", i+1)] = "x"
	}
	src := writeTree(t, files)
	res := mustRender(t, newRenderer(t), Request{Source: src, Path: "app"})
	want := []string{"app/", "app/Kustomization", "app/a.yaml", "app/kustomization.yaml", "app/kustomization.yml"}
	if diff := cmp.Diff(want, res.ReadSet.Paths()); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(src.root.Name(), "app/unused/new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := res.ReadSet.Changed(src); err != nil || changed {
		t.Errorf("an unused file counts: %t, %v", changed, err)
	}
}

// TestUndecided shows that a random value only matters when it shows.
func TestUndecided(t *testing.T) {
	r := newRenderer(t)
	unused := map[string]string{
		"default":       "a: {{ default (randAlphaNum 8) .Values.password }}",
		"branch":        "a: {{ if .Values.no }}{{ randAlphaNum 8 }}{{ end }}b",
		"only its size": "a: {{ randAlphaNum 8 | len | quote }}",
		"in a test":     "a: b\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: \"{{ randAlphaNum 5 }}\", annotations: {helm.sh/hook: test}}",
		"other time":    "a: {{ $ca := genCA \"x\" 1 }}{{ date \"2006\" (toDate \"2006\" \"2020\") | quote }}",
	}
	for name, data := range unused {
		q := Request{Source: writeTree(t, chartFiles(data, "app/values.yaml", "password: abc")), Path: "app"}
		if _, err := r.Render(context.Background(), q); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := Request{Source: writeTree(t, chartFiles("a: {{ randAlphaNum 8 | quote }}\n  b: {{ (genCA \"x\" 1).Cert | b64enc }}")), Path: "app", AllowNondeterministic: true}
	a, b := mustRender(t, r, q), mustRender(t, r, q)
	if cmp.Equal(byRef(a.Objects), byRef(b.Objects)) {
		t.Error("allowed, and yet the same twice")
	}
	blame := writeTree(t, chartFiles("a: {{ default (randAlphaNum 8) \"set\" }}\n  b: {{ uuidv4 }}"))
	_, err := r.Render(context.Background(), Request{Source: blame, Path: "app"})
	if err == nil || !strings.Contains(err.Error(), "cm.yaml:7 uses uuidv4") {
		t.Errorf("got %v, want the function that matters", err)
	}
	second := writeTree(t, chartFiles("a: b", "app/templates/a.yaml", "{{- $unused := randAlphaNum 5 }}", "app/templates/z.yaml", cm("z")+"data:\n  x: {{ randAlphaNum 5 }}\n"))
	_, err = r.Render(context.Background(), Request{Source: second, Path: "app"})
	if err == nil || !strings.Contains(err.Error(), "z.yaml:6 uses randAlphaNum") {
		t.Errorf("got %v, want the call that matters", err)
	}
	keys := writeTree(t, chartFiles("a: {{ keys (dict \"a\" 1 \"b\" 2 \"c\" 3 \"d\" 4) | join \"\" }}{{ values (dict \"a\" 1 \"b\" 2 \"c\" 3) | join \"\" }}"))
	if got := mustRender(t, r, Request{Source: keys, Path: "app"}).Objects[0].Object["data"]; !cmp.Equal(got, map[string]any{"a": "abcd123"}) {
		t.Errorf("got %v", got)
	}
}

func TestWriteYAML(t *testing.T) {
	src := openDir(t, fixtures)
	res := mustRender(t, newRenderer(t), Request{Source: src, Path: "shop/overlays/production"})
	var a, b bytes.Buffer
	if err := WriteYAML(&a, res.All()); err != nil {
		t.Fatal(err)
	}
	objects := res.All()
	for i, j := 0, len(objects)-1; i < j; i, j = i+1, j-1 {
		objects[i], objects[j] = objects[j], objects[i]
	}
	if err := WriteYAML(&b, objects); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Error("the order of the objects decides the stream")
	}
	if diff := cmp.Diff(byRef(res.All()), objectsOf(t, a.Bytes())); diff != "" {
		t.Error(diff)
	}
}

// TestWorkingTree finds the repository around a folder.
func TestWorkingTree(t *testing.T) {
	src := writeTree(t, map[string]string{".git/HEAD": "x", "apps/a/cm.yaml": cm("a")})
	got, name, err := WorkingTree(filepath.Join(src.root.Name(), "apps/a"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Close() }() // it only reads
	if name != "apps/a" {
		t.Errorf("name %q, want apps/a", name)
	}
	if res := mustRender(t, newRenderer(t), Request{Source: got, Path: name}); len(res.Objects) != 1 {
		t.Errorf("%d objects", len(res.Objects))
	}
}
