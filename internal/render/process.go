package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sengu-dev/sengu/internal/render/wire"
	"github.com/sengu-dev/sengu/internal/render/worker"
)

// process is one worker process. It does one job at a time.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *said
	exited  chan struct{} // closed when the process is gone and reaped
	missing []string      // layers of the sandbox that the kernel lacks
	jobs    int
	idle    *time.Timer

	killed atomic.Pointer[string] // why the parent killed it
}

// startProcess starts a worker and waits until it is in its sandbox.
func startProcess(o Options) (*process, error) {
	cmd := exec.Command(o.Executable, o.Args...) //nolint:gosec,noctx // Sengu itself, or what Options names; it outlives the render that starts it
	cmd.Env = append([]string{
		worker.MemoryVariable + "=" + strconv.FormatInt(o.MemoryLimit, 10),
		"GOTRACEBACK=none",
		"GOMAXPROCS=2",
		"GOGC=" + strconv.Itoa(workerGOGC),
		"TZ=UTC",
	}, o.Env...)
	cmd.Dir = "/"
	isolate(cmd)
	p := &process{cmd: cmd, stderr: &said{}, exited: make(chan struct{})}
	cmd.Stderr = p.stderr
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start render worker: %w", err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start render worker: %w", err)
	}
	cmd.Stdout = w
	p.out = bufio.NewReaderSize(out, 64<<10)
	err = cmd.Start()
	_ = w.Close() // the end of the worker; nothing was written into it here
	if err != nil {
		_ = out.Close() // nobody wrote into it
		return nil, fmt.Errorf("start render worker: %w", err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is told by its last words, or was decided by kill
		close(p.exited)
	}()
	if err := p.hello(); err != nil {
		p.kill("it did not start")
		<-p.exited
		_ = out.Close() // it only reads
		return nil, fmt.Errorf("start render worker: %w: %s", err, p.stderr.String())
	}
	go func() {
		<-p.exited
		_ = out.Close() // it only reads, and whoever still does is told that the worker is gone
	}()
	return p, nil
}

func (p *process) hello() error {
	kind, b, err := wire.ReadFrame(p.out, 1<<16)
	if err != nil {
		return err
	}
	if kind != wire.Hello {
		return fmt.Errorf("unexpected frame %d", kind)
	}
	return json.Unmarshal(b, &p.missing)
}

// kill ends the process at once. The first reason is kept.
func (p *process) kill(why string) {
	p.killed.CompareAndSwap(nil, &why)
	_ = p.cmd.Process.Kill() // it may be gone already
}

// stop lets the process end by itself, which it does when its input ends, and waits for it.
func (p *process) stop() {
	_ = p.in.Close()         // an idle worker has been told everything
	_ = p.cmd.Process.Kill() // an idle worker has nothing to lose
	<-p.exited
}

// memory returns the resident memory of the process in bytes, 0 when unknown.
func (p *process) memory() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// last says why a process is gone, as the end of a sentence.
func (p *process) last() string {
	if why := p.killed.Load(); why != nil {
		return *why
	}
	words := p.stderr.String()
	switch {
	case strings.Contains(words, "memory"), strings.Contains(words, "failed to allocate"):
		return tooMuchMemory
	case strings.Contains(words, "stack exceeds") || strings.Contains(words, "stack overflow"):
		return "it recurses without end: look for a template or a kustomization that includes itself"
	}
	return "the render process ended without an answer"
}

const tooMuchMemory = "it needs more memory than allowed: look for a loop or an include that grows without end, or split it into several Apps"

// said keeps the first words of a process on its way out; a Go program says first why it ends.
type said struct {
	mu  sync.Mutex
	buf []byte
}

func (t *said) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[:min(len(b), 4<<10-len(t.buf))]...)
	return len(b), nil
}

func (t *said) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}

var errGone = errors.New("render worker is gone")
