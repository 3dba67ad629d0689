package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// rig is what the workloads are measured on: a control plane, a repository, Sengu, and a watch of its Apps.
type rig struct {
	*bench
	plane *plane
	repo  *repository
	sengu *sengu
	// synced watches the Apps.
	synced *watch
	// all is what the repository holds at its head.
	all []service
}

// measureAll runs the wanted workloads on a fresh control plane, one after the other on what the one before left. F1
// always runs, as the others begin with what it delivers.
func (b *bench) measureAll(ctx context.Context, dir string) (_ []figure, err error) {
	r, err := b.newRig(ctx, filepath.Join(dir, "sengu"), makeServices(b.apps))
	if r != nil {
		defer func() { err = errors.Join(err, r.stop()) }()
	}
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, step := range []struct {
		workload string
		measure  func(*rig, context.Context) ([]figure, error)
	}{
		{"f1", (*rig).firstSync}, {"f2", (*rig).commits}, {"f3", (*rig).change}, {"f4", (*rig).drift}, {"f5", (*rig).idle}, {"f6", (*rig).restarts},
	} {
		if !b.wants(step.workload) && step.workload != "f1" {
			continue
		}
		if err := r.settle(ctx); err != nil {
			return nil, err
		}
		measured, err := step.measure(r, ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.workload, err)
		}
		if err := r.plane.check(ctx, r.all); err != nil {
			return nil, fmt.Errorf("%s: %w", step.workload, err)
		}
		for _, f := range measured {
			b.progress("%s: %.2f s, %.2f CPU s", f.Workload, f.WallS, f.CPUS)
		}
		if b.wants(step.workload) {
			figures = append(figures, measured...)
		}
	}
	return figures, nil
}

// newRig starts everything up to a Cluster that is ready. It returns what it has started also when it fails.
func (b *bench) newRig(ctx context.Context, dir string, all []service) (*rig, error) {
	r := &rig{bench: b, all: all}
	var err error
	if r.plane, err = startPlane(ctx, b.localplane, filepath.Join(dir, "plane")); err != nil {
		return r, err
	}
	if r.repo, err = startRepository(ctx, filepath.Join(dir, "git")); err != nil {
		return r, err
	}
	if r.sengu, err = newSengu(ctx, b.binary, dir, r.plane.kubeconfig); err != nil {
		return r, err
	}
	if err = r.sengu.start(); err != nil {
		return r, err
	}
	if err = r.sengu.awaitReady(ctx); err != nil {
		return r, err
	}
	if err = r.sengu.createCluster(ctx, r.plane); err != nil {
		return r, err
	}
	r.synced, err = r.plane.follow(ctx, senguObjects+"apps")
	return r, err
}

// stop ends all that newRig started, in the opposite order.
func (r *rig) stop() error {
	var errs []error
	if r.synced != nil {
		r.synced.stop()
	}
	if r.sengu != nil {
		errs = append(errs, r.sengu.stop())
	}
	if r.repo != nil {
		errs = append(errs, r.repo.stop())
	}
	if r.plane != nil {
		errs = append(errs, r.plane.stop())
	}
	return errors.Join(errs...)
}

// settle waits until neither the control plane nor Sengu does anything.
func (r *rig) settle(ctx context.Context) error {
	if err := r.plane.settle(ctx); err != nil {
		return err
	}
	return settle(ctx, "sengu", r.sengu.process.pid())
}

// await waits for a goal as long as the benchmark may, and not longer than Sengu lives.
func (r *rig) await(ctx context.Context, g *goal) (map[string]time.Time, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	process := r.sengu.process
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-process.ended:
			cancel(process.died())
		case <-stop:
		}
	}()
	at, err := r.bench.await(ctx, g)
	if err != nil && g.watch == r.synced {
		err = fmt.Errorf("%w%s", err, r.why(ctx))
	}
	return at, err
}

// why quotes an App that is not synced.
func (r *rig) why(ctx context.Context) string {
	apps, err := r.plane.apps(context.WithoutCancel(ctx))
	if err != nil {
		return "; the Apps cannot be listed: " + err.Error()
	}
	for name, app := range apps {
		if app.Status.Why != nil {
			return fmt.Sprintf("; App %s says: %s", name, app.Status.Why.Message)
		}
	}
	return fmt.Sprintf("; none of %d Apps says why", len(apps))
}

// commitAndPush commits the files of some services, lets expect set its goals for that commit, and pushes. It returns
// when the server accepted the push.
func (r *rig) commitAndPush(ctx context.Context, message string, changed []service, expect func(commit string)) (time.Time, error) {
	commit, err := r.repo.commit(ctx, message, changed...)
	if err != nil {
		return time.Time{}, err
	}
	expect(commit)
	return r.repo.push(ctx, commit)
}

// meter measures what Sengu uses.
type meter struct {
	rig      *rig
	memory   *sampler
	cpu      time.Duration
	requests tally
}

// meter starts to measure. What it costs to start is not measured.
func (r *rig) meter(ctx context.Context) (*meter, error) {
	m := &meter{rig: r}
	var err error
	if m.requests, err = r.plane.requests(ctx); err != nil {
		return nil, err
	}
	pid := r.sengu.process.pid()
	m.cpu, err = cpuOf(pid)
	m.memory = sample(ctx, pid)
	return m, err
}

// stop ends the measurement and fills in what Sengu used.
func (m *meter) stop(ctx context.Context, f *figure) error {
	cpu, errCPU := cpuOf(m.rig.sengu.process.pid())
	peak, end, errMemory := m.memory.stop()
	requests, err := m.rig.plane.requests(ctx)
	f.CPUS = (cpu - m.cpu).Seconds()
	f.RSSMiB, f.EndRSSMiB = mib(peak), mib(end)
	f.Requests = requests.minus(m.requests)
	return errors.Join(errCPU, errMemory, err)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// figure begins the result of a workload.
func (r *rig) figure(workload string, objects int) figure {
	return figure{Workload: workload, Apps: len(r.all), Objects: objects}
}
