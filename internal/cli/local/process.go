package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stopPlane is how long a control plane may take to stop before it is killed.
const stopPlane = 60 * time.Second

// process is a control plane that runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
	last  *lastLines
}

// startPlane starts a control plane in dir and returns when its API answers. The plane ends with this process, however
// that ends, because it stops when its standard input is closed.
func startPlane(ctx context.Context, binary, name, dir string, nodes int) (*process, error) {
	args := []string{"--dir", dir, "--nodes", strconv.Itoa(nodes), "--stop-on-stdin-eof"}
	// It is stopped in order, which takes longer than a context that ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, args...) //nolint:gosec // localplane, which is beside this program
	group(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start control plane %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start control plane %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, stdin: stdin, ended: make(chan struct{}), last: &lastLines{}}
	cmd.Stderr = p.last
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start control plane %s: %w", name, err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		if lines.Scan() {
			close(ready)
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	}()
	select {
	case <-ready:
		return p, nil
	case <-p.ended:
		return nil, p.failure("before it was ready")
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

// failure says that the plane has ended by itself, with its last words.
func (p *process) failure(when string) error {
	if said := p.last.String(); said != "" {
		return fmt.Errorf("control plane %s ended %s: %s", p.name, when, said)
	}
	return fmt.Errorf("control plane %s ended %s (%s)", p.name, when, p.cmd.ProcessState)
}

// watch waits until the plane ends or ctx does.
func (p *process) watch(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.failure("by itself")
	case <-ctx.Done():
		return nil
	}
}

// stop ends the plane and waits until it is gone.
func (p *process) stop() {
	_ = p.stdin.Close()
	terminate(p.cmd.Process.Pid)
	timer := time.NewTimer(stopPlane)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// lastLines keeps the end of what is written to it.
type lastLines struct {
	mu   sync.Mutex
	data []byte
}

func (l *lastLines) Write(b []byte) (int, error) {
	const most = 4 << 10 // bytes
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data = append(l.data, b...)
	if len(l.data) > most {
		l.data = append([]byte(nil), l.data[len(l.data)-most:]...)
	}
	return len(b), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.data))
}

func splitLines(s string) []string {
	return strings.Split(strings.TrimRight(s, "\n"), "\n")
}

// planeVariable names the environment variable that says where localplane is.
const planeVariable = "SENGU_LOCALPLANE"

// FindPlane finds the program that runs a control plane: where $SENGU_LOCALPLANE says, beside this program, or on the
// PATH.
func FindPlane(env func(string) string) (string, error) {
	if path := env(planeVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("$%s names %s, which does not exist", planeVariable, path)
		}
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), "localplane")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	if path, err := exec.LookPath("localplane"); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("localplane, which runs a control plane, is missing: there is no %s and none on the PATH; build it with `make localplane`", beside)
}

// FindRepository finds the folder of the example fleet: the one that is named, else the one that was used before, else
// examples/shop in the working directory, above it, or above this program.
func FindRepository(named, before string) (string, error) {
	if named != "" {
		if _, err := os.Stat(filepath.Join(named, objectsFolder)); err != nil {
			return "", fmt.Errorf("--repo %s has no folder %s with Clusters and Fleets: name a folder laid out as examples/shop is", named, objectsFolder)
		}
		return filepath.Abs(named)
	}
	if before != "" {
		if _, err := os.Stat(filepath.Join(before, objectsFolder)); err == nil {
			return before, nil
		}
	}
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	for _, dir := range starts {
		for ; ; dir = filepath.Dir(dir) {
			path := filepath.Join(dir, "examples", "shop")
			if _, err := os.Stat(filepath.Join(path, objectsFolder)); err == nil {
				return path, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("the example fleet is missing: there is no examples/shop here or above; name a folder laid out like it with --repo")
}

// checkGit says what is missing if there is no Git.
func checkGit() error {
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("git is missing: install it, for instance with `apt-get install git`")
	}
	return nil
}
