//go:build unix && !linux

package gitrepo

import "syscall"

// processAttributes puts a child into a group of its own.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limitFiles does nothing here: only Linux can bound the files of another process.
func limitFiles(int, int64) {}
