package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
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
	// pauses are the Jobs that could not be prepared, made or read.
	pauses map[release.StepKey]*pause
	// follows are the Jobs that were asked about by the last pass of each service.
	follows map[types.NamespacedName]map[release.StepKey]followed
	closed  bool
	group   sync.WaitGroup
}

// watched is the watcher of one connection to a cluster.
type watched struct {
	conn    *kube.Conn
	watcher *job.Watcher
}

// states asks how the Jobs are that the Releases of world wait for, and starts those that were not. Only a Job that the
// status of its Release names is started, so that a crash never makes two of one.
func (r *Reconciler) states(ctx context.Context, world *release.Service) {
	world.Jobs = map[release.StepKey]release.JobState{}
	for _, one := range world.Releases {
		for _, env := range one.Status.Environments {
			for _, step := range env.Steps {
				if step.Job == "" || step.Phase != v1alpha1.StepRunning || step.Started == nil && !working(env.Stage) {
					continue // what has stopped begins nothing
				}
				if one.Status.Ended != nil && step.UID == "" {
					continue // one that was made runs on, whatever has become of its Release
				}
				key := release.StepKey{Release: one.Name, Environment: env.Name, Step: step.Name, Attempt: env.Attempt}
				if state, known := r.reached(ctx, asked{fleet: world.Fleet, one: one, key: key, step: step, barred: barred(world, one, env)}); known {
					world.Jobs[key] = state
				}
			}
		}
	}
	r.jobs.forget(world)
}

// barred says why nothing is begun any more of a Release in an environment, "" if it is: a person has asked for something else
// since, or it has stopped. The decision that takes that in comes after what is asked for here.
func barred(world *release.Service, one *v1alpha1.Release, env v1alpha1.ReleaseEnvironmentStatus) string {
	var hold *v1alpha1.Hold
	if app := world.Apps[env.Name]; app != nil && app.Spec.Hold.Active() && app.Spec.Hold.By != "" {
		hold = app.Spec.Hold
	}
	aborted := slices.ContainsFunc(one.Spec.Actions[min(int(one.Status.HandledActions), len(one.Spec.Actions)):], func(a v1alpha1.ReleaseAction) bool {
		return a.Verb == v1alpha1.VerbAbort && a.Environment == env.Name
	})
	switch {
	case !working(env.Stage):
		return "it was not made before its Release had stopped here"
	case aborted:
		return "it was not made before its Release was aborted"
	case hold != nil && env.Moved == nil:
		return fmt.Sprintf("it was not made before %s held the environment", hold.By)
	}
	return ""
}

// reached asks how a Job is in its cluster, if that can be reached.
func (r *Reconciler) reached(ctx context.Context, a asked) (release.JobState, bool) {
	env, ok := intent(a.one, a.key.Environment)
	if !ok {
		return failed(fmt.Errorf("the Release has no environment %s", a.key.Environment)), true
	}
	t, reason := r.Targets.Get(types.NamespacedName{Namespace: a.fleet.Namespace, Name: env.Cluster})
	if t == nil {
		return release.JobState{Phase: v1alpha1.StepRunning, Message: waitsFor(env.Cluster, reason)}, true
	}
	a.env, a.t = env, t
	return r.state(ctx, a)
}

// working reports whether a Release is in an environment.
func working(stage v1alpha1.Stage) bool {
	return stage == v1alpha1.StageRunning || stage == v1alpha1.StageVerifying
}

// state starts a Job, or finds out how it is, and reports whether there is anything to say of it. What may pass leaves it
// running. So does all that is wrong with reading one that was made: it runs, whatever that is. Everything else fails it.
func (r *Reconciler) state(ctx context.Context, a asked) (release.JobState, bool) {
	if state, rests := r.jobs.rests(a, r.Clock.Now()); rests {
		return state, true
	}
	o, made, err := r.order(ctx, a)
	if err != nil {
		return r.unmade(a, job.Spec{}, err, made)
	}
	watcher := r.jobs.watcher(a.t, r.jobChanged)
	if watcher == nil {
		return release.JobState{Phase: v1alpha1.StepRunning}, true
	}
	r.jobs.follow(a, o.spec)
	state, err := watcher.Ensure(ctx, o.as, o.spec)
	if err != nil {
		refusal := (*job.Refusal)(nil)
		if o.spec.UID == "" && (!errors.As(err, &refusal) || !refusal.Temporary) {
			return failed(err), true
		}
		made := maybe
		if refusal != nil && refusal.Unmade {
			made = nowhere
		}
		return r.unmade(a, o.spec, err, made)
	}
	r.jobs.rested(a.key)
	is := release.JobState{
		Phase: v1alpha1.StepRunning, Job: o.spec.Name, UID: state.UID, Started: state.Started, Finished: state.Finished, Message: state.Message,
	}
	if state.Done() {
		is.Phase = v1alpha1.StepSucceeded
		if state.Phase == job.Failed {
			is.Phase = v1alpha1.StepFailed
		}
		r.jobs.keepLog(ctx, r, a.t, o)
	}
	return is, true
}

// existence is what is known of whether a Job was made.
type existence int

const (
	maybe existence = iota
	nowhere
)

// unmade says how a Job is that could not be prepared, or made. Nothing is waited for without end: while there may be one,
// nobody can abort its Release, nor can a newer one take its place.
func (r *Reconciler) unmade(a asked, spec job.Spec, err error, is existence) (release.JobState, bool) {
	recorded := a.step.UID != "" || spec.UID != ""
	if errors.Is(err, errBarred) {
		return release.JobState{Phase: v1alpha1.StepRunning, Unmade: true, Message: err.Error()}, true
	}
	switch {
	case !recorded && errors.Is(err, errUnplanned) && a.step.Started == nil:
		return release.JobState{}, false // it was not begun, and is not
	case !recorded && !passes(err):
		return failed(err), true
	}
	state, since := r.rest(a, spec, err, is)
	does := r.plans.plan(types.NamespacedName{Namespace: a.one.Namespace, Name: a.one.Name}, a.env.Name)
	if limit := max(does.Deadline, leastPatience); !recorded && r.Clock.Now().Sub(since) >= limit {
		return failed(fmt.Errorf("it could not be prepared within %s: %w", limit, err)), true
	}
	return state, true
}

// leastPatience is how long at least is tried to prepare and to make a Job.
const leastPatience = 10 * time.Minute

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
	for _, p := range j.pauses {
		p.timer.Stop()
	}
	j.mu.Unlock()
	for _, w := range watchers {
		w.watcher.Close()
	}
	j.group.Wait()
}
