package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// One cluster's life: made, used, stopped, found again.
func TestLife(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plane")
	p := start(t, dir)
	line := p.waitReady()
	client, config := clientOf(t, dir)
	if !strings.Contains(line, config.Host) || !strings.Contains(line, filepath.Join(dir, "kubeconfig")) {
		t.Errorf("the line that says it is ready lacks the API or the kubeconfig: %q", line)
	}
	wantPrivate(t, filepath.Join(dir, "kubeconfig"))
	wantVersion(t, client)
	wantNodes(t, client, 1)
	createDeployment(t, client, "web", 3)
	wantRunning(t, client, "web", 3)
	t.Run("Second", func(t *testing.T) { wantRefused(t, dir, p.cmd.Process.Pid) })

	p.stop()
	wantClosed(t, config.Host)
	if _, err := os.Stat(filepath.Join(dir, "kubeconfig")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("kubeconfig after the stop: %v, want none", err)
	}

	p = start(t, dir, "--nodes", "3")
	p.waitReady()
	client, again := clientOf(t, dir)
	if again.Host != config.Host || again.BearerToken != config.BearerToken || string(again.CAData) != string(config.CAData) {
		t.Errorf("after a restart the API is at %s, was at %s; token and authority must be the same too", again.Host, config.Host)
	}
	wantNodes(t, client, 3)
	wantRunning(t, client, "web", 3)
	createDeployment(t, client, "api", 2)
	wantRunning(t, client, "api", 2)
	p.stop()
}

// A crash loses nothing, and a port that was taken meanwhile is no obstacle.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	p.waitReady()
	client, config := clientOf(t, dir)
	createDeployment(t, client, "web", 1)
	wantRunning(t, client, "web", 1)
	p.signal(syscall.SIGKILL)
	<-p.exited

	address := hostPort(t, config.Host)
	stranger, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the port is not free after a crash: %v", err)
	}
	defer func() { _ = stranger.Close() }() // nobody has connected
	refused := start(t, dir, "--port", address[strings.LastIndex(address, ":")+1:])
	refused.wantExit(1)
	if got := refused.stderr.String(); !strings.Contains(got, "in use") {
		t.Errorf("a wanted port that is taken: got %q, want a sentence that says so", got)
	}

	p = start(t, dir)
	p.waitReady()
	client, again := clientOf(t, dir)
	if again.Host == config.Host {
		t.Errorf("the API is at %s, which is taken", again.Host)
	}
	wantRunning(t, client, "web", 1)
	p.stop()
}

// Several run side by side; each ends with its standard input, or when it is
// interrupted in the middle of its start.
func TestSideBySide(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	var ps []*process
	for _, dir := range dirs {
		ps = append(ps, start(t, dir, "--nodes", "0"))
	}
	uids := map[string]bool{}
	for i, p := range ps {
		p.waitReady()
		client, _ := clientOf(t, dirs[i])
		ns, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("get namespace: %v", err)
		}
		uids[string(ns.UID)] = true
	}
	if len(uids) != len(dirs) {
		t.Errorf("%d planes are %d clusters", len(dirs), len(uids))
	}
	for _, p := range ps {
		if err := p.stdin.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range ps {
		p.wantExit(0)
	}

	begin := time.Now()
	p := start(t, dirs[0])
	eventually(t, "wait until the start has begun", func(context.Context) error {
		_, err := os.Stat(filepath.Join(dirs[0], "etcd.sock"))
		return err
	})
	p.signal(syscall.SIGINT)
	p.wantExit(0)
	if p.stderr.Len() > 0 {
		t.Errorf("an interrupted start said %q", &p.stderr)
	}
	t.Logf("an interrupted start ended after %s", time.Since(begin))
}

func TestCommandLine(t *testing.T) {
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"Help":    {args: []string{"--help"}, want: "export KUBECONFIG="},
		"Version": {args: []string{"--version"}, want: "Kubernetes v1."},
		"NoDir":   {code: 2, want: "--dir"},
		"Unknown": {args: []string{"--dirs", "x"}, code: 2, want: "--dirs"},
		"Useless": {args: []string{"--dir", "/dev/null"}, code: 1, want: "/dev/null"},
		"TooLate": {args: []string{"--dir", t.TempDir(), "--timeout", "1ms"}, code: 1, want: "--timeout"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, tc.args...)
			out, _ := cmd.CombinedOutput() // ProcessState has how it ended
			if got := cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("localplane %q ended with %d, want %d", tc.args, got, tc.code)
			}
			if !strings.Contains(string(out), tc.want) {
				t.Errorf("localplane %q said %q, which lacks %q", tc.args, out, tc.want)
			}
			if lines := strings.Count(string(out), "\n"); tc.code != 0 && lines != 1 {
				t.Errorf("localplane %q said %d lines, want one: %s", tc.args, lines, out)
			}
		})
	}
}

// wantRefused fails the test when dir, which process pid uses, can be used twice.
func wantRefused(t *testing.T, dir string, pid int) {
	t.Helper()
	p := start(t, dir)
	p.wantExit(1)
	if got, want := p.stderr.String(), fmt.Sprintf("process %d", pid); !strings.Contains(got, want) {
		t.Errorf("a second one on the same dir said %q, want it to name %s", got, want)
	}
}

// wantPrivate fails the test when others than the owner may use path.
func wantPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("%s has mode %o, want 600", filepath.Base(path), mode)
	}
}

// wantVersion fails the test when the binary was built without its version.
func wantVersion(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	v, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatalf("get version: %v", err)
	}
	if v.Major != "1" || !strings.HasPrefix(v.GitVersion, "v1."+v.Minor+".") {
		t.Errorf("the API says it is %s.%s, %s", v.Major, v.Minor, v.GitVersion)
	}
}

// wantNodes fails the test when there are not n nodes, all Ready.
func wantNodes(t *testing.T, client kubernetes.Interface, n int) {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list nodes: %v", err)
	}
	ready := 0
	for _, node := range nodes.Items {
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	if len(nodes.Items) != n || ready != n {
		t.Errorf("%d of %d nodes are Ready, want %d", ready, len(nodes.Items), n)
	}
}

// wantClosed fails the test when something answers at the address of an API.
func wantClosed(t *testing.T, host string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", hostPort(t, host))
	if err == nil {
		t.Errorf("%s is still open", host)
		_ = conn.Close() // nothing was written
	}
}

// hostPort is the address in a URL.
func hostPort(t *testing.T, host string) string {
	t.Helper()
	u, err := url.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
