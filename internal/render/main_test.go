package render

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// workerArg makes the test binary a worker, as the hidden verb does with the program.
const workerArg = "-sengu-render-worker"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workerArg {
		os.Exit(WorkerMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == helmArg {
		os.Exit(helmMain(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// newRenderer returns a Renderer whose workers are this test binary.
func newRenderer(t testing.TB, change ...func(*Options)) *Renderer {
	t.Helper()
	o := Options{Executable: os.Args[0], Args: []string{workerArg}, Workers: 2}
	if raceEnabled {
		o.MemoryLimit = 2 << 30 // a worker that is this test binary carries the race detector, and its memory
	}
	for _, c := range change {
		c(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// writeTree writes files, named relative to a new directory, and returns it as a source.
func writeTree(t testing.TB, files map[string]string) *Dir {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return openDir(t, dir)
}

func openDir(t testing.TB, dir string) *Dir {
	t.Helper()
	src, err := DirSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() }) // it only reads
	return src
}
