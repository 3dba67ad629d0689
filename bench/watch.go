package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// watch follows one collection, and notes when what is expected of it comes true. It costs the benchmark the decoding
// of a few fields of each event, and the API server one more copy of bytes that it has encoded already.
type watch struct {
	path   string
	cancel context.CancelFunc
	ended  sync.WaitGroup
	failed chan struct{}

	mu   sync.Mutex
	goal *goal
	err  error
}

// goal is what a watch waits for.
type goal struct {
	watch *watch
	test  func(*object) bool
	// left are the names that have not passed the test yet, and at is when the others did.
	left map[string]bool
	at   map[string]time.Time
	done chan struct{}
}

// follow begins to watch a collection, from what it holds now.
func (c *client) follow(ctx context.Context, collection string) (*watch, error) {
	c.count("watch")
	ctx, cancel := context.WithCancel(ctx)
	body, err := c.open(ctx, http.MethodGet, collection+"?watch=true&resourceVersion=0", "", nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch %s: %w", collection, err)
	}
	w := &watch{path: collection, cancel: cancel, failed: make(chan struct{})}
	w.ended.Go(func() {
		defer body.Close()
		decoder := json.NewDecoder(body)
		for {
			var event struct {
				Type   string
				Object object
			}
			err := decoder.Decode(&event)
			if err == nil && event.Type == "ERROR" {
				err = errors.New("the API server ended the watch with an error")
			}
			if err != nil {
				w.fail(err)
				return
			}
			w.see(&event.Object, time.Now())
		}
	})
	return w, nil
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = fmt.Errorf("watch %s: %w", w.path, err)
	close(w.failed)
}

func (w *watch) see(o *object, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.goal
	if g == nil || !g.left[o.key()] || !g.test(o) {
		return
	}
	delete(g.left, o.key())
	g.at[o.key()] = now
	if len(g.left) == 0 {
		w.goal = nil
		close(g.done)
	}
}

// stop ends the watch.
func (w *watch) stop() {
	w.cancel()
	w.ended.Wait()
}

// expect makes the watch look for an event of each name that passes the test. Call it before what makes that come
// true. A watch has one goal at a time; test is called by one goroutine at a time.
func (w *watch) expect(names []string, test func(*object) bool) *goal {
	g := &goal{watch: w, test: test, left: make(map[string]bool, len(names)), at: make(map[string]time.Time, len(names)), done: make(chan struct{})}
	for _, name := range names {
		g.left[name] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.goal = g
	return g
}

// wait returns when each name passed, in the order of no importance.
func (g *goal) wait(ctx context.Context) (map[string]time.Time, error) {
	select {
	case <-g.done:
		return g.at, nil
	case <-g.watch.failed:
		return nil, g.watch.err
	case <-ctx.Done():
		g.watch.mu.Lock()
		defer g.watch.mu.Unlock()
		for name := range g.left {
			return nil, fmt.Errorf("%d of %d are not as expected, for example %s: %w", len(g.left), len(g.left)+len(g.at), name, context.Cause(ctx))
		}
		return g.at, nil
	}
}

// last is the latest of some times.
func last(times map[string]time.Time) time.Time {
	var latest time.Time
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}
