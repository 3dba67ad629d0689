package edit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sengu-dev/sengu/internal/edit"
)

const (
	digest    = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	oldDigest = "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
)

// checkEdit compares what an edit makes of a file, and that a second one changes nothing more.
func checkEdit(t *testing.T, in, want string, do func([]byte) ([]byte, error)) {
	t.Helper()
	before := strings.Clone(in)
	out, err := do([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if in != before {
		t.Error("the file that was given has changed")
	}
	again, err := do(out)
	if err != nil || string(again) != string(out) {
		t.Errorf("a second time: %v\n%s", err, again)
	}
}

// TestGolden edits whole files as people have them.
func TestGolden(t *testing.T) {
	edits := map[string]func([]byte) ([]byte, error){
		"kustomization": func(b []byte) ([]byte, error) {
			return edit.Kustomize(b, edit.Image{Name: "checkout", Tag: "1.10", Digest: digest})
		},
		"added": func(b []byte) ([]byte, error) {
			return edit.Kustomize(b, edit.Image{Name: "checkout", NewName: "registry.example.com/shop/checkout", Tag: "1.5.0"})
		},
		"values": func(b []byte) ([]byte, error) { return edit.Values(b, "checkout.image.tag", "1.10") },
		"marked": func(b []byte) ([]byte, error) {
			return edit.Marked(b, edit.Image{Name: "checkout", NewName: "registry.example.com/shop/checkout", Tag: "1.5.0", Digest: digest})
		},
	}
	for name, do := range edits {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			in, want := archive.Files[0], archive.Files[1]
			checkEdit(t, string(in.Data), string(want.Data), do)
			crlf := strings.NewReplacer("\n", "\r\n")
			checkEdit(t, crlf.Replace(string(in.Data)), crlf.Replace(string(want.Data)), do)
			checkEdit(t, strings.TrimSuffix(string(in.Data), "\n"), strings.TrimSuffix(string(want.Data), "\n"), do)
			checkEdit(t, "\ufeff"+string(in.Data), "\ufeff"+string(want.Data), do)
		})
	}
	if files, err := os.ReadDir("testdata"); err != nil || len(files) < len(edits) {
		t.Errorf("%v, %v", files, err)
	}
}

func TestKustomize(t *testing.T) {
	v2 := edit.Image{Name: "a", Tag: "v2"}
	pinned := edit.Image{Name: "a", Digest: digest}
	both := edit.Image{Name: "a", Tag: "v2", Digest: digest}
	tests := map[string]struct {
		image    edit.Image
		in, want string
	}{
		"tag":                    {v2, "images:\n- name: a\n  newTag: v1\n", "images:\n- name: a\n  newTag: v2\n"},
		"already":                {v2, "images:\n  -   {newTag: v2, name: a} # x\n", "images:\n  -   {newTag: v2, name: a} # x\n"},
		"single quotes":          {v2, "images:\n- name: 'a'\n  newTag: 'v1' # '\n", "images:\n- name: 'a'\n  newTag: 'v2' # '\n"},
		"double quotes":          {v2, "images:\n- name: a\n  newTag: \"v\\x31\"\n", "images:\n- name: a\n  newTag: \"v2\"\n"},
		"a number":               {edit.Image{Name: "a", Tag: "1.10"}, "images:\n- name: a\n  newTag: v1\n", "images:\n- name: a\n  newTag: \"1.10\"\n"},
		"a number without":       {edit.Image{Name: "a", Tag: "1.10"}, "images:\n- name: a\n  newTag: 1.10\n", "images:\n- name: a\n  newTag: \"1.10\"\n"},
		"quotes were needed":     {v2, "images:\n- name: a\n  newTag: \"1.10\"\n", "images:\n- name: a\n  newTag: \"v2\"\n"},
		"nothing there":          {v2, "images:\n- name: a\n  newTag: # later\n", "images:\n- name: a\n  newTag: v2 # later\n"},
		"nothing at the end":     {v2, "images:\n- name: a\n  newTag:", "images:\n- name: a\n  newTag: v2"},
		"tilde":                  {v2, "images:\n- name: a\n  newTag: ~\n", "images:\n- name: a\n  newTag: v2\n"},
		"tag missing":            {v2, "images:\n- name: a # c\n  newName: b # d\n# e\n- name: c\n", "images:\n- name: a # c\n  newName: b # d\n  newTag: v2\n# e\n- name: c\n"},
		"first field":            {v2, "images:\n- newName: b\n  name: a\n", "images:\n- newName: b\n  newTag: v2\n  name: a\n"},
		"tag becomes digest":     {pinned, "images:\n- name: a\n  newTag: v1 # c\n", "images:\n- name: a\n  digest: " + digest + " # c\n"},
		"digest becomes tag":     {v2, "images:\n- digest: " + oldDigest + "\n  name: a\n", "images:\n- newTag: v2\n  name: a\n"},
		"digest goes":            {v2, "images:\n- name: a\n  newTag: v1\n  digest: " + oldDigest + "\nresources: []\n", "images:\n- name: a\n  newTag: v2\nresources: []\n"},
		"digest goes, no break":  {v2, "images:\n- name: a\n  newTag: v1\n  digest: " + oldDigest, "images:\n- name: a\n  newTag: v2"},
		"digest goes, first":     {v2, "images:\n- digest: " + oldDigest + "\n  newTag: v1\n  name: a\n", "images:\n- newTag: v2\n  name: a\n"},
		"digest goes, in braces": {v2, "images: [{name: a, digest: '" + oldDigest + "', newTag: v1}]\n", "images: [{name: a, newTag: v2}]\n"},
		"digest goes, braces 1":  {v2, "images: [{digest: '" + oldDigest + "', newTag: v1, name: a}]\n", "images: [{newTag: v2, name: a}]\n"},
		"digest and new name": {
			edit.Image{Name: "a", NewName: "b", Tag: "v2"}, "images:\n- name: a\n  newTag: v1\n  digest: " + oldDigest,
			"images:\n- name: a\n  newName: b\n  newTag: v2",
		},
		"digest, no break, new name": {
			edit.Image{Name: "a", NewName: "b", Tag: "v2"}, "images:\n- newTag: v1\n  name: a\n  digest: " + oldDigest,
			"images:\n- newTag: v2\n  name: a\n  newName: b",
		},
		"both":            {both, "images:\n- name: a\n", "images:\n- name: a\n  newTag: v2\n  digest: " + digest + "\n"},
		"both, one there": {both, "images:\n- name: a\n  digest: " + oldDigest + "\n", "images:\n- name: a\n  newTag: v2\n  digest: " + digest + "\n"},
		"in braces":       {v2, "images:\n- {name: a}\n- {name: b}\n", "images:\n- {name: a, newTag: v2}\n- {name: b}\n"},
		"digest, braces":  {pinned, "images:\n- {name: a, newName: b}\n", "images:\n- {name: a, newName: b, digest: \"" + digest + "\"}\n"},
		"JSON":            {both, `{"images": [{"name": "a"}]}`, `{"images": [{"name": "a", "newTag": "v2", "digest": "` + digest + `"}]}`},
		"new name":        {edit.Image{Name: "a", NewName: "r:5000/a", Tag: "v2"}, "images:\n- name: a\n  newName: old\n", "images:\n- name: a\n  newName: r:5000/a\n  newTag: v2\n"},
		"new name stays":  {v2, "images:\n- name: a\n  newName: old\n  newTag: v1\n", "images:\n- name: a\n  newName: old\n  newTag: v2\n"},
		"added":           {v2, "images:\n- name: b\n  newTag: v1\n", "images:\n- name: b\n  newTag: v1\n- name: a\n  newTag: v2\n"},
		"added in style": {
			v2, "images:\n    -   'name': \"b\" # c\n        'newTag': 'v1' # d\n\n    # e\nresources:\n- x\n",
			"images:\n    -   'name': \"b\" # c\n        'newTag': 'v1' # d\n    -   'name': \"a\"\n        'newTag': 'v2'\n\n    # e\nresources:\n- x\n",
		},
		"added, no break":        {v2, "images:\n- name: b", "images:\n- name: b\n- name: a\n  newTag: v2"},
		"added in braces":        {v2, "images:\n  - {name: b, newTag: v1} # c\nx: y\n", "images:\n  - {name: b, newTag: v1} # c\n  - {name: a, newTag: v2}\nx: y\n"},
		"added in brackets":      {v2, "images: [{name: b, newTag: v1}, ]\n", "images: [{name: b, newTag: v1}, {name: a, newTag: v2}, ]\n"},
		"added to JSON":          {v2, "{\"images\": [\n{\"name\": \"b\"}\n]}", "{\"images\": [\n{\"name\": \"b\"}, {\"name\": \"a\", \"newTag\": \"v2\"}\n]}"},
		"first in []":            {v2, "images: [] # c\nresources:\n  - x\n", "images: # c\n  - name: a\n    newTag: v2\nresources:\n  - x\n"},
		"first in nothing":       {v2, "images: # c\nresources:\n- x\n", "images: # c\n- name: a\n  newTag: v2\nresources:\n- x\n"},
		"first in null":          {v2, "images: null", "images:\n- name: a\n  newTag: v2"},
		"no images":              {v2, "resources:\n  - x\n\n# end\n", "resources:\n  - x\n\n# end\nimages:\n  - name: a\n    newTag: v2\n"},
		"no images, no break":    {v2, "resources: [x]", "resources: [x]\nimages:\n- name: a\n  newTag: v2"},
		"no images, CRLF":        {v2, "resources:\r\n- x\r\n", "resources:\r\n- x\r\nimages:\r\n- name: a\r\n  newTag: v2\r\n"},
		"no images, indented":    {v2, "  resources:\n    - x\n", "  resources:\n    - x\n  images:\n    - name: a\n      newTag: v2\n"},
		"no images, text at end": {v2, "patches:\n- patch: |-\n    a: b\n", "patches:\n- patch: |-\n    a: b\nimages:\n- name: a\n  newTag: v2\n"},
		"empty":                  {v2, "", "images:\n- name: a\n  newTag: v2\n"},
		"only comments":          {v2, "# c\n", "# c\nimages:\n- name: a\n  newTag: v2\n"},
		"begun":                  {v2, "---\n", "---\nimages:\n- name: a\n  newTag: v2\n"},
		"tabs in comments":       {v2, "images:\t# c\td\n- name: a\t#\t\n  newTag: v1\t#\tc\n", "images:\t# c\td\n- name: a\t#\t\n  newTag: v2\t#\tc\n"},
		"unicode":                {v2, "# 式年\nimages: # 遷宮 😀\n- {\"名\": \"😀é\", name: a, newTag: v1} # 宮\n", "# 式年\nimages: # 遷宮 😀\n- {\"名\": \"😀é\", name: a, newTag: v2} # 宮\n"},
		"breaks of YAML 1.1":     {v2, "# a\u2028images:\u0085- name: a\u2029  newTag: v1\n", "# a\u2028images:\u0085- name: a\u2029  newTag: v2\n"},
		"anchors elsewhere":      {v2, "x: &x\n  y: z\nw: *x\nimages:\n- name: a\n  newTag: v1\n", "x: &x\n  y: z\nw: *x\nimages:\n- name: a\n  newTag: v2\n"},
		"an alias that says so":  {v2, "x: &x v2\nimages:\n- name: a\n  newTag: *x\n", "x: &x v2\nimages:\n- name: a\n  newTag: *x\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			checkEdit(t, tc.in, tc.want, func(b []byte) ([]byte, error) { return edit.Kustomize(b, tc.image) })
		})
	}
}

func TestKustomizeRefuses(t *testing.T) {
	good := edit.Image{Name: "a", Tag: "v2"}
	tests := map[string]struct {
		image    edit.Image
		in, want string
	}{
		"no name":            {edit.Image{Tag: "v1"}, "", "not the name"},
		"no version":         {edit.Image{Name: "a"}, "", "neither a tag nor a digest"},
		"bad tag":            {edit.Image{Name: "a", Tag: "a b"}, "", "not the tag"},
		"bad digest":         {edit.Image{Name: "a", Digest: "sha256:x"}, "", "not the digest"},
		"bad repository":     {edit.Image{Name: "a", NewName: "a: b", Tag: "v1"}, "", "not the repository"},
		"twice":              {good, "images:\n- name: a\n- name: a\n", "line 3: image a is here and on line 2"},
		"images twice":       {good, "images:\n- name: a\nimages:\n- name: a\n", "line 3: the key \"images\" is here and on line 1"},
		"a field twice":      {good, "images:\n- name: a\n  newTag: x\n  newTag: y\n", "line 4: the key \"newTag\" is here"},
		"no mapping":         {good, "- a\n", "line 1: a kustomization is a mapping"},
		"no list":            {good, "images: {name: a}\n", "line 1: images must be a list"},
		"no entry":           {good, "images: [a]\n", "line 1: an entry of images is a single value"},
		"two documents":      {good, "images: []\n---\nimages: []\n", "line 2: a second document"},
		"an alias":           {good, "x: &x v1\nimages:\n- name: a\n  newTag: *x\n", "line 4: the value is the alias *x"},
		"an anchor":          {good, "images:\n- name: a\n  newTag: &x v1\n", "line 3: the value has the anchor &x"},
		"repeated":           {good, "images:\n- &x\n  name: a\n  newTag: v1\ny: *x\n", "repeated by line 5"},
		"list repeated":      {good, "images: &x\n- name: b\ny: *x\n", "repeated by line 3"},
		"merged":             {good, "x: &x {name: a}\nimages:\n- <<: *x\n", "line 3: an entry of images merges"},
		"an entry as alias":  {good, "x: &x {name: a}\nimages:\n- *x\n", "line 3: an entry of images is an alias"},
		"a tag of YAML":      {good, "images:\n- name: a\n  newTag: !!str v1\n", "line 3: the value has a tag"},
		"several lines":      {good, "images:\n- name: a\n  newTag: \"v\\\n    1\"\n", "line 3: the value is text over several lines"},
		"several lines, '":   {good, "images:\n- name: a\n  newTag: 'v''\n    1'\n", "line 3: the value is text over several lines"},
		"several plain":      {good, "images:\n- name: a\n  newTag: v\n    1\n", "line 3: the value is text over several lines"},
		"a block":            {good, "images:\n- name: a\n  newTag: |\n    v1\n", "line 3: the value is text over several lines"},
		"a mapping":          {good, "images:\n- name: a\n  newTag: {}\n", "line 3: a single value is wanted here, and there is a mapping"},
		"a template":         {good, "images:\n- name: a\n  newTag: {{ .tag }}\n", "line 3: the value is computed by a template"},
		"a template around":  {good, "{{ if .x }}\nimages:\n{{ end }}\n", "line 1: the file is a template"},
		"broken":             {good, "images: [\n", "cannot be read as YAML"},
		"not UTF-8":          {good, "images: \xff\n", "not UTF-8"},
		"too large":          {good, strings.Repeat("#", edit.MaxSize+1), "not edited"},
		"in braces":          {good, "{resources: []}\n", "line 1: the kustomization is written in braces"},
		"after the end":      {good, "resources: []\n...\n", "without changing something else"},
		"text without break": {good, "patches:\n- patch: |\n    a: b", "without changing something else"},
		"digest first":       {good, "images:\n- digest: " + oldDigest + "\n  # c\n  newTag: v1\n  name: a\n", "line 2: digest cannot be taken away"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := edit.Kustomize([]byte(tc.in), tc.image)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}
