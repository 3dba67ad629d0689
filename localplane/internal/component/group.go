// Package component runs the parts of one program that must start in an order
// and stop in the opposite one. It knows nothing of what they do. It refuses
// to wait for ever: a part that does not stop in its time is left behind, for
// the end of the process to end it.
package component

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

// Group holds the components that run, in the order of their start. Make it
// with NewGroup. Start and Stop are for one goroutine; the rest is for any.
type Group struct {
	running  []*component
	failed   chan error
	stopping atomic.Bool
}

// component is a goroutine that runs until its context ends.
type component struct {
	name     string
	patience time.Duration
	cancel   context.CancelFunc
	done     chan struct{}
}

// NewGroup returns a group without components.
func NewGroup() *Group {
	return &Group{failed: make(chan error, 1)}
}

// Start runs a component in a goroutine of its own until Stop, which then gives
// it patience to end. Its context is not a caller's: in an orderly stop a
// server must outlive its clients.
func (g *Group) Start(name string, patience time.Duration, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &component{name: name, patience: patience, cancel: cancel, done: make(chan struct{})}
	g.running = append(g.running, c)
	go func() {
		defer close(c.done)
		err := run(ctx)
		if ctx.Err() != nil {
			return // it was told to
		}
		if err == nil {
			err = errors.New("it gave no reason")
		}
		select {
		case g.failed <- fmt.Errorf("%s stopped: %w", name, err):
		default: // another one was first
		}
	}()
}

// During runs step, and ends the context of step early when a component fails.
// When that context has ended, the error tells why.
func (g *Group) During(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watch sync.WaitGroup
	finished := make(chan struct{})
	watch.Go(func() {
		select {
		case err := <-g.failed:
			cancel(err)
		case <-finished:
		}
	})
	err := step(ctx)
	close(finished)
	watch.Wait()
	cause := context.Cause(ctx)
	switch {
	case cause == nil, errors.Is(err, cause):
		return err
	case err == nil:
		return cause
	default:
		return fmt.Errorf("%w: %w", cause, err)
	}
}

// Wait returns when ctx ends, with its cause, or when a component fails.
func (g *Group) Wait(ctx context.Context) error {
	select {
	case err := <-g.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stopping says whether Stop has begun.
func (g *Group) Stopping() bool { return g.stopping.Load() }

// Stop ends the components, the last started first, and returns the names of
// those that did not end in their time.
func (g *Group) Stop() (late []string) {
	g.stopping.Store(true)
	for i := len(g.running) - 1; i >= 0; i-- {
		c := g.running[i]
		begin := time.Now()
		c.cancel()
		timer := time.NewTimer(c.patience)
		select {
		case <-c.done:
			klog.InfoS("Component stopped", "component", c.name, "duration", time.Since(begin))
		case <-timer.C:
			klog.InfoS("Component did not stop in time", "component", c.name, "patience", c.patience)
			late = append(late, c.name)
		}
		timer.Stop()
	}
	g.running = nil
	return late
}
