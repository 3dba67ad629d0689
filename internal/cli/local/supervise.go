package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// Options say what a local plane consists of.
type Options struct {
	// Dir holds everything.
	Dir Dir
	// Binary runs a control plane.
	Binary string
	// Repository is the folder of the fleet that is delivered.
	Repository string
	// Planes is how many control planes there are, and Nodes how many simulated nodes each has.
	Planes, Nodes int
	// Serve runs Sengu until ctx ends.
	Serve  func(ctx context.Context, o ServeOptions) error
	Logger *slog.Logger
}

// ServeOptions say how Sengu runs on a local plane.
type ServeOptions struct {
	// Kubeconfig leads to the plane that holds Sengu's objects, in Namespace.
	Kubeconfig, Namespace string
	// DataDir holds what can be made again.
	DataDir string
	// Listen is the address of webhooks, /healthz and /readyz.
	Listen string
	Logger *slog.Logger
}

// ErrRunning says that the folder's local plane is up already.
var ErrRunning = errors.New("the local plane is up already")

// Check says what is missing before anything is started.
func (o Options) Check() error {
	if err := supported(); err != nil {
		return err
	}
	if err := checkGit(); err != nil {
		return err
	}
	d, err := readDeclared(o.Repository)
	if err != nil {
		return err
	}
	return d.keep(o.Planes)
}

// supervisor holds the parts of a local plane together.
type supervisor struct {
	Options
	mu    sync.Mutex
	state State
}

// Run starts everything, keeps it running until ctx ends or a part fails, and stops all of it. It returns ErrRunning
// when another process does so for the same folder.
func Run(ctx context.Context, o Options) (err error) {
	if err := os.MkdirAll(string(o.Dir), 0o700); err != nil {
		return fmt.Errorf("make the folder of the local plane: %w", err)
	}
	l, err := take(o.Dir.lockFile())
	if errors.Is(err, errHeld) {
		return ErrRunning
	}
	if err != nil {
		return err
	}
	defer l.release()
	before, err := o.Dir.Read()
	if err != nil {
		return err
	}
	s := &supervisor{Options: o, state: State{
		Phase: Starting, PID: os.Getpid(), Started: time.Now().UTC().Truncate(time.Second), Repository: o.Repository,
		Git: before.Git, Server: before.Server,
	}}
	if err := replaceFile(o.Dir.pidFile(), []byte(strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return err
	}
	defer func() { _ = os.Remove(o.Dir.pidFile()) }()
	defer func() { err = errors.Join(err, s.end(err)) }()
	return s.run(ctx)
}

// end writes what became of it.
func (s *supervisor) end(err error) error {
	return s.note(func(st *State) {
		st.Phase, st.PID, st.Progress = Stopped, 0, nil
		if err != nil {
			st.Phase, st.Error = Failed, err.Error()
		}
	})
}

// note changes the state and writes it.
func (s *supervisor) note(change func(*State)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	return s.Dir.write(s.state)
}

// progress tells who waits what has been done.
func (s *supervisor) progress(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	s.Logger.Info(line)
	return s.note(func(st *State) { st.Progress = append(st.Progress, line) })
}

func (s *supervisor) run(ctx context.Context) error {
	if err := s.note(func(*State) {}); err != nil {
		return err
	}
	d, err := readDeclared(s.Repository)
	if err != nil {
		return err
	}
	if err := d.keep(s.Planes); err != nil {
		return err
	}
	git, err := listen(ctx, s.state.Git)
	if err != nil {
		return fmt.Errorf("serve Git: %w", err)
	}
	defer func() { _ = git.Close() }()
	address, err := freeAddress(ctx, s.state.Server)
	if err != nil {
		return fmt.Errorf("serve webhooks: %w", err)
	}
	name := repositoryName(s.Repository)
	base := "http://" + git.Addr().String()
	if err := s.note(func(st *State) {
		st.Git, st.CloneURL, st.Server = git.Addr().String(), base+"/"+name, address
		st.Fleets = d.fleetNames()
	}); err != nil {
		return err
	}
	made, err := makeRepository(ctx, s.Dir.gitDir(), name, s.Repository)
	if err != nil {
		return err
	}
	if made {
		err = s.progress("Git repository %s made from %s", base+"/"+name, s.Repository)
	} else {
		err = s.progress("Git repository %s is as it was left", base+"/"+name)
	}
	if err != nil {
		return err
	}
	if err := d.point(base + "/" + name); err != nil {
		return err
	}
	planes, err := s.startPlanes(ctx, d)
	defer stopAll(planes)
	if err != nil {
		return err
	}
	return s.serve(ctx, d, planes, git, base)
}

// startPlanes starts the control planes at the same time.
func (s *supervisor) startPlanes(ctx context.Context, d declared) ([]*process, error) {
	planes := make([]*process, len(d.clusters))
	if err := s.progress("starting control planes: %s", strings.Join(d.clusterNames(), ", ")); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range d.clusters {
		name := d.clusters[i].GetName()
		group.Go(func() error {
			began := time.Now()
			p, err := startPlane(ctx, s.Binary, name, s.Dir.path(name), s.Nodes)
			if err != nil {
				return err
			}
			planes[i] = p
			return s.progress("control plane %s is ready after %s", name, time.Since(began).Round(100*time.Millisecond))
		})
	}
	if err := group.Wait(); err != nil {
		return planes, err
	}
	return planes, s.note(func(st *State) {
		for i := range d.clusters {
			st.Planes = append(st.Planes, Plane{Name: d.clusters[i].GetName(), Kubeconfig: s.Dir.Kubeconfig(d.clusters[i].GetName())})
		}
	})
}

func stopAll(planes []*process) {
	var wait sync.WaitGroup
	for _, p := range planes {
		if p != nil {
			wait.Go(p.stop)
		}
	}
	wait.Wait()
}

// serve installs Sengu's objects and runs what serves them until ctx ends or a part fails.
func (s *supervisor) serve(ctx context.Context, d declared, planes []*process, git net.Listener, base string) error {
	home := s.Dir.Kubeconfig(d.clusters[0].GetName())
	in, err := newInstaller(home)
	if err != nil {
		return err
	}
	if err := in.definitions(ctx); err != nil {
		return err
	}
	signing, err := in.objects(ctx, d, s.Dir.Kubeconfig)
	if err != nil {
		return err
	}
	if err := s.progress("clusters, fleets and their Secrets are in namespace %s of %s", Namespace, d.clusters[0].GetName()); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range planes {
		group.Go(func() error { return p.watch(ctx) })
	}
	group.Go(func() error { return s.serveGit(ctx, d, git, base, signing) })
	group.Go(func() error {
		if err := s.Serve(ctx, s.serveOptions(home)); err != nil {
			return err
		}
		if ctx.Err() == nil {
			return errors.New("the Sengu server ended by itself")
		}
		return nil
	})
	group.Go(func() error { return s.announce(ctx) })
	<-ctx.Done()
	if err := s.note(func(st *State) { st.Phase = Stopping }); err != nil {
		s.Logger.Warn("write the state", "error", err)
	}
	return group.Wait()
}

func (s *supervisor) serveOptions(kubeconfig string) ServeOptions {
	return ServeOptions{Kubeconfig: kubeconfig, Namespace: Namespace, DataDir: s.Dir.dataDir(), Listen: s.state.Server, Logger: s.Logger}
}

// serveGit serves the repository, and tells Sengu of every push.
func (s *supervisor) serveGit(ctx context.Context, d declared, listener net.Listener, base string, signing []byte) error {
	fleets := d.fleetNames()
	hooks := make([]gitserver.Hook, 0, len(fleets))
	for _, fleet := range fleets {
		hooks = append(hooks, gitserver.Hook{
			URL: "http://" + s.state.Server + "/webhooks/" + fleet, BaseURL: base, Secret: signing, Logger: s.Logger,
		})
	}
	handler := gitserver.New(s.Dir.gitDir(), gitserver.Options{
		Logger: s.Logger,
		OnPush: func(repo, branch, before, after string) { //nolint:contextcheck // a hook has a limit of its own
			for _, h := range hooks {
				h.OnPush(repo, branch, before, after)
			}
		},
	})
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve Git: %w", err)
	}
	return nil
}

// announce waits until the Sengu server says that it is ready, and tells who waits.
func (s *supervisor) announce(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, "http://"+s.state.Server+"/readyz") {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	if err := s.progress("the Sengu server is ready"); err != nil {
		return err
	}
	return s.note(func(st *State) { st.Phase = Running })
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// listen listens on the address that was used before if it is free, so that clones go on working, else on any.
func listen(ctx context.Context, before string) (net.Listener, error) {
	var config net.ListenConfig
	if before != "" {
		if l, err := config.Listen(ctx, "tcp", before); err == nil {
			return l, nil
		}
	}
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

// freeAddress finds an address that is free now.
func freeAddress(ctx context.Context, before string) (string, error) {
	l, err := listen(ctx, before)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
