package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// releasedAtOnce is how many services R1 changes in one commit.
const releasedAtOnce = 50

// stages are the environments of R1, in order. The last one asks for an approval.
var stages = []string{"develop", "staging", "production"}

// inEnvironments returns n services as the first commit has them, each in every environment.
func inEnvironments(n int) []service {
	all := make([]service, 0, n*len(stages))
	for _, s := range makeServices(n) {
		for _, env := range stages {
			all = append(all, service{name: s.name, environment: env, rev: 1})
		}
	}
	return all
}

// markSome raises what R1 changes, in every object of the services that it changes, and returns those.
func markSome(all []service) []service {
	const stride = 19 // services far apart from each other
	n := len(all) / len(stages)
	var changed []service
	for i := range min(releasedAtOnce, n) {
		first := i * stride % n * len(stages)
		for j := first; j < first+len(stages); j++ {
			all[j].mark++
			changed = append(changed, all[j])
		}
	}
	return changed
}

// released returns those of changed that are applied before a person is asked.
func released(changed []service) []service {
	var before []service
	for _, s := range changed {
		if s.environment != stages[len(stages)-1] {
			before = append(before, s)
		}
	}
	return before
}

// measureReleases is R1: one commit that changes fifty services in every environment, from its push until all of their
// Releases have come through the first two and wait for an approval.
func (b *bench) measureReleases(ctx context.Context, dir string) (f figure, err error) {
	r, err := b.newRig(ctx, filepath.Join(dir, "sengu-r1"), inEnvironments(b.apps))
	if r != nil {
		defer func() { err = errors.Join(err, r.stop()) }()
	}
	if err != nil {
		return f, err
	}
	if err := r.deliverStages(ctx); err != nil {
		return f, fmt.Errorf("r1: %w", err)
	}
	if err := r.settle(ctx); err != nil {
		return f, err
	}
	waiting, err := r.plane.follow(ctx, senguObjects+"releases")
	if err != nil {
		return f, err
	}
	defer waiting.stop()
	changed := markSome(r.all)
	before := released(changed)
	f = r.figure("r1", len(before)*len(kinds))
	m, err := r.meter(ctx)
	if err != nil {
		return f, err
	}
	var services []string
	for _, s := range changed {
		if s.environment == stages[0] {
			services = append(services, s.name)
		}
	}
	var goal *goal
	pushed, err := r.commitAndPush(ctx, "Change fifty services", changed, func(string) { goal = waiting.expect(services, asksForApproval) })
	if err != nil {
		return f, err
	}
	at, err := r.await(ctx, goal)
	if err != nil {
		return f, fmt.Errorf("r1: %w", err)
	}
	f.WallS = last(at).Sub(pushed).Seconds()
	if err := m.stop(ctx, &f); err != nil {
		return f, err
	}
	var sent int64
	for verb, n := range f.Requests {
		if verb != "apply" {
			sent += n
		}
	}
	f.BookkeepingPerStep = float64(sent) / float64(len(before))
	b.progress("r1: %.2f s, %.2f CPU s", f.WallS, f.CPUS)
	return f, nil
}

// deliverStages delivers everything for the first time.
func (r *rig) deliverStages(ctx context.Context) error {
	commit, err := r.repo.commit(ctx, "Add every service", r.all...)
	if err != nil {
		return err
	}
	if _, err := r.repo.push(ctx, commit); err != nil {
		return err
	}
	r.repo.announce(r.sengu.webhook(), webhookKey)
	var environments []v1alpha1.Environment
	for i, name := range stages {
		env := v1alpha1.Environment{Name: name, Cluster: clusterName, Namespace: targetNamespace}
		if i > 0 {
			env.After = stages[i-1 : i]
		}
		if i == len(stages)-1 {
			env.Approval = &v1alpha1.ApprovalRule{Required: 1}
		}
		environments = append(environments, env)
	}
	var apps []string
	for _, s := range r.all {
		apps = append(apps, s.name+"."+s.environment+"."+fleetName)
	}
	goal := r.synced.expectBy(apps, func(o *object) string { return o.Metadata.Name }, syncedAt(commit))
	if err := createFleetOf(ctx, r.plane, r.repo.url(), "apps/{service}.{environment}", environments...); err != nil {
		return err
	}
	began := time.Now()
	_, err = r.await(ctx, goal)
	r.progress("r1: %d Apps delivered in %.2f s", len(apps), time.Since(began).Seconds())
	return err
}

// asksForApproval is true of a Release that waits before the last environment.
func asksForApproval(o *object) bool {
	for _, env := range o.Status.Environments {
		if env.Name != stages[len(stages)-1] || env.Stage != string(v1alpha1.StageWaiting) {
			continue
		}
		for _, gate := range env.Gates {
			if gate.Name == "approval" && !gate.Open {
				return true
			}
		}
	}
	return false
}
