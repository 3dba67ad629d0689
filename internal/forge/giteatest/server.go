package giteatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/testenv"
)

// binaryVariable names the environment variable that says where the binary is. Its files are beside it, in a folder of
// the same name with "-data" behind it.
const binaryVariable = "SENGU_GITEA"

const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
)

// nobody is the user and the group that Gitea runs as under root. They need not exist.
const nobody = 65534

// guard starts Gitea with the listener of file descriptor 3, which it then lets go of itself, and ends it when its
// standard input ends: when the test closes it, and when the test dies. A Gitea that is handed a listener takes its
// parent for one that it replaces, and tells it to end: hence the trap, after which the first wait ends early.
const guard = `trap : TERM
exec 9<&0
"$@" </dev/null 9<&- &
pid=$!
exec 3<&-
{ read -r line <&9; kill "$pid"; } 2>/dev/null &
exec 9<&-
wait "$pid" || wait "$pid"`

// Server is a running Gitea.
type Server struct {
	// URL is its address, with no slash at the end; the API is at URL + "/api/v1".
	URL string

	admin  string // token
	dir    string
	http   *http.Client
	mu     sync.Mutex
	number int // of the names given out
	cmd    *exec.Cmd
	stdin  io.Closer
	ended  chan struct{}
}

// Start starts a Gitea and stops it at the end of the test. It fails the test if it cannot.
func Start(t testing.TB) *Server {
	t.Helper()
	server, err := Launch()
	if err != nil {
		t.Fatalf("giteatest: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("giteatest: %v", err)
		}
	})
	return server
}

// Launch starts a Gitea for more than one test: for a TestMain, which also calls Stop.
func Launch() (*Server, error) {
	binary, err := testenv.Program("gitea", "gitea", binaryVariable)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(binary+"-data", "templates")); err != nil {
		return nil, fmt.Errorf("what gitea shows is not beside it: run `make gitea` at the root of the repository: %w", err)
	}
	dir, err := os.MkdirTemp("", "sengu-gitea-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, http: &http.Client{Transport: &http.Transport{}, Timeout: startTimeout}}
	if err := s.start(binary); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(binary string) error {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	socket, err := listener.File()
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	s.URL = "http://" + listener.Addr().String()
	if binary, err = s.prepare(binary, listener.Addr().(*net.TCPAddr).Port); err != nil {
		return err
	}
	logs, err := os.Create(s.path("log"))
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	cmd := s.command(context.Background(), "sh", "-c", guard, "sh", binary, "web", "--config", s.path("app.ini"))
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stdout, cmd.Stderr = logs, logs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	s.cmd, s.stdin, s.ended = cmd, stdin, make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = cmd.Wait()
	}()
	// From here on the listener is Gitea's alone: a request waits until it answers, and fails as soon as it is gone.
	_, _ = socket.Close(), listener.Close()
	if err := s.ready(); err != nil {
		return fmt.Errorf("gitea did not become ready: %w: %s", err, s.tail())
	}
	return s.makeAdmin(binary)
}

func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it says %s", resp.Status)
	}
	return nil
}

// makeAdmin makes the one user that makes the others.
func (s *Server) makeAdmin(binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := s.command(ctx, binary, "admin", "user", "create", "--config", s.path("app.ini"), "--admin",
		"--username", "administrator", "--email", "administrator@example.com", "--random-password", "--random-password-length", "24",
		"--must-change-password=false", "--access-token", "--access-token-name", "tests", "--access-token-scopes", "all")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("make the administrator: %w: %s", err, out)
	}
	_, token, ok := strings.Cut(string(out), "Access token was successfully created... ")
	if !ok {
		return errors.New("make the administrator: gitea printed no token")
	}
	s.admin = strings.Fields(token)[0]
	return nil
}

// Stop ends Gitea and removes its files.
func (s *Server) Stop() error {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	s.http.CloseIdleConnections()
	var errs []error
	if cmd != nil {
		_ = s.stdin.Close()
		select {
		case <-s.ended:
		case <-time.After(stopTimeout):
			errs = append(errs, fmt.Errorf("gitea did not stop within %s and was killed", stopTimeout))
		}
		// The group is the guard's own: whatever is left of it was started here.
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("kill what is left of gitea: %w", err))
		}
		<-s.ended
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// command is a command that sees nothing of this process's environment.
func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the binary of this repository, or the one that whoever runs the tests names
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.path("home"), "USER=gitea", "GITEA_WORK_DIR=" + s.dir, "GIT_CONFIG_NOSYSTEM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// tail is the end of what Gitea logged.
func (s *Server) tail() string {
	data, err := os.ReadFile(s.path("log"))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-4096):]))
}
