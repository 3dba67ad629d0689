package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollEvery    = 20 * time.Millisecond
	// port is only a part of the socket's name.
	port = "5432"
)

// Password is that of the user sengu, who may do everything. It has characters that a URL must escape, and is long enough to
// look for in an error.
const Password = "p@ss/word:of#tests" //nolint:gosec // of servers that live as long as a test

// Server is a running PostgreSQL server. Its methods are for one goroutine at a time.
type Server struct {
	bin, dir string
	as       *syscall.SysProcAttr
	logs     *os.File

	mu       sync.Mutex
	cmd      *exec.Cmd
	ended    chan struct{}
	guard    *exec.Cmd // kills the server when this process is gone
	guardEnd io.Closer
	number   atomic.Int64
}

// Start makes a server and starts it. Close ends it.
func Start(ctx context.Context) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	// The path of a socket has room for about a hundred characters, which the folders of tests exceed.
	dir, err := os.MkdirTemp("", "pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if err := s.create(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// programs finds where Debian keeps the newest version, or what the PATH has.
func programs() (string, error) {
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(versions) > 0 {
		slices.SortFunc(versions, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(versions[len(versions)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL is missing: apt-get install postgresql (or put initdb and postgres on the PATH)")
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// create makes an empty cluster, owned by the user that the server runs as.
func (s *Server) create(ctx context.Context) error {
	uid, gid, err := unprivileged()
	if err != nil {
		return err
	}
	s.as = &syscall.SysProcAttr{Setpgid: true}
	if uid != os.Getuid() {
		s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of the system
	}
	if s.logs, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	passwords := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwords, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	for _, path := range []string{s.dir, passwords} {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	cmd := s.command(ctx, "initdb", "--pgdata="+s.data(), "--username=sengu", "--pwfile="+passwords,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...) //nolint:gosec // programs of the system
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	return cmd
}

// start starts the server and waits until it answers.
func (s *Server) start(ctx context.Context) error {
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir, "-c", "port="+port,
		// A test kills the server, never the machine.
		"-c", "fsync=off", "-c", "max_connections=200")
	cmd.Stdout, cmd.Stderr = s.logs, s.logs
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	if err := s.watch(ctx, cmd.Process.Pid); err != nil {
		return err
	}
	return s.await(ctx, ended)
}

// watch starts a shell that kills the server when this process ends, however it does.
func (s *Server) watch(ctx context.Context, pid int) error {
	guard := exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", `read line; kill -QUIT "$0"`, strconv.Itoa(pid)) //nolint:gosec // a number
	guard.SysProcAttr = s.as
	end, err := guard.StdinPipe()
	if err != nil {
		return err
	}
	if err := guard.Start(); err != nil {
		return fmt.Errorf("start a shell: %w", err)
	}
	s.guard, s.guardEnd = guard, end
	return nil
}

func (s *Server) await(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("postgres ended before it answered: %s", s.tail())
		case <-ctx.Done():
			return fmt.Errorf("postgres did not answer within %s (%w): %s", startTimeout, err, s.tail())
		}
	}
}

// tail is the end of what the server wrote.
func (s *Server) tail() string {
	text, _ := os.ReadFile(s.logs.Name())
	return strings.TrimSpace(string(text[max(0, len(text)-8<<10):]))
}

// end sends a signal to the server and waits until it is gone.
func (s *Server) end(signal syscall.Signal) error {
	s.mu.Lock()
	cmd, ended := s.cmd, s.ended
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if s.guard != nil {
		_ = s.guard.Process.Kill()
		_ = s.guardEnd.Close()
		_ = s.guard.Wait()
		s.guard = nil
	}
	_ = cmd.Process.Signal(signal)
	select {
	case <-ended:
		return nil
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("postgres did not stop within %s and was killed: %s", stopTimeout, s.tail())
	}
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	err := s.end(syscall.SIGINT)
	if s.logs != nil {
		_ = s.logs.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Kill ends the server as a crash would: connections are cut, and nothing is tidied up.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.end(syscall.SIGQUIT); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
}

// Restart starts the server that Kill has ended, with the same data and address. It does nothing if it runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	running := s.cmd != nil
	s.mu.Unlock()
	if running {
		return
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatalf("postgrestest: start again: %v", err)
	}
}

// Database makes an empty database, which sorts text as English does, and returns its URL, with the password in it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", s.number.Add(1))
	conn, err := pgx.Connect(t.Context(), s.url("postgres"))
	if err != nil {
		t.Fatalf("postgrestest: %v: %s", err, s.tail())
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	// A language's order of text is as far from SQLite's as a database's may be.
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("sengu", Password), Path: "/" + database,
		RawQuery: url.Values{"host": {s.dir}, "port": {port}}.Encode(),
	}
	return u.String()
}
