//go:build unix

package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock is a file that one process holds. It goes with the process, however that ends.
type lock struct{ file *os.File }

// errHeld says that another process holds a lock.
var errHeld = errors.New("another process holds it")

const (
	// askAgain and asks are how often take tries, because whoever asks for the holder has the lock for a moment.
	askAgain = 20 * time.Millisecond
	asks     = 25
)

// take takes the lock at path, and writes there who has it.
func take(path string) (*lock, error) {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for range asks {
		l, err := tryTake(path)
		if !errors.Is(err, errHeld) {
			return l, err
		}
		<-tick.C
	}
	return nil, errHeld
}

func tryTake(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // within our own folder
	if err != nil {
		return nil, fmt.Errorf("open the lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the lock %s: %w", path, err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the lock %s: %w", path, err)
	}
	return &lock{file: f}, nil
}

func (l *lock) release() { _ = l.file.Close() }

// holder returns the process that holds the lock at path, and 0 when nobody does. Asking takes the lock for a moment
// if it is free, shared, so that others may ask as well.
func holder(path string) int {
	f, err := os.Open(path) //nolint:gosec // within our own folder
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
		return 0
	}
	data, err := os.ReadFile(path) //nolint:gosec // within our own folder
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// terminate asks a process to end, and kill ends it.
func terminate(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) }
func kill(pid int)      { _ = syscall.Kill(pid, syscall.SIGKILL) }

// detach makes cmd outlive the shell: a session of its own.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// group makes cmd a process group of its own, so that the Ctrl-C of a terminal does not reach it before its parent has
// ended in order.
func group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// supported says whether a local plane can run here.
func supported() error { return nil }
