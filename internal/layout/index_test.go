package layout

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// folders returns every folder of a tree, with a word on all that is below it.
func folders(tree fstest.MapFS) map[string]string {
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			found[dir] += name + "=" + string(tree[name].Data) + "\n"
			if dir == "." {
				break
			}
		}
	}
	return found
}

// differences tells two trees apart as Git does: by every file and every folder that is other than it was.
func differences(was, is fstest.MapFS) []Change {
	word := func(tree fstest.MapFS) map[string]string {
		words := folders(tree)
		for name, file := range tree {
			words[name] = file.Mode.String() + string(file.Data)
		}
		return words
	}
	before, after := word(was), word(is)
	folder := func(tree fstest.MapFS, name string) bool {
		_, file := tree[name]
		return !file
	}
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
		for name := range before {
			yield(name, true)
		}
		for name := range after {
			yield(name, true)
		}
	}))) {
		a, was1 := before[name]
		b, is1 := after[name]
		if a != b || was1 != is1 {
			changes = append(changes, Change{Path: name, Was: was1, Is: is1, Folder: folder(was, name) && folder(is, name)})
		}
	}
	return changes
}

func put(tree fstest.MapFS, name, content string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		delete(tree, dir) // a file or a link in the place of the folder
	}
	maps.DeleteFunc(tree, func(other string, _ *fstest.MapFile) bool { return strings.HasPrefix(other, name+"/") })
	tree[name] = &fstest.MapFile{Data: []byte(content)}
}

// TestIndexFollows holds an Index that goes from tree to tree to what one says that reads the last of them anew.
func TestIndexFollows(t *testing.T) {
	for _, pattern := range []string{"apps/{service}/overlays/{environment}", "{environment}/{service}", "apps/{environment}-{service}"} {
		l, err := Parse(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 1))
			tree := fstest.MapFS{}
			x, err := NewIndex(l, tree)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				next := maps.Clone(tree)
				for range 1 + rng.IntN(3) {
					edit(rng, next)
				}
				before := maps.Clone(x.services)
				moved, err := x.Follow(next, slices.Values(differences(tree, next)))
				if err != nil {
					t.Fatal(err)
				}
				anew, err := NewIndex(l, next)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(anew.services, x.services); diff != "" {
					t.Fatalf("layout %s, seed %d: an Index that followed differs from one that was read (-read +followed):\n%s", pattern, seed, diff)
				}
				for service := range maps.Collect(func(yield func(string, bool) bool) {
					for service := range before {
						yield(service, true)
					}
					for service := range anew.services {
						yield(service, true)
					}
				}) {
					if _, told := moved[service]; !told && !maps.Equal(before[service], anew.services[service]) {
						t.Fatalf("layout %s, seed %d: %s moved, and nobody was told", pattern, seed, service)
					}
				}
				tree = next
			}
		}
	}
}

// edit changes one thing of a tree: a file in a folder of one of the layouts, a file in the place of a folder, a link to
// a folder, or nothing of all that any more.
func edit(rng *rand.Rand, tree fstest.MapFS) {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	names := []string{"a", "b", "c"}
	folder := pick(
		"apps/"+pick(names...)+"/overlays/"+pick(names...), pick(names...)+"/"+pick(names...), "apps/"+pick(names...)+"-"+pick(names...),
		"apps/"+pick(names...), pick(names...), "apps", "docs",
	)
	switch rng.IntN(9) {
	case 0, 1, 2, 3:
		put(tree, folder+"/"+pick("x.yaml", "y.yaml"), pick("1", "2", "3"))
	case 4, 5:
		maps.DeleteFunc(tree, func(name string, _ *fstest.MapFile) bool {
			return name == folder || strings.HasPrefix(name, folder+"/")
		})
	case 6:
		put(tree, folder, "a file")
	case 7:
		put(tree, folder, strings.Repeat("../", strings.Count(folder, "/"))+"lib/"+pick(names...)) // where there are no links
		tree[folder].Mode = fs.ModeSymlink
	case 8:
		put(tree, "lib/"+pick(names...)+pick("", "/overlays")+"/"+pick(names...)+"/x.yaml", pick("1", "2", "3"))
	}
}

func TestIndexReadsOnlyWhatChanged(t *testing.T) {
	l, err := Parse("apps/{service}/overlays/{environment}")
	if err != nil {
		t.Fatal(err)
	}
	tree := newFiles("apps/a/overlays/develop/x", "apps/b/overlays/develop/x")
	x, err := NewIndex(l, tree)
	if err != nil {
		t.Fatal(err)
	}
	held := x.Places("b")
	moved, err := x.Follow(unread{}, slices.Values([]Change{
		{Path: ".", Was: true, Is: true, Folder: true}, {Path: "apps", Was: true, Is: true, Folder: true},
		{Path: "apps/b", Was: true, Is: true, Folder: true}, {Path: "apps/b/overlays", Was: true, Is: true, Folder: true},
		{Path: "apps/b/overlays/staging", Is: true, Folder: true}, {Path: "apps/b/overlays/staging/x", Is: true},
		{Path: "apps/a", Was: true, Is: true, Folder: true}, {Path: "apps/a/overlays", Was: true, Is: true, Folder: true},
		{Path: "apps/a/overlays/develop", Was: true, Is: true, Folder: true}, {Path: "README.md", Was: true, Is: true},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]struct{}{"b": {}}, moved); diff != "" {
		t.Errorf("services that moved: -want +got:\n%s", diff)
	}
	if got := len(x.Places("b")); got != 2 {
		t.Errorf("b has %d folders, want 2", got)
	}
	if len(held) != 1 {
		t.Errorf("what was given out before has changed: %v", held)
	}
}

// unread is a tree that must not be looked into.
type unread struct{}

func (unread) Open(name string) (fs.File, error) {
	panic("the tree is read at " + name)
}
