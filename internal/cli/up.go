package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/cli/local"
	"github.com/sengu-dev/sengu/internal/controller/act"
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
		Long: `Starts everything that it takes to try Sengu on this machine: control planes dev and prod
with simulated nodes, a Git server with a repository to clone from and push to, and Sengu.
It returns when every app of the example fleet is synced and healthy, and a change that it
then pushes has gone through develop and staging and waits for you before production. It
runs in the background until ` + "`sengu down`" + `, listens on 127.0.0.1 only, and keeps what it knows
in the folder .sengu, so that the next ` + "`sengu up`" + ` goes on where it was left.

The change is the file sengu/change.patch of the fleet's folder. It is pushed once; without
such a file none is.

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
	p.printf("%s%s\n", matrices(p.now(), last, filter{}, width(p.out), c), problems(p.now(), last, filter{}, c))
	waiting, err := p.demonstrate(limited, pl, dir, state)
	if err != nil {
		return err
	}
	p.printf("%s", next(dir, state, waiting, c))
	return nil
}

// demonstrate pushes the change that the repository offers, and follows it until it waits for a person.
func (p *program) demonstrate(ctx context.Context, pl *plane, dir local.Dir, state local.State) (*v1alpha1.Release, error) {
	commit, err := local.Change(ctx, dir, state)
	if err != nil || commit == "" {
		return nil, err
	}
	p.notef("A change was pushed: commit %s\n", short(commit))
	var found *v1alpha1.Release
	seen := int64(0)
	err = pl.follow(ctx, func(error) {}, func(snap snapshot) (bool, error) {
		for _, r := range snap.newest("", "") {
			if r.Spec.Revision != commit {
				continue
			}
			found = r
			for _, t := range r.Status.Journal {
				if t.Number > seen && t.Environment != "" {
					p.notef("  %s\n", happening(t))
				}
				seen = max(seen, t.Number)
			}
			return r.Status.Ended != nil || slices.ContainsFunc(r.Status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool { return act.Asks(&e) }), nil
		}
		return false, nil
	})
	if err != nil || found == nil {
		return nil, err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	p.printf("\n%s\n", snap.picture(p.now(), found, p.painter(p.out)))
	if found.Status.Ended != nil {
		return nil, nil
	}
	return found, nil
}

// next says what to try on a plane that is up.
func next(dir local.Dir, state local.State, waiting *v1alpha1.Release, c painter) string {
	var b strings.Builder
	line := func(command, what string) { fmt.Fprintf(&b, "  %-58s %s\n", command, c.paint(dim, "# "+what)) }
	b.WriteString(c.paint(bold, "Try next") + "\n")
	if waiting != nil {
		service, before := waiting.Spec.Service, asking(waiting)
		line("sengu release approve "+service, "let the change into "+before)
		line("sengu release show "+service+" --watch", "see it go there")
		line("sengu release rollback "+service+" -e "+before, "take it back")
		line("sengu release resume "+service+" -e "+before, "let it in again")
	}
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

// asking is the environment before which r waits for an approval.
func asking(r *v1alpha1.Release) string {
	for i := range r.Status.Environments {
		if act.Asks(&r.Status.Environments[i]) {
			return r.Status.Environments[i].Name
		}
	}
	return ""
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
