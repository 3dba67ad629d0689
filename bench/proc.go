package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/render"
)

const (
	// tick is the unit of time in /proc/PID/stat; Linux shows 100 a second on every machine.
	tick = 10 * time.Millisecond
	// sampleInterval is how often memory is measured. Measuring walks the page tables of what is measured, which takes
	// milliseconds each time and holds it up: ten times a second that was 3 % of all CPU time of F1.
	sampleInterval = 500 * time.Millisecond
)

// tree returns pid and every process below it that runs now.
func tree(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			continue
		}
		for _, list := range lists {
			data, err := os.ReadFile(list) //nolint:gosec // below /proc
			if err != nil {
				continue // the thread has ended
			}
			for field := range strings.FieldsSeq(string(data)) {
				if child, err := strconv.Atoi(field); err == nil && !slices.Contains(all, child) {
					all = append(all, child)
				}
			}
		}
	}
	return all
}

// cpuOf returns the CPU time of pid and of everything below it, with children that have ended. It fails only if pid
// itself is gone.
func cpuOf(pid int) (time.Duration, error) {
	var sum time.Duration
	for _, p := range tree(pid) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err == nil {
			var d time.Duration
			d, err = parseStat(string(data))
			sum += d
		}
		if err != nil && p == pid {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
	}
	return sum, nil
}

// parseStat returns user and system time of a process and of the children that it has waited for: fields 14 to 17 of
// proc_pid_stat(5).
func parseStat(stat string) (time.Duration, error) {
	// The second field is the name in parentheses, and may hold anything.
	rest := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const first, count = 14 - 3, 4
	if len(rest) < first+count {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	var ticks int64
	for _, field := range rest[first : first+count] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat is not as expected: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// pssOf returns the proportional set size of pid and of everything below it, in bytes. A page that several of them
// share counts once.
func pssOf(pid int) (int64, error) {
	var sum int64
	for _, p := range tree(pid) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err == nil {
			var n int64
			n, err = parsePSS(string(data))
			sum += n
		}
		if err != nil && p == pid {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
	}
	return sum, nil
}

func parsePSS(rollup string) (int64, error) {
	for line := range strings.Lines(rollup) {
		if text, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/PID/smaps_rollup has no line Pss")
}

// renders reports whether a process below pid is one that renders.
func renders(pid int) bool {
	return slices.ContainsFunc(tree(pid)[1:], func(p int) bool {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
		return err == nil && slices.Contains(strings.Split(string(data), "\x00"), render.WorkerVerb)
	})
}

// sampler measures the memory of a process and of everything below it from time to time.
type sampler struct {
	pid    int
	cancel context.CancelFunc
	ended  sync.WaitGroup

	peak int64
	// rendered is true when a process that renders was seen.
	rendered bool
}

func sample(ctx context.Context, pid int) *sampler {
	ctx, cancel := context.WithCancel(ctx)
	s := &sampler{pid: pid, cancel: cancel}
	s.ended.Go(func() {
		ticker := time.NewTicker(sampleInterval)
		defer ticker.Stop()
		for s.once() == nil {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return s
}

func (s *sampler) once() error {
	now, err := pssOf(s.pid)
	s.peak = max(s.peak, now)
	s.rendered = s.rendered || renders(s.pid)
	return err
}

// stop ends the sampling, and returns the peak and what it is now, in bytes.
func (s *sampler) stop() (peak, end int64, err error) {
	s.cancel()
	s.ended.Wait()
	end, err = pssOf(s.pid)
	return max(s.peak, end), end, err
}

const (
	settleInterval = 500 * time.Millisecond
	settleTimeout  = 2 * time.Minute
	// calm is the CPU time in one settleInterval below which a process counts as idle: a tenth of a core.
	calm = settleInterval / 10
)

// settle waits until a process does nothing much for a second, so that what is measured next does not pay for what was
// before.
func settle(ctx context.Context, what string, pid int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleTimeout, fmt.Errorf("%s was still busy after %s", what, settleTimeout))
	defer cancel()
	ticker := time.NewTicker(settleInterval)
	defer ticker.Stop()
	before, err := cpuOf(pid)
	for quiet := 0; quiet < 2 && err == nil; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var now time.Duration
		if now, err = cpuOf(pid); now-before < calm {
			quiet++
		} else {
			quiet = 0
		}
		before = now
	}
	return err
}
