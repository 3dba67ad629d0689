//go:build !race

// Command localplane runs a Kubernetes control plane in one process, for tests
// and for trying things out. See its --help.
//
// It is left out of builds with the race detector, as is package plane: all of
// Kubernetes would be compiled with it, which takes half an hour, to find
// races in Kubernetes. The tests in e2e run the plain binary.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sengu-dev/sengu/localplane/internal/config"
	"github.com/sengu-dev/sengu/localplane/internal/plane"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := config.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "localplane:", err) // the exit code says it too
		return 2
	}
	switch cfg.Action {
	case config.Help:
		return written(fmt.Fprint(stdout, config.Usage))
	case config.Version:
		return written(fmt.Fprintln(stdout, plane.Version()))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
	defer stop()
	// The first signal stops in order; a second one, at once.
	context.AfterFunc(ctx, stop)
	if cfg.StopOnEOF {
		ctx = untilEOF(ctx, stdin)
	}
	if err := plane.Run(ctx, cfg, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "localplane:", err) // the exit code says it too
		return 1
	}
	return 0
}

// written returns the exit code of what only writes.
func written(_ int, err error) int {
	if err != nil {
		return 1
	}
	return 0
}

// untilEOF returns a context that ends also when in does. The goroutine that
// reads lives as long as the process: a read cannot be interrupted.
func untilEOF(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // any end of the input is the end
	}()
	return ctx
}
