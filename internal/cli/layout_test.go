package cli

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	tree := fstest.MapFS{}
	for _, name := range []string{
		"apps/cart/overlays/develop/a.yaml", "apps/cart/overlays/production/a.yaml", "apps/cart/overlays/sandbox/a.yaml",
		"apps/Upper/overlays/develop/a.yaml", "apps/empty/base/a.yaml", "apps/README.md", "envs/develop-cart/a.yaml",
	} {
		tree[name] = &fstest.MapFile{}
	}
	cases := map[string]struct {
		reason string
		layout string
		want   []string
	}{
		"Overlays": {
			reason: "only environments of the fleet count, and only names that can be names of objects",
			layout: "apps/{service}/overlays/{environment}",
			want:   []string{"cart develop apps/cart/overlays/develop", "cart production apps/cart/overlays/production"},
		},
		"OneElement": {
			reason: "both may be in one element",
			layout: "envs/{environment}-{service}",
			want:   []string{"cart develop envs/develop-cart"},
		},
		"Nothing": {reason: "a layout that matches nothing finds nothing", layout: "services/{service}/{environment}"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fleet := fleetOf("shop", "develop", "production")
			fleet.Spec.Layout = tc.layout
			found, err := places(tree, &fleet)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range found {
				got = append(got, p.service+" "+p.env.Name+" "+p.path)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nplaces: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestFolders(t *testing.T) {
	cases := map[string]struct{ layout, path, service, env string }{
		"Overlays":    {"apps/{service}/overlays/{environment}", "apps/cart/overlays/develop", "apps/cart", "apps/cart/overlays/develop"},
		"Turned":      {"{environment}/{service}", "develop/cart", "develop/cart", "develop"},
		"OneElement":  {"envs/{environment}-{service}", "envs/develop-cart", "envs/develop-cart", "envs/develop-cart"},
		"FurtherDown": {"apps/{service}/{environment}/k8s", "apps/cart/develop/k8s", "apps/cart", "apps/cart/develop"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			service, env := folders(tc.layout, tc.path)
			if service != tc.service || env != tc.env {
				t.Errorf("folders(%q, %q): got %q and %q, want %q and %q", tc.layout, tc.path, service, env, tc.service, tc.env)
			}
		})
	}
}
