package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// settle is how long a burst of changes may go on before it is looked at.
	settle = 50 * time.Millisecond
	// refresh is how often what is shown is drawn again when nothing changes, so that ages grow.
	refresh = 5 * time.Second
)

// followed is the plane as a watch keeps it.
type followed struct {
	changed chan struct{}
	lost    chan error
	reader  client.Reader
}

// follow calls visit with what the plane holds, at once and after every change, until visit says that it is done, ctx
// ends, or something fails. While the plane does not answer, it says so through lost, once an outage, and goes on.
func (pl *plane) follow(ctx context.Context, lost func(error), visit func(snapshot) (done bool, err error)) error {
	// The first look gives an error with a way out, which a watch would only repeat in silence.
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return err
	}
	if done, err := visit(snap); done || err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, stopped, err := pl.watched(ctx)
	if err != nil {
		return err
	}
	defer func() { cancel(); <-stopped }()
	return f.loop(ctx, pl.namespace, lost, visit)
}

func (f *followed) loop(ctx context.Context, namespace string, lost func(error), visit func(snapshot) (bool, error)) error {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-f.lost:
			if !told {
				lost(err)
			}
			told = true
			continue
		case <-f.changed:
			told = false
			if err := f.wait(ctx); err != nil {
				return err
			}
		case <-tick.C:
		}
		snap, err := read(ctx, f.reader, namespace)
		if err != nil {
			return fmt.Errorf("read what the watch keeps: %w", err)
		}
		if done, err := visit(snap); done || err != nil {
			return err
		}
	}
}

// wait lets a burst of changes end, and takes them as one.
func (f *followed) wait(ctx context.Context) error {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.changed:
		case <-timer.C:
			return nil
		}
	}
}

// watched starts a watch of every kind of Sengu's. Stopped is closed when it has ended.
func (pl *plane) watched(ctx context.Context) (f *followed, stopped <-chan struct{}, err error) {
	f = &followed{changed: make(chan struct{}, 1), lost: make(chan error, 1)}
	c, err := cache.New(pl.config, cache.Options{
		Scheme:            pl.Scheme(),
		Mapper:            pl.RESTMapper(),
		DefaultNamespaces: map[string]cache.Config{pl.namespace: {}},
		DefaultWatchErrorHandler: func(_ context.Context, _ *toolscache.Reflector, err error) {
			offer(f.lost, err)
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watch the plane: %w", err)
	}
	f.reader = c
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Start(ctx)
	}()
	for _, kind := range []client.Object{&v1alpha1.App{}, &v1alpha1.Fleet{}, &v1alpha1.Cluster{}, &v1alpha1.Release{}} {
		informer, err := c.GetInformer(ctx, kind)
		if err != nil {
			return nil, done, pl.explain("watch the plane", err)
		}
		mark := func(any) { offer(f.changed, struct{}{}) }
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: mark, UpdateFunc: func(_, o any) { mark(o) }, DeleteFunc: mark,
		}); err != nil {
			return nil, done, fmt.Errorf("watch the plane: %w", err)
		}
	}
	if !c.WaitForCacheSync(ctx) {
		return nil, done, errors.Join(errors.New("watch the plane: it did not answer"), ctx.Err())
	}
	return f, done, nil
}

// offer sends v unless something is waiting already.
func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}
