package cli_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sengu-dev/sengu/internal/cli"
	"github.com/sengu-dev/sengu/internal/render"
)

// TestMain makes the program itself a command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sengu": func() {
			if len(os.Args) == 2 && os.Args[1] == render.WorkerVerb {
				os.Exit(render.WorkerMain(os.Stdin, os.Stdout))
			}
			os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
		},
	})
}

// TestOffline runs the scripts that need no plane.
func TestOffline(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/offline", RequireExplicitExec: true})
}
