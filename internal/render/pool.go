package render

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	idleTime    = 20 * time.Second // after which a worker without work is let go
	jobsAWorker = 2000             // after which a worker is replaced
	workerGOGC  = 200
)

// pool owns the worker processes. Whoever waits for one is served in the order of coming.
type pool struct {
	opts Options
	sem  *semaphore.Weighted

	mu     sync.Mutex
	idle   []*process // the last one used is the first one used again, so that the others can go
	all    map[*process]struct{}
	closed bool
	wg     sync.WaitGroup // processes being let go
}

var errClosed = errors.New("renderer is closed")

func newPool(o Options) *pool {
	return &pool{opts: o, sem: semaphore.NewWeighted(int64(o.Workers)), all: map[*process]struct{}{}}
}

// take waits for a free worker, or starts one. The caller must give it back.
func (p *pool) take(ctx context.Context) (*process, error) {
	if err := p.sem.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("wait for a render worker: %w", err)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.sem.Release(1)
		return nil, errClosed
	}
	for n := len(p.idle); n > 0; n = len(p.idle) {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		w.idle.Stop()
		if w.alive() {
			p.mu.Unlock()
			return w, nil
		}
		delete(p.all, w)
	}
	p.wg.Add(1) // Close waits for a start
	p.mu.Unlock()
	defer p.wg.Done()
	w, err := startProcess(p.opts)
	if err != nil {
		p.sem.Release(1)
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.stop()
		p.sem.Release(1)
		return nil, errClosed
	}
	p.all[w] = struct{}{}
	return w, nil
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return p.killed.Load() == nil
	}
}

// give returns a worker. One that is gone, old or fat is replaced when it is needed next.
func (p *pool) give(w *process, reuse bool) {
	defer p.sem.Release(1)
	w.jobs++
	reuse = reuse && w.alive() && w.jobs < jobsAWorker
	if reuse && w.jobs%16 == 0 && w.memory() > p.opts.MemoryLimit/4 {
		reuse = false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !reuse || p.closed {
		p.release(w)
		return
	}
	w.idle = time.AfterFunc(idleTime, func() { p.expire(w) })
	p.idle = append(p.idle, w)
}

// expire lets a worker go that has been idle for long.
func (p *pool) expire(w *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.idle {
		if o == w {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			p.release(w)
			return
		}
	}
}

// release stops a worker without waiting; mu is held.
func (p *pool) release(w *process) {
	delete(p.all, w)
	p.wg.Go(w.stop)
}

// close kills every worker and waits until they are gone.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.idle {
		w.idle.Stop()
	}
	p.idle = nil
	for w := range p.all {
		w.kill("the renderer was closed")
		p.release(w)
	}
	p.mu.Unlock()
	p.wg.Wait()
}
