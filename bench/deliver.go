package main

import (
	"context"
	"fmt"
	"time"
)

// firstSync is F1: from the creation of a Fleet until all its Apps are synced, with nothing there before.
func (r *rig) firstSync(ctx context.Context) ([]figure, error) {
	commit, err := r.repo.commit(ctx, "Add every service", r.all...)
	if err != nil {
		return nil, err
	}
	if _, err := r.repo.push(ctx, commit); err != nil {
		return nil, err
	}
	r.repo.announce(r.sengu.webhook(), webhookKey)
	f := r.figure("f1", len(r.all)*len(kinds))
	m, err := r.meter(ctx)
	if err != nil {
		return nil, err
	}
	goal := r.synced.expect(names(r.all), syncedAt(commit))
	began := time.Now()
	if err := createFleet(ctx, r.plane, r.repo.url()); err != nil {
		return nil, err
	}
	at, err := r.await(ctx, goal)
	if err != nil {
		return nil, err
	}
	f.WallS = last(at).Sub(began).Seconds()
	err = m.stop(ctx, &f)
	return []figure{f}, err
}

// change is F3: one commit that changes all objects of every App, from its push until all Apps are synced.
func (r *rig) change(ctx context.Context) ([]figure, error) {
	f := r.figure("f3", len(r.all)*len(kinds))
	mark(r.all)
	m, err := r.meter(ctx)
	if err != nil {
		return nil, err
	}
	var goal *goal
	pushed, err := r.commitAndPush(ctx, "Change every object", r.all, func(commit string) {
		goal = r.synced.expect(names(r.all), syncedAt(commit))
	})
	if err != nil {
		return nil, err
	}
	at, err := r.await(ctx, goal)
	if err != nil {
		return nil, err
	}
	f.WallS = last(at).Sub(pushed).Seconds()
	err = m.stop(ctx, &f)
	return []figure{f}, err
}

// commits is F2: commits that change one App each, one after the other. The latency of a commit is from its push until
// a watch shows the new value; the next commit waits until the App is synced.
func (r *rig) commits(ctx context.Context) ([]figure, error) {
	f := r.figure("f2", r.bench.commits)
	live, err := r.plane.follow(ctx, deployments.collection())
	if err != nil {
		return nil, err
	}
	defer live.stop()
	m, err := r.meter(ctx)
	if err != nil {
		return nil, err
	}
	var latencies []time.Duration
	for i := range r.bench.commits {
		latency, err := r.oneCommit(ctx, live, i)
		if err != nil {
			return nil, fmt.Errorf("commit %d: %w", i, err)
		}
		latencies = append(latencies, latency)
		f.WallS += latency.Seconds()
	}
	if err := m.stop(ctx, &f); err != nil {
		return nil, err
	}
	f.setLatencies(latencies)
	f.CPUPerCommitS = f.CPUS / float64(r.bench.commits)
	return []figure{f}, nil
}

func (r *rig) oneCommit(ctx context.Context, live *watch, i int) (time.Duration, error) {
	s := touch(r.all, i)
	changed := live.expect([]string{s.name}, func(o *object) bool { return s.matches(deployments, o) })
	var synced *goal
	pushed, err := r.commitAndPush(ctx, "Change "+s.name, []service{s}, func(commit string) {
		synced = r.synced.expect([]string{s.name}, syncedAt(commit))
	})
	if err != nil {
		return 0, err
	}
	at, err := r.await(ctx, changed)
	if err != nil {
		return 0, err
	}
	if _, err := r.await(ctx, synced); err != nil {
		return 0, err
	}
	return last(at).Sub(pushed), nil
}
