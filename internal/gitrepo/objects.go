package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// errMissing is an object that the mirror does not have.
var errMissing = errors.New("object not found")

// object is one Git object. Data is nil when only its size was asked for, or when it is larger than the limit.
type object struct {
	kind string // commit, tree, blob or tag
	size int64
	data []byte
}

// readers are the `git cat-file` processes of one repository: started when something is to be read, let go when
// nothing has been for a while, so that an idle repository costs nothing.
type readers struct {
	repo  *Repository
	slots chan struct{}
	// made and under are of a repository that is about to get objects: those are read first, and then what under has.
	made  *made
	under *readers

	mu     sync.Mutex
	idle   []*reader
	timer  *time.Timer
	closed bool
}

func newReaders(r *Repository, n int) *readers {
	return &readers{repo: r, slots: make(chan struct{}, n)}
}

// reader is one process.
type reader struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bounded
	used   time.Time
}

// get reads one object by its hexadecimal hash; withData false asks for kind and size only.
func (p *readers) get(ctx context.Context, hash string, withData bool, limit int64) (object, error) {
	if p.under != nil {
		if obj, ok := p.made.get(hash, withData, limit); ok {
			return obj, nil
		}
		return p.under.get(ctx, hash, withData, limit)
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return object{}, context.Cause(ctx)
	}
	for attempt := 0; ; attempt++ {
		rd, fresh, err := p.take() //nolint:contextcheck // a reading process outlives the request that starts it
		if err != nil {
			return object{}, err
		}
		obj, keep, err := rd.ask(ctx, p.repo.store.opts.ReadTimeout, hash, withData, limit)
		if keep {
			p.give(rd)
			return obj, err
		}
		said := rd.stop()
		switch {
		case err == nil || ctx.Err() != nil:
			return obj, err
		case !fresh && attempt < 4:
			continue // it had died while it was idle; a fresh one answers or says why not
		case errors.Is(reasonOf(said), ErrCorrupt):
			p.repo.damaged.Store(true)
			return obj, fmt.Errorf("%w: %s", ErrCorrupt, lastLines(said))
		}
		return obj, fmt.Errorf("read object %s: %w: %s", hash, err, lastLines(said))
	}
}

// take gives an idle process, or starts one.
func (p *readers) take() (rd *reader, fresh bool, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		rd = p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return rd, false, nil
	}
	p.mu.Unlock()
	rd, err = p.start()
	return rd, true, err
}

func (p *readers) start() (*reader, error) {
	r := p.repo
	if !r.exists() {
		return nil, errMissing
	}
	cmd := r.store.command(context.Background(), run{dir: r.dir, args: []string{"cat-file", "--batch-command"}})
	stderr := &bounded{limit: maxStderr}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start reader: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start reader: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start reader: %w", err)
	}
	return &reader{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 16<<10), stderr: stderr}, nil
}

// give takes a process back, and sees to it that it does not stay for ever.
func (p *readers) give(rd *reader) {
	idle := p.repo.store.opts.IdleTimeout
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		rd.stop()
		return
	}
	rd.used = time.Now()
	p.idle = append(p.idle, rd)
	if p.timer == nil {
		p.timer = time.AfterFunc(idle, p.reap)
	}
	p.mu.Unlock()
}

// reap ends the processes that have waited long enough.
func (p *readers) reap() {
	idle := p.repo.store.opts.IdleTimeout
	var old []*reader
	p.mu.Lock()
	p.timer = nil
	var kept []*reader
	for _, rd := range p.idle {
		if time.Since(rd.used) >= idle {
			old = append(old, rd)
		} else {
			kept = append(kept, rd)
		}
	}
	p.idle = kept
	if len(kept) > 0 && !p.closed {
		p.timer = time.AfterFunc(idle, p.reap)
	}
	p.mu.Unlock()
	for _, rd := range old {
		rd.stop()
	}
}

// drop ends the idle processes, which may hold files of a mirror that is being replaced.
func (p *readers) drop() {
	p.mu.Lock()
	old := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, rd := range old {
		rd.stop()
	}
}

func (p *readers) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.drop()
	// Those at work give their slot back when they have ended.
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
}

// stop ends the process and returns what it had complained about.
func (rd *reader) stop() string {
	_ = rd.in.Close()
	_ = killGroup(rd.cmd.Process.Pid)
	_ = rd.cmd.Wait()
	return rd.stderr.buf.String()
}

// ask sends one request and reads the answer. Keep says whether the process may be asked again.
func (rd *reader) ask(ctx context.Context, timeout time.Duration, hash string, withData bool, limit int64) (obj object, keep bool, err error) {
	pid := rd.cmd.Process.Pid
	deadline := time.AfterFunc(timeout, func() { _ = killGroup(pid) })
	stopWatch := context.AfterFunc(ctx, func() { _ = killGroup(pid) })
	defer func() {
		if !deadline.Stop() || !stopWatch() {
			keep = false
		}
		if ctx.Err() != nil && err != nil {
			err = context.Cause(ctx)
		}
	}()
	verb := "info "
	if withData {
		verb = "contents "
	}
	if _, err := io.WriteString(rd.in, verb+hash+"\n"); err != nil {
		return obj, false, err
	}
	line, err := rd.out.ReadString('\n')
	if err != nil {
		return obj, false, err
	}
	f := strings.Fields(line)
	if len(f) == 2 && f[1] == "missing" {
		return obj, true, errMissing
	}
	if len(f) != 3 {
		return obj, false, fmt.Errorf("unexpected answer %q", strings.TrimSpace(line))
	}
	obj.kind = f[1]
	if obj.size, err = strconv.ParseInt(f[2], 10, 64); err != nil {
		return obj, false, fmt.Errorf("unexpected answer %q", strings.TrimSpace(line))
	}
	if !withData {
		return obj, true, nil
	}
	if obj.size > limit {
		return obj, false, nil // it is cheaper to end the process than to read all of a large object
	}
	obj.data = make([]byte, obj.size+1)
	if _, err := io.ReadFull(rd.out, obj.data); err != nil {
		return obj, false, err
	}
	obj.data = obj.data[:obj.size:obj.size]
	return obj, true, nil
}
