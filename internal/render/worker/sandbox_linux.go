package worker

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// landlockWanted is the Landlock ABI from which on files, TCP ports, abstract sockets and signals are all covered.
const landlockWanted = 6

// enterSandbox takes from the whole process what a renderer does not need. It returns a name for each layer that the
// kernel lacks.
func enterSandbox(memory int) (missing []string, err error) {
	if err := limitResources(memory); err != nil {
		return nil, err
	}
	abi, err := llsys.LandlockGetABIVersion()
	switch {
	case err != nil || abi < 1:
		missing = append(missing, "landlock: this kernel does not have it")
	case abi < landlockWanted:
		missing = append(missing, fmt.Sprintf("landlock: this kernel has version %d and signals and sockets are covered from %d on", abi, landlockWanted))
	}
	if abi >= 1 {
		if err := landlock.V7.BestEffort().Restrict(); err != nil {
			return nil, fmt.Errorf("enter landlock: %w", err)
		}
	}
	if !seccomp.Supported() {
		return append(missing, "seccomp: this kernel does not have it"), nil
	}
	if err := seccomp.LoadFilter(filter()); err != nil {
		return nil, fmt.Errorf("enter seccomp: %w", err)
	}
	return missing, nil
}

// limitResources sets the limits of the process. memory is in bytes and comes on top of what the process has mapped
// already; the parent watches what is really used, this is the wall behind it.
func limitResources(memory int) error {
	limits := []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_DATA, dataSize() + 2*uint64(memory)}, //nolint:gosec // Main puts its default in the place of a number below 1
	}
	for _, l := range limits {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("set resource limit %d: %w", l.resource, err)
		}
	}
	return nil
}

// dataSize returns how many bytes of private writable memory the process has mapped.
func dataSize() uint64 {
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 1 << 30
	}
	f := bytes.Fields(stat)
	if len(f) < 6 {
		return 1 << 30
	}
	pages, err := strconv.ParseUint(string(f[5]), 10, 64)
	if err != nil {
		return 1 << 30
	}
	return pages * uint64(os.Getpagesize()) //nolint:gosec // a page has a positive size
}

// allowed are the system calls that the Go runtime makes to compute and to talk over pipes that are open already.
// None of them opens, connects, executes or signals another process.
var allowed = []string{
	"read", "write", "readv", "writev", "close", "fstat", "lseek", "fcntl",
	"mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "brk",
	"futex", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "rt_sigpending", "restart_syscall",
	"gettid", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "set_tid_address", "set_robust_list", "rseq",
	"sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "membarrier", "getcpu",
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "pipe2", "poll", "ppoll",
	"timer_create", "timer_settime", "timer_delete", "setitimer", "getitimer",
	"getrandom", "getrlimit", "getrusage", "sysinfo", "uname", "arch_prctl",
	"exit", "exit_group",
}

// filter is the seccomp filter: what is not allowed fails with EPERM. A new thread is allowed, a new process is not;
// clone3 hides its flags behind a pointer, so it is said not to exist and callers fall back to clone. tgkill may only
// reach this process.
func filter() seccomp.Filter {
	info, err := arch.GetInfo("")
	names := make([]string, 0, len(allowed))
	for _, n := range allowed {
		if err != nil {
			break
		}
		if _, ok := info.SyscallNames[n]; ok { // some exist on one architecture only
			names = append(names, n)
		}
	}
	return seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls: []seccomp.SyscallGroup{
				{
					Names: names,
					NamesWithCondtions: []seccomp.NameWithConditions{
						{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}}},
						{Name: "tgkill", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.Equal, Value: uint64(os.Getpid())}}}, //nolint:gosec // the number of a process is positive
						{Name: "prlimit64", Conditions: seccomp.ArgumentConditions{{Argument: 2, Operation: seccomp.Equal, Value: 0}}},
					},
					Action: seccomp.ActionAllow,
				},
				{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
			},
		},
	}
}
