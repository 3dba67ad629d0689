package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// watch follows one collection, and notes when what is expected of it comes true. It costs the benchmark the decoding
// of a few fields of each event, and the API server one more copy of bytes that it has encoded already.
type watch struct {
	client *client
	path   string
	// version of the collection that was seen last.
	version string
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	failed  chan struct{}

	mu   sync.Mutex
	goal *goal
	err  error
}

// goal is what a watch waits for.
type goal struct {
	watch *watch
	// key says which name an object goes by.
	key  func(*object) string
	test func(*object) bool
	// left are the names that have not passed the test yet, and at is when the others did.
	left map[string]bool
	at   map[string]time.Time
	done chan struct{}
}

// follow begins to watch a collection, from now on.
func (c *client) follow(ctx context.Context, collection string) (*watch, error) {
	var l struct {
		Metadata struct{ ResourceVersion string }
	}
	c.count("list")
	if err := c.get(ctx, collection+"?limit=1", &l); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{client: c, path: collection, cancel: cancel, failed: make(chan struct{}), version: l.Metadata.ResourceVersion}
	body, err := w.open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	w.ended.Go(func() {
		// The API server ends a watch whose client is slow, as any client is on a busy machine.
		for err == nil {
			if err = w.read(body); err == nil {
				err = context.Cause(ctx)
			}
			if err == nil {
				body, err = w.open(ctx)
			}
		}
		w.fail(err)
	})
	return w, nil
}

// open sends the request, for what comes after the version that was seen last.
func (w *watch) open(ctx context.Context) (io.ReadCloser, error) {
	w.client.count("watch")
	body, err := w.client.open(ctx, http.MethodGet, w.path+"?watch=true&allowWatchBookmarks=true&resourceVersion="+w.version, "", nil)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", w.path, err)
	}
	return body, nil
}

// read reads events until the connection ends. It fails if the watch cannot be continued.
func (w *watch) read(body io.ReadCloser) error {
	defer func() { _ = body.Close() }() // only read
	decoder := json.NewDecoder(body)
	for {
		var event struct {
			Type   string
			Object object
		}
		if err := decoder.Decode(&event); err != nil {
			return nil // it ended, in the middle of an event or after one
		}
		switch event.Type {
		case "ERROR":
			return fmt.Errorf("watch %s: the API server has forgotten what came after version %s", w.path, w.version)
		case "BOOKMARK":
		default:
			w.see(&event.Object, time.Now())
		}
		w.version = event.Object.Metadata.ResourceVersion
	}
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	close(w.failed)
}

func (w *watch) see(o *object, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.goal
	if g == nil || !g.left[g.key(o)] || !g.test(o) {
		return
	}
	delete(g.left, g.key(o))
	g.at[g.key(o)] = now
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
	return w.expectBy(names, (*object).key, test)
}

// expectBy is expect for objects that go by another name than that of their service.
func (w *watch) expectBy(names []string, key func(*object) string, test func(*object) bool) *goal {
	g := &goal{watch: w, key: key, test: test, left: make(map[string]bool, len(names)), at: make(map[string]time.Time, len(names)), done: make(chan struct{})}
	for _, name := range names {
		g.left[name] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.goal = g
	return g
}

// wait returns when each name passed.
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
