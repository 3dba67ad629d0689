// Command sengu delivers what Git says to Kubernetes clusters. See `sengu --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sengu-dev/sengu/internal/cli"
	"github.com/sengu-dev/sengu/internal/render"
)

func main() {
	// A worker enters its sandbox before anything else is set up, not even a signal handler.
	if len(os.Args) == 2 && os.Args[1] == render.WorkerVerb {
		os.Exit(render.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends what is under way in order; a second one, at once.
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
}
