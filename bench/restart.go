package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// restarts is F6: Sengu stops and starts, once with its disk as it was and once with nothing on it.
func (r *rig) restarts(ctx context.Context) ([]figure, error) {
	kept, err := r.restart(ctx, "f6-kept", func() error { return nil })
	if err != nil {
		return nil, fmt.Errorf("with the disk kept: %w", err)
	}
	lost, err := r.restart(ctx, "f6-lost", func() error { return os.RemoveAll(r.sengu.dataDir) })
	if err != nil {
		return nil, fmt.Errorf("with the disk lost: %w", err)
	}
	return []figure{kept, lost}, nil
}

// restart measures one restart, from the start of the process until it says that it is ready and all Apps are synced.
// Nothing may be rendered or applied meanwhile, nor after it until Sengu is calm.
func (r *rig) restart(ctx context.Context, name string, between func() error) (figure, error) {
	f := r.figure(name, len(r.all)*len(kinds))
	if err := r.settle(ctx); err != nil {
		return f, err
	}
	floor, err := r.readAll(ctx)
	if err != nil {
		return f, err
	}
	before, err := r.state(ctx)
	if err != nil {
		return f, err
	}
	if err := errors.Join(r.sengu.stop(), between()); err != nil {
		return f, err
	}
	requests, err := r.plane.requests(ctx)
	if err != nil {
		return f, err
	}
	began := time.Now()
	if err := r.sengu.start(); err != nil {
		return f, err
	}
	m := &meter{rig: r, requests: requests, memory: sample(ctx, r.sengu.process.pid())}
	ready, err := r.awaitSynced(ctx)
	if err != nil {
		return f, err
	}
	f.WallS = ready.Sub(began).Seconds()
	f.setFloor(bound{wall: floor})
	cpu, err := cpuOf(r.sengu.process.pid())
	if err := errors.Join(err, r.settle(ctx), m.stop(ctx, &f)); err != nil {
		return f, err
	}
	f.CPUS = cpu.Seconds() // up to when it was ready
	return f, r.unchanged(ctx, before, f.Requests, m.memory.rendered)
}

// awaitSynced waits until Sengu says that it is ready and every App says that it is synced. It returns when that was.
func (r *rig) awaitSynced(ctx context.Context) (time.Time, error) {
	if err := r.sengu.awaitReady(ctx); err != nil {
		return time.Time{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("after %s", r.timeout))
	defer cancel()
	var at time.Time
	err := r.sengu.process.until(ctx, pollInterval, func(ctx context.Context) error {
		at = time.Now() // when the list was asked for: reading it is not Sengu's
		apps, err := r.plane.apps(ctx)
		for name, app := range apps {
			if app.Status.Sync != string(v1alpha1.Synced) {
				return fmt.Errorf("App %s is %s", name, app.Status.Sync) //nolint:staticcheck // App is the name of a kind
			}
		}
		return err
	})
	return at, err
}

// state is what a restart must not change.
type state struct {
	objects map[string]identity
	apps    map[string]object
}

func (r *rig) state(ctx context.Context) (state, error) {
	objects, err := r.plane.identities(ctx, r.all)
	if err != nil {
		return state{}, err
	}
	apps, err := r.plane.apps(ctx)
	return state{objects, apps}, err
}

// unchanged fails if a restart wrote to an object of the workload, rendered anything, or left an App that is not synced.
func (r *rig) unchanged(ctx context.Context, before state, requests tally, rendered bool) error {
	if n := requests["apply"]; n > 0 {
		return fmt.Errorf("wrong: %d objects were applied after a restart", n)
	}
	if rendered {
		return errors.New("wrong: something was rendered after a restart")
	}
	after, err := r.state(ctx)
	if err != nil {
		return err
	}
	for id, was := range before.objects {
		if after.objects[id] != was {
			return fmt.Errorf("wrong: %s was written after a restart", id)
		}
	}
	for name, was := range before.apps {
		is := after.apps[name]
		if is.Spec.Source != was.Spec.Source || is.Status.Revision != was.Status.Revision || is.Status.Sync != string(v1alpha1.Synced) {
			return fmt.Errorf("wrong: App %s is %s at %.7s after a restart, and was %s at %.7s", name, is.Status.Sync, is.Status.Revision, was.Status.Sync, was.Status.Revision)
		}
	}
	return nil
}

// readAll is the floor of a restart: a bare client that lists the objects and the Apps, all kinds at once.
func (r *rig) readAll(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	done := make(chan error, len(kinds)+1)
	for _, k := range kinds {
		go func() { _, err := r.plane.list(ctx, k.collection()); done <- err }()
	}
	go func() { _, err := r.plane.apps(ctx); done <- err }()
	errs := make([]error, 0, cap(done))
	for range cap(done) {
		errs = append(errs, <-done)
	}
	return time.Since(began), errors.Join(errs...)
}
