package layout

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func newFiles(names ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for _, name := range names {
		tree[name] = &fstest.MapFile{Data: []byte(name)}
	}
	return tree
}

func TestList(t *testing.T) {
	cases := map[string]struct {
		reason string
		layout string
		files  []string
		want   []Place
	}{
		"Overlays": {
			reason: "each folder that matches the whole layout is a place, and files beside it are not",
			layout: "apps/{service}/overlays/{environment}",
			files: []string{
				"apps/cart/base/kustomization.yaml", "apps/cart/overlays/develop/kustomization.yaml",
				"apps/cart/overlays/production/kustomization.yaml", "apps/mail/overlays/develop/kustomization.yaml",
				"apps/README.md", "apps/mail/overlays/notes.txt", "docs/overlays/develop/x.yaml",
			},
			want: []Place{
				{"cart", "develop", "apps/cart/overlays/develop"},
				{"cart", "production", "apps/cart/overlays/production"},
				{"mail", "develop", "apps/mail/overlays/develop"},
			},
		},
		"EnvironmentFirst": {
			reason: "the placeholders may come in either order",
			layout: "{environment}/{service}",
			files:  []string{"apps/a/x.yaml", "apps/b/x.yaml"},
			want:   []Place{{"a", "apps", "apps/a"}, {"b", "apps", "apps/b"}},
		},
		"PartOfAnElement": {
			reason: "a placeholder may be a part of a path element, and the rest of the element is taken literally",
			layout: "svc.{service}/env-{environment}",
			files:  []string{"svc.cart/env-develop/x.yaml", "svcXcart/env-develop/x.yaml", "svc.cart/develop/x.yaml"},
			want:   []Place{{"cart", "develop", "svc.cart/env-develop"}},
		},
		"NamesThatNoObjectCanHave": {
			reason: "a folder whose name cannot become part of an object's name is not a service",
			layout: "apps/{service}/{environment}",
			files:  []string{"apps/_lib/develop/x.yaml", "apps/Cart/develop/x.yaml", "apps/-x/develop/y.yaml", "apps/ok-1/develop/x.yaml"},
			want:   []Place{{"ok-1", "develop", "apps/ok-1/develop"}},
		},
		"OneElement": {
			reason: "both placeholders may be in one element",
			layout: "envs/{environment}-{service}",
			files:  []string{"envs/develop-cart/a.yaml"},
			want:   []Place{{"cart", "develop", "envs/develop-cart"}},
		},
		"Nothing": {
			reason: "a repository without the first folder has no places, and that is no error",
			layout: "apps/{service}/{environment}",
			files:  []string{"README.md"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l, err := Parse(tc.layout)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.List(newFiles(tc.files...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
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
			service, env := Folders(tc.layout, tc.path)
			if service != tc.service || env != tc.env {
				t.Errorf("Folders(%q, %q): got %q and %q, want %q and %q", tc.layout, tc.path, service, env, tc.service, tc.env)
			}
		})
	}
}
