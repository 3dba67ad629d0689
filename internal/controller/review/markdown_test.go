package review

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/markdown"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is text that tries to get out of where it is shown.
const hostile = "``` `x` ````` | @alice closes #1 </details> <!-- sengu:plan/shop --> \u202edlrow\x00\r\n**b** [l](https://evil.example.com)"

func environments() []v1alpha1.Environment {
	return []v1alpha1.Environment{
		{Name: "develop", Cluster: "dev"},
		{
			Name: "production", Cluster: "prod", After: []string{"develop"}, Soak: &metav1.Duration{Duration: 10 * time.Minute}, MaxConcurrent: 2,
			Approval: &v1alpha1.ApprovalRule{Required: 2, Groups: []string{"sre"}, NotAuthor: true}, Windows: []string{"allow Mon-Thu 10:00-17:00 Asia/Tokyo"},
		},
	}
}

func deploymentRef(name string) manifest.Ref {
	return manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: name, Name: name}
}

func changedObject(name string) object {
	return object{Ref: deploymentRef(name), Lines: []manifest.DiffLine{
		{Op: manifest.Section, Text: "spec.template.spec.containers"}, {Op: manifest.Same, Text: "      - name: app"},
		{Op: manifest.Removed, Text: "        image: registry.example.com/app:1"}, {Op: manifest.Added, Text: "        image: registry.example.com/app:2"},
	}}
}

func reports() map[string]report {
	base := report{Fleet: "shop", Branch: "main", Head: strings.Repeat("a1", 20), Base: strings.Repeat("b2", 20), Environments: environments()}
	at := func(service, environment, cluster string, f fate) place {
		return place{Service: service, Environment: environment, Cluster: cluster, Namespace: service, Fate: f}
	}
	nothing := base
	nothing.Places = []place{at("checkout", "develop", "dev", same), at("checkout", "production", "prod", same)}
	unrelated := base
	unrelated.Failure = "it has no commit in common with the branch main"

	full := base
	develop := at("checkout", "develop", "dev", altered)
	develop.Objects = []object{changedObject("checkout"), {
		Ref: manifest.Ref{Kind: "ConfigMap", Namespace: "checkout", Name: "new"}, Made: true, Lines: []manifest.DiffLine{{Op: manifest.Added, Text: "kind: ConfigMap"}},
	}}
	develop.Images = swaps([]string{"registry.example.com/app:1", "redis"}, []string{"registry.example.com/app:2", "nginx@sha256:" + strings.Repeat("0", 64)})
	develop.Before, develop.After, develop.Checks = []string{"migrate"}, []string{"e2e"}, []string{"error-rate"}
	develop.Notes = []string{"there is no way back from it, because sengu.yaml blocks a rollback: the table is dropped"}
	develop.Refused = []string{"refused by the cluster: Deployment checkout/checkout could not be applied: no"}
	production := at("checkout", "production", "prod", broken)
	production.Reason = "apps/checkout/overlays/production/kustomization.yaml:3: did not find expected node content"
	old := at("old", "develop", "dev", removed)
	old.Objects = []object{{Ref: manifest.Ref{Kind: "PersistentVolumeClaim", Namespace: "old", Name: "data"}, Gone: true, Lines: []manifest.DiffLine{{Op: manifest.Removed, Text: "kind: PersistentVolumeClaim"}}}}
	old.Waits = []string{"the deletion of 1 object waits until it is confirmed: PersistentVolumeClaim old/data"}
	dark := at("web", "production", "prod", unknown)
	dark.Reason = "cluster prod: cannot be reached"
	how := at("worker", "develop", "dev", altered)
	full.Places, full.Untried = []place{develop, production, old, dark, how, at("web", "develop", "dev", same)}, 3

	wicked := base
	wicked.Fork = true
	bad := at(hostile, "develop", hostile, altered)
	bad.Objects = []object{{Ref: manifest.Ref{Kind: hostile, Name: hostile}, Lines: []manifest.DiffLine{{Op: manifest.Added, Text: hostile}, {Op: manifest.Section, Text: hostile}}}}
	bad.Images = []swap{{Repository: hostile, From: hostile, To: hostile}}
	bad.Refused, bad.Waits, bad.Notes, bad.Before = []string{hostile}, []string{hostile}, []string{hostile}, []string{hostile}
	worse := at("web", "production", "prod", broken)
	worse.Reason = hostile
	wicked.Places = []place{bad, worse}
	return map[string]report{"nothing": nothing, "unrelated": unrelated, "full": full, "hostile": wicked}
}

func TestMarkdown(t *testing.T) {
	for name, r := range reports() {
		t.Run(name, func(t *testing.T) {
			got := r.markdown(65536)
			path := filepath.Join("testdata", name+".md")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run the test with -update if this is meant:\n%s", diff)
			}
		})
	}
}

var (
	opens  = regexp.MustCompile("^ {0,3}(`{3,})[^`]*$")
	closes = regexp.MustCompile("^ {0,3}(`{3,}) *$")
)

// unfenced takes the blocks of code out of a text, as CommonMark has them.
func unfenced(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		end := strings.TrimSuffix(line, "\n")
		switch begun, ended := opens.FindStringSubmatch(end), closes.FindStringSubmatch(end); {
		case fence == "" && begun != nil:
			fence = begun[1]
		case fence == "":
			b.WriteString(line)
		case ended != nil && len(ended[1]) >= len(fence):
			fence = ""
		}
	}
	if fence != "" {
		t.Errorf("a block does not end:\n%s", text)
	}
	return b.String()
}

// outside takes the code out of a text: what is left is what a forge acts on.
func outside(t *testing.T, text string) string {
	t.Helper()
	text = unfenced(t, text)
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '`')
		if at < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:at])
		fence := text[at : at+len(text[at:])-len(strings.TrimLeft(text[at:], "`"))]
		rest := text[at+len(fence):]
		end := -1
		for from := 0; ; { // the next run of as many
			i := strings.Index(rest[from:], fence)
			if i < 0 {
				break
			}
			i += from
			run := len(rest[i:]) - len(strings.TrimLeft(rest[i:], "`"))
			if run == len(fence) {
				end = i
				break
			}
			from = i + run
		}
		if end < 0 {
			t.Errorf("code does not end: %q", text[at:min(len(text), at+80)])
			break
		}
		text = rest[end+len(fence):]
	}
	return b.String()
}

// TestMarkdownActsOnNothing has names, sentences and manifests that try to mention somebody, to close something, and to
// end what they are shown in.
func TestMarkdownActsOnNothing(t *testing.T) {
	for _, limit := range []int{65536, 4000, 2000} {
		text := reports()["hostile"].markdown(limit)
		left := outside(t, text)
		for _, bad := range []string{"@", "#1", "closes", "evil", "sengu:plan", "\u202e", "\x00", "**b**"} {
			if strings.Contains(left, bad) {
				t.Errorf("with %d characters, %q is outside of code:\n%s", limit, bad, left)
			}
		}
		if strings.ContainsAny(text, "\u202e\x00\r") {
			t.Error("what cannot be seen is shown")
		}
		if a, b := strings.Count(left, "<details>"), strings.Count(left, "</details>"); a != b {
			t.Errorf("%d details begin and %d end", a, b)
		}
		for row := range strings.Lines(text) {
			if strings.HasPrefix(row, "| ") && strings.Count(strings.ReplaceAll(row, `\|`, ""), "|") != 5 {
				t.Errorf("a row of the table has other cells: %s", row)
			}
		}
	}
}

// TestMarkdownFits has more to say than a comment holds.
func TestMarkdownFits(t *testing.T) {
	r := reports()["full"]
	large := r.Places[0]
	large.Objects = nil
	for range 400 {
		large.Objects = append(large.Objects, changedObject("checkout"))
	}
	long := changedObject("checkout")
	for range 5000 {
		long.Lines = append(long.Lines, manifest.DiffLine{Op: manifest.Added, Text: strings.Repeat("宮", 1000)})
	}
	for range 100 {
		large.Refused = append(large.Refused, strings.Repeat("宮", 2000))
	}
	last := r.Places[0]
	last.Environment, last.Objects = "production", []object{changedObject("last"), long}
	r.Places = []place{large, last}
	for range 200 {
		one := last
		one.Objects, one.Waits = []object{changedObject("one")}, []string{strings.Repeat("x", 2000)}
		r.Places = append(r.Places, one)
	}
	for _, limit := range []int{20000, 65536} {
		text := r.markdown(limit)
		if n := utf8.RuneCountInString(text); n > limit {
			t.Errorf("%d characters where %d are allowed", n, limit)
		}
		if !strings.Contains(text, "**Left out**") || !strings.Contains(text, "sengu diff --revision a1a1a1a1a1a1") {
			t.Errorf("with %d characters, it does not say that something is left out", limit)
		}
		if !strings.Contains(text, "Deployment last/last") {
			t.Errorf("with %d characters, nothing of production is shown", limit)
		}
		if a, b := strings.Count(text, "<details>"), strings.Count(text, "</details>"); a != b || a != 2 {
			t.Errorf("%d details begin and %d end", a, b)
		}
	}
}

func TestStatus(t *testing.T) {
	with := func(edit func(*report)) report {
		r := reports()["full"]
		r.Places = r.Places[4:] // worker, altered, and web, as it was
		edit(&r)
		return r
	}
	for name, test := range map[string]struct {
		report report
		state  forge.StatusState
		says   string
	}{
		"nothing":   {reports()["nothing"], forge.StatusSuccess, "nothing that is delivered changes"},
		"changes":   {with(func(*report) {}), forge.StatusSuccess, "changes 1 service in 1 environment"},
		"broken":    {reports()["full"], forge.StatusFailure, "checkout/production: apps/checkout/overlays/production/kustomization.yaml:3: did not find expected node content"},
		"refused":   {with(func(r *report) { r.Places[0].Refused = []string{"no\nmore"} }), forge.StatusFailure, "worker/develop: no"},
		"unknown":   {with(func(r *report) { r.Places[0].Fate, r.Places[0].Reason = unknown, "away" }), forge.StatusError, "worker/develop: away"},
		"left":      {with(func(r *report) { r.Left = 2 }), forge.StatusError, "2 places could not be compared: there are too many"},
		"unrelated": {reports()["unrelated"], forge.StatusFailure, "it has no commit in common with the branch main"},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.report.status()
			if got.State != test.state || got.Description != test.says || got.Context != "sengu/shop" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestSwaps(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		before, after []string
		want          []swap
	}{
		"same":     {[]string{"a:1"}, []string{"a:1"}, nil},
		"tag":      {[]string{"r:5000/a:1"}, []string{"r:5000/a:2"}, []swap{{"r:5000/a", "1", "2"}}},
		"no tag":   {[]string{"r:5000/a"}, []string{"r:5000/a:2@" + digest}, []swap{{"r:5000/a", "latest", "2@" + digest}}},
		"digest":   {[]string{"a@" + digest}, []string{"a:1"}, []swap{{"a", digest, "1"}}},
		"new":      {nil, []string{"a:1"}, []swap{{"a", "", "1"}}},
		"gone":     {[]string{"a:1", "b:1"}, []string{"b:1"}, []swap{{"a", "1", ""}}},
		"two":      {[]string{"a:1", "a:2"}, []string{"a:3", "a:4"}, []swap{{"a", "1", "3"}, {"a", "2", "4"}}},
		"another":  {[]string{"a:1"}, []string{"b:1"}, []swap{{"b", "", "1"}, {"a", "1", ""}}},
		"one more": {[]string{"a:1"}, []string{"a:1", "a:2"}, []swap{{"a", "", "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, swaps(test.before, test.after)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second: "10s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 24 * time.Hour: "24h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
}

// FuzzCode has text within a line, and within a block, that tries to get out.
func FuzzCode(f *testing.F) {
	for _, seed := range []string{hostile, "`", "``", "", " ", "a`", "```\n```", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if left := outside(t, "<"+markdown.Code(text, markdown.Sentence)+">"); left != "<>" {
			t.Errorf("code(%q) leaves %q", text, left)
		}
		if left := outside(t, markdown.Fenced("diff", []string{line(text), line(text)})); left != "" {
			t.Errorf("fenced(%q) leaves %q", text, left)
		}
	})
}
