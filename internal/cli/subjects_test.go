package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/render"
)

func TestSubjectsAreThoseOfTheFleetsEnvironments(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"apps/cart/overlays/develop/a.yaml", "apps/cart/overlays/production/a.yaml", "apps/cart/overlays/sandbox/a.yaml",
		"apps/Upper/overlays/develop/a.yaml", "apps/empty/base/a.yaml", "apps/README.md",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := render.DirSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}()
	fleet := fleetOf("shop", "develop", "production")
	fleet.Spec.Layout = "apps/{service}/overlays/{environment}"
	c := comparison{shop: &workshop{}, tree: tree}

	found, err := c.subjectsOf(&fleet)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range found {
		got = append(got, s.title()+" "+s.spec.Source.Path)
	}
	want := []string{"cart/develop apps/cart/overlays/develop", "cart/production apps/cart/overlays/production"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects: -want +got:\n%s", diff)
	}

	fleet.Spec.Layout = "services/{service}/{environment}"
	if found, err := c.subjectsOf(&fleet); err == nil {
		t.Errorf("a layout that matches nothing finds %v, want a sentence", found)
	}
}
