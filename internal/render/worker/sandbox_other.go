//go:build !linux

package worker

// enterSandbox does what it can, which outside of Linux is nothing, and says so.
func enterSandbox(int) (missing []string, err error) {
	return []string{"landlock: only Linux has it", "seccomp: only Linux has it"}, nil
}
