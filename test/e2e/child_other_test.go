//go:build !linux

package e2e_test

import "syscall"

// childAttributes keep a Ctrl-C from a process that a test starts.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
