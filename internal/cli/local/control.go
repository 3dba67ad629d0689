package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// poll is how often the folder is looked at while something starts or stops.
	poll = 50 * time.Millisecond
	// stopLimit is how long an orderly stop may take.
	stopLimit = 90 * time.Second
	// killLimit is how long what was killed may take to be gone.
	killLimit = 30 * time.Second
)

// PID returns the process that runs the local plane in d, and 0 when none does.
func (d Dir) PID() int { return holder(d.lockFile()) }

// Start starts this program with args in the background, as the one that runs the local plane in d. What it says goes
// to the log. Ended is closed when it has ended.
func (d Dir) Start(ctx context.Context, args []string) (pid int, ended <-chan struct{}, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return 0, nil, fmt.Errorf("make the folder of the local plane: %w", err)
	}
	if err := os.Rename(d.Log(), d.Log()+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, nil, fmt.Errorf("put the last log aside: %w", err)
	}
	log, err := os.OpenFile(d.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, nil, fmt.Errorf("open the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, args...) //nolint:gosec // this very program
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return 0, nil, fmt.Errorf("start in the background: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	return cmd.Process.Pid, done, nil
}

// Await calls told with every new line of progress of the process pid until it runs. It fails when the process fails or
// ends.
func (d Dir) Await(ctx context.Context, pid int, ended <-chan struct{}, told func(line string)) (State, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	lines := 0
	for {
		var gone bool
		select {
		case <-ctx.Done():
			return State{}, ctx.Err()
		case <-ended:
			gone = true
		case <-tick.C:
			gone = ended == nil && d.PID() != pid
		}
		s, err := d.Read()
		if err != nil {
			return s, err
		}
		if s.PID == pid {
			for ; lines < len(s.Progress); lines++ {
				told(s.Progress[lines])
			}
		}
		switch {
		case s.PID == pid && s.Phase == Running:
			return s, nil
		case gone && s.Error != "":
			return s, errors.New(s.Error)
		case gone:
			return s, errors.New("it ended before it was ready")
		}
	}
}

// Stop stops the local plane in d and returns when no process of it is left. It says whether there was one.
func (d Dir) Stop(ctx context.Context) (bool, error) {
	locks, err := filepath.Glob(d.path("*", "lock"))
	if err != nil {
		return false, fmt.Errorf("list the control planes: %w", err)
	}
	// First the process that holds everything together, which stops the control planes; then those that outlived it.
	found := false
	for _, path := range append([]string{d.lockFile()}, locks...) {
		was, err := stopHolder(ctx, path)
		if err != nil {
			return true, err
		}
		found = found || was
	}
	return found, nil
}

// stopHolder ends the process that holds a lock: in order if it can, by force if it must.
func stopHolder(ctx context.Context, path string) (bool, error) {
	pid := holder(path)
	if pid == 0 {
		return false, nil
	}
	terminate(pid)
	if err := released(ctx, path, stopLimit); err == nil || ctx.Err() != nil {
		return true, err
	}
	if holder(path) == pid {
		kill(pid)
	}
	if err := released(ctx, path, killLimit); err != nil {
		return true, fmt.Errorf("process %d does not end: %w", pid, err)
	}
	return true, nil
}

// released waits until nobody holds a lock.
func released(ctx context.Context, path string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for holder(path) != 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Delete removes everything that the local plane keeps.
func (d Dir) Delete() error {
	if d.PID() != 0 {
		return errors.New("the local plane is up: stop it first")
	}
	if _, err := os.Stat(d.stateFile()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(string(d)); err != nil {
		return fmt.Errorf("delete what the local plane keeps: %w", err)
	}
	return nil
}
