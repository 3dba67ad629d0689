package cli_test

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sengu-dev/sengu/internal/cli"
	"github.com/sengu-dev/sengu/internal/render"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// programName is what the test binary is called when it stands for the program itself.
const programName = "sengu"

// TestMain makes the test binary the program itself when it is called by its name, or as a render worker.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.WorkerVerb {
		os.Exit(render.WorkerMain(os.Stdin, os.Stdout))
	}
	if filepath.Base(os.Args[0]) == programName {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
		stop()
		os.Exit(code)
	}
	testenv.Main(m, testenv.Options{Planes: 1, Nodes: 1})
}

// program puts the test binary under the name of the program into a folder, and returns the folder.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	target := filepath.Join(dir, programName)
	// A link would be followed by os.Executable on some systems, a hard link is not.
	if err := os.Link(self, target); err != nil {
		copyFile(t, self, target)
	}
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// onPath makes the scripts find the program.
func onPath(bin string, env *testscript.Env) {
	env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
}

// TestOffline runs the scripts that need no plane.
func TestOffline(t *testing.T) {
	bin := program(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "offline"), RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error { onPath(bin, env); return nil },
	})
}
