// Package home is the folder in which one control plane keeps all that
// outlives its process: who it is (certificates, tokens, port), what it holds
// (etcd) and what it says (log, kubeconfig). It knows files and sockets, and
// nothing of Kubernetes components. It refuses a folder that another process
// uses.
package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// InUseError says that another process holds the folder.
type InUseError struct {
	// Dir is the folder.
	Dir string
	// PID is the process that holds it, or 0 when it is not known.
	PID int
}

// Error is a sentence for a person.
func (e *InUseError) Error() string {
	who := "another localplane"
	if e.PID > 0 {
		who = fmt.Sprintf("another localplane (process %d)", e.PID)
	}
	return fmt.Sprintf("%s already uses %s; stop it, or choose another --dir", who, e.Dir)
}

// Home is a folder that this process holds until Close.
type Home struct {
	dir  string
	lock *os.File
}

// Open makes dir if it is absent and takes its lock. The lock goes with the
// process, however that ends. It returns an *InUseError when another process
// has it.
func Open(dir string) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("make folder %s: %w", dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the folder is the user's choice
	if err != nil {
		return nil, fmt.Errorf("open the lock of %s: %w", dir, err)
	}
	h := &Home{dir: abs, lock: lock}
	if err := h.acquire(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return h, nil
}

// acquire takes the lock and writes who has it.
func (h *Home) acquire() error {
	err := syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &InUseError{Dir: h.dir, PID: readPID(h.lock.Name())}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", h.dir, err)
	}
	if err := h.lock.Truncate(0); err != nil {
		return fmt.Errorf("write the lock of %s: %w", h.dir, err)
	}
	if _, err := h.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write the lock of %s: %w", h.dir, err)
	}
	return nil
}

// readPID reads the process number in a lock file, or 0.
func readPID(path string) int {
	b, err := os.ReadFile(path) //nolint:gosec // a file of this home
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Close lets the folder go.
func (h *Home) Close() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("unlock %s: %w", h.dir, err)
	}
	return nil
}

// Path is a place inside the folder, absolute.
func (h *Home) Path(elem ...string) string {
	return filepath.Join(append([]string{h.dir}, elem...)...)
}

// writeFile replaces path with data in one step, so that a reader sees the old
// content or the new one and never a part. The file is for its owner only.
func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already when all went well
	if _, err := tmp.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, tmp.Close()))
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
