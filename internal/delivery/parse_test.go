package delivery

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

const (
	testFile = "apps/checkout/sengu.yaml"
	head     = "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\n"
)

func ptr[T any](v T) *T { return &v }

func TestParse(t *testing.T) {
	data, err := os.ReadFile("testdata/sengu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(testFile, data)
	if err != nil {
		t.Fatal(err)
	}
	want := Delivery{
		Settings: Settings{
			Source: Source{
				Chart:       &Chart{Repository: "https://charts.example.com", Name: "redis", Version: "20.1.0", Digest: "sha256:" + strings.Repeat("0a", 32), At: testFile + ":5"},
				ReleaseName: "cache",
				ValuesFiles: []string{"apps/checkout/values.yaml", "shared/{environment}.yaml", "apps/base.yaml"},
				Values: map[string]any{
					"replicas": int64(2), "ratio": 0.5, "on": true, "off": "off", "nothing": nil, "8080": "port",
					"day":  "2026-01-05",
					"list": []any{int64(1), "two", map[string]any{"three": false}},
					"one":  map[string]any{"a": "b"}, "other": map[string]any{"a": "b"},
				},
				CRDs:                  CRDsSkip,
				AllowNondeterministic: ptr(true),
			},
			Ignore:          []manifest.IgnoreRule{{Group: "apps", Kind: "Deployment", Name: "check*", Namespace: "shop", Fields: []string{"/spec/replicas"}}},
			Health:          []health.Rule{{Group: "example.com", Kind: "Database", Healthy: "self.status.phase == 'Ready'", Degraded: "self.status.phase == 'Failed'", Progressing: "self.status.phase == 'Making'", Suspended: "self.spec.paused", Message: "'waits for its volume'"}},
			Deletion:        Deletion{Prune: PruneConfirm},
			CreateNamespace: ptr(false),
			Images: []Image{
				{Name: "checkout", Repository: "registry.example.com/shop/checkout", Track: Track{Semver: ">=1.0.0", Allow: "^v?[0-9.]+$", Ignore: "-debug$"}, At: testFile + ":45"},
				{Name: "worker", Repository: "localhost:5000/shop/worker", Track: Track{Newest: true}, Update: Update{Kustomization: "apps/checkout/base/kustomization.yaml"}, At: testFile + ":51"},
				{Name: "sidecar", Repository: "docker.io/library/nginx", Track: Track{Digest: "stable"}, Update: Update{ValuesFile: "shared/{environment}.yaml", Key: "sidecars[0].image.tag"}, At: testFile + ":55"},
				{Name: "tools", Repository: "ghcr.io/shop/tools", Track: Track{Alphabetical: Ascending}, Update: Update{MarkedFile: "apps/checkout/overlays/{environment}/cronjob.yaml"}, At: testFile + ":59"},
			},
			Before: []Step{
				{Name: "migrate", Job: "migrate", Work: Work{Timeout: time.Hour}, At: testFile + ":64"},
				{
					Name: "warm-up", Work: Work{
						Image: "registry.example.com/shop/tools:1.2.0", Command: []string{"warm"}, Args: []string{"--all", "8080"}, Env: map[string]string{"CACHE": "yes"},
						ServiceAccountName: "warmer", BackoffLimit: 2, Timeout: 90 * time.Minute,
					}, At: testFile + ":65",
				},
			},
			After: []Step{{Name: "e2e", Job: "e2e", Work: Work{Timeout: 20 * time.Minute}, At: testFile + ":74"}},
			Checks: []Check{
				{Name: "error-rate", At: testFile + ":76"},
				{
					Name: "ready", HTTP: &HTTP{
						URL: "https://checkout.{environment}.example.com/ready", Method: "OPTIONS", Headers: map[string]string{"Accept": "application/json"}, Status: []int{200, 204}, Body: `"ready": ?true`,
						Interval: 5 * time.Second, Timeout: 500 * time.Millisecond, Successes: 3,
					}, At: testFile + ":77",
				},
				{Name: "smoke", Job: &Job{Name: "smoke-test", Work: Work{Timeout: time.Hour}}, At: testFile + ":88"},
				{Name: "probe", Job: &Job{Work: Work{Image: "busybox:1.36", Timeout: time.Hour}}, At: testFile + ":90"},
				{Name: "version", HTTP: &HTTP{URL: "http://checkout.shop.svc:8080/version", Interval: 10 * time.Second, Timeout: 10 * time.Second, Successes: 1, Failures: 3}, At: testFile + ":92"},
			},
			Rollback:         Rollback{Blocked: "the migration of this revision drops a column"},
			FailAfter:        ptr(time.Duration(0)),
			ProgressDeadline: ptr(15 * time.Minute),
		},
		Environments: map[string]Settings{
			"production": {
				Source: Source{Values: map[string]any{"replicas": int64(4)}}, Deletion: Deletion{Prune: PruneNever},
				Checks: []Check{{Name: "probe", Skip: true, At: testFile + ":103"}}, ProgressDeadline: ptr(time.Hour),
			},
			"develop": {},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse(testdata/sengu.yaml): -want, +got:\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		given  string
		want   string
	}{
		"Unknown":       {"An unknown field, with the one that is meant.", head + "sorce: {}\n", `apps/checkout/sengu.yaml:3: unknown field "sorce"; did you mean "source"?`},
		"UnknownNested": {"A nested one, with where it is.", head + "source:\n  chart:\n    repo: x\n    vesrion: 1.2.3\n", "apps/checkout/sengu.yaml:5: unknown field \"repo\" in source.chart; the fields here are repository, path, name, version, digest\napps/checkout/sengu.yaml:6: unknown field \"vesrion\" in source.chart; did you mean \"version\"?"},
		"Case":          {"Another case.", head + "createnamespace: true\n", `apps/checkout/sengu.yaml:3: unknown field "createnamespace"; did you mean "createNamespace"?`},
		"UnknownInList": {"A field within a list.", head + "ignore:\n- kind: A\n  feilds: [x]\n", "apps/checkout/sengu.yaml:4: ignore[0].fields is missing\napps/checkout/sengu.yaml:5: unknown field \"feilds\" in ignore[0]; did you mean \"fields\"?"},
		"UnknownInEnv":  {"A field of an environment.", head + "environments:\n  develop:\n    environments: {}\n", `apps/checkout/sengu.yaml:5: unknown field "environments" in environments.develop; the fields here are source, ignore, health, deletion, createNamespace, images, before, after, checks, rollback, failAfter, progressDeadline`},
		"Empty":         {"Nothing at all.", "# nothing\n", "apps/checkout/sengu.yaml:1: the file is empty: it needs at least apiVersion: sengu.dev/v1alpha1 and kind: Delivery"},
		"NoKind":        {"Neither version nor kind.", "createNamespace: true\n", "apps/checkout/sengu.yaml:1: apiVersion is missing\napps/checkout/sengu.yaml:1: kind is missing"},
		"NullKind":      {"A kind without a value.", "apiVersion: sengu.dev/v1alpha1\nkind:\n", "apps/checkout/sengu.yaml:1: kind is missing"},
		"OtherVersion":  {"Another version.", "apiVersion: sengu.dev/v1\nkind: Delivery\n", "apps/checkout/sengu.yaml:1: apiVersion must be sengu.dev/v1alpha1"},
		"OtherKind":     {"Another kind.", "apiVersion: sengu.dev/v1alpha1\nkind: Fleet\n", "apps/checkout/sengu.yaml:2: kind must be Delivery"},
		"Twice":         {"Twice the same key.", head + "createNamespace: true\nsource: {}\ncreateNamespace: false\n", `apps/checkout/sengu.yaml:5: "createNamespace" is there twice in the file, first in line 3`},
		"TwiceInValues": {"Also within values.", head + "source:\n  values:\n    a: 1\n    b: {c: planted}\n    a: planted\n", `apps/checkout/sengu.yaml:7: "a" is there twice in source.values, first in line 5`},
		"LFS":           {"A file that Git LFS holds.", lfsPointer + "\noid sha256:1\nsize 1\n", "apps/checkout/sengu.yaml:1: the file is a Git LFS pointer: commit the file itself (git lfs migrate export)"},
		"Documents":     {"Several documents.", head + "---\n" + head, "apps/checkout/sengu.yaml:4: the file holds a second document: put what differs by environment under environments"},
		"NoMap":         {"No map.", "- a\n", "apps/checkout/sengu.yaml:1: the file must be a map"},
		"Text":          {"Text where a map is.", head + "source: planted\n", "apps/checkout/sengu.yaml:3: source must be a map; its fields are chart, releaseName, valuesFiles, values, crds, allowNondeterministic"},
		"List":          {"A map where a list is.", head + "ignore: {kind: planted}\n", "apps/checkout/sengu.yaml:3: ignore must be a list"},
		"Bool":          {"Text where true or false is.", head + "createNamespace: \"true\"\n", "apps/checkout/sengu.yaml:3: createNamespace must be true or false"},
		"Number":        {"A version that YAML makes a number of.", head + "source:\n  chart: {repository: \"https://x\", name: a, version: 1.20}\n", "apps/checkout/sengu.yaml:4: source.chart.version must be text: put the value in quotes"},
		"ListAsText":    {"A list where text is.", head + "source: {releaseName: [planted]}\n", "apps/checkout/sengu.yaml:3: source.releaseName must be text"},
		"Enum":          {"A word that is none of them.", head + "deletion: {prune: planted}\n", "apps/checkout/sengu.yaml:3: deletion.prune must be one of normal, never, confirm"},
		"Syntax":        {"No YAML.", head + "source: {a: planted\n", "apps/checkout/sengu.yaml:3: this is no YAML: did not find expected ',' or '}'"},
		"MergeKey":      {"A merge key.", head + "source:\n  values: {a: &a {b: 1}, c: {<<: *a}}\n", "apps/checkout/sengu.yaml:4: source.values.c holds a merge key (<<), which is not read: write its fields out"},
		"ComplexKey":    {"A key that is a list.", head + "source:\n  values: {[planted]: 1}\n", "apps/checkout/sengu.yaml:4: a key in source.values is not a word"},
		"Tag":           {"A tag of the user's.", head + "source:\n  values: {a: !planted x}\n", "apps/checkout/sengu.yaml:4: source.values.a has a tag (!…) that is not read"},
		"Infinite":      {"A number that JSON lacks.", head + "source:\n  values: {a: .inf}\n", "apps/checkout/sengu.yaml:4: source.values.a is not a number that JSON knows"},
		"Outside":       {"A path out of the repository.", head + "source:\n  valuesFiles:\n  - ../../../etc/passwd\n", "apps/checkout/sengu.yaml:5: source.valuesFiles[0] leads out of the repository"},
		"OutsideRooted": {"Also from the root.", head + "source: {chart: {path: /../x}}\n", "apps/checkout/sengu.yaml:3: source.chart.path leads out of the repository"},
		"URLAsFile":     {"A values file from the network.", head + "source: {valuesFiles: [\"https://example.com/planted\"]}\n", "apps/checkout/sengu.yaml:3: source.valuesFiles[0] must be a path within the repository, with / between its parts"},
		"EmptyFile":     {"A path that is empty.", head + "source: {valuesFiles: [\"\"]}\n", "apps/checkout/sengu.yaml:3: source.valuesFiles[0] is empty"},
		"Repository":    {"A repository that is none.", head + "source: {chart: {repository: planted}}\n", "apps/checkout/sengu.yaml:3: source.chart.repository must be the address of a repository of charts: https://… or oci://…"},
		"Password":      {"A password in an address.", head + "source: {chart: {repository: \"https://me:planted@example.com\"}}\n", "apps/checkout/sengu.yaml:3: source.chart.repository must not carry a user or a password"},
		"PathAndRepo":   {"A chart from two places.", head + "source:\n  chart:\n    repository: https://example.com\n    path: x\n", "apps/checkout/sengu.yaml:6: source.chart.path and repository exclude each other: a chart comes from here or from there"},
		"PathVersion":   {"A version of a chart in the repository.", head + "source: {chart: {path: x, version: 1.2.3}}\n", "apps/checkout/sengu.yaml:3: source.chart.version does not go with path: a chart in this repository is what the commit says"},
		"Range":         {"A range of versions.", head + "source: {chart: {repository: \"https://x\", name: a, version: \">=1.0.0\"}}\n", "apps/checkout/sengu.yaml:3: source.chart.version must be one exact version, such as 1.2.3: a range would change what runs without a commit"},
		"Digest":        {"A digest that is none.", head + "source: {chart: {digest: planted}}\n", "apps/checkout/sengu.yaml:3: source.chart.digest must be sha256: and 64 hexadecimal digits"},
		"ChartName":     {"A name that is a path.", head + "source: {chart: {name: a/../b}}\n", "apps/checkout/sengu.yaml:3: source.chart.name must be the name of a chart, without slashes"},
		"ReleaseName":   {"A name that Helm refuses.", head + "source: {releaseName: Planted}\n", "apps/checkout/sengu.yaml:3: source.releaseName must be lower-case letters, digits and dashes, at most 53"},
		"Ignore":        {"A field that cannot be ignored.", head + "ignore:\n- kind: A\n  fields: [spec.x]\n- fields: [metadata.name]\n", `apps/checkout/sengu.yaml:6: ignore[1]: field path "metadata.name": metadata.name cannot be ignored`},
		"Health":        {"An expression that is none.", head + "health:\n- kind: A\n  healthy: self.status.phase =\n", "apps/checkout/sengu.yaml:4: health[0]: healthy: line 1, column 19 of the expression: Syntax error: token recognition error at: '='"},
		"HealthType":    {"An expression that is neither true nor false.", head + "health: [{kind: A, degraded: \"'x'\"}]\n", "apps/checkout/sengu.yaml:3: health[0]: degraded: the expression gives string, not bool"},
		"Environment":   {"A name that no environment has.", head + "environments: {Prod_1: {}}\n", `apps/checkout/sengu.yaml:3: environments: "Prod_1" cannot be the name of an environment`},
		"InEnvironment": {"Paths of an environment are checked too.", head + "environments:\n  develop:\n    source: {valuesFiles: [../../../x]}\n", "apps/checkout/sengu.yaml:5: environments.develop.source.valuesFiles[0] leads out of the repository"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(testFile, []byte(tc.given))
			if err == nil {
				t.Fatalf("%s\nParse(...) has no error", tc.reason)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("%s\nParse(...): -want, +got:\n%s", tc.reason, diff)
			}
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

func TestParseBombs(t *testing.T) {
	bomb := head + "source:\n  values:\n    a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		one := "*" + string(c-1)
		bomb += "    " + string(c) + ": &" + string(c) + " [" + strings.Repeat(one+", ", 9) + one + "]\n"
	}
	cases := map[string]struct{ given, want string }{
		"Aliases":  {bomb, "the file holds more than 50000 values once its aliases are written out"},
		"Self":     {head + "source:\n  values: &v {a: *v}\n", "levels"},
		"SelfList": {head + "ignore: &v [*v]\n", "ignore[0] must be a map"},
		"Deep":     {head + "source:\n  values: {a: " + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "}\n", "is nested deeper than 64 levels"},
		"Large":    {head + "#" + strings.Repeat("x", MaxSize), "the file is larger than 1048576 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(testFile, []byte(tc.given)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse(...): %v, want %q", err, tc.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/sengu.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, seed := range []string{head, head + "source: {values: &v {a: *v}}", "a: b\n---\n", "%YAML 1.1\n---\n", head + "health: [{kind: A, healthy: 'true'}]", "? [a]\n: b", head + "source: *x", head + "checks: [a, {name: b, job: c}, ~]\nenvironments: {develop: {checks: [{name: b, skip: true}], before: [{job: a}]}}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(testFile, data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), testFile+":") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		once := d.For("develop")
		Merge(d, once)
		once.Settings = once.withoutSkipped()
		files := once.Source.ValuesFiles
		for _, image := range once.Images {
			files = append(files, image.Update.Kustomization, image.Update.ValuesFile, image.Update.MarkedFile)
			if image.Repository == "" {
				t.Error("an image has no repository")
			}
		}
		for _, file := range files {
			if strings.HasPrefix(file, "/") || strings.HasPrefix(file, "../") {
				t.Errorf("a file is outside of the repository: %s", file)
			}
		}
		if len(once.clashes()) > 0 {
			t.Errorf("entries are in each other's way: %v", once.clashes())
		}
		for _, step := range append(once.Before, once.After...) {
			if step.Name == "" || step.At == "" || (step.Job == "") == (step.Image == "") || step.Timeout <= 0 {
				t.Errorf("a step is not complete: %+v", step)
			}
		}
		for _, check := range once.Checks {
			if check.Name == "" || check.At == "" || check.HTTP != nil && (check.HTTP.Interval <= 0 || check.HTTP.Timeout <= 0 || check.HTTP.Successes <= 0) {
				t.Errorf("a check is not complete: %+v", check)
			}
		}
		jobs := once.Jobs()
		for _, job := range d.Jobs() {
			if !slices.Contains(jobs, job) {
				t.Errorf("the Job %s would be applied in develop", job)
			}
		}
	})
}
