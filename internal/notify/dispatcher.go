package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Subscription is a sink that is told the events of a route.
type Subscription struct {
	// Name under which the store knows the sink. What waits for a name is told to whoever bears it.
	Name string
	// Version tells one state of the settings from another, that of a Secret by its resource version. A worker whose
	// subscription comes again with the same version goes on undisturbed, with the sink that it has.
	Version string
	// Filter chooses the events; every event when it is nil.
	Filter *Filter
	// Since is when what is told begins: what happened earlier is old news, and is dropped. Every event when it is zero.
	Since time.Time
	Sink  Sink
}

// Options of a Dispatcher.
type Options struct {
	Store Store
	// Sinks to begin with; see Dispatcher.Use.
	Sinks []Subscription
	// Clock is the system's when nil.
	Clock clock.Clock
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Attempts at an event that a sink does not take, busy answers apart; 12 when 0. Before the last one, which takes about
	// a quarter of an hour, the event holds up the others no longer, and the last one is made when another has been taken.
	Attempts int
	// Timeout of one call of a sink; a minute when 0.
	Timeout time.Duration
	// Idle is how often the store is asked although nobody called Wake; a minute when 0.
	Idle time.Duration
}

// Dispatcher tells the events of a store to sinks.
type Dispatcher struct {
	opts    Options
	changed chan struct{}

	mu      sync.Mutex
	wanted  []Subscription
	workers map[string]*worker
}

// New makes a Dispatcher, which does nothing before Run. The error is about subscriptions that lack a name or a sink,
// or share a name.
func New(opts Options) (*Dispatcher, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Attempts <= 0 {
		opts.Attempts = 12
	}
	if opts.Timeout <= 0 {
		opts.Timeout = time.Minute
	}
	if opts.Idle <= 0 {
		opts.Idle = time.Minute
	}
	d := &Dispatcher{opts: opts, changed: make(chan struct{}, 1), workers: map[string]*worker{}}
	if opts.Store == nil {
		return nil, errors.New("notifications need a store")
	}
	if err := d.Use(opts.Sinks...); err != nil {
		return nil, err
	}
	return d, nil
}

// Use tells events to these sinks from now on and to no others. What waits for a sink that is gone stays in the store.
func (d *Dispatcher) Use(sinks ...Subscription) error {
	names := map[string]bool{}
	for _, s := range sinks {
		switch {
		case s.Name == "" || s.Sink == nil:
			return fmt.Errorf("notification %q lacks a name or a sink", s.Name)
		case names[s.Name]:
			return fmt.Errorf("two notifications are called %s: give each a name of its own", s.Name)
		}
		names[s.Name] = true
	}
	d.mu.Lock()
	d.wanted = append([]Subscription(nil), sinks...)
	d.mu.Unlock()
	signal(d.changed)
	return nil
}

// Wake says that events were recorded. It never waits.
func (d *Dispatcher) Wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		signal(w.wake)
	}
}

// Run tells events until the context ends, and returns when every worker has stopped. It may run again afterwards.
func (d *Dispatcher) Run(ctx context.Context) {
	defer func() { d.reconcile(ctx, nil) }()
	for {
		d.mu.Lock()
		wanted := d.wanted
		d.mu.Unlock()
		d.reconcile(ctx, wanted)
		select {
		case <-ctx.Done():
			return
		case <-d.changed:
		}
	}
}

// reconcile stops the workers that are not wanted, then starts those that are missing. Two workers never tell the same
// sink, so the old one is waited for.
func (d *Dispatcher) reconcile(ctx context.Context, wanted []Subscription) {
	byName := map[string]Subscription{}
	for _, s := range wanted {
		byName[s.Name] = s
	}
	d.mu.Lock()
	var leaving []*worker
	for name, w := range d.workers {
		if s, ok := byName[name]; !ok || s.Version != w.sub.Version {
			leaving = append(leaving, w)
			delete(d.workers, name)
		}
	}
	d.mu.Unlock()
	for _, w := range leaving {
		w.cancel()
	}
	for _, w := range leaving {
		<-w.done
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range wanted {
		if d.workers[s.Name] == nil {
			d.workers[s.Name] = d.start(ctx, s)
		}
	}
}

func (d *Dispatcher) start(ctx context.Context, s Subscription) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{
		sub: s, opts: d.opts, log: d.opts.Logger.With("sink", s.Name), memory: memory{d.opts.Store, s.Name},
		wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel,
	}
	go w.run(ctx)
	return w
}

// signal fills a channel of one place, and does nothing if it is full.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
