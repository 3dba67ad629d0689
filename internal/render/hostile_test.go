package render

import (
	"context"
	"errors"
	"strings"
	"testing"
)

const planted = "s3cr3t-planted-value"

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

// bad are inputs that must be refused with one sentence.
var bad = map[string]struct {
	files  map[string]string
	path   string // "app" when empty
	change func(*Request)
	want   []string // parts of the sentence
	file   string
	line   int
}{
	"empty folder":                            {files: map[string]string{"app/README.md": "x"}, want: []string{"app", "no manifest"}},
	"missing folder":                          {files: map[string]string{"x/README.md": "x"}, want: []string{"app", "does not exist"}},
	"only comments":                           {files: map[string]string{"app/a.yaml": "# nothing\n"}, want: []string{"app", "no object"}},
	"path out of the repository":              {files: map[string]string{"app/a.yaml": cm("a")}, path: "../app", want: []string{"leads out of the repository"}},
	"lfs":                                     {files: map[string]string{"app/a.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"}, want: []string{"app/a.yaml", "Git LFS"}, file: "app/a.yaml", line: 1},
	"lfs in a kustomization":                  {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"}, want: []string{"app/a.yaml", "Git LFS"}, file: "app/a.yaml"},
	"yaml syntax":                             {files: map[string]string{"app/a.yaml": cm("a") + "data: {a: b\n"}, want: []string{"app/a.yaml:", "not valid YAML"}, file: "app/a.yaml"},
	"yaml syntax in a secret":                 {files: map[string]string{"app/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: \"" + planted + "\n"}, want: []string{"app/a.yaml", "not valid YAML"}},
	"yaml syntax in a kustomized secret":      {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: " + planted + ": x\n"}, want: []string{"app/a.yaml", "not valid YAML"}, file: "app/a.yaml", line: 5},
	"type in a kustomized secret":             {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-", "app/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: " + planted + "\n"}, want: []string{"app"}},
	"secret literal without =":                {files: map[string]string{"app/kustomization.yaml": "secretGenerator:\n- name: a\n  literals: [" + planted + "]\n"}, want: []string{"app"}},
	"duplicate key":                           {files: map[string]string{"app/a.yaml": cm("a") + "data:\n  k: 1\n  k: 2\n"}, want: []string{"app/a.yaml:7", "already"}, file: "app/a.yaml", line: 7},
	"duplicate key in json":                   {files: map[string]string{"app/a.json": `{"apiVersion":"v1","kind":"ConfigMap",` + "\n" + `"kind":"Secret"}`}, want: []string{"app/a.json:2", "already"}, file: "app/a.json", line: 2},
	"duplicate key in a kustomization":        {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": cm("a") + "data:\n  k: a\n  k: b\n"}, want: []string{"app/a.yaml:7", "already"}, file: "app/a.yaml", line: 7},
	"duplicate key in the kustomization file": {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nresources: [b.yaml]", "app/a.yaml": cm("a")}, want: []string{"app/kustomization.yaml:2", "already"}},
	"duplicate object":                        {files: map[string]string{"app/a.yaml": cm("a"), "app/b.yaml": cm("a")}, want: []string{"app/b.yaml:1", "ConfigMap a", "app/a.yaml:1"}, file: "app/b.yaml", line: 1},
	"duplicate object in a kustomization":     {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml, b.yaml]", "app/a.yaml": cm("a"), "app/b.yaml": cm("a")}, want: []string{"app/b.yaml", "ConfigMap", "a"}},
	"no name":                                 {files: map[string]string{"app/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"}, want: []string{"app/a.yaml:1", "metadata.name"}, file: "app/a.yaml", line: 1},
	"no name in a kustomization":              {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"}, want: []string{"app/a.yaml", "name"}, file: "app/a.yaml"},
	"no kind":                                 {files: map[string]string{"app/a.yaml": "apiVersion: v1\nmetadata: {name: a}\n"}, want: []string{"app/a.yaml:1", "kind"}},
	"no kind in a kustomization":              {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": "apiVersion: v1\nmetadata: {name: a}\n"}, want: []string{"app/a.yaml", "kind"}, file: "app/a.yaml"},
	"no apiVersion":                           {files: map[string]string{"app/a.yaml": "kind: ConfigMap\nmetadata: {name: a}\n"}, want: []string{"app/a.yaml:1", "apiVersion"}},
	"a list of strings":                       {files: map[string]string{"app/a.yaml": "- a\n- b\n"}, want: []string{"app/a.yaml:1", "no Kubernetes object"}},
	"yaml bomb":                               {files: map[string]string{"app/a.yaml": bomb()}, want: []string{"app/a.yaml", "aliases"}, file: "app/a.yaml"},
	"yaml bomb in a kustomization":            {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": bomb()}, want: []string{"app/a.yaml", "aliases"}, file: "app/a.yaml"},
	"yaml bomb as kustomization":              {files: map[string]string{"app/kustomization.yaml": bomb()}, want: []string{"app/kustomization.yaml", "aliases"}},
	"deep nesting":                            {files: map[string]string{"app/a.yaml": cm("a") + "data: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)}, want: []string{"app/a.yaml", "nested"}, file: "app/a.yaml"},
	"deep nesting in a kustomization":         {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": cm("a") + "data: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)}, want: []string{"app/a.yaml", "nested"}},
	"deep json":                               {files: map[string]string{"app/a.json": strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)}, want: []string{"app/a.json", "nested"}},
	"not UTF-8":                               {files: map[string]string{"app/a.yaml": cm("a") + "data:\n  a: \"\xff\xfe\"\n"}, want: []string{"app/a.yaml:6", "UTF-8"}, file: "app/a.yaml", line: 6},
	"not UTF-8 in a kustomization":            {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": cm("a") + "data:\n  a: \"\xff\xfe\"\n"}, want: []string{"app/a.yaml:6", "UTF-8"}},
	"nested kustomization in plain":           {files: map[string]string{"app/a.yaml": cm("a"), "app/sub/kustomization.yaml": "resources: []"}, want: []string{"app/sub/kustomization.yaml", "plain YAML"}},
	"missing resource":                        {files: map[string]string{"app/kustomization.yaml": "resources:\n- gone.yaml\n"}, want: []string{"app/kustomization.yaml", "gone.yaml", "does not exist"}, file: "app/kustomization.yaml"},
	"missing base":                            {files: map[string]string{"app/kustomization.yaml": "resources: [../gone]\n"}, want: []string{"app/kustomization.yaml", "gone", "does not exist"}, file: "app/kustomization.yaml"},
	"base without kustomization":              {files: map[string]string{"app/kustomization.yaml": "resources: [../base]\n", "base/a.yaml": cm("a")}, want: []string{"base", "kustomization"}},
	"file outside of the kustomization":       {files: map[string]string{"app/kustomization.yaml": "resources: [../other/a.yaml]\n", "other/a.yaml": cm("a")}, want: []string{"app/kustomization.yaml", "other/a.yaml", "not in or below"}},
	"base outside of the repository":          {files: map[string]string{"app/kustomization.yaml": "resources: [../../../../etc]\n"}, want: []string{"app/kustomization.yaml", "../../../../etc"}},
	"unknown field":                           {files: map[string]string{"app/kustomization.yaml": "resorces: [a.yaml]\n"}, want: []string{"app/kustomization.yaml", "resorces"}, file: "app/kustomization.yaml"},
	"empty kustomization":                     {files: map[string]string{"app/kustomization.yaml": "\n"}, want: []string{"app/kustomization.yaml", "empty"}},
	"nothing rendered":                        {files: map[string]string{"app/kustomization.yaml": "namePrefix: a-\n"}, want: []string{"app", "no object"}},
	"two kustomization files":                 {files: map[string]string{"app/kustomization.yaml": "namePrefix: a-\n", "app/Kustomization": "namePrefix: a-\n"}, want: []string{"app", "kustomization"}},
	"cycle":                                   {files: map[string]string{"app/kustomization.yaml": "resources: [../base]\n", "base/kustomization.yaml": "resources: [../app]\n"}, want: []string{"cycle"}},
	"patch without target":                    {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: other}\n", "app/a.yaml": cm("a")}, want: []string{"app", "other"}},
	"remote base":                             {files: map[string]string{"app/kustomization.yaml": "resources: [\"https://github.com/example/repo//deploy?ref=v1\"]\n"}, want: []string{"app/kustomization.yaml", "https://github.com/example/repo//deploy?ref=v1", "not allowed"}},
	"remote base over ssh":                    {files: map[string]string{"app/kustomization.yaml": "resources: [\"git@github.com:example/repo\"]\n"}, want: []string{"app/kustomization.yaml", "git@github.com:example/repo", "not allowed"}},
	"remote file":                             {files: map[string]string{"app/kustomization.yaml": "resources: [\"https://example.com/a.yaml\"]\n"}, want: []string{"https://example.com/a.yaml", "not allowed"}},
	"remote chart":                            {files: map[string]string{"app/kustomization.yaml": "helmCharts:\n- {name: a, repo: \"https://charts.example.com\", version: 1.0.0, releaseName: a}\n"}, want: []string{"app/kustomization.yaml:2", "https://charts.example.com", "not allowed", "spec.remotes"}},
	"exec function":                           {files: map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\ntransformers: [f.yaml]\n", "app/a.yaml": cm("a"), "app/f.yaml": "apiVersion: x/v1\nkind: Mutate\nmetadata:\n  name: mutate\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n"}, want: []string{"Mutate", "not allowed"}},
	"values file outside":                     {files: chartFiles("a: b"), change: func(q *Request) { q.ValuesFiles = []string{"../../etc/passwd"} }, want: []string{"../../etc/passwd", "leads out"}},
	"values file missing":                     {files: chartFiles("a: b"), change: func(q *Request) { q.ValuesFiles = []string{"app/gone.yaml"} }, want: []string{"app/gone.yaml", "does not exist"}},
	"values file broken":                      {files: chartFiles("a: b", "app/v.yaml", "a: {\n"), change: func(q *Request) { q.ValuesFiles = []string{"app/v.yaml"} }, want: []string{"app/v.yaml", "not valid YAML"}},
	"random":                                  {files: chartFiles("a: {{ randAlphaNum 8 }}"), want: []string{"app/templates/cm.yaml:6", "randAlphaNum", "allowNondeterministic"}, file: "app/templates/cm.yaml", line: 6},
	"time":                                    {files: chartFiles("a: {{ now | date \"2006\" | quote }}"), want: []string{"app/templates/cm.yaml:6", "now"}},
	"time by date":                            {files: chartFiles("a: {{ date \"2006\" \"x\" | quote }}"), want: []string{"app/templates/cm.yaml:6", "date"}},
	"certificate":                             {files: chartFiles("a: {{ (genCA \"x\" 10).Cert | b64enc }}"), want: []string{"app/templates/cm.yaml:6", "genCA"}},
	"random in a helper":                      {files: chartFiles("a: {{ include \"x\" . }}", "app/templates/_h.tpl", "{{ define \"x\" }}\n{{ uuidv4 }}{{ end }}"), want: []string{"app/templates/_h.tpl:2", "uuidv4"}},
	"random in tpl":                           {files: chartFiles("a: {{ tpl .Values.t . }}", "app/values.yaml", "t: '{{ randAlpha 3 }}'"), want: []string{"app/templates/cm.yaml", "randAlpha"}},
	"environment":                             {files: chartFiles("a: {{ env \"HOME\" }}"), want: []string{"app/templates/cm.yaml:6", "env"}},
	"template syntax":                         {files: chartFiles("a: {{ if }}"), want: []string{"app/templates/cm.yaml:6"}},
	"template nil":                            {files: chartFiles("a: {{ .Values.x.y.z }}"), want: []string{"app/templates/cm.yaml:6", ".Values.x.y.z"}},
	"template fail":                           {files: chartFiles("a: {{ fail (printf \"wrong %s\" .Values.password) }}", "app/values.yaml", "password: "+planted), want: []string{"app/templates/cm.yaml:6", "wrong"}},
	"template required":                       {files: chartFiles("a: {{ required \"x must be set\" .Values.x }}"), want: []string{"app/templates/cm.yaml:6", "x must be set"}},
	"template makes no yaml":                  {files: chartFiles("a: \"" + planted), want: []string{"app/templates/cm.yaml", "no YAML"}},
	"recursive include":                       {files: chartFiles("a: {{ include \"x\" . }}", "app/templates/_h.tpl", "{{ define \"x\" }}{{ include \"x\" . }}{{ end }}"), want: []string{"app/templates/", "includes itself"}},
	"schema":                                  {files: chartFiles("a: b", "app/values.yaml", "password: "+planted, "app/values.schema.json", `{"properties":{"password":{"type":"integer"}}}`), want: []string{"app", "password"}},
	"missing dependency":                      {files: chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies: [{name: other, version: 1.0.0, repository: \"https://example.com\"}]\n"), want: []string{"app/Chart.yaml", "other", "helm dependency build"}},
	"library chart":                           {files: chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\ntype: library\n"), want: []string{"app/Chart.yaml", "library"}},
	"broken Chart.yaml":                       {files: chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: [\n"), want: []string{"app", "Chart.yaml"}},
	"nothing from a chart":                    {files: map[string]string{"app/Chart.yaml": "apiVersion: v2\nname: a\nversion: 1.0.0\n", "app/templates/a.yaml": "{{ if false }}a{{ end }}"}, want: []string{"app", "no object"}},
	"chart for another kubernetes":            {files: chartFiles("a: b", "app/Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\nkubeVersion: \">=1.99.0\"\n"), want: []string{"app/Chart.yaml", "1.99.0"}},
}

func chartFiles(data string, more ...string) map[string]string {
	f := map[string]string{
		"app/Chart.yaml":        "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
		"app/templates/cm.yaml": cm("{{ .Release.Name }}") + "data:\n  " + data + "\n",
	}
	for i := 0; i+1 < len(more); i += 2 {
		f[more[i]] = more[i+1]
	}
	return f
}

func bomb() string {
	var b strings.Builder
	b.WriteString(cm("a") + "data:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 10; i++ {
		b.WriteString("  a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.Repeat("*a"+string(rune('0'+i-1))+", ", 9) + "]\n")
	}
	return b.String()
}

func TestBadInput(t *testing.T) {
	r := newRenderer(t)
	for name, test := range bad {
		t.Run(name, func(t *testing.T) {
			q := Request{Source: writeTree(t, test.files), Path: "app"}
			if test.path != "" {
				q.Path = test.path
			}
			if test.change != nil {
				test.change(&q)
			}
			res, err := r.Render(context.Background(), q)
			if err == nil {
				t.Fatalf("rendered %d objects", len(res.Objects))
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("not an *Error: %v", err)
			}
			t.Log(e.Sentence)
			checkSentence(t, e.Sentence, test.want...)
			if test.file != "" && e.File != test.file {
				t.Errorf("file %q, want %q", e.File, test.file)
			}
			if test.line != 0 && e.Line != test.line {
				t.Errorf("line %d, want %d", e.Line, test.line)
			}
			if len(e.ReadSet) == 0 && test.path == "" {
				t.Error("nothing in the read-set")
			}
		})
	}
}

func checkSentence(t *testing.T, s string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(s, w) {
			t.Errorf("%q does not say %q", s, w)
		}
	}
	if strings.Contains(s, planted) {
		t.Errorf("%q shows a secret", s)
	}
	if strings.Contains(s, "\n") || len(s) > 400 {
		t.Errorf("%q is more than one sentence", s)
	}
}
