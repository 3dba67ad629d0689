package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/internal/cli/local"
)

const upExample = `  # two control planes, a Git server with the example fleet, and Sengu, in the background
  sengu up

  # the same, in this terminal, until Ctrl-C
  sengu up --foreground

  # with another fleet: a folder laid out as examples/shop is
  sengu up --repo ../my-fleet

  # what runs, and where
  sengu up --status

  # stop all of it, and begin anew
  sengu down --delete && sengu up`

// upOptions are the flags of `up`.
type upOptions struct {
	dir        string
	repo       string
	planes     int
	nodes      int
	timeout    time.Duration
	foreground bool
	status     bool
}

// upCommand is `sengu up`.
func (p *program) upCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "A plane of your own: control planes, a Git server with an example fleet, and Sengu",
		Long: `Starts everything that it takes to try Sengu on this machine, and returns when every app
of the example fleet is synced and healthy: control planes dev and prod with simulated
nodes, a Git server with a repository to clone from and push to, and Sengu. It runs in
the background until ` + "`sengu down`" + `, listens on 127.0.0.1 only, and keeps what it knows in
the folder .sengu, so that the next ` + "`sengu up`" + ` goes on where it was left.

It needs git, and the program localplane beside this one.`,
		Example: upExample,
		GroupID: groupRun,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.up(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", ".sengu", "folder for everything that it keeps")
	flags.StringVar(&o.repo, "repo", "", "folder of the fleet to deliver; examples/shop by default")
	flags.IntVar(&o.planes, "planes", 2, "control planes; with fewer than the fleet has clusters, the environments on the others are left out")
	flags.IntVar(&o.nodes, "nodes", 3, "simulated nodes of each control plane")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait until every app is synced and healthy")
	flags.BoolVar(&o.foreground, "foreground", false, "run in this terminal, with the log, until Ctrl-C")
	flags.BoolVar(&o.status, "status", false, "say what runs and where, and start nothing")
	return cmd
}

func (p *program) up(ctx context.Context, o upOptions) error {
	dir, err := local.Abs(o.dir)
	if err != nil {
		return err
	}
	if o.status {
		return p.upStatus(ctx, dir)
	}
	lo, err := p.localOptions(dir, o)
	if err != nil {
		return err
	}
	if o.foreground {
		err := local.Run(ctx, lo)
		if errors.Is(err, local.ErrRunning) {
			return fmt.Errorf("the local plane in %s is up already, as process %d: `sengu down` stops it", o.dir, dir.PID())
		}
		return err
	}
	state, err := p.background(ctx, dir, lo, o)
	if err != nil {
		return err
	}
	return p.delivered(ctx, dir, state, o)
}

// localOptions finds what a local plane needs and says what is missing.
func (p *program) localOptions(dir local.Dir, o upOptions) (local.Options, error) {
	binary, err := local.FindPlane(p.env)
	if err != nil {
		return local.Options{}, err
	}
	before, err := dir.Read()
	if err != nil {
		return local.Options{}, err
	}
	repository, err := local.FindRepository(o.repo, before.Repository)
	if err != nil {
		return local.Options{}, err
	}
	lo := local.Options{
		Dir: dir, Binary: binary, Repository: repository, Planes: o.planes, Nodes: o.nodes, Serve: serveLocal,
		Logger: slog.New(slog.NewTextHandler(p.err, nil)),
	}
	return lo, lo.Check()
}

// background starts the local plane in a process of its own, unless one runs already, and waits until Sengu is ready.
func (p *program) background(ctx context.Context, dir local.Dir, lo local.Options, o upOptions) (local.State, error) {
	pid := dir.PID()
	var ended <-chan struct{}
	if pid != 0 {
		p.notef("the local plane in %s is up already, as process %d\n", o.dir, pid)
	} else {
		var err error
		pid, ended, err = dir.Start(ctx, []string{
			"up", "--foreground", "--dir", string(dir), "--repo", lo.Repository,
			"--planes", strconv.Itoa(o.planes), "--nodes", strconv.Itoa(o.nodes),
		})
		if err != nil {
			return local.State{}, err
		}
	}
	state, err := dir.Await(ctx, pid, ended, func(line string) { p.notef("%s\n", line) })
	switch {
	case errors.Is(err, context.Canceled):
		p.notef("It goes on in the background: `sengu up --status` shows it, `sengu down` stops it.\n")
		return state, err
	case err != nil:
		p.notef("The last lines of %s:\n", relative(dir.Log()))
		for _, line := range local.Tail(dir.Log(), logLines) {
			p.notef("  %s\n", line)
		}
		return state, fmt.Errorf("the local plane did not come up: %w", err)
	}
	return state, nil
}

// logLines is how much of a log is shown when something fails.
const logLines = 10

// relative says path as it is seen from the working directory, if it is below it.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// delivered waits until the fleets are synced and healthy, and says what to try next.
func (p *program) delivered(ctx context.Context, dir local.Dir, state local.State, o upOptions) error {
	p.kubeconfig, p.kubeContext, p.namespace = state.Planes[0].Kubeconfig, "", local.Namespace
	pl, err := p.plane()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	var last snapshot
	show := p.progress()
	err = pl.follow(limited, func(err error) { show.note("the plane does not answer: %v", err) }, func(snap snapshot) (bool, error) {
		last = snap
		done, all := snap.settled(state.Fleets)
		show.count(done, all)
		return all > 0 && done == all, nil
	})
	show.end()
	switch {
	case errors.Is(err, context.Canceled):
		p.notef("It goes on in the background: `sengu get --watch` shows it, `sengu down` stops it.\n")
		return err
	case err != nil && limited.Err() != nil:
		p.notef("%s", problems(p.now(), last, filter{}, p.painter(p.err)))
		return fmt.Errorf("not every app is synced and healthy after %s: `sengu get` and `sengu why APP` say more", o.timeout)
	case err != nil:
		return err
	}
	c := p.painter(p.out)
	p.printf("%s%s\n%s", matrices(p.now(), last, filter{}, width(p.out), c), problems(p.now(), last, filter{}, c), next(dir, state, c))
	return nil
}

// next says what to try on a plane that is up.
func next(dir local.Dir, state local.State, c painter) string {
	var b strings.Builder
	line := func(command, what string) { fmt.Fprintf(&b, "  %-58s %s\n", command, c.paint(dim, "# "+what)) }
	b.WriteString(c.paint(bold, "Try next") + "\n")
	folder := strings.TrimSuffix(filepath.Base(state.CloneURL), ".git")
	line("git clone "+state.CloneURL+" && cd "+folder, "the repository that is delivered")
	line("sengu diff", "change a file there: what would that do?")
	line("git commit -am change && git push", "deliver it")
	line("sengu get --watch", "see it arrive")
	line("sengu why checkout/production", "should it not arrive")
	line("kubectl --kubeconfig "+relative(dir.Kubeconfig(state.Planes[0].Name))+" get pods -A", "what runs there")
	line("sengu down", "stop all of it")
	return b.String()
}

// upStatus says what runs and where.
func (p *program) upStatus(ctx context.Context, dir local.Dir) error {
	state, err := dir.Read()
	if err != nil {
		return err
	}
	pid := dir.PID()
	if pid == 0 {
		if state.Error != "" {
			return fmt.Errorf("the local plane in %s is down, and the last one failed: %s", relative(string(dir)), state.Error)
		}
		return fmt.Errorf("there is no local plane up in %s: start one with `sengu up`", relative(string(dir)))
	}
	p.printf("%-12s %s, process %d, since %s\n", "local plane", state.Phase, pid, ago(p.now(), state.Started))
	p.printf("%-12s %s\n", "clone", state.CloneURL)
	p.printf("%-12s http://%s\n", "server", state.Server)
	for _, plane := range state.Planes {
		p.printf("%-12s %s\n", "plane "+plane.Name, relative(plane.Kubeconfig))
	}
	p.printf("%-12s %s\n", "log", relative(dir.Log()))
	if state.Phase != local.Running {
		return nil
	}
	p.kubeconfig, p.kubeContext, p.namespace = state.Planes[0].Kubeconfig, "", local.Namespace
	pl, err := p.plane()
	if err != nil {
		return err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	done, all := snap.settled(state.Fleets)
	p.printf("%-12s %d of %d synced and healthy\n", "apps", done, all)
	return nil
}
