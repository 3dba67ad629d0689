// Package e2e runs the localplane binary as its users do. It imports nothing of
// Kubernetes but its client, so that it can be compiled with the race detector.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// readyWithin is how long a start may take on a machine that does other
	// things too; on an idle one it is 3 to 5 s.
	readyWithin = 60 * time.Second
	// stopWithin is how long a stop may take; it is 1 to 2 s.
	stopWithin = 25 * time.Second
)

// built is the folder of the binary that was built here, if one was.
var built string

// binary is the localplane to test: LOCALPLANE_BIN, or one that is built here.
var binary = sync.OnceValues(func() (path string, err error) {
	if path := os.Getenv("LOCALPLANE_BIN"); path != "" {
		return filepath.Abs(path)
	}
	if built, err = os.MkdirTemp("", "localplane-e2e-"); err != nil {
		return "", err
	}
	path = filepath.Join(built, "localplane")
	out, err := exec.Command("make", "-C", "..", "build", "OUT="+path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build localplane: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built) // in the folder for what may go
	}
	os.Exit(code)
}

// process is a localplane that was started.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	ready  chan string
	stderr bytes.Buffer
	exited chan struct{}
}

// start starts a localplane on dir. It goes with the test, whatever happens:
// its standard input is held open by the test only.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, ready: make(chan string, 1), exited: make(chan struct{})}
	p.cmd = command(t, append([]string{"--dir", dir, "--stop-on-stdin-eof"}, args...)...)
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start localplane: %v", err)
	}
	go func() {
		defer close(p.exited)
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err == nil {
			p.ready <- strings.TrimSpace(line)
		}
		_ = p.cmd.Wait() // ProcessState has how it ended
	}()
	t.Cleanup(func() { p.signal(syscall.SIGKILL); <-p.exited })
	return p
}

// command is a localplane that is not started.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs whole control planes")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// waitReady returns the line that says that it is ready.
func (p *process) waitReady() string {
	p.t.Helper()
	select {
	case line := <-p.ready:
		return line
	case <-p.exited:
		p.t.Fatalf("localplane ended with %d before it was ready: %s", p.cmd.ProcessState.ExitCode(), &p.stderr)
	case <-time.After(readyWithin):
		p.t.Fatalf("localplane was not ready within %s", readyWithin)
	}
	return ""
}

// signal sends a signal, also to one that has ended.
func (p *process) signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal localplane: %v", err)
	}
}

// wantExit waits for the end and fails the test if it comes late, or with
// another exit code.
func (p *process) wantExit(code int) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		p.t.Fatalf("localplane did not stop within %s", stopWithin)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("localplane ended with %d, want %d: %s", got, code, &p.stderr)
	}
}

// stop ends it in order.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	p.wantExit(0)
}

// clientOf returns a client for the localplane on dir, and what it is made of.
func clientOf(t *testing.T, dir string) (*kubernetes.Clientset, *rest.Config) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	if err != nil {
		t.Fatalf("read kubeconfig: %v", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client, config
}

// eventually polls until check returns nil.
func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}
