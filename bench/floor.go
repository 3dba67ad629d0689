package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// floorWorkers is how many requests the floor has under way at once.
const floorWorkers = 32

// bound is what the floor measured for one workload.
type bound struct {
	wall      time.Duration
	latencies []time.Duration
}

// task is one object to apply.
type task struct {
	service service
	kind    kind
}

// everything is all four objects of all Apps.
func everything(all []service) []task {
	tasks := make([]task, 0, len(all)*len(kinds))
	for _, s := range all {
		for _, k := range kinds {
			tasks = append(tasks, task{s, k})
		}
	}
	return tasks
}

// applyAll is the floor itself: it sends the tasks, and does nothing else. The bodies are made beforehand.
func (c *client) applyAll(ctx context.Context, tasks []task) (time.Duration, error) {
	bodies := make([][]byte, len(tasks))
	for i, t := range tasks {
		bodies[i] = t.service.object(t.kind)
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(floorWorkers)
	for i, t := range tasks {
		group.Go(func() error { return c.applyBody(ctx, t.service.id(), t.kind, bodies[i]) })
	}
	err := group.Wait()
	return time.Since(began), err
}

// floors measures the floor of every wanted workload on a fresh control plane.
func (b *bench) floors(ctx context.Context, dir string) (_ map[string]bound, err error) {
	if !b.wants("f1", "f2", "f3", "f4") {
		return nil, nil
	}
	p, err := startPlane(ctx, b.localplane, filepath.Join(dir, "floor"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	before, err := p.requests(ctx)
	if err != nil {
		return nil, err
	}
	all := makeServices(b.apps)
	bounds := map[string]bound{}
	for _, step := range []struct {
		workload string
		measure  func(context.Context, *plane, []service) (bound, error)
	}{
		{"f1", floorOfFirstSync}, {"f2", b.floorOfCommits}, {"f3", floorOfChange}, {"f4", floorOfDrift},
	} {
		if !b.wants(step.workload) && step.workload != "f1" {
			continue
		}
		if bounds[step.workload], err = step.measure(ctx, p, all); err != nil {
			return nil, fmt.Errorf("floor of %s: %w", step.workload, err)
		}
		b.progress("floor of %s: %.2f s", step.workload, bounds[step.workload].wall.Seconds())
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
	}
	after, err := p.requests(ctx)
	if err != nil {
		return nil, err
	}
	b.progress("requests of others on the plane of the floor, which should be none: %s", after.minus(before))
	return bounds, p.check(ctx, all)
}

// floorOfReleases applies what the Releases of R1 apply until all wait for an approval.
func (b *bench) floorOfReleases(ctx context.Context, dir string) (_ bound, err error) {
	p, err := startPlane(ctx, b.localplane, filepath.Join(dir, "floor-r1"))
	if err != nil {
		return bound{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	all := inEnvironments(b.apps)
	if _, err := p.applyAll(ctx, everything(all)); err != nil {
		return bound{}, err
	}
	if err := p.settle(ctx); err != nil {
		return bound{}, err
	}
	wall, err := p.applyAll(ctx, everything(released(markSome(all))))
	b.progress("floor of r1: %.2f s", wall.Seconds())
	return bound{wall: wall}, err
}

// floorOfFirstSync applies everything for the first time.
func floorOfFirstSync(ctx context.Context, p *plane, all []service) (bound, error) {
	wall, err := p.applyAll(ctx, everything(all))
	return bound{wall: wall}, err
}

// floorOfCommits applies one changed Deployment after the other, and waits until a watch shows each.
func (b *bench) floorOfCommits(ctx context.Context, p *plane, all []service) (bound, error) {
	w, err := p.follow(ctx, deployments.collection())
	if err != nil {
		return bound{}, err
	}
	defer w.stop()
	var result bound
	for i := range b.commits {
		s := touch(all, i)
		goal := w.expect([]string{s.name}, func(o *object) bool { return s.matches(deployments, o) })
		began := time.Now()
		if err := p.apply(ctx, s, deployments); err != nil {
			return bound{}, err
		}
		at, err := b.await(ctx, goal)
		if err != nil {
			return bound{}, err
		}
		result.add(last(at).Sub(began))
	}
	return result, nil
}

func (b *bound) add(latency time.Duration) {
	b.wall += latency
	b.latencies = append(b.latencies, latency)
}

// floorOfChange applies everything again, with one changed field in each object.
func floorOfChange(ctx context.Context, p *plane, all []service) (bound, error) {
	mark(all)
	wall, err := p.applyAll(ctx, everything(all))
	return bound{wall: wall}, err
}

// floorOfDrift applies the objects again that drifted. Nobody has to notice it.
func floorOfDrift(ctx context.Context, p *plane, all []service) (bound, error) {
	tasks := drifting(all)
	if _, err := p.disturb(ctx, tasks); err != nil {
		return bound{}, err
	}
	wall, err := p.applyAll(ctx, tasks)
	return bound{wall: wall}, err
}
