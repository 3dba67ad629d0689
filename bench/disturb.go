package main

import (
	"context"
	"fmt"
	"time"
)

// undoing follows the objects of one kind that drift.
type undoing struct {
	kind kind
	live *watch
	goal *goal
	// seen is when the watch showed the drift, by name.
	seen map[string]time.Time
}

// followDrift begins to watch a kind for drift and its end. Call it before anything drifts.
func (r *rig) followDrift(ctx context.Context, k kind, tasks []task) (*undoing, error) {
	live, err := r.plane.follow(ctx, k.collection())
	if err != nil {
		return nil, err
	}
	u := &undoing{kind: k, live: live, seen: map[string]time.Time{}}
	var affected []string
	byName := map[string]service{}
	for _, t := range tasks {
		if t.kind == k {
			affected = append(affected, t.service.name)
			byName[t.service.name] = t.service
		}
	}
	u.goal = live.expect(affected, func(o *object) bool {
		_, drifted := u.seen[o.key()]
		if byName[o.key()].matches(k, o) {
			return drifted
		}
		if !drifted {
			u.seen[o.key()] = time.Now()
		}
		return false
	})
	return u, nil
}

// drift is F4: somebody changes a field of 100 objects at once. The latency of an object is from when its drift was
// answered or seen, whichever came first, until a watch shows it undone.
func (r *rig) drift(ctx context.Context) ([]figure, error) {
	tasks := drifting(r.all)
	f := r.figure("f4", len(tasks))
	var follows []*undoing
	for _, k := range []kind{deployments, services} {
		u, err := r.followDrift(ctx, k, tasks)
		if err != nil {
			return nil, err
		}
		defer u.live.stop()
		follows = append(follows, u)
	}
	m, err := r.meter(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	answered, err := r.plane.disturb(ctx, tasks)
	if err != nil {
		return nil, err
	}
	var latencies []time.Duration
	end := began
	for _, u := range follows {
		undone, err := r.await(ctx, u.goal)
		if err != nil {
			return nil, fmt.Errorf("drift of %ss: %w", u.kind.name, err)
		}
		for name, at := range undone {
			from := answered[u.kind.name+"/"+name]
			if u.seen[name].Before(from) {
				from = u.seen[name]
			}
			latencies = append(latencies, at.Sub(from))
		}
		if l := last(undone); l.After(end) {
			end = l
		}
	}
	if err := m.stop(ctx, &f); err != nil {
		return nil, err
	}
	f.WallS = end.Sub(began).Seconds()
	f.setLatencies(latencies)
	return []figure{f}, nil
}

// idleTime is how long F5 looks on.
const idleTime = time.Minute

// idle is F5: nothing happens but that the repository is polled.
func (r *rig) idle(ctx context.Context) ([]figure, error) {
	f := r.figure("f5", len(r.all)*len(kinds))
	m, err := r.meter(ctx)
	if err != nil {
		return nil, err
	}
	polls := r.repo.reads.Load()
	began := time.Now()
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.sengu.process.ended:
		return nil, r.sengu.process.died()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	f.WallS = time.Since(began).Seconds()
	if err := m.stop(ctx, &f); err != nil {
		return nil, err
	}
	if r.repo.reads.Load() == polls {
		return nil, fmt.Errorf("wrong: the repository was not polled within %s", idleTime)
	}
	f.CPUPercent = f.CPUS / f.WallS * 100
	return []figure{f}, nil
}
