package scribe

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/image"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	folder  = "apps/checkout/develop"
)

var (
	kustomized = delivery.Image{Name: "checkout", Repository: "registry.example.com/shop/checkout", At: "apps/checkout/sengu.yaml:5"}
	valued     = delivery.Image{Name: "checkout", Update: delivery.Update{ValuesFile: "values.yaml", Key: "image.tag"}}
	marked     = delivery.Image{Name: "checkout", Update: delivery.Update{MarkedFile: "base/web.yaml"}}
)

func tree(name, content string) fs.FS {
	return fstest.MapFS{name: &fstest.MapFile{Data: []byte(content)}}
}

// TestPutAndRead writes an image in each way, and reads before and after it what is there.
func TestPutAndRead(t *testing.T) {
	const kustomization = folder + "/kustomization.yml"
	cases := map[string]struct {
		is            delivery.Image
		file, content string
		before        image.Reference
		put           image.Reference
		want          string
		after         image.Reference
	}{
		"Kustomization": {
			is: kustomized, file: kustomization, content: "images:\n- name: other\n  newTag: 1\n- name: checkout # ours\n  newTag: 1.10\n",
			before: image.Reference{Tag: "1.10"}, put: image.Reference{Tag: "1.11"},
			want:  "images:\n- name: other\n  newTag: 1\n- name: checkout # ours\n  newTag: \"1.11\"\n",
			after: image.Reference{Tag: "1.11"},
		},
		"KustomizationWithoutEntry": {
			is: kustomized, file: kustomization, content: "resources: [a.yaml]\n",
			put: image.Reference{Tag: "stable", Digest: digestA}, want: "resources: [a.yaml]\nimages:\n- name: checkout\n  newTag: stable\n  digest: " + digestA + "\n",
			after: image.Reference{Tag: "stable", Digest: digestA},
		},
		"KustomizationNamed": {
			is: delivery.Image{Name: "checkout", Update: delivery.Update{Kustomization: "base"}}, file: "base/Kustomization",
			content: "images:\n- {name: checkout, digest: '" + digestA + "'}\n", before: image.Reference{Digest: digestA},
			put: image.Reference{Digest: digestB}, want: "images:\n- {name: checkout, digest: '" + digestB + "'}\n", after: image.Reference{Digest: digestB},
		},
		"Values": {
			is: valued, file: "values.yaml", content: "image:\n  tag: 1.2.0 # which\n", before: image.Reference{Tag: "1.2.0"},
			put: image.Reference{Tag: "1.3.0"}, want: "image:\n  tag: 1.3.0 # which\n", after: image.Reference{Tag: "1.3.0"},
		},
		"ValuesWithDigest": {
			is: valued, file: "values.yaml", content: "image: {tag: 'stable@" + digestA + "'}\n", before: image.Reference{Tag: "stable", Digest: digestA},
			put: image.Reference{Tag: "stable", Digest: digestB}, want: "image: {tag: 'stable@" + digestB + "'}\n", after: image.Reference{Tag: "stable", Digest: digestB},
		},
		"ValuesDigestAlone": {
			is: valued, file: "values.yaml", content: "image: {tag: \"" + digestA + "\"}\n", before: image.Reference{Digest: digestA},
			put: image.Reference{Digest: digestB}, want: "image: {tag: \"" + digestB + "\"}\n", after: image.Reference{Digest: digestB},
		},
		"ValuesEmpty": {
			is: valued, file: "values.yaml", content: "image:\n  tag:\n",
			put: image.Reference{Tag: "1.0.0"}, want: "image:\n  tag: 1.0.0\n", after: image.Reference{Tag: "1.0.0"},
		},
		"Marked": {
			is: marked, file: "base/web.yaml", content: "a: b\n---\nimage: registry.example.com:5000/shop/checkout:1.2.0 # sengu:image checkout\n",
			before: image.Reference{Tag: "1.2.0"}, put: image.Reference{Tag: "1.3.0", Digest: digestA},
			want:  "a: b\n---\nimage: registry.example.com:5000/shop/checkout:1.3.0@" + digestA + " # sengu:image checkout\n",
			after: image.Reference{Tag: "1.3.0", Digest: digestA},
		},
		"MarkedParts": {
			is: marked, file: "base/web.yaml", content: "d: " + digestA + " # sengu:image checkout:digest\nt: live # sengu:image checkout:tag\n",
			before: image.Reference{Tag: "live", Digest: digestA}, put: image.Reference{Tag: "live", Digest: digestB},
			want:  "d: " + digestB + " # sengu:image checkout:digest\nt: live # sengu:image checkout:tag\n",
			after: image.Reference{Tag: "live", Digest: digestB},
		},
		"MarkedWithoutVersion": {
			is: marked, file: "base/web.yaml", content: "image: registry.example.com:5000/web # sengu:image checkout\n",
			put: image.Reference{Tag: "1"}, want: "image: registry.example.com:5000/web:1 # sengu:image checkout\n", after: image.Reference{Tag: "1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			read := func(content string) image.Reference {
				t.Helper()
				ref, err := Read(tree(tc.file, content), tc.is, folder)
				if err != nil {
					t.Fatal(err)
				}
				return ref
			}
			if diff := cmp.Diff(tc.before, read(tc.content)); diff != "" {
				t.Errorf("before\n%s", diff)
			}
			changed := map[string][]byte{}
			if err := Put(tree(tc.file, tc.content), changed, tc.is, folder, tc.put); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(changed[tc.file])); diff != "" {
				t.Errorf("written\n%s", diff)
			}
			if diff := cmp.Diff(tc.after, read(tc.want)); diff != "" {
				t.Errorf("after\n%s", diff)
			}
			if place, err := PlaceOf(tree(tc.file, tc.content), tc.is, folder); err != nil || place.File != tc.file {
				t.Errorf("the place is %+v: %v", place, err)
			}
		})
	}
}

// TestReadRefuses says what keeps an image from being read, and no value of the file.
func TestReadRefuses(t *testing.T) {
	cases := map[string]struct {
		is            delivery.Image
		file, content string
		want          string
	}{
		"NoKustomization": {kustomized, "x", "", "apps/checkout/sengu.yaml:5: the image checkout is written into the kustomization in apps/checkout/develop, and there is none"},
		"NoFile":          {valued, "x", "", "values.yaml, where"},
		"NoPath":          {valued, "values.yaml", "image: {}\n", "values.yaml: the image checkout cannot be read: line 1: image has no key \"tag\""},
		"NoMark":          {marked, "base/web.yaml", "image: s3cret\n", "no value is marked"},
		"Twice":           {kustomized, folder + "/kustomization.yaml", "images:\n- name: checkout\n- name: checkout\n", "line 3"},
		"NoYAML":          {kustomized, folder + "/kustomization.yaml", "images: [s3cret\n", "cannot be read as YAML"},
		"OtherShape":      {kustomized, folder + "/kustomization.yaml", "images: s3cret\n", "images must be a list"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read(tree(tc.file, tc.content), tc.is, folder)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestEdits writes several images, two of them into one file, and leaves the others.
func TestEdits(t *testing.T) {
	const file = folder + "/kustomization.yaml"
	worker := delivery.Image{Name: "worker"}
	in := fstest.MapFS{
		file:          &fstest.MapFile{Data: []byte("images:\n- name: checkout\n  newTag: a\n- name: worker\n  newTag: b\n")},
		"values.yaml": &fstest.MapFile{Data: []byte("image: {tag: c}\n")},
	}
	got, err := Edits(in, []delivery.Image{kustomized, worker, {Name: "values", Update: valued.Update}}, folder, []v1alpha1.WantedImage{
		{Name: "checkout", Image: "registry.example.com/shop/checkout:x"}, {Name: "worker", Image: "registry.example.com/shop/worker:y"},
		{Name: "values", Image: "registry.example.com/shop/v:c"}, {Name: "nobody", Image: "registry.example.com/shop/z:z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{file: []byte("images:\n- name: checkout\n  newTag: x\n- name: worker\n  newTag: \"y\"\n")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Edits(in, []delivery.Image{kustomized}, folder, []v1alpha1.WantedImage{{Name: "checkout", Image: "no image"}}); err == nil {
		t.Error("what is no image was written")
	}
}

func TestRunning(t *testing.T) {
	images := []delivery.Image{kustomized, {Name: "nginx", Repository: "docker.io/library/nginx"}, {Name: "gone", Repository: "registry.example.com/gone"}}
	got := Running(images, []string{"registry.example.com/shop/checkout:1.2.0", "nginx:stable", "other:1"})
	want := map[string]string{"checkout": "registry.example.com/shop/checkout:1.2.0", "nginx": "nginx:stable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// hashed is a tree whose hashes are made of contents.
type hashed struct{ fstest.MapFS }

func (h hashed) Hash(name string) (string, error) {
	if _, err := fs.Stat(h.MapFS, name); err != nil {
		return "", err
	}
	return "hash of " + name, nil
}
func (h hashed) ReadLink(string) (string, error)        { return "", fs.ErrInvalid }
func (h hashed) Lstat(name string) (fs.FileInfo, error) { return h.Stat(name) }

// TestOver lays a file over a tree: it says something else, and so does the hash of each folder that it is in.
func TestOver(t *testing.T) {
	base := hashed{fstest.MapFS{"a/b/c.yaml": {Data: []byte("old")}, "a/d.yaml": {Data: []byte("d")}, "e/f.yaml": {Data: []byte("f")}}}
	over := Over(base, map[string][]byte{"a/b/c.yaml": []byte("changed")})
	other := Over(base, map[string][]byte{"a/b/c.yaml": []byte("otherwise")})
	for name, differs := range map[string]bool{".": true, "a": true, "a/b": true, "a/b/c.yaml": true, "a/d.yaml": false, "e": false} {
		was, _ := base.Hash(name)
		now, err := over.Hash(name)
		if err != nil || (was != now) != differs {
			t.Errorf("the hash of %s is %q, was %q: %v", name, now, was, err)
		}
		again, _ := Over(base, map[string][]byte{"a/b/c.yaml": []byte("changed")}).Hash(name)
		elsewhere, _ := other.Hash(name)
		if again != now || differs && elsewhere == now {
			t.Errorf("the hash of %s does not say what is laid over it", name)
		}
	}
	if _, err := over.Hash("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the hash of nothing: %v", err)
	}
	for name, want := range map[string]string{"a/b/c.yaml": "changed", "a/d.yaml": "d"} {
		got, err := fs.ReadFile(over, name)
		if err != nil || string(got) != want {
			t.Errorf("%s is %q: %v", name, got, err)
		}
		info, err := fs.Stat(over, name)
		if err != nil || info.Size() != int64(len(want)) || info.IsDir() {
			t.Errorf("%s has %d bytes: %v", name, info.Size(), err)
		}
		file, err := over.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := file.Stat(); err != nil || info.Name() != name[strings.LastIndexByte(name, '/')+1:] {
			t.Errorf("%s opens as %v: %v", name, info, err)
		}
		_ = file.Close()
	}
	entries, err := fs.ReadDir(over, "a/b")
	if err != nil || len(entries) != 1 || entries[0].Name() != "c.yaml" {
		t.Errorf("a/b holds %v: %v", entries, err)
	}
}
