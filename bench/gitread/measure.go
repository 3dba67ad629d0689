package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var stepNames = []string{"clone", "fetch nothing new", "fetch one commit", "read 1000 folders", "read them again", "diff one commit", "diff 500 commits", "list all files"}

// fetches is how many commits are fetched one by one.
const fetches = 30

// bench measures the steps of one way.
type bench struct {
	way    string
	encode *json.Encoder
}

func measure(ctx context.Context, name, source, url string) error {
	dir, err := os.MkdirTemp("", "gitread-"+name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var w way
	switch name {
	case "gitrepo":
		w, err = newGitrepo(dir, url)
	case "git":
		w = &program{dir: dir, url: url}
	case "go-git":
		w = &library{dir: dir, url: url}
	default:
		return fmt.Errorf("unknown way %q", name)
	}
	if err != nil {
		return err
	}
	defer func() { _ = w.close() }()
	b := bench{way: name, encode: json.NewEncoder(os.Stdout)}
	return b.all(ctx, w, source)
}

func (b *bench) all(ctx context.Context, w way, source string) error {
	nothing := func(int) error { return nil }
	if err := b.step("clone", 1, nothing, func() error { return w.clone(ctx) }); err != nil {
		return err
	}
	head := ""
	fetch := func() (err error) { head, err = w.fetch(ctx); return err }
	if err := fetch(); err != nil {
		return err
	}
	old := head
	if err := b.step("fetch nothing new", 10, nothing, fetch); err != nil {
		return err
	}
	before := ""
	offset := slices.Index([]string{"gitrepo", "git", "go-git"}, b.way) * fetches
	prepare := func(n int) error { before = head; return push(ctx, source, offset+n) }
	if err := b.step("fetch one commit", fetches, prepare, fetch); err != nil {
		return err
	}
	if head == old {
		return fmt.Errorf("nothing was fetched")
	}
	var dirs []string
	for i := range 1000 {
		dirs = append(dirs, folder(i*3))
	}
	expect := func(what string, want int, f func() (int, error)) error {
		return b.step(what, 1, nothing, func() error {
			n, err := f()
			if err == nil && n < want {
				err = fmt.Errorf("%s: got %d, want %d", what, n, want)
			}
			return err
		})
	}
	read := func() (int, error) { return w.read(ctx, head, dirs) }
	if err := expect("read 1000 folders", 5000, read); err != nil {
		return err
	}
	if err := expect("read them again", 5000, read); err != nil {
		return err
	}
	if err := expect("diff one commit", 1, func() (int, error) { return w.diff(ctx, before, head) }); err != nil {
		return err
	}
	if err := expect("diff 500 commits", fetches, func() (int, error) { return w.diff(ctx, ancestor(source, 500), head) }); err != nil {
		return err
	}
	return expect("list all files", 20_000, func() (int, error) { return w.list(ctx, head) })
}

// step repeats one thing and prints what it cost; prepare is not counted.
func (b *bench) step(name string, n int, prepare func(int) error, f func() error) error {
	var walls []float64
	var cpu time.Duration
	for i := range n {
		if err := prepare(i); err != nil {
			return err
		}
		startCPU, start := cpuTime(), time.Now()
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		walls = append(walls, float64(time.Since(start).Microseconds())/1000)
		cpu += cpuTime() - startCPU
	}
	slices.Sort(walls)
	return b.encode.Encode(figure{
		Way: b.way, Step: name, N: n, WallMS: walls[len(walls)/2],
		CPUMS: float64(cpu.Microseconds()) / 1000 / float64(n), PeakKB: peak(),
	})
}

// cpuTime is that of this process and its children: those that have ended, and those that run.
func cpuTime() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	for _, pid := range children() {
		total += running(pid)
	}
	return total
}

// children are the processes that this one has started and that still run.
func children() []string {
	tasks, _ := os.ReadDir("/proc/self/task")
	var pids []string
	for _, t := range tasks {
		b, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// running is the CPU time of a process, which the kernel counts in hundredths of a second.
func running(pid string) time.Duration {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// peak is the most memory that this process and its largest child have had so far, in KiB.
func peak() int64 {
	var self, child syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &child)
	largest := child.Maxrss
	for _, pid := range children() {
		b, _ := os.ReadFile("/proc/" + pid + "/status")
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64); err == nil {
					largest = max(largest, n)
				}
			}
		}
	}
	return self.Maxrss + largest
}
