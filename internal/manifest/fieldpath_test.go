package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestParseFieldPath(t *testing.T) {
	cases := map[string]struct {
		reason string
		given  string
		want   FieldPath
		text   string
		err    string
	}{
		"Pointer":   {reason: "A JSON pointer.", given: "/spec/replicas", want: FieldPath{"f:spec", "f:replicas"}, text: "spec.replicas"},
		"Escapes":   {reason: "Escapes of a JSON pointer.", given: "/metadata/annotations/example.com~1a~0b", want: FieldPath{"f:metadata", "f:annotations", "f:example.com/a~b"}, text: `metadata.annotations["example.com/a~b"]`},
		"Star":      {reason: "Every item.", given: "/spec/rules/*/host", want: FieldPath{"f:spec", "f:rules", "*", "f:host"}, text: "spec.rules[*].host"},
		"Dotted":    {reason: "Names with dots between them.", given: ".spec.replicas", want: FieldPath{"f:spec", "f:replicas"}, text: "spec.replicas"},
		"Key":       {reason: "An item by its key.", given: "spec.template.spec.containers[name=app].image", want: FieldPath{"f:spec", "f:template", "f:spec", "f:containers", `k:{"name":"app"}`, "f:image"}, text: "spec.template.spec.containers[name=app].image"},
		"Keys":      {reason: "An item by two keys, of which one is a number.", given: "spec.ports[protocol=TCP, port=80]", want: FieldPath{"f:spec", "f:ports", `k:{"port":80,"protocol":"TCP"}`}, text: "spec.ports[port=80,protocol=TCP]"},
		"QuotedKey": {reason: "A key that only looks like a number.", given: `a[name="80"]`, want: FieldPath{"f:a", `k:{"name":"80"}`}, text: `a[name=80]`},
		"Place":     {reason: "An item by its place, and every item.", given: "spec.rules[0].paths[*]", want: FieldPath{"f:spec", "f:rules", "i:0", "f:paths", "*"}, text: "spec.rules[0].paths[*]"},
		"Quoted":    {reason: "A name with dots in it.", given: `metadata.annotations["example.com/a.b"]`, want: FieldPath{"f:metadata", "f:annotations", "f:example.com/a.b"}, text: `metadata.annotations["example.com/a.b"]`},
		"Empty":     {reason: "No path.", given: "", err: `field path "": it is empty`},
		"Slash":     {reason: "No name between slashes.", given: "/spec//x", err: `field path "/spec//x": an element is empty`},
		"Dots":      {reason: "No name between dots.", given: "spec..x", err: `field path "spec..x": an element is empty`},
		"Dot":       {reason: "No name at the end.", given: "spec.", err: `field path "spec.": it ends with a dot`},
		"Open":      {reason: "A bracket without its end.", given: "spec[name=x", err: `field path "spec[name=x": a [ has no ]`},
		"Word":      {reason: "A word in brackets.", given: "spec[x]", err: `field path "spec[x]": in brackets there is a place ([0]), a key ([name=app]), [*] or a name in quotes (["a.b"])`},
		"After":     {reason: "A name right after a bracket.", given: "spec[0]x", err: `field path "spec[0]x": after ] comes a dot or another [`},
		"NoName":    {reason: "A key without a name.", given: "spec[=x]", err: `field path "spec[=x]": keys in brackets are written [name=value,name=value]`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseFieldPath(tc.given)
			if text := errorText(err); text != tc.err {
				t.Fatalf("%s\nParseFieldPath(%q): %s, want %s", tc.reason, tc.given, text, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nParseFieldPath(%q): -want, +got:\n%s", tc.reason, tc.given, diff)
			}
			if err == nil && got.String() != tc.text {
				t.Errorf("%s\nString() = %q, want %q", tc.reason, got.String(), tc.text)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzParseFieldPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "a.b[name=x]", `a["b.c"][0]`, "a[*]", "a[n=\"]\"]"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		path, err := ParseFieldPath(s)
		if err != nil {
			return
		}
		u := &unstructured.Unstructured{Object: map[string]any{"a": map[string]any{"b": []any{map[string]any{"name": "x"}}}}}
		_ = path.String()
		resolve(u.Object, path)
		Drop(u, []FieldPath{path})
		Extract(u, []FieldPath{path})
		Owns(u, "m", path)
	})
}

func TestOwned(t *testing.T) {
	u := liveDeployment(t)
	var got []string
	for _, path := range Owned(u, testManager) {
		got = append(got, path.String())
		if !Owns(u, testManager, path) {
			t.Errorf("Owns(%s) is false", path)
		}
	}
	const c = "spec.template.spec.containers[name=podinfo]"
	want := []string{
		`metadata.annotations["sengu.dev/owner"]`, `metadata.labels["sengu.dev/app"]`, "spec.replicas", "spec.selector",
		"spec.template.metadata.annotations.rev", "spec.template.metadata.labels.app",
		c, c + ".image", c + ".livenessProbe.httpGet.path", c + ".livenessProbe.httpGet.port", c + ".name",
		c + ".ports[containerPort=9898,protocol=TCP]", c + ".ports[containerPort=9898,protocol=TCP].containerPort",
		c + ".ports[containerPort=9898,protocol=TCP].name",
		c + ".readinessProbe.httpGet.path", c + ".readinessProbe.httpGet.port",
		c + ".resources.limits.memory", c + ".resources.requests.cpu", c + ".resources.requests.memory",
		"spec.template.spec.serviceAccountName",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Owned(...): -want, +got:\n%s", diff)
	}
	owns := map[string]bool{
		"spec.replicas": true, "spec.selector.matchLabels.app": true, "spec.template": true,
		"spec.strategy": false, "spec.template.spec.containers[name=other]": false,
	}
	for text, want := range owns {
		path, err := ParseFieldPath(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Owns(u, testManager, path); got != want {
			t.Errorf("Owns(%s) = %v, want %v", text, got, want)
		}
	}
}
