package render

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// kustomized is a kustomization with one ConfigMap and more lines.
func kustomized(lines string, more ...string) map[string]string {
	f := map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n" + lines, "app/a.yaml": cm("a")}
	for i := 0; i+1 < len(more); i += 2 {
		f[more[i]] = more[i+1]
	}
	return f
}

// only is a folder app with one file.
func only(name, text string) map[string]string { return map[string]string{"app/" + name: text} }

const (
	lfs       = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"
	isPointer = " is a Git LFS pointer, not the file itself: Sengu reads plain Git objects, so commit the file without LFS (git lfs migrate export)"
	secret    = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
	subChart  = "apiVersion: v2\nname: sub\nversion: 1.0.0\n"
	noEnd     = " is no valid template: an if, range, with or define has no end"
)

// sentences are what people read about bad input: one sentence that says where, what, and what to do.
var sentences = map[string]struct {
	files map[string]string
	want  string
}{
	"bracket missing":      {only("a.yaml", cm("a")+"data: {a: b\n"), "app/a.yaml:4 is not valid YAML: did not find expected ',' or '}'"},
	"secret not in base64": {only("a.yaml", secret+"data:\n  password: "+planted+"!\n"), `app/a.yaml:1 has a Secret db whose data["password"] is not base64: encode the value, or write it as it is under stringData`},
	"secret in a kustomization": {
		map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-\n", "app/a.yaml": secret + "data:\n  password: " + planted + "!\n"},
		`app/a.yaml:1 has a Secret x-db whose data["password"] is not base64: encode the value, or write it as it is under stringData`,
	},
	"secret in a chart":    {chartFiles("a: b", "app/templates/s.yaml", secret+"data:\n  password: "+planted+"!\n"), `app/templates/s.yaml has a Secret db whose data["password"] is not base64: encode the value, or write it as it is under stringData`},
	"secret with a number": {only("a.yaml", secret+"data: {port: 5432}\n"), `app/a.yaml:1 has a Secret db whose data["port"] is no text: encode the value in base64, or write it in quotes under stringData`},
	"secret with a list":   {only("a.yaml", secret+"data: [a]\n"), "app/a.yaml:1 has a Secret db whose data is no map"},
	"name is a number":     {only("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n"), "app/a.yaml:1 has a ConfigMap whose metadata.name is no text: put it in quotes"},
	"metadata is a list":   {only("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [a]\n"), "app/a.yaml:1 has a ConfigMap whose metadata is no map"},
	"chart without its file": {
		map[string]string{"app/templates/a.yaml": cm("{{ .Release.Name }}"), "app/values.yaml": "a: b\n"},
		"app has a templates folder as a Helm chart has, and no Chart.yaml: add one with apiVersion, name and version",
	},

	"generator file missing":   {only("kustomization.yaml", "configMapGenerator:\n- name: a\n  files: [x=gone.txt]\n"), "app/kustomization.yaml:3: configMapGenerator a has the file gone.txt in files, which does not exist"},
	"generator env missing":    {only("kustomization.yaml", "configMapGenerator:\n- name: a\n  envs: [gone.env]\n"), "app/kustomization.yaml:3: configMapGenerator a has the file gone.env in envs, which does not exist"},
	"generator file elsewhere": {map[string]string{"app/kustomization.yaml": "configMapGenerator:\n- name: a\n  files: [../x.txt]\n", "x.txt": "x"}, "app/kustomization.yaml:3: configMapGenerator a has the file ../x.txt in files, which is not in or below app: move or copy it there"},
	"generator file outside":   {only("kustomization.yaml", "configMapGenerator:\n- name: a\n  files: [../../../etc/passwd]\n"), "app/kustomization.yaml:3: configMapGenerator a has the file ../../../etc/passwd in files, which leads out of the repository"},
	"generator literal":        {only("kustomization.yaml", "secretGenerator:\n- name: a\n  literals:\n  - "+planted+"\n"), "app/kustomization.yaml:4: secretGenerator a has a literal that is not KEY=VALUE"},
	"generator key twice":      {only("kustomization.yaml", "configMapGenerator:\n- name: a\n  literals: [k=1, k=2]\n"), "app/kustomization.yaml: the generator a has the key k twice: remove one of them"},
	"generator without a name": {only("kustomization.yaml", "configMapGenerator:\n- literals: [k=1]\n"), "app/kustomization.yaml:2: configMapGenerator has an entry without a name: add name"},
	"generator from lfs":       {map[string]string{"app/kustomization.yaml": "configMapGenerator:\n- name: a\n  files: [x.bin]\n", "app/x.bin": lfs}, "app/x.bin" + isPointer},

	"patch for nothing":       {kustomized("patches:\n- path: p.yaml\n", "app/p.yaml", cm("b")), "app/kustomization.yaml: a patch is for ConfigMap b, which is none of its resources: correct the patch, or add the resource"},
	"patch file missing":      {kustomized("patches:\n- path: gone.yaml\n"), "app/kustomization.yaml:3: patches names gone.yaml, which does not exist"},
	"patch that is none":      {kustomized("patches:\n- target: {kind: Secret}\n  patch: |-\n    - op: \"" + planted + "\n"), "app/kustomization.yaml: a patch is neither an object with apiVersion, kind and metadata.name nor a list of operations with op and path"},
	"patch path":              {kustomized("patches:\n- target: {kind: ConfigMap}\n  patch: |-\n    - {op: replace, path: /data/a, value: b}\n"), "app/kustomization.yaml: a patch has the operation replace for /data/a, which the object does not have: correct the path, or add what it leads through"},
	"replacement of nothing":  {kustomized("replacements:\n- source: {kind: Service, name: x, fieldPath: metadata.name}\n  targets:\n  - {select: {kind: ConfigMap}, fieldPaths: [data.x]}\n"), "app/kustomization.yaml: a replacement takes its value from Service x, which is none of its resources: correct source, or add the resource"},
	"replacement of no field": {kustomized("replacements:\n- source: {kind: ConfigMap, name: a, fieldPath: metadata.none}\n  targets:\n  - {select: {kind: ConfigMap}, fieldPaths: [data.x]}\n"), "app/kustomization.yaml: a replacement takes its value from metadata.none of ConfigMap a, which has no such field: correct source.fieldPath"},

	"field takes a list":   {only("kustomization.yaml", "resources: a.yaml\n"), "app/kustomization.yaml:1: resources must be a list"},
	"field takes a map":    {kustomized("commonLabels: [a]\n"), "app/kustomization.yaml:2: commonLabels must be a map"},
	"field takes text":     {kustomized("images:\n- name: x\n  newTag: 1.0\n"), "app/kustomization.yaml:4: images.newTag must be text: put the value in quotes"},
	"unknown field":        {kustomized("imagess: []\n"), "app/kustomization.yaml:2 has the field imagess, which a kustomization does not have: look for a typing error"},
	"unknown kind":         {kustomized("kind: Kustomisation\n"), "app/kustomization.yaml: its kind is neither Kustomization nor Component: correct it, or leave it out"},
	"component is none":    {kustomized("components: [../c]\n", "c/kustomization.yaml", "namePrefix: x-\n"), "c/kustomization.yaml: c has the kind Kustomization where Component is wanted: set its kind to Component, or name it under another field"},
	"circle of two":        {map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources:\n- ../app\n"}, "b/kustomization.yaml:2: resources names ../app, which leads back here: break the cycle, for instance by moving what both need into a base of its own"},
	"circle of one":        {only("kustomization.yaml", "resources: [.]\n"), "app/kustomization.yaml:1: resources names ., which leads back here: break the cycle, for instance by moving what both need into a base of its own"},
	"object from two ways": {map[string]string{"app/kustomization.yaml": "resources: [../b, ../c]\n", "b/kustomization.yaml": "resources: [a.yaml]\n", "b/a.yaml": cm("a"), "c/kustomization.yaml": "resources: [../b]\n"}, "c/kustomization.yaml: ConfigMap a comes from two of its resources: an App may hold an object once"},
	"remote base":          {only("kustomization.yaml", "resources:\n- https://example.com/a.yaml\n"), "app/kustomization.yaml:2: resources names https://example.com/a.yaml, which is not allowed as a remote input: add it to spec.remotes of the Fleet, or commit what it holds"},

	"helmCharts from afar":      {only("kustomization.yaml", "helmCharts:\n- name: x\n  repo: https://charts.example.com\n  version: 1.0.0\n"), `app/kustomization.yaml:2: helmCharts entry "x" cannot be fetched: https://charts.example.com is not allowed as a remote input: add it to spec.remotes of the Fleet, or commit what it holds`},
	"helmCharts without chart":  {only("kustomization.yaml", "helmCharts:\n- name: x\n"), `app/kustomization.yaml:2: helmCharts entry "x" has no repo, and there is no chart in app/charts/x`},
	"helmCharts values outside": {map[string]string{"app/kustomization.yaml": "helmCharts:\n- name: x\n  valuesFile: ../../etc/passwd\n", "app/charts/x/Chart.yaml": subChart}, `app/kustomization.yaml:2: helmCharts entry "x" names the values file ../../etc/passwd, which leads out of the repository`},
	"helmCharts values missing": {map[string]string{"app/kustomization.yaml": "helmCharts:\n- name: x\n  valuesFile: gone.yaml\n", "app/charts/x/Chart.yaml": subChart}, `app/kustomization.yaml:2: helmCharts entry "x" names the values file gone.yaml, which does not exist`},

	"Chart.yaml broken":       {chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: [\n"), "app/Chart.yaml:2 is not valid YAML: did not find expected node content"},
	"Chart.yaml without name": {chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nversion: 1.0.0\n"), "app/Chart.yaml has no name: a chart needs apiVersion, name and version"},
	"Chart.yaml version":      {chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: a\nversion: one\n"), `app/Chart.yaml has the version "one": write a semantic version, such as 1.2.3`},
	"Chart.yaml type":         {chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies: x\n"), "app/Chart.yaml has a value of the wrong type in dependencies"},
	"values.yaml broken":      {chartFiles("a: b", "app/values.yaml", "password: \""+planted+"\n"), "app/values.yaml:2 is not valid YAML: found unexpected end of stream"},
	"values.yaml is a list":   {chartFiles("a: b", "app/values.yaml", "- "+planted+"\n"), "app/values.yaml:1 holds no map: write it as fields with values"},
	"values.yaml from lfs":    {chartFiles("a: b", "app/values.yaml", lfs), "app/values.yaml" + isPointer},
	"values and schema":       {chartFiles("a: b", "app/values.yaml", "replicas: many\n", "app/values.schema.json", `{"required":["host"],"properties":{"replicas":{"type":"integer"}}}`), "the values of the chart in app do not fit its values.schema.json: missing property 'host'; replicas: got string, want integer"},
	"schema broken":           {chartFiles("a: b", "app/values.schema.json", `{"a":`), "app/values.schema.json cannot be read as a JSON schema: unexpected EOF"},
	"subchart without file":   {chartFiles("a: b", "app/charts/sub/x.yaml", "x: y\n"), "app/charts/sub has no Chart.yaml, and everything in charts must be a chart: add it, or move the folder"},
	"subchart broken":         {chartFiles("a: b", "app/charts/sub-1.0.0.tgz", "x"), "app/charts/sub-1.0.0.tgz cannot be read as a chart (unexpected EOF): run helm dependency build again and commit what it fetches"},
	"subchart from lfs":       {chartFiles("a: b", "app/charts/sub-1.0.0.tgz", lfs), "app/charts/sub-1.0.0.tgz" + isPointer},

	"template nil":        {chartFiles("a: {{ .Values.x.y.z }}"), "app/templates/cm.yaml:6 reads .Values.x.y.z, and nothing is set that could have y: set it in the values, or guard it with if or default"},
	"template no map":     {chartFiles("a: {{ .Values.x.y }}", "app/values.yaml", "x: "+planted+"\n"), "app/templates/cm.yaml:6 reads .Values.x.y, and what should have y is no map: correct the values"},
	"template function":   {chartFiles("a: {{ nothing 1 }}"), `app/templates/cm.yaml:6 calls the function "nothing", which Helm does not have: correct its name, or write it otherwise`},
	"template include":    {chartFiles(`a: {{ include "none" . }}`), `app/templates/cm.yaml:6 includes the template "none", which the chart does not define: correct the name, or add it`},
	"template end":        {chartFiles("a: b\n{{ if .Values.x }}"), "app/templates/cm.yaml:8" + noEnd},
	"template syntax":     {chartFiles("a: {{ if }}"), "app/templates/cm.yaml:6 is no valid template: missing value for if"},
	"template index":      {chartFiles("a: {{ index .Values.l 5 }}", "app/values.yaml", "l: [1]\n"), "app/templates/cm.yaml:6: index out of range: 5"},
	"template of no yaml": {chartFiles("a: b: c"), "app/templates/cm.yaml renders something that is no YAML: line 6: mapping values are not allowed in this context, counted in its output, which helm template --debug shows"},
}

func TestSentences(t *testing.T) {
	r := newRenderer(t)
	for name, test := range sentences {
		t.Run(name, func(t *testing.T) {
			res, err := r.Render(context.Background(), Request{Source: writeTree(t, test.files), Path: "app"})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %d objects and %v, want an *Error", len(res.Objects), err)
			}
			if e.Sentence != test.want {
				t.Errorf("\n got %s\nwant %s", e.Sentence, test.want)
			}
			checkSentence(t, e.Sentence)
		})
	}
}

// TestSecretInBase64 lets what the API server lets be: line breaks, nothing, and what is under stringData.
func TestSecretInBase64(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(planted, 5)))
	text := secret + "data:\n  empty: \"\"\n  nothing:\n  lines: |\n    " + encoded[:60] + "\n    " + encoded[60:] + "\nstringData:\n  plain: not base64!\n"
	res := mustRender(t, newRenderer(t), Request{Source: writeTree(t, only("a.yaml", text)), Path: "app"})
	if len(res.Objects) != 1 {
		t.Errorf("%d objects", len(res.Objects))
	}
}

// TestOddFiles renders folders of a working tree with what no repository can hold or nothing leads to.
func TestOddFiles(t *testing.T) {
	src := writeTree(t, map[string]string{"pipe/a.yaml": cm("a"), "dangling/a.yaml": cm("a"), "chart/Chart.yaml": subChart, "chart/templates/a.yaml": cm("a"), "loop/a.yaml": cm("a")})
	at := func(name string) string { return filepath.Join(src.root.Name(), name) }
	if err := syscall.Mkfifo(at("pipe/b.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"dangling/b.yaml": "gone.yaml", "chart/values.yaml": "gone.yaml", "loop/b.yaml": "b.yaml"} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	r := newRenderer(t)
	for folder, want := range map[string]string{
		"pipe":     "pipe/b.yaml is no regular file",
		"dangling": "dangling/b.yaml is a symbolic link that leads to nothing: remove it, or commit what it should lead to",
		"chart":    "chart/values.yaml is a symbolic link that leads to nothing: remove it, or commit what it should lead to",
		"loop":     "loop/b.yaml is a symbolic link that leads in a circle: commit the file itself",
	} {
		_, err := r.Render(t.Context(), Request{Source: src, Path: folder})
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", folder, err, want)
		}
	}
}
