package tracker

import (
	"context"
	"sync"
)

// crew does what takes time beside the Reconciles: it asks registries, and pushes.
type crew struct {
	ctx    context.Context //nolint:containedctx // that of everything that the crew does
	cancel context.CancelFunc
	slots  chan struct{}
	group  sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

func newCrew(size int) *crew {
	c := &crew{slots: make(chan struct{}, size)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// look does f when fewer than the crew's size do one.
func (c *crew) look(f func(context.Context)) {
	c.do(func(ctx context.Context) {
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
			f(ctx)
		case <-ctx.Done():
		}
	})
}

// do does f at once.
func (c *crew) do(f func(context.Context)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.group.Go(func() { f(c.ctx) })
	}
}

// close ends what is being done, and waits for it.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.group.Wait()
}
