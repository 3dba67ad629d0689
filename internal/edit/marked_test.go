package edit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/edit"
)

func TestMarked(t *testing.T) {
	v2 := edit.Image{Name: "a", Tag: "v2"}
	tests := map[string]struct {
		image    edit.Image
		in, want string
	}{
		"whole":              {v2, "image: r/a:v1 # sengu:image a\n", "image: r/a:v2 # sengu:image a\n"},
		"whole, by digest":   {edit.Image{Name: "a", Digest: digest}, "image: r:5000/a:v1@" + oldDigest + " #sengu:image a", "image: r:5000/a@" + digest + " #sengu:image a"},
		"whole, no version":  {v2, "image: r:5000/a # sengu:image a\n", "image: r:5000/a:v2 # sengu:image a\n"},
		"whole, new name":    {edit.Image{Name: "a", NewName: "q/b", Tag: "v2"}, "image: # sengu:image a\n", "image: q/b:v2 # sengu:image a\n"},
		"tag":                {v2, "tag: 'v1' # sengu:image a:tag\n", "tag: 'v2' # sengu:image a:tag\n"},
		"a number":           {edit.Image{Name: "a", Tag: "2"}, "tag: 1 # sengu:image a:tag\n", "tag: \"2\" # sengu:image a:tag\n"},
		"name stays":         {v2, "name: r # sengu:image a:name\n", "name: r # sengu:image a:name\n"},
		"name":               {edit.Image{Name: "a", NewName: "q", Tag: "v2"}, "name: r # sengu:image a:name\n", "name: q # sengu:image a:name\n"},
		"words around":       {v2, "tag: v1 # see # also sengu:image a:tag; and more\n", "tag: v2 # see # also sengu:image a:tag; and more\n"},
		"two names":          {v2, "tag: v1 # sengu:image b:tag sengu:image a:tag\n", "tag: v2 # sengu:image b:tag sengu:image a:tag\n"},
		"a name like it":     {v2, "t: v1 # sengu:image ab:tag\nu: v1 # sengu:image a:tag\n", "t: v1 # sengu:image ab:tag\nu: v2 # sengu:image a:tag\n"},
		"a name with a port": {edit.Image{Name: "r:5000/a", Tag: "v2"}, "t: v1 # sengu:image r:5000/a:tag\n", "t: v2 # sengu:image r:5000/a:tag\n"},
		"in a list":          {v2, "- v1\t# sengu:image a:tag\n- v1\n", "- v2\t# sengu:image a:tag\n- v1\n"},
		"in braces":          {v2, "x: {tag: v1} # sengu:image a:tag\n", "x: {tag: v2} # sengu:image a:tag\n"},
		"twice":              {v2, "- v1 # sengu:image a:tag\n- v0 # sengu:image a:tag\n", "- v2 # sengu:image a:tag\n- v2 # sengu:image a:tag\n"},
		"text that says so":  {v2, "n: 'x # sengu:image a '\ntag: v1 # sengu:image a:tag\n", "n: 'x # sengu:image a '\ntag: v2 # sengu:image a:tag\n"},
		"documents":          {v2, "t: v1 # sengu:image a:tag\n---\nt: v1 # sengu:image a:tag\n", "t: v2 # sengu:image a:tag\n---\nt: v2 # sengu:image a:tag\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			checkEdit(t, tc.in, tc.want, func(b []byte) ([]byte, error) { return edit.Marked(b, tc.image) })
		})
	}
}

func TestMarkedRefuses(t *testing.T) {
	v2 := edit.Image{Name: "a", Tag: "v2"}
	tests := map[string]struct {
		image    edit.Image
		in, want string
	}{
		"none":               {v2, "a: b # sengu:image b\n", `no value is marked with the comment "# sengu:image a"`},
		"only text":          {v2, "a: 'x # sengu:image a '\n", "no value is marked"},
		"unknown part":       {v2, "a: b # sengu:image a:version\n", "no value is marked"},
		"no image":           {edit.Image{Name: "a"}, "a: b # sengu:image a\n", "neither a tag nor a digest"},
		"no digest":          {v2, "a: b # sengu:image a:digest\n", "line 1: the mark wants the digest of image a, which has none"},
		"on its own":         {v2, "# sengu:image a\nb: c\n", "line 1: the mark of image a stands behind no value"},
		"behind a key":       {v2, "b: # sengu:image a\n  c: d\n", "line 1: the mark of image a stands behind no value"},
		"in a text":          {v2, "b: |\n  c: d # sengu:image a\n", "line 2: the mark of image a stands behind no value"},
		"at a text":          {v2, "b: | # sengu:image a\n  c\n", "line 1: the value is text over several lines"},
		"several values":     {v2, "b: {c: d, e: f} # sengu:image a\n", "line 1: the mark of image a stands behind 2 values"},
		"a template":         {v2, "b: {{ .c }} # sengu:image a\n", "line 1: the value is computed by a template"},
		"a quoted template":  {v2, "b: \"{{ .c }}\" # sengu:image a\n", "line 1: the value is computed by a template"},
		"an alias":           {edit.Image{Name: "a", NewName: "q", Tag: "v2"}, "b: &x c\nd: *x # sengu:image a\n", "line 2: the value is the alias"},
		"repeated":           {v2, "b: &x\n  c: d # sengu:image a\ne: *x\n", "repeated by line 3"},
		"unknown repository": {v2, "b: # sengu:image a\n", "no repository is known"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := edit.Marked([]byte(tc.in), tc.image)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\n%s", err, out)
			}
			if strings.Contains(tc.want, "no value is marked") != errors.Is(err, edit.ErrMissing) {
				t.Errorf("ErrMissing: %v", err)
			}
		})
	}
}
