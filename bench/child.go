package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// stopTimeout is how long a process has to stop when it is asked to.
const stopTimeout = 30 * time.Second

// child is a process that the benchmark started.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string
	stdin io.Closer
	ended chan struct{}
	err   error
	// told is true once somebody has been told that the process ended by itself.
	told atomic.Bool
}

// launch starts a program in a process group of its own, so that a Ctrl-C reaches the benchmark only. What it prints
// goes to the file log. Its standard input ends with the benchmark.
func launch(name, log, binary string, args ...string) (*child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // within the folder of this run
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()  // the process writes through a descriptor of its own
	cmd := exec.Command(binary, args...) //nolint:gosec,noctx // what is measured, named by whoever runs the benchmark; stop ends it
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, log: log, stdin: stdin, ended: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop asks the process to end, and makes it end if it does not.
func (c *child) stop() error {
	defer func() { _ = c.stdin.Close() }() // nothing was written; Wait has closed it if the process ended
	select {
	case <-c.ended:
		if c.told.Load() {
			return nil
		}
		return c.died()
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	select {
	case <-c.ended:
		return nil
	case <-time.After(stopTimeout):
		_ = syscall.Kill(-c.pid(), syscall.SIGKILL)
		<-c.ended
		return fmt.Errorf("%s did not stop within %s and was killed", c.name, stopTimeout)
	}
}

// died says how the process ended that should still be there.
func (c *child) died() error {
	c.told.Store(true)
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s ended by itself (%s)%s", c.name, how, c.lastWords())
}

// lastWords quotes the end of what the process printed.
func (c *child) lastWords() string {
	if text := tail(c.log); text != "" {
		return "; the end of its output:\n" + text
	}
	return ""
}

// until asks ready again and again, and returns when it says yes. It fails when the process ends or ctx does.
func (c *child) until(ctx context.Context, interval time.Duration, ready func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-c.ended:
			return c.died()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %w%s", c.name, context.Cause(ctx), err, c.lastWords())
		}
	}
}

// tail returns the last lines of a file.
func tail(file string) string {
	const lines, size = 20, 16 << 10
	data, err := os.ReadFile(file) //nolint:gosec // within the folder of this run
	if err != nil {
		return err.Error()
	}
	if len(data) > size {
		data = data[len(data)-size:]
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
