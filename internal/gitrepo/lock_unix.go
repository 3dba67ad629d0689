//go:build unix

package gitrepo

import (
	"fmt"
	"os"
	"syscall"
)

// lockDir holds the file for as long as this process lives; children do not inherit it.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // within the folder of the Store
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another process uses this directory: %w", err)
	}
	return f, nil
}
