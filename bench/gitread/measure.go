package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	memory *sampler
}

func measure(ctx context.Context, name, source, url string) error {
	dir, err := os.MkdirTemp("", "gitread-"+name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the folder for what may go
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
	b := bench{way: name, encode: json.NewEncoder(os.Stdout), memory: startSampler()}
	defer b.memory.close()
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
	if err := expect("diff 500 commits", fetches, func() (int, error) { return w.diff(ctx, ancestor(ctx, source, 500), head) }); err != nil {
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
		CPUMS: float64(cpu.Microseconds()) / 1000 / float64(n), PeakKB: b.memory.take(),
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
	for _, pid := range children("self") {
		total += running(pid)
	}
	return total
}

// children are the processes that a process has started and that still run; its own are those of "self".
func children(pid string) []string {
	tasks, _ := os.ReadDir("/proc/" + pid + "/task")
	pids := make([]string, 0, len(tasks))
	for _, t := range tasks {
		b, _ := os.ReadFile("/proc/" + pid + "/task/" + t.Name() + "/children") //nolint:gosec // below /proc
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// running is the CPU time of a process, which the kernel counts in hundredths of a second.
func running(pid string) time.Duration {
	b, err := os.ReadFile("/proc/" + pid + "/stat") //nolint:gosec // below /proc
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

// sampler finds the most memory that this process and all it has started have at one time.
type sampler struct {
	mu   sync.Mutex
	most int64
	stop chan struct{}
	done sync.WaitGroup
}

// samplePeriod is long enough that sampling costs little, beside what is measured.
const samplePeriod = 50 * time.Millisecond

func startSampler() *sampler {
	s := &sampler{stop: make(chan struct{})}
	s.done.Go(func() {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.sample()
			case <-s.stop:
				return
			}
		}
	})
	return s
}

func (s *sampler) close() {
	close(s.stop)
	s.done.Wait()
}

func (s *sampler) sample() {
	var total int64
	for todo := []string{"self"}; len(todo) > 0; todo = todo[1:] {
		total += proportional(todo[0])
		todo = append(todo, children(todo[0])...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(s.most, total)
}

// take gives the peak since the last call, in KiB.
func (s *sampler) take() int64 {
	s.sample()
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.most = 0
	return most
}

// proportional is the memory of a process, with its share of what it shares, in KiB.
func proportional(pid string) int64 {
	b, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup") //nolint:gosec // below /proc
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return n
		}
	}
	return 0
}
