// Command gitread compares ways to fetch and read a Git repository: this project's gitrepo, the git program by itself,
// and the library go-git. It makes a repository of 20,000 files and 2,000 commits, serves it over HTTP on loopback, runs
// every way in a process of its own, and prints a table of wall time, CPU time and memory. docs/adr/0001 rests on it.
//
// It is responsible for figures, and refuses to judge them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// way is one way to do the work. Each method is one row of the table.
type way interface {
	clone(ctx context.Context) error
	fetch(ctx context.Context) (string, error) // gives the head
	read(ctx context.Context, rev string, dirs []string) (int, error)
	diff(ctx context.Context, from, to string) (int, error)
	list(ctx context.Context, rev string) (int, error)
	close() error
}

// figure is one measured row. Times are in milliseconds, memory in KiB.
type figure struct {
	Way    string  `json:"way"`
	Step   string  `json:"step"`
	N      int     `json:"n"`
	WallMS float64 `json:"wall_ms"`  // of one repetition, the median
	CPUMS  float64 `json:"cpu_ms"`   // of one repetition, the mean, with child processes
	PeakKB int64   `json:"peak_kib"` // of this step, PSS of all its processes
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gitread:", err)
		os.Exit(1)
	}
}

func run() error {
	files := flag.Int("files", 20_000, "files in the repository")
	commits := flag.Int("commits", 2_000, "commits in the repository")
	child := flag.String("way", "", "internal: run one way in this process")
	source := flag.String("source", "", "internal: the remote's folder")
	url := flag.String("url", "", "internal: the remote's URL")
	flag.Parse()
	ctx := context.Background()
	if *child != "" {
		return measure(ctx, *child, *source, *url)
	}
	root, err := os.MkdirTemp("", "gitread-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }() // in the folder for what may go
	start := time.Now()
	dir, err := generate(ctx, root, *files, *commits)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "made %d files, %d commits in %s\n", *files, *commits, time.Since(start).Round(time.Millisecond))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: gitserver.New(root, gitserver.Options{}), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }() // nobody asks it any more
	var figures []figure
	for _, name := range []string{"gitrepo", "git", "go-git"} {
		got, err := runChild(ctx, name, dir, "http://"+listener.Addr().String()+"/"+filepath.Base(dir))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		figures = append(figures, got...)
	}
	return report(figures)
}

// runChild runs one way in a process of its own, so that its memory is its own.
func runChild(ctx context.Context, name, dir, url string) ([]figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-way", name, "-source", dir, "-url", url) //nolint:gosec // this program itself
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var figures []figure
	for line := range strings.Lines(string(out)) {
		var f figure
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func report(figures []figure) error {
	// What cannot be written is told by Flush.
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "step\tway\tn\twall ms\tcpu ms\tpeak MiB\t")
	for _, step := range stepNames {
		for _, f := range figures {
			if f.Step == step {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%.1f\t%.1f\t\n", f.Step, f.Way, f.N, f.WallMS, f.CPUMS, float64(f.PeakKB)/1024)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, f := range figures {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}
