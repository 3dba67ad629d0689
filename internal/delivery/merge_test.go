package delivery

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

func TestMerge(t *testing.T) {
	const digest = "sha256:x"
	chart := func(c Chart) Delivery { return Delivery{Settings: Settings{Source: Source{Chart: &c}}} }
	values := func(v map[string]any) Delivery { return Delivery{Settings: Settings{Source: Source{Values: v}}} }
	cases := map[string]struct {
		reason           string
		base, over, want Delivery
	}{
		"Nothing": {reason: "Nothing and nothing."},
		"Fields": {
			reason: "Single fields win, lists are added.",
			base: Delivery{Settings: Settings{
				Source: Source{ReleaseName: "a", ValuesFiles: []string{"a"}, CRDs: CRDsApply}, Ignore: []manifest.IgnoreRule{{Kind: "A"}},
				Health: []health.Rule{{Kind: "A"}}, Deletion: Deletion{PruneNormal}, CreateNamespace: ptr(true),
			}},
			over: Delivery{Settings: Settings{
				Source: Source{ReleaseName: "b", ValuesFiles: []string{"b"}, CRDs: CRDsSkip, AllowNondeterministic: ptr(true)}, Ignore: []manifest.IgnoreRule{{Kind: "B"}},
				Health: []health.Rule{{Kind: "B"}}, Deletion: Deletion{PruneNever}, CreateNamespace: ptr(false),
			}},
			want: Delivery{Settings: Settings{
				Source: Source{ReleaseName: "b", ValuesFiles: []string{"a", "b"}, CRDs: CRDsSkip, AllowNondeterministic: ptr(true)}, Ignore: []manifest.IgnoreRule{{Kind: "A"}, {Kind: "B"}},
				Health: []health.Rule{{Kind: "A"}, {Kind: "B"}}, Deletion: Deletion{PruneNever}, CreateNamespace: ptr(false),
			}},
		},
		"Values": {
			reason: "Values are merged key by key; lists are replaced and a null stays.",
			base:   values(map[string]any{"a": map[string]any{"x": 1, "y": 2}, "list": []any{1}, "gone": "x"}),
			over:   values(map[string]any{"a": map[string]any{"y": 3}, "list": []any{2}, "gone": nil, "new": true}),
			want:   values(map[string]any{"a": map[string]any{"x": 1, "y": 3}, "list": []any{2}, "gone": nil, "new": true}),
		},
		"Version": {
			reason: "Another version leaves the digest behind.",
			base:   chart(Chart{Repository: "https://x", Name: "a", Version: "1.0.0", Digest: digest}),
			over:   chart(Chart{Version: "2.0.0"}),
			want:   chart(Chart{Repository: "https://x", Name: "a", Version: "2.0.0"}),
		},
		"Mirror": {
			reason: "A mirror has the same chart.",
			base:   chart(Chart{Repository: "https://x", Name: "a", Version: "1.0.0", Digest: digest}),
			over:   chart(Chart{Repository: "https://mirror"}),
			want:   chart(Chart{Repository: "https://mirror", Name: "a", Version: "1.0.0", Digest: digest}),
		},
		"Path": {
			reason: "A chart of this repository replaces one from elsewhere.",
			base:   chart(Chart{Repository: "https://x", Name: "a", Version: "1.0.0", Digest: digest}),
			over:   chart(Chart{Path: "charts/a"}),
			want:   chart(Chart{Path: "charts/a"}),
		},
		"FromPath": {
			reason: "And the other way round.",
			base:   chart(Chart{Path: "charts/a"}),
			over:   chart(Chart{Repository: "https://x", Name: "a", Version: "1.0.0"}),
			want:   chart(Chart{Repository: "https://x", Name: "a", Version: "1.0.0"}),
		},
		"Environments": {
			reason: "Environments are merged by name.",
			base:   Delivery{Environments: map[string]Settings{"a": {Source: Source{ReleaseName: "x"}}, "b": {}}},
			over:   Delivery{Environments: map[string]Settings{"a": {Deletion: Deletion{PruneNever}}, "c": {}}},
			want:   Delivery{Environments: map[string]Settings{"a": {Source: Source{ReleaseName: "x"}, Deletion: Deletion{PruneNever}}, "b": {}, "c": {}}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Merge(tc.base, tc.over)); diff != "" {
				t.Errorf("%s\nMerge(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMergeLeavesBase(t *testing.T) {
	base := Delivery{Settings: Settings{Source: Source{Chart: &Chart{Version: "1.0.0"}, Values: map[string]any{"a": map[string]any{"b": 1}}, ValuesFiles: []string{"{environment}.yaml"}}}}
	Merge(base, Delivery{Settings: Settings{Source: Source{Chart: &Chart{Version: "2.0.0"}, Values: map[string]any{"a": map[string]any{"b": 2}}}}})
	base.For("develop")
	want := Delivery{Settings: Settings{Source: Source{Chart: &Chart{Version: "1.0.0"}, Values: map[string]any{"a": map[string]any{"b": 1}}, ValuesFiles: []string{"{environment}.yaml"}}}}
	if diff := cmp.Diff(want, base); diff != "" {
		t.Errorf("base has changed: -before, +after:\n%s", diff)
	}
}

func TestRead(t *testing.T) {
	const service, env = "apps/checkout", "apps/checkout/overlays/develop"
	cases := map[string]struct {
		reason string
		files  map[string]string
		want   Settings
		err    string
	}{
		"Nothing": {reason: "Without a file, everything is by default."},
		"Service": {
			reason: "The file of the service, with what it says about the environment.",
			files:  map[string]string{service: head + "source: {valuesFiles: ['{environment}.yaml']}\nenvironments: {develop: {deletion: {prune: never}}, staging: {createNamespace: false}}"},
			want:   Settings{Source: Source{ValuesFiles: []string{"apps/checkout/develop.yaml"}}, Deletion: Deletion{PruneNever}},
		},
		"Both": {
			reason: "The file of the environment comes last, and its paths begin at its own folder.",
			files: map[string]string{
				service: head + "deletion: {prune: confirm}\nsource: {chart: {path: chart}, valuesFiles: [a.yaml]}\nenvironments: {develop: {deletion: {prune: never}}}",
				env:     head + "deletion: {prune: normal}\nsource: {valuesFiles: [b.yaml]}",
			},
			want: Settings{Source: Source{Chart: &Chart{Path: "apps/checkout/chart"}, ValuesFiles: []string{"apps/checkout/a.yaml", env + "/b.yaml"}}, Deletion: Deletion{PruneNormal}},
		},
		"Environment": {
			reason: "The file of the environment alone.",
			files:  map[string]string{env: head + "createNamespace: false"},
			want:   Settings{CreateNamespace: ptr(false)},
		},
		"Completed": {
			reason: "The version may be in the file of the environment.",
			files: map[string]string{
				service: head + "source: {chart: {repository: 'oci://example.com/charts', name: a}}",
				env:     head + "source: {chart: {version: 1.0.0}}",
			},
			want: Settings{Source: Source{Chart: &Chart{Repository: "oci://example.com/charts", Name: "a", Version: "1.0.0", At: testFile + ":3"}}},
		},
		"OCIDigest": {
			reason: "A digest says more than a version.",
			files:  map[string]string{service: head + "source: {chart: {repository: 'oci://example.com/charts/a', digest: 'sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a'}}"},
			want:   Settings{Source: Source{Chart: &Chart{Repository: "oci://example.com/charts/a", Digest: "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", At: testFile + ":3"}}},
		},
		"NoVersion": {
			reason: "A chart without a version.",
			files:  map[string]string{service: head + "source: {chart: {repository: 'https://example.com', name: a}}"},
			err:    "apps/checkout/sengu.yaml: in environment develop, source.chart needs a version",
		},
		"NoName": {
			reason: "A chart without a name.",
			files:  map[string]string{service: head + "source: {chart: {repository: 'https://example.com', version: 1.0.0}}"},
			err:    "apps/checkout/sengu.yaml: in environment develop, source.chart needs a name",
		},
		"NoRepository": {
			reason: "A chart from nowhere.",
			files:  map[string]string{env: head + "source: {chart: {name: a}}"},
			err:    "apps/checkout/overlays/develop/sengu.yaml: in environment develop, source.chart needs a repository, or a path in this repository",
		},
		"EnvironmentsInEnvironment": {
			reason: "The file of an environment is about one environment.",
			files:  map[string]string{env: head + "environments: {develop: {}}"},
			err:    "apps/checkout/overlays/develop/sengu.yaml: environments belongs in apps/checkout/sengu.yaml: this file is about one environment",
		},
		"Bad": {
			reason: "A file that cannot be read is an error, never a default.",
			files:  map[string]string{env: "sorce: {}\n" + head},
			err:    `apps/checkout/overlays/develop/sengu.yaml:1: unknown field "sorce"; did you mean "source"?`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for folder, text := range tc.files {
				fsys[folder+"/"+FileName] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := Read(fsys, service, env, "develop")
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(tc.err, text); diff != "" {
				t.Fatalf("%s\nRead(...): -want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, got.Settings); diff != "" {
				t.Errorf("%s\nRead(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestReadOneFolder(t *testing.T) {
	fsys := fstest.MapFS{"checkout/sengu.yaml": {Data: []byte(head + "ignore: [{kind: A, fields: [spec.x]}]\nenvironments: {develop: {createNamespace: false}}")}}
	got, err := Read(fsys, "checkout", "checkout", "develop")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Ignore) != 1 || got.CreatesNamespace() {
		t.Errorf("Read(...) of one folder = %+v", got.Settings)
	}
}

// brokenFS fails for every file.
type brokenFS struct{}

var errBroken = errors.New("broken")

func (brokenFS) Open(string) (fs.File, error) { return nil, errBroken }

func TestReadBroken(t *testing.T) {
	if _, err := Read(brokenFS{}, "a", "a/b", "develop"); !errors.Is(err, errBroken) {
		t.Errorf("Read(...) of a broken file system: %v", err)
	}
	fsys := fstest.MapFS{"a/sengu.yaml/x": {}, "b/sengu.yaml": {Data: make([]byte, MaxSize+1)}}
	if _, err := Read(fsys, "a", "a/b", "develop"); err == nil || err.Error() != "a/sengu.yaml is a folder: it must be a file" {
		t.Errorf("Read(...) of a folder: %v", err)
	}
	if _, err := Read(fsys, "b", "b/c", "develop"); err == nil || err.Error() != "b/sengu.yaml: the file is larger than 1048576 bytes" {
		t.Errorf("Read(...) of a large file: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	var s Settings
	if !s.CreatesNamespace() || s.PruneMode() != PruneNormal || s.Source.SkipsCRDs() || s.Source.Nondeterministic() {
		t.Errorf("the defaults are %v, %v, %v, %v", s.CreatesNamespace(), s.PruneMode(), s.Source.SkipsCRDs(), s.Source.Nondeterministic())
	}
}

func TestCheckEnvironments(t *testing.T) {
	d := Delivery{Environments: map[string]Settings{"develop": {}, "prodction": {}, "mars": {}}}
	err := d.CheckEnvironments(testFile, []string{"develop", "production"})
	want := "apps/checkout/sengu.yaml: environments: \"mars\" is not an environment of the fleet; the fleet has develop, production\n" +
		"apps/checkout/sengu.yaml: environments: \"prodction\" is not an environment of the fleet; did you mean \"production\"?"
	if err == nil || err.Error() != want {
		t.Errorf("CheckEnvironments(...) = %v, want %s", err, want)
	}
	if err := d.CheckEnvironments(testFile, []string{"develop", "prodction", "mars"}); err != nil {
		t.Errorf("CheckEnvironments(...) = %v", err)
	}
}
