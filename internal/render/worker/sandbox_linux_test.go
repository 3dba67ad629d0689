package worker

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const probeArg = "-sengu-probe"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == probeArg {
		os.Exit(probe())
	}
	os.Exit(m.Run())
}

// probe enters the sandbox and tries what must not be possible. It prints what was, and what was not.
func probe() int {
	other := exec.Command("/bin/sleep", "1000")
	if err := other.Start(); err != nil {
		return 2
	}
	missing, err := enterSandbox(256 << 20)
	got := map[string]string{}
	say := func(name string, err error) {
		got[name] = "possible"
		if err != nil {
			got[name] = err.Error()
		}
	}
	say("sandbox", err)
	got["missing"] = strings.Join(missing, ", ")
	attempts := map[string]func() error{
		"read a file":      func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"read the program": func() error { _, err := os.ReadFile("/proc/self/exe"); return err },
		"read environment": func() error { _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid())); return err },
		"list a directory": func() error { _, err := os.ReadDir("/"); return err },
		"stat":             func() error { _, err := os.Stat("/etc/passwd"); return err },
		"write a file":     func() error { return os.WriteFile("/tmp/sengu-probe", nil, 0o600) },
		"make a directory": func() error { return os.Mkdir("/tmp/sengu-probe-dir", 0o700) },
		"remove":           func() error { return os.Remove("/tmp/sengu-probe") },
		"link":             func() error { return os.Symlink("/etc/passwd", "/tmp/sengu-probe-link") },
		"chdir":            func() error { return os.Chdir("/tmp") },
		"tcp":              func() error { _, err := net.Dial("tcp", "127.0.0.1:1"); return err },
		"listen":           func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
		"udp":              func() error { _, err := net.Dial("udp", "127.0.0.1:53"); return err },
		"unix socket":      func() error { _, err := net.Dial("unix", "@sengu"); return err },
		"raw socket":       func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, 1); return err },
		"socketpair":       func() error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
		"run a program":    func() error { return exec.Command("/bin/true").Run() },
		"exec":             func() error { return syscall.Exec("/bin/true", []string{"true"}, nil) },
		"fork":             func() error { return errnoOf(unix.Syscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)) },
		"kill parent":      func() error { return unix.Kill(os.Getppid(), 0) },
		"kill a sibling":   func() error { return unix.Kill(other.Process.Pid, 0) },
		"ptrace":           func() error { return unix.PtraceAttach(other.Process.Pid) },
		"read memory": func() error {
			return errnoOf(unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(os.Getppid()), 0, 0, 0, 0, 0))
		},
		"mount":         func() error { return unix.Mount("none", "/mnt", "tmpfs", 0, "") },
		"unshare":       func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"bpf":           func() error { return errnoOf(unix.Syscall(unix.SYS_BPF, 0, 0, 0)) },
		"io_uring":      func() error { return errnoOf(unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)) },
		"memfd":         func() error { _, err := unix.MemfdCreate("x", 0); return err },
		"raise a limit": func() error { return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}) },
	}
	for name, try := range attempts {
		say(name, try())
	}
	// Another thread is in the sandbox, too.
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		_, err := os.ReadFile("/etc/passwd")
		done <- err
	}()
	say("read on another thread", <-done)
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		return 3
	}
	_ = other // the parent ends it: the sandbox cannot
	return 0
}

func errnoOf(_, _ uintptr, e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func TestSandbox(t *testing.T) {
	cmd := exec.Command(os.Args[0], probeArg)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the sleeping sibling
	}
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got["sandbox"] != "possible" {
		t.Fatalf("the sandbox could not be entered: %s", got["sandbox"])
	}
	if got["missing"] != "" {
		t.Errorf("the sandbox cannot be tested whole here: %s", got["missing"])
	}
	delete(got, "sandbox")
	delete(got, "missing")
	if len(got) < 25 {
		t.Errorf("only %d attempts", len(got))
	}
	for name, result := range got {
		if result == "possible" {
			t.Errorf("in the sandbox it is possible to %s", name)
		}
	}
}
