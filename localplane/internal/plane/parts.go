//go:build !race

package plane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// part is one component: a goroutine that runs until its context ends.
type part struct {
	name string
	// patience is how long it is given to stop.
	patience time.Duration
	cancel   context.CancelFunc
	done     chan struct{}
}

// parts are the components that run, in the order of their start. The zero
// value has none.
type parts struct {
	running []*part
	once    sync.Once
	failed  chan error
}

// failure is where the first component that stops by itself says so.
func (ps *parts) failure() chan error {
	ps.once.Do(func() { ps.failed = make(chan error, 1) })
	return ps.failed
}

// start runs a component in a goroutine of its own until stop. Its context is
// not the caller's: an orderly stop needs the API server to outlive its
// clients.
func (ps *parts) start(name string, patience time.Duration, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{name: name, patience: patience, cancel: cancel, done: make(chan struct{})}
	ps.running = append(ps.running, p)
	failed := ps.failure()
	go func() {
		defer close(p.done)
		err := run(ctx)
		if ctx.Err() != nil {
			return // it was told to
		}
		if err == nil {
			err = errors.New("it gave no reason")
		}
		select {
		case failed <- fmt.Errorf("%s stopped: %w", name, err):
		default: // another one was first
		}
	}()
}

// during runs step, and ends it early when a component fails.
func (ps *parts) during(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	finished := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case err := <-ps.failure():
			cancel(err)
		case <-finished:
		}
	}()
	err := step(ctx)
	close(finished)
	<-watched
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// wait returns when ctx ends, or with an error when a component fails.
func (ps *parts) wait(ctx context.Context) error {
	select {
	case err := <-ps.failure():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the components, the last started first, and waits for each as long
// as its patience. One that does not make it ends with the process; nothing is
// lost by that, as etcd's files survive any end of a process.
func (ps *parts) stop() {
	for i := len(ps.running) - 1; i >= 0; i-- {
		p := ps.running[i]
		begin := time.Now()
		p.cancel()
		select {
		case <-p.done:
			klog.InfoS("Component stopped", "component", p.name, "duration", time.Since(begin))
		case <-time.After(p.patience):
			klog.InfoS("Component did not stop in time", "component", p.name, "patience", p.patience)
		}
	}
	ps.running = nil
}
