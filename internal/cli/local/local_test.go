package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const clusters = `
apiVersion: sengu.dev/v1alpha1
kind: Cluster
metadata: {name: dev}
---
# two of them
apiVersion: sengu.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
`

const fleets = `
apiVersion: sengu.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  git: {url: "http://git.sengu.local/shop.git"}
  environments:
  - {name: develop, cluster: dev}
  - {name: production, cluster: prod, after: [develop]}
  - {name: sandbox, cluster: dev, after: [production, develop]}
---
apiVersion: sengu.dev/v1alpha1
kind: Fleet
metadata: {name: real}
spec:
  git: {url: "https://git.example.com/real.git"}
  environments:
  - {name: live, cluster: dev}
`

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDeclared(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"sengu/clusters.yaml": clusters, "sengu/fleets.yaml": fleets})
	d, err := readDeclared(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.keep(1); err != nil {
		t.Fatal(err)
	}
	if err := d.point("http://127.0.0.1:1/shop.git"); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"git": map[string]any{"url": "http://127.0.0.1:1/shop.git", "webhookSecretRef": map[string]any{"name": webhookSecret}},
			"environments": []any{
				map[string]any{"name": "develop", "cluster": "dev"},
				map[string]any{"name": "sandbox", "cluster": "dev", "after": []any{"develop"}},
			},
		},
		{
			"git":          map[string]any{"url": "https://git.example.com/real.git"},
			"environments": []any{map[string]any{"name": "live", "cluster": "dev"}},
		},
	}
	var got []map[string]any
	for _, f := range d.fleets {
		got = append(got, f.Object["spec"].(map[string]any))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fleets on one plane: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dev"}, d.clusterNames()); diff != "" {
		t.Errorf("clusters on one plane: -want +got:\n%s", diff)
	}
}

func TestDeclaredRefuses(t *testing.T) {
	cases := map[string]struct {
		files  map[string]string
		planes int
		want   string
	}{
		"Nothing":      {files: map[string]string{"sengu/x.txt": ""}, planes: 1, want: "declares 0 Clusters and 0 Fleets"},
		"Foreign":      {files: map[string]string{"sengu/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}"}, planes: 1, want: `"Secret" x does not belong here`},
		"TooMany":      {files: map[string]string{"sengu/a.yaml": clusters, "sengu/b.yaml": fleets}, planes: 3, want: "--planes is 3: the fleet is for 2 clusters"},
		"None":         {files: map[string]string{"sengu/a.yaml": clusters, "sengu/b.yaml": fleets}, planes: 0, want: "--planes is 0"},
		"NothingLeft":  {files: map[string]string{"sengu/a.yaml": clusters, "sengu/b.yaml": strings.ReplaceAll(fleets, "cluster: dev", "cluster: prod")}, planes: 1, want: "has no environment on the first 1 clusters"},
		"NotYAMLAtAll": {files: map[string]string{"sengu/a.yaml": "a: b: c"}, planes: 1, want: "a.yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := readDeclared(write(t, t.TempDir(), tc.files))
			if err == nil {
				err = d.keep(tc.planes)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestMakeRepository(t *testing.T) {
	folder := write(t, t.TempDir(), map[string]string{"apps/a.yaml": "a", ".gitignore": "apps/", ".hidden/b": "b"})
	dir := t.TempDir()
	for i, want := range []bool{true, false} {
		made, err := makeRepository(t.Context(), dir, "shop.git", folder)
		if err != nil {
			t.Fatal(err)
		}
		if made != want {
			t.Errorf("call %d made the repository: %t, want %t", i+1, made, want)
		}
		write(t, folder, map[string]string{"later": "c"})
	}
	out, err := exec.CommandContext(t.Context(), "git", "--git-dir", filepath.Join(dir, "shop.git"), "ls-tree", "-r", "--name-only", branch).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(".gitignore\n.hidden/b\napps/a.yaml\n", string(out)); diff != "" {
		t.Errorf("files: every one, ignored or not, and none that came later: -want +got:\n%s", diff)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if pid := holder(path); pid != 0 {
		t.Errorf("a lock that nobody took is held by %d", pid)
	}
	l, err := take(path)
	if err != nil {
		t.Fatal(err)
	}
	if pid := holder(path); pid != os.Getpid() {
		t.Errorf("the lock is held by %d, want %d", pid, os.Getpid())
	}
	if _, err := take(path); !errors.Is(err, errHeld) {
		t.Errorf("taking a lock twice: got %v, want %v", err, errHeld)
	}
	l.release()
	if pid := holder(path); pid != 0 {
		t.Errorf("a lock that was released is held by %d", pid)
	}
}

func TestState(t *testing.T) {
	dir := Dir(t.TempDir())
	empty, err := dir.Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(State{}, empty); diff != "" {
		t.Errorf("the state of a folder that has none: -want +got:\n%s", diff)
	}
	want := State{Phase: Running, PID: 7, Git: "127.0.0.1:1", Planes: []Plane{{Name: "dev", Kubeconfig: "x"}}}
	if err := dir.write(want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Read()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the state: -want +got:\n%s", diff)
	}
	write(t, string(dir), map[string]string{"state.json": "{"})
	if _, err := dir.Read(); err == nil || !strings.Contains(err.Error(), "delete it if it was edited") {
		t.Errorf("a broken state: got %v, want an error with the way out", err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(write(t, t.TempDir(), map[string]string{"log": "one\ntwo\nthree\n"}), "log")
	if diff := cmp.Diff([]string{"two", "three"}, Tail(path, 2)); diff != "" {
		t.Errorf("tail: -want +got:\n%s", diff)
	}
	if got := Tail(path+"x", 2); got != nil {
		t.Errorf("the tail of a log that is not there: got %q", got)
	}
}
