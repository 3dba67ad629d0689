package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	helmcmd "helm.sh/helm/v4/pkg/cmd"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// helmArg makes the test binary the helm program, for `helm template` and for kustomize's helmCharts.
const helmArg = "-sengu-helm"

// helmMain is what the helm program does.
func helmMain(args []string) int {
	cmd, err := helmcmd.NewRootCmd(os.Stdout, args, func(bool) {})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd.SetArgs(args)
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helmTemplate returns what `helm template` prints.
func helmTemplate(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{helmArg, "template"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TZ=UTC")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("helm template %v: %v\n%s", args, err, stderr.String())
	}
	return out.Bytes()
}

// kustomizeBuild returns what `kustomize build --enable-helm` prints.
func kustomizeBuild(t testing.TB, dir string) []byte {
	t.Helper()
	helm := filepath.Join(t.TempDir(), "helm")
	script := fmt.Sprintf("#!/bin/sh\nexec %q %s \"$@\"\n", os.Args[0], helmArg)
	if err := os.WriteFile(helm, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	o := krusty.MakeDefaultOptions()
	o.Reorder = krusty.ReorderOptionUnspecified
	o.PluginConfig = types.EnabledPluginConfig(types.BploUseStaticallyLinked)
	o.PluginConfig.PluginRestrictions = types.PluginRestrictionsBuiltinsOnly
	o.PluginConfig.HelmConfig = types.HelmConfig{Enabled: true, Command: helm}
	m, err := krusty.MakeKustomizer(o).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", dir, err)
	}
	text, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// objectsOf reads a YAML stream as kubectl does.
func objectsOf(t testing.TB, text []byte) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	dec := utilyaml.NewYAMLToJSONDecoder(bytes.NewReader(text))
	for {
		var raw runtime.RawExtension
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(raw.Raw) == 0 {
			continue
		}
		var u unstructured.Unstructured
		if err := json.Unmarshal(raw.Raw, &u.Object); err != nil {
			t.Fatal(err)
		}
		if len(u.Object) == 0 {
			continue
		}
		if u.IsList() {
			if err := u.EachListItem(func(o runtime.Object) error {
				item := o.(*unstructured.Unstructured)
				out[manifest.RefOf(item).String()] = item.Object
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		out[manifest.RefOf(&u).String()] = u.Object
	}
}

func byRef(objects []manifest.Object) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, o := range objects {
		out[o.Ref().String()] = o.Object
	}
	return out
}

const fixtures = "testdata/repo"

// TestSameAsTheTools compares every fixture, object by object, with the real libraries on the real file system.
func TestSameAsTheTools(t *testing.T) {
	chart := func(args ...string) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			return helmTemplate(t, append([]string{args[0], fixtures + "/charts/store", "--include-crds"}, args[1:]...)...)
		}
	}
	tests := map[string]struct {
		request Request
		want    func(testing.TB) []byte
	}{
		"chart":            {Request{Path: "charts/store"}, chart("store")},
		"chart in release": {Request{Path: "charts/store", Release: "rel", Namespace: "ns"}, chart("rel", "--namespace", "ns")},
		"chart with values": {
			Request{Path: "charts/store", Release: "rel", ValuesFiles: []string{"store/values-production.yaml"}, Values: map[string]any{"port": 9090}},
			chart("rel", "-f", fixtures+"/store/values-production.yaml", "--set", "port=9090"),
		},
		"chart with capabilities": {
			Request{Path: "charts/store", Release: "rel", Capabilities: Capabilities{KubeVersion: "1.31.0", APIVersions: []string{"monitoring.coreos.com/v1"}}},
			chart("rel", "--kube-version", "1.31.0", "--api-versions", "monitoring.coreos.com/v1"),
		},
		"plain": {Request{Path: "plain"}, func(t testing.TB) []byte {
			a, err := os.ReadFile(fixtures + "/plain/objects.yaml")
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(fixtures + "/plain/more/object.json")
			if err != nil {
				t.Fatal(err)
			}
			return append(append(a, "\n---\n"...), b...)
		}},
	}
	for _, dir := range []string{"shop/base", "shop/overlays/production", "shop/overlays/annotated", "addon/base", "addon/overlay", "addon/inline"} {
		tests[dir] = struct {
			request Request
			want    func(testing.TB) []byte
		}{Request{Path: dir}, func(t testing.TB) []byte { return kustomizeBuild(t, filepath.Join(fixtures, dir)) }}
	}
	r := newRenderer(t)
	src := openDir(t, fixtures)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.request.Source = src
			res, err := r.Render(context.Background(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(objectsOf(t, test.want(t)), byRef(res.All())); diff != "" {
				t.Error(diff)
			}
			golden(t, name, res)
		})
	}
}

// golden compares a result with testdata/golden.
func golden(t *testing.T, name string, res Result) {
	t.Helper()
	var b strings.Builder
	for _, w := range res.Warnings {
		fmt.Fprintf(&b, "# warning: %s\n", w)
	}
	for _, h := range res.Hooks {
		fmt.Fprintf(&b, "# hook: %s phase=%q weight=%d\n", h.Ref(), h.Phase, h.Weight)
	}
	for _, o := range res.Objects {
		fmt.Fprintf(&b, "# %s from %s\n", o.Ref(), o.Origin)
	}
	if err := WriteYAML(&b, res.All()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden", strings.NewReplacer("/", "-", " ", "-").Replace(name)+".yaml")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update)", err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}
