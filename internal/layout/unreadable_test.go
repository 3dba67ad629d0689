package layout

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// gated is a tree of which some folders refuse to be read.
type gated struct {
	fstest.MapFS
	shut []string
}

var errShut = errors.New("the host is away")

func (g gated) Open(name string) (fs.File, error) {
	if slices.Contains(g.shut, name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errShut}
	}
	return g.MapFS.Open(name)
}

func (g gated) Stat(name string) (fs.FileInfo, error) {
	if slices.Contains(g.shut, name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: errShut}
	}
	return g.MapFS.Stat(name)
}

func (g gated) ReadDir(name string) ([]fs.DirEntry, error) {
	if slices.Contains(g.shut, name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errShut}
	}
	return g.MapFS.ReadDir(name)
}

// shutOut are the services that an Index cannot read.
func shutOut(x *Index) []string { return slices.Sorted(maps.Keys(x.Unreadable())) }

func environments(x *Index, service string) []string {
	return slices.Sorted(maps.Keys(x.Places(service)))
}

// TestUnreadable has a folder refuse to be read: it concerns no service but its own, of which what was known stays.
func TestUnreadable(t *testing.T) {
	for pattern, tc := range map[string]struct {
		files           []string
		shut, above, of string
	}{
		"apps/{service}/{environment}": {
			[]string{"apps/a/dev/x", "apps/b/dev/x", "apps/b/prod/x", "apps/c/dev/x"}, "apps/b", "apps", "apps/b/stage",
		},
		"{environment}/{service}/k8s": {
			[]string{"dev/a/k8s/x", "dev/b/k8s/x", "prod/b/k8s/x", "dev/c/k8s/x"}, "dev/b/k8s", "dev", "stage/b/k8s",
		},
	} {
		t.Run(pattern, func(t *testing.T) {
			l, err := Parse(pattern)
			if err != nil {
				t.Fatal(err)
			}
			files := newFiles(tc.files...)
			if pattern == "{environment}/{service}/k8s" {
				// Nothing reads the last folder of a layout: what leads to it is a link.
				delete(files, "dev/b/k8s/x")
				files["dev/b/k8s"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../../Lib")}
				files["Lib/x"] = &fstest.MapFile{}
			}
			open, shut := gated{files, nil}, gated{files, []string{tc.shut}}

			first, err := NewIndex(l, shut)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"a", "c"}, slices.Sorted(maps.Keys(maps.Collect(first.All())))); diff != "" {
				t.Errorf("services of the first tree: -want +got:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"b"}, shutOut(first)); diff != "" || !errors.Is(first.Unreadable()["b"], errShut) {
				t.Errorf("what cannot be read: %v\n%s", first.Unreadable(), diff)
			}

			x, err := NewIndex(l, open)
			if err != nil {
				t.Fatal(err)
			}
			moved, err := x.Follow(shut, slices.Values([]Change{{Path: tc.shut, Was: true, Is: true}}))
			if _, told := moved["b"]; err != nil || !told || len(shutOut(x)) != 1 {
				t.Fatalf("it moves %v, and cannot read %v: %v", moved, x.Unreadable(), err)
			}
			if diff := cmp.Diff([]string{"dev", "prod"}, environments(x, "b")); diff != "" {
				t.Errorf("what was known of what cannot be read: -want +got:\n%s", diff)
			}
			for _, c := range []Change{{Path: tc.of, Is: true, Folder: true}, {Path: tc.files[1][:len(tc.files[1])-2], Was: true, Folder: true}} {
				if _, err := x.Follow(shut, slices.Values([]Change{c})); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"dev", "prod"}, environments(x, "b")); diff != "" {
					t.Errorf("after %+v: -want +got:\n%s", c, diff)
				}
			}

			heals(t, l, x, open, shut)
			if _, err := NewIndex(l, gated{files, []string{tc.above}}); !errors.Is(err, errShut) {
				t.Errorf("a folder above all services cannot be read: %v", err)
			}
			if _, err := l.List(shut); !errors.Is(err, errShut) {
				t.Errorf("a list without one service: %v", err)
			}
		})
	}
}

// heals has the folder of the service b be read again, by a look at it alone and by one at everything.
func heals(t *testing.T, l Layout, x *Index, open, shut gated) {
	t.Helper()
	found, err := l.Service("b", shut)
	if x.Settle("b", found, err); err == nil || len(shutOut(x)) != 1 || len(x.Places("b")) != 2 {
		t.Errorf("it cannot be read still, and is %v: %v", x.Places("b"), err)
	}
	if found, err = l.Service("b", open); err != nil {
		t.Fatal(err)
	}
	x.Settle("a", Found{}, nil) // which can be read, so that nobody has asked
	if x.Settle("b", found, err); len(shutOut(x)) != 0 || len(x.Places("b")) != 2 || len(x.Places("a")) != 1 {
		t.Errorf("it can be read again, and is %v", x.Places("b"))
	}
	for _, step := range []struct {
		tree gated
		shut int
	}{{shut, 1}, {open, 0}} {
		moved, err := x.Follow(step.tree, slices.Values([]Change{{Path: "apps", Was: true, Is: true}, {Path: "dev", Was: true, Is: true}}))
		if _, told := moved["b"]; err != nil || !told || len(shutOut(x)) != step.shut || len(x.Places("b")) != 2 {
			t.Errorf("everything is read: it moves %v, and cannot read %v: %v", moved, x.Unreadable(), err)
		}
	}
	x.unreadable["b"] = errShut
	if x.Settle("b", Found{}, nil); len(x.Places("b")) != 0 || len(maps.Collect(x.All())) != 2 {
		t.Errorf("it is gone, and is %v", x.Places("b"))
	}
}
