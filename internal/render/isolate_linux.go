package render

import (
	"os/exec"
	"syscall"
)

// isolate puts a worker into its own process group, so that a Ctrl-C at a terminal reaches the parent only.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
