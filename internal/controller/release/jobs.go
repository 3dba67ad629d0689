package release

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/release"
)

// Logs keeps what the Jobs of Releases have logged.
type Logs interface {
	SaveLog(ctx context.Context, key history.LogKey, text []byte) error
}

// maxLog is how much of the log of a Job is kept, in bytes.
const maxLog = 256 << 10

// jobs holds the watchers of Jobs, one for each cluster, and what the Jobs that run are made from.
type jobs struct {
	mu       sync.Mutex
	watchers map[types.NamespacedName]*watched
	specs    map[release.StepKey]order
	closed   bool
	group    sync.WaitGroup
}

// watched is the watcher of one connection to a cluster.
type watched struct {
	conn    *kube.Conn
	watcher *job.Watcher
}

// order is a Job that was asked for, and whom it is run as.
type order struct {
	spec job.Spec
	as   kube.As
}

// states asks how the Jobs are that the Releases of world wait for, and starts those that were not. Only a Job that the
// status of its Release names is started, so that a crash never makes two of one.
func (r *Reconciler) states(ctx context.Context, world *release.Service) {
	world.Jobs = map[release.StepKey]release.JobState{}
	for _, one := range world.Releases {
		if one.Status.Ended != nil {
			continue
		}
		for _, env := range one.Status.Environments {
			for _, step := range env.Steps {
				if step.Job == "" || step.Phase != v1alpha1.StepRunning || step.Started == nil && !working(env.Stage) {
					continue // what has stopped begins nothing
				}
				key := release.StepKey{Release: one.Name, Environment: env.Name, Step: step.Name, Attempt: env.Attempt}
				world.Jobs[key] = r.state(ctx, world.Fleet, one, key, step.UID)
			}
		}
	}
}

// working reports whether a Release is in an environment.
func working(stage v1alpha1.Stage) bool {
	return stage == v1alpha1.StageRunning || stage == v1alpha1.StageVerifying
}

// state starts a Job, or finds out how it is. What may pass by itself leaves it running; a refusal fails it.
func (r *Reconciler) state(ctx context.Context, fleet *v1alpha1.Fleet, one *v1alpha1.Release, key release.StepKey, uid string) release.JobState {
	env, ok := intent(one, key.Environment)
	if !ok {
		return failed(fmt.Errorf("the Release has no environment %s", key.Environment))
	}
	t, reason := r.Targets.Get(types.NamespacedName{Namespace: fleet.Namespace, Name: env.Cluster})
	if t == nil {
		return release.JobState{Phase: v1alpha1.StepRunning, Message: waitsFor(env.Cluster, reason)}
	}
	o, err := r.order(ctx, fleet, one, env, key, t)
	if err != nil {
		return failed(err)
	}
	o.spec.UID = uid
	watcher := r.jobs.watcher(t, r.jobChanged)
	if watcher == nil {
		return release.JobState{Phase: v1alpha1.StepRunning}
	}
	state, err := watcher.Ensure(ctx, o.as, o.spec)
	if err != nil {
		refusal := (*job.Refusal)(nil)
		if errors.As(err, &refusal) && !refusal.Temporary {
			return failed(err)
		}
		return release.JobState{Phase: v1alpha1.StepRunning, Job: o.spec.Name, Message: err.Error()}
	}
	is := release.JobState{
		Phase: v1alpha1.StepRunning, Job: o.spec.Name, UID: state.UID, Started: state.Started, Finished: state.Finished, Message: state.Message,
	}
	if state.Done() {
		is.Phase = v1alpha1.StepSucceeded
		if state.Phase == job.Failed {
			is.Phase = v1alpha1.StepFailed
		}
		r.jobs.keepLog(ctx, r, t, o)
	}
	return is
}

func failed(err error) release.JobState {
	return release.JobState{Phase: v1alpha1.StepFailed, Message: err.Error()}
}

func waitsFor(cluster, reason string) string {
	if reason == "" {
		reason = "it has not been reached yet"
	}
	return fmt.Sprintf("cluster %s: %s", cluster, reason)
}

func intent(one *v1alpha1.Release, environment string) (v1alpha1.ReleaseEnvironment, bool) {
	for _, env := range one.Spec.Environments {
		if env.Name == environment {
			return env, true
		}
	}
	return v1alpha1.ReleaseEnvironment{}, false
}

// order makes the Job of a step, once: it takes a render.
func (r *Reconciler) order(ctx context.Context, fleet *v1alpha1.Fleet, one *v1alpha1.Release, env v1alpha1.ReleaseEnvironment, key release.StepKey, t *target.Target) (order, error) {
	if o, ok := r.jobs.known(key); ok {
		return o, nil
	}
	work, ok := r.plans.job(types.NamespacedName{Namespace: one.Namespace, Name: one.Name}, key)
	if !ok {
		return order{}, fmt.Errorf("sengu.yaml has no step %s any more", key.Step)
	}
	app := appOf(fleet, one, env)
	app.Spec.ServiceAccountName = fleet.Spec.ServiceAccountName
	revision := one.Spec.RevisionIn(env.Name)
	if key.Attempt > 0 {
		revision = fmt.Sprintf("%s.%d", revision, key.Attempt)
	}
	o := order{as: origin.As(app), spec: job.Spec{
		Name: job.Name(app.Name, revision, key.Step), Namespace: env.Namespace,
		// The App may not exist before its first Job has run; the Fleet does.
		Owner:   manifest.Owner{Namespace: fleet.Namespace, Name: app.Name, UID: string(fleet.UID)},
		Release: one.Name, Environment: env.Name, Step: key.Step, Timeout: work.Timeout,
	}}
	if work.Name == "" {
		limit := int32(min(work.BackoffLimit, 10)) //nolint:gosec // bounded
		o.spec.BackoffLimit = &limit
		o.spec.Container = containerOf(work)
	} else if err := r.template(ctx, fleet, app, work.Name, t, &o.spec); err != nil {
		return order{}, err
	}
	if work.createNamespace {
		if err := t.EnsureNamespace(ctx, env.Namespace, o.as, app.Name); err != nil {
			return order{}, err
		}
	}
	r.jobs.remember(key, o)
	return o, nil
}

// template takes the Job of a step from the objects of the service.
func (r *Reconciler) template(ctx context.Context, fleet *v1alpha1.Fleet, app *v1alpha1.App, name string, t *target.Target, spec *job.Spec) error {
	tree, err := r.tree(ctx, fleet, app.Spec.Source.Revision)
	if err != nil {
		return err
	}
	rendered, err := r.Maker.Jobs(ctx, origin.Order{App: app, Fleet: fleet, Source: tree, Capabilities: t.Capabilities})
	if err != nil {
		return err
	}
	object, ok := rendered[name]
	if !ok {
		return fmt.Errorf("there is no Job %s among the objects of %s, which its sengu.yaml runs as a step", name, layout.NameOfApp(fleet.Name, app.Spec.Service, app.Spec.Environment))
	}
	spec.Template = object
	if ns := object.GetNamespace(); ns != "" {
		spec.Namespace = ns
	}
	return nil
}

func containerOf(work work) job.Container {
	c := job.Container{Image: work.Image, Command: work.Command, Args: work.Args, ServiceAccountName: work.ServiceAccountName}
	for name, value := range work.Env {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	return c
}

// jobChanged wakes the service of a Release one of whose Jobs has changed.
func (r *Reconciler) jobChanged(namespace, name string) {
	one := &v1alpha1.Release{}
	if err := r.Client.Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: name}, one); err != nil { // a read of the cache
		return // it is gone, and nobody waits for its Jobs
	}
	r.waker.Wake(keyOf(namespace, one.Spec.Fleet, one.Spec.Service))
}

// watcher returns the watcher of Jobs in a cluster, nil when all is over.
func (j *jobs) watcher(t *target.Target, changed func(namespace, release string)) *job.Watcher {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	if j.watchers == nil {
		j.watchers, j.specs = map[types.NamespacedName]*watched{}, map[release.StepKey]order{}
	}
	w := j.watchers[t.Name]
	if w != nil && w.conn == t.Conn {
		return w.watcher
	}
	if w != nil {
		j.group.Go(w.watcher.Close)
	}
	w = &watched{conn: t.Conn, watcher: job.NewWatcher(t.Conn, job.Options{Changed: changed})}
	j.watchers[t.Name] = w
	return w.watcher
}

func (j *jobs) known(key release.StepKey) (order, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o, ok := j.specs[key]
	return o, ok
}

func (j *jobs) remember(key release.StepKey, o order) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.specs == nil {
		j.watchers, j.specs = map[types.NamespacedName]*watched{}, map[release.StepKey]order{}
	}
	j.specs[key] = o
}

// keepLog keeps what a Job that has ended has logged, beside everything else: nothing waits for it.
func (j *jobs) keepLog(ctx context.Context, r *Reconciler, t *target.Target, o order) {
	key := release.StepKey{Release: o.spec.Release, Environment: o.spec.Environment, Step: o.spec.Step}
	j.mu.Lock()
	defer j.mu.Unlock()
	for known := range j.specs {
		if known.Release == key.Release && known.Environment == key.Environment && known.Step == key.Step {
			delete(j.specs, known)
		}
	}
	if j.closed || r.Logs == nil {
		return
	}
	j.group.Go(func() {
		mask, err := job.SecretsOf(ctx, t.Conn, o.as, o.spec.Namespace, o.spec.Name)
		var text []byte
		if err == nil {
			text, err = job.Logs(ctx, t.Conn, o.as, o.spec.Namespace, o.spec.Name, maxLog, mask)
		}
		if err == nil && len(text) > 0 {
			err = r.Logs.SaveLog(ctx, history.LogKey{Release: key.Release, Environment: key.Environment, Step: key.Step}, text)
		}
		if err != nil {
			r.Log.Warn("the log of a Job was not kept", "release", key.Release, "environment", key.Environment, "step", key.Step, "error", err)
		}
	})
}

// close ends every watch.
func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	watchers := j.watchers
	j.watchers = nil
	j.mu.Unlock()
	for _, w := range watchers {
		w.watcher.Close()
	}
	j.group.Wait()
}
