package edit_test

import (
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/edit"
	"sigs.k8s.io/yaml"
)

var fuzzSeeds = []string{
	"images:\n- name: a\n  newTag: v1 # sengu:image a:tag\n", "images: [{name: a, digest: x}]", "images: []\n", "x: &x\n- *x\n", "{\"images\": []}",
	"a:\r\n  b: 'x''y' # sengu:image a\r\n", "a:\n  b: \"\\x41\" # c\n---\na: {b: c}\n", "? a\n: b\n", "a: {{ .x }}\n", "\ufeffa: |+\n  b\n\n\n", "a: !!str b\n...\n",
	"images:\n  - digest: a\n    name: a", "a:\u2028  b: c\u0085", "# c\n", "a:\n-\n  b:\n", "images: &x ~\ny: *x", "- - a: b # sengu:image a\n",
}

// lineChanges counts how many lines at most lie between what two files have in common at their beginnings and ends.
func lineChanges(a, b string) int {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return max(len(x), len(y))
}

func FuzzValues(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(seed, "a.b", "v2")
		f.Add(seed, "a[0].b", "1.10")
	}
	f.Fuzz(func(t *testing.T, in, path, value string) {
		out, err := edit.Values([]byte(in), path, value)
		if err != nil {
			return
		}
		if n := lineChanges(in, string(out)); n > 1 {
			t.Errorf("%d lines changed:\n%q\n%q", n, in, out)
		}
		if again, err := edit.Values(out, path, value); err != nil || string(again) != string(out) {
			t.Errorf("a second time: %v\n%q\n%q", err, out, again)
		}
		checkReadable(t, in, out)
	})
}

// checkReadable reads a file with another parser, the one of Helm and kustomize, if that could read it before.
func checkReadable(t *testing.T, in string, out []byte) {
	t.Helper()
	var before, after any
	if yaml.Unmarshal([]byte(in), &before) == nil {
		if err := yaml.Unmarshal(out, &after); err != nil {
			t.Errorf("no longer readable: %v\n%q\n%q", err, in, out)
		}
	}
}

func FuzzKustomize(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(seed, "v2", "", "")
		f.Add(seed, "1.10", digest, "r:5000/b")
		f.Add(seed, "", digest, "")
	}
	f.Fuzz(func(t *testing.T, in, tag, digest, newName string) {
		image := edit.Image{Name: "a", Tag: tag, Digest: digest, NewName: newName}
		out, err := edit.Kustomize([]byte(in), image)
		if err != nil {
			return
		}
		if n := lineChanges(in, string(out)); n > 8 {
			t.Errorf("%d lines changed:\n%q\n%q", n, in, out)
		}
		if again, err := edit.Kustomize(out, image); err != nil || string(again) != string(out) {
			t.Errorf("a second time: %v\n%q\n%q", err, out, again)
		}
		checkReadable(t, in, out)
		var k struct {
			Images []struct{ Name, NewName, NewTag, Digest string } `json:"images"`
		}
		if yaml.Unmarshal(out, &k) != nil {
			return
		}
		for _, i := range k.Images {
			if i.Name == "a" && (i.NewTag != tag || i.Digest != digest || (newName != "" && i.NewName != newName)) {
				t.Errorf("%q says %+v", out, i)
			}
		}
	})
}

func FuzzMarked(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(seed, "v2", "")
		f.Add(seed, "1.10", "r:5000/b")
	}
	f.Fuzz(func(t *testing.T, in, tag, newName string) {
		image := edit.Image{Name: "a", Tag: tag, NewName: newName}
		out, err := edit.Marked([]byte(in), image)
		if err != nil {
			return
		}
		if strings.Count(in, "\n") != strings.Count(string(out), "\n") {
			t.Errorf("lines came or went:\n%q\n%q", in, out)
		}
		if again, err := edit.Marked(out, image); err != nil || string(again) != string(out) {
			t.Errorf("a second time: %v\n%q\n%q", err, out, again)
		}
		checkReadable(t, in, out)
	})
}
