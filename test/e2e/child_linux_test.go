package e2e_test

import "syscall"

// childAttributes keep a Ctrl-C from a process that a test starts, and end it with the tests, however these end.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
