package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openHome returns a folder that is held until the test ends.
func openHome(t *testing.T) *Home {
	t.Helper()
	h, err := Open(filepath.Join(t.TempDir(), "plane"))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

func TestOpenRefusesASecond(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	_, err = Open(dir)
	var inUse *InUseError
	if !errors.As(err, &inUse) {
		t.Fatalf("Open while it is open: got %v, want an InUseError", err)
	}
	if inUse.PID != os.Getpid() {
		t.Errorf("Open while it is open: got process %d, want %d", inUse.PID, os.Getpid())
	}
	if !strings.Contains(inUse.Error(), dir) {
		t.Errorf("Open while it is open: %q does not name the folder", inUse)
	}
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestInUseErrorWithoutProcess(t *testing.T) {
	got := (&InUseError{Dir: "/d"}).Error()
	if strings.Contains(got, "process") {
		t.Errorf("Error names a process that is not known: %q", got)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil {
		t.Error("Open of a file succeeded")
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, want := range []string{"first, and longer", "second"} {
		if err := writeFile(path, []byte(want)); err != nil {
			t.Fatalf("writeFile: %v", err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("writeFile: got %q, %v; want %q", got, err, want)
		}
	}
	wantPrivate(t, path)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("writeFile left %v, %v; want one file", entries, err)
	}
}

// wantPrivate fails the test when others than the owner may use path.
func wantPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("%s has mode %o, want 600", filepath.Base(path), mode)
	}
}

func TestRemoveKubeconfig(t *testing.T) {
	h := openHome(t)
	if err := h.RemoveKubeconfig(); err != nil {
		t.Errorf("RemoveKubeconfig without one: %v", err)
	}
	if err := WriteKubeconfig(h.KubeconfigFile(), Kubeconfig{Server: "https://127.0.0.1:1", User: "admin"}); err != nil {
		t.Fatalf("WriteKubeconfig: %v", err)
	}
	wantPrivate(t, h.KubeconfigFile())
	if err := h.RemoveKubeconfig(); err != nil {
		t.Errorf("RemoveKubeconfig: %v", err)
	}
	if _, err := os.Stat(h.KubeconfigFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("kubeconfig after RemoveKubeconfig: %v, want none", err)
	}
}

func TestSocketFits(t *testing.T) {
	cases := map[string]struct {
		path string
		want bool
	}{
		"Plain":   {path: "/tmp/Test_a-1.b/etcd.sock", want: true},
		"Longest": {path: "/" + strings.Repeat("a", maxSocketPath-1), want: true},
		"TooLong": {path: "/" + strings.Repeat("a", maxSocketPath), want: false},
		"Space":   {path: "/a b/etcd.sock", want: false},
		"Percent": {path: "/a%20/etcd.sock", want: false},
		"Query":   {path: "/a?b/etcd.sock", want: false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := socketFits(tc.path); got != tc.want {
				t.Errorf("socketFits(%q): got %v, want %v", tc.path, got, tc.want)
			}
		})
	}
}

func TestSocketElsewhere(t *testing.T) {
	h, err := Open(filepath.Join(t.TempDir(), "a b"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }() // the test is about its socket
	path, remove, err := h.Socket("etcd.sock")
	if err != nil {
		t.Fatalf("Socket: %v", err)
	}
	if !socketFits(path) {
		t.Errorf("Socket: %q cannot be an address", path)
	}
	if err := remove(); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder of the socket after remove: %v, want none", err)
	}
}
