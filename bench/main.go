// Command bench measures Sengu on the workloads F1 to F6 and R1, each beside its floor in the same run, and prints tables and
// then one JSON object a line. docs/benchmarks.md says what is measured and how to read it.
//
// It starts everything itself: a control plane for the floor, another for Sengu, a Git server, and Sengu as it is
// installed, as a process of its own. It fails when what was delivered is wrong, and refuses to fail because something
// was slow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// all are the workloads by name.
var allWorkloads = []string{"f1", "f2", "f3", "f4", "f5", "f6", "r1"}

// bench is what was asked for.
type bench struct {
	workload   string
	apps       int
	runs       int
	commits    int
	binary     string
	localplane string
	timeout    time.Duration
	keep       bool
	floorOnly  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	b := &bench{}
	flag.StringVar(&b.workload, "workload", "all", "what to measure: "+strings.Join(allWorkloads, ", ")+" or all")
	flag.IntVar(&b.apps, "apps", 1000, "how many Apps there are")
	flag.IntVar(&b.runs, "runs", 1, "how often everything is measured; medians are printed")
	flag.IntVar(&b.commits, "commits", 200, "how many commits F2 makes")
	flag.StringVar(&b.binary, "sengu", "bin/sengu", "the program to measure")
	flag.StringVar(&b.localplane, "localplane", "bin/localplane", "the control plane to measure on")
	flag.DurationVar(&b.timeout, "timeout", 15*time.Minute, "how long to wait for any one thing")
	flag.BoolVar(&b.keep, "keep", false, "keep the folder with everything that was made")
	flag.BoolVar(&b.floorOnly, "floor", false, "measure the floor only, and print it to standard error")
	flag.Parse()
	if err := b.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sengu-bench-")
	if err != nil {
		return err
	}
	if b.keep {
		b.progress("everything is kept in %s", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	var runs [][]figure
	for i := range b.runs {
		figures, err := b.once(ctx, filepath.Join(dir, fmt.Sprint("run", i)), i)
		if err != nil {
			return err
		}
		if !b.floorOnly {
			runs = append(runs, figures)
		}
	}
	if b.floorOnly {
		return nil
	}
	return report(os.Stdout, medians(runs))
}

// check refuses what cannot be measured.
func (b *bench) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	case b.workload != "all" && !slices.Contains(allWorkloads, b.workload):
		return fmt.Errorf("unknown workload %q: it is one of %s or all", b.workload, strings.Join(allWorkloads, ", "))
	case b.apps < 1 || b.runs < 1 || b.commits < 1:
		return errors.New("-apps, -runs and -commits are at least 1")
	}
	for name, path := range map[string]*string{"-sengu": &b.binary, "-localplane": &b.localplane} {
		if b.floorOnly && path == &b.binary {
			continue
		}
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("%s is missing: run `make build`, or say where it is with %s", *path, name)
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	return nil
}

// wants reports whether one of some workloads was asked for.
func (b *bench) wants(workloads ...string) bool {
	return b.workload == "all" || slices.Contains(workloads, b.workload)
}

// once measures everything once. The floor goes first in every other run, so that neither profits from the order.
func (b *bench) once(ctx context.Context, dir string, number int) ([]figure, error) {
	b.progress("run %d of %d, %d Apps", number+1, b.runs, b.apps)
	var bounds map[string]bound
	var figures []figure
	var releases bound
	steps := []func() error{
		func() (err error) { bounds, err = b.floors(ctx, dir); return err },
		func() error {
			measured, err := b.measureAll(ctx, dir)
			figures = append(figures, measured...)
			return err
		},
	}
	if b.workload == "r1" {
		steps = nil
	}
	if b.wants("r1") {
		steps = append(steps,
			func() (err error) { releases, err = b.floorOfReleases(ctx, dir); return err },
			func() error {
				f, err := b.measureReleases(ctx, dir)
				figures = append(figures, f)
				return err
			})
	}
	if b.floorOnly {
		steps = steps[:1]
	}
	if number%2 == 1 {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for i := range figures {
		if bound, ok := bounds[figures[i].Workload]; ok {
			figures[i].setFloor(bound)
		}
		if figures[i].Workload == "r1" {
			figures[i].setFloor(releases)
		}
	}
	return figures, nil
}

// await waits for a goal as long as the benchmark may.
func (b *bench) await(ctx context.Context, g *goal) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("after %s", b.timeout))
	defer cancel()
	return g.wait(ctx)
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
