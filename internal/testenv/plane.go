package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// binaryVariable names the environment variable that says where the binary is.
const binaryVariable = "SENGU_LOCALPLANE"

const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
)

// Options say what the tests of a package need.
type Options struct {
	// Planes is how many control planes there may be: 1 if zero. Each starts when a test first asks for it.
	Planes int
	// Nodes is how many simulated nodes each has. Without one, Pods stay pending.
	Nodes int
}

// Cluster is a running control plane.
type Cluster struct {
	// Config reaches it as an administrator.
	Config *rest.Config
	// Kubeconfig is the same, as a file's content.
	Kubeconfig []byte
	// Dir holds its state.
	Dir string

	nodes  int
	client *http.Client
	mu     sync.Mutex
	cmd    *exec.Cmd
	stdin  io.Closer
	ended  chan struct{}
}

// environment holds the planes of this process.
var environment struct {
	mu     sync.Mutex
	set    bool
	opts   Options
	planes []*Cluster
	root   string
}

// Main runs the tests of a package and stops the control planes that they started. Call it from TestMain; it does not
// return.
func Main(m *testing.M, o Options) {
	environment.mu.Lock()
	environment.set, environment.opts = true, o
	environment.planes = make([]*Cluster, max(1, o.Planes))
	environment.mu.Unlock()
	code := m.Run()
	if err := stopAll(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func stopAll() error {
	environment.mu.Lock()
	defer environment.mu.Unlock()
	var errs []error
	for _, plane := range environment.planes {
		if plane != nil {
			errs = append(errs, plane.stop())
		}
	}
	if environment.root != "" {
		errs = append(errs, os.RemoveAll(environment.root))
	}
	return errors.Join(errs...)
}

// Plane returns the package's control plane, started if it is not yet. It fails the test if it cannot be.
func Plane(t testing.TB) *Cluster {
	t.Helper()
	return PlaneAt(t, 0)
}

// PlaneAt returns the control plane of that number, from 0 on.
func PlaneAt(t testing.TB, number int) *Cluster {
	t.Helper()
	environment.mu.Lock()
	defer environment.mu.Unlock()
	if !environment.set {
		t.Fatal("testenv: the package has no TestMain that calls testenv.Main")
	}
	if number >= len(environment.planes) {
		t.Fatalf("testenv: plane %d was asked for and testenv.Main allows %d: raise Options.Planes", number, len(environment.planes))
	}
	if plane := environment.planes[number]; plane != nil {
		return plane
	}
	if environment.root == "" {
		root, err := os.MkdirTemp("", "sengu-test-")
		if err != nil {
			t.Fatalf("testenv: %v", err)
		}
		environment.root = root
	}
	plane := &Cluster{Dir: filepath.Join(environment.root, strconv.Itoa(number)), nodes: environment.opts.Nodes}
	if err := plane.start(); err != nil {
		t.Fatalf("testenv: start a control plane: %v", err)
	}
	environment.planes[number] = plane
	return plane
}

// Stop stops the control plane, as if its machine were gone. The test starts it again with Start; if it does not, the
// end of the test does.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	t.Cleanup(func() { c.Start(t) })
	if err := c.stop(); err != nil {
		t.Fatalf("testenv: stop the control plane: %v", err)
	}
}

// Start starts the control plane that Stop has stopped, with the same state, address and credentials.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	running := c.cmd != nil
	c.mu.Unlock()
	if running {
		return
	}
	before := string(c.Kubeconfig)
	if err := c.start(); err != nil {
		t.Fatalf("testenv: start the control plane again: %v", err)
	}
	if string(c.Kubeconfig) != before {
		t.Fatal("testenv: the control plane came back with another address or other credentials")
	}
}

func (c *Cluster) start() error {
	binary, err := Program("localplane", "localplane", binaryVariable)
	if err != nil {
		return err
	}
	//nolint:gosec // the binary of this repository, or the one that whoever runs the tests names
	cmd := exec.CommandContext(context.Background(), binary, "--dir", c.Dir, "--nodes", strconv.Itoa(c.nodes), "--stop-on-stdin-eof")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logs := &tail{}
	cmd.Stderr = logs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	c.mu.Lock()
	c.cmd, c.stdin, c.ended = cmd, stdin, ended
	c.mu.Unlock()
	ready := make(chan bool, 1)
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stdout)
		ready <- lines.Scan()
		for lines.Scan() { // until it ends
		}
		_ = cmd.Wait()
	}()
	select {
	case ok := <-ready:
		if !ok {
			_ = c.stop()
			return fmt.Errorf("localplane ended before it was ready: %s", logs.String())
		}
	case <-time.After(startTimeout):
		_ = c.stop()
		return fmt.Errorf("localplane was not ready after %s: %s", startTimeout, logs.String())
	}
	return c.read()
}

// read reads the kubeconfig that the plane wrote.
func (c *Cluster) read() error {
	data, err := os.ReadFile(filepath.Join(c.Dir, "kubeconfig"))
	if err != nil {
		return err
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return err
	}
	cfg.QPS, cfg.Burst = -1, -1
	if c.client, err = rest.HTTPClientFor(cfg); err != nil {
		return err
	}
	c.Kubeconfig, c.Config = data, cfg
	return nil
}

func (c *Cluster) stop() error {
	c.mu.Lock()
	cmd, stdin, ended := c.cmd, c.stdin, c.ended
	c.cmd = nil
	c.mu.Unlock()
	if cmd == nil {
		return nil
	}
	defer func() { _ = stdin.Close() }()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return nil
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("localplane did not stop within %s and was killed", stopTimeout)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 8 << 10 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > tailSize {
		t.data = append([]byte(nil), t.data[len(t.data)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.data))
}
