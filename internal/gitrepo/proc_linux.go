package gitrepo

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes puts a child into a group of its own, and ends it when this process is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitFiles bounds every file that the process and what it starts may write. It comes before git can have received a
// byte; where the kernel refuses, the bound on time remains.
func limitFiles(pid int, size int64) {
	limit := unix.Rlimit{Cur: uint64(size), Max: uint64(size)} //nolint:gosec // Options.MaxPack, which withDefaults makes positive
	_ = unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil)
}
