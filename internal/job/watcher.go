package job

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// defaultLookAgain is the default of Options.LookAgain.
const defaultLookAgain = 10 * time.Second

// asks is how many requests about single Jobs are under way at once.
const asks = 16

// Options say what a Watcher does with what it sees.
type Options struct {
	// Changed is called when the State of a Job has changed, with the namespace of its App and the Release that it runs
	// for. It must not block.
	Changed func(ownerNamespace, release string)
	// Logger gets what goes wrong with watches. Nil means the default one.
	Logger *slog.Logger
	// Now is the clock by which Pods are judged: time.Now if nil.
	Now func() time.Time
	// LookAgain is how often Jobs that run are judged while nothing happens to them, because some reasons are a matter
	// of time, and how long a Job may have no Pod before it is asked why: 10 s if zero. Judging costs no request.
	LookAgain time.Duration
}

// Watcher knows how the Jobs of Releases go in one cluster. While one runs, it holds a watch of Jobs and one of their
// Pods; otherwise it costs nothing. It is safe for concurrent use.
type Watcher struct {
	Options
	conn *kube.Conn

	ctx    context.Context //nolint:containedctx // ends with Close, not with a call
	cancel context.CancelFunc
	group  sync.WaitGroup
	slots  chan struct{}

	mu   sync.Mutex
	jobs map[key]*followed
	// end ends the watches. It is nil while there are none.
	end context.CancelFunc
}

// key names a Job in the cluster.
type key struct{ namespace, name string }

// followed is one Job of which the Watcher holds the state.
type followed struct {
	spec Spec
	// calls counts the calls of Ensure that wait for an answer.
	calls int
	// known says that the API server has told of the Job. The fields up to version are what it said last.
	known   bool
	said    State
	version string
	// state is what is told: what the API server said, and what its Pods add.
	state State

	// pods are those that have not succeeded, and podNews counts what was told of them.
	pods    map[string]corev1.Pod
	podNews int
	// last is what kept it from going on, empty if nothing did, which stays when its Pods are gone; podless is why it
	// has none, if it was asked.
	last, podless string
	// since is when it was first followed; from ask on it may be asked again why it has no Pods, and pause is how long
	// after that.
	since, ask time.Time
	pause      time.Duration
	// explaining, confirming and asking say that a request about it is under way or about to be. stripped says that it
	// has left the watch, though it is there.
	explaining, confirming, asking, stripped bool
}

// NewWatcher returns a Watcher that watches nothing yet. Close ends it.
func NewWatcher(conn *kube.Conn, o Options) *Watcher {
	if o.Changed == nil {
		o.Changed = func(string, string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.LookAgain = cmp.Or(o.LookAgain, defaultLookAgain)
	ctx, cancel := context.WithCancel(context.Background())
	return &Watcher{
		Options: o, conn: conn, ctx: ctx, cancel: cancel, slots: make(chan struct{}, asks), jobs: map[key]*followed{},
	}
}

// Close ends every watch and waits until all is at rest. Changed is not called afterwards.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.cancel()
	w.mu.Unlock()
	w.group.Wait()
}

// Ensure is the function Ensure for a Job that is followed from then on: its State is kept, and Changed is called with
// every change of it. As long as it is followed, calling it again costs no request.
func (w *Watcher) Ensure(ctx context.Context, as kube.As, s Spec) (State, error) {
	f, state, err := w.follow(s)
	if f == nil || err != nil {
		return state, err
	}
	found, err := ensure(ctx, w.conn, as, s)
	if err == nil {
		state, err = found.explained(ctx, w.conn, as, s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f.calls--
	if err != nil {
		if f.calls == 0 && !f.known && w.jobs[s.key()] == f {
			delete(w.jobs, s.key())
		}
		return State{}, err
	}
	if state.Gone {
		state.Finished = w.Now()
	}
	w.answered(f, found, state) //nolint:contextcheck // the watches end with Close, not with this call
	return f.state, nil
}

func (s Spec) key() key { return key{s.Namespace, s.Name} }

// follow makes the entry of a Job before it is made, so that no event of it is missed. Without an entry, the state is
// known already.
func (w *Watcher) follow(s Spec) (*followed, State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.jobs[s.key()]
	other := f != nil && (f.spec.madeFor() != s.madeFor() || f.spec.Release != s.Release || f.spec.Environment != s.Environment || f.spec.Step != s.Step)
	switch {
	case other && !f.state.Done():
		return nil, State{}, s.refuseForeign("runs for Release " + f.spec.Release)
	case f != nil && !other && f.known && (s.UID == "" || s.UID == f.state.UID):
		return nil, f.state, nil
	case f == nil || other || f.known:
		f = &followed{spec: s, since: w.Now()}
		f.spec.Template, f.spec.Container = manifest.Object{}, Container{} // the Job is made by the caller's
		w.jobs[s.key()] = f
	}
	f.calls++
	return f, State{}, nil
}

// answered notes what Ensure has found, unless an event that is newer has come first.
func (w *Watcher) answered(f *followed, found found, state State) {
	version := ""
	if found.object != nil {
		version = found.object.GetResourceVersion()
	}
	if !f.known || (!f.state.Done() && !manifest.Newer(f.version, version)) {
		f.note(state, version, w.Now())
	}
	if f.state.Done() || w.jobs[f.spec.key()] != f || w.ctx.Err() != nil {
		return
	}
	if w.end == nil {
		w.watch()
	} else if !found.made {
		// The watch of Pods has told of its Pods before anybody asked.
		w.apart(func() { w.readPods(f) })
	}
}

// State returns the last known state of a Job that is followed.
func (w *Watcher) State(namespace, name string) (State, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.jobs[key{namespace, name}]
	if f == nil || !f.known {
		return State{}, false
	}
	return f.state, true
}

// Forget drops a Job, as when its outcome is recorded. It is to be called for every Job that was followed: of one that it
// is not called for, what is known is kept until the Watcher is closed.
func (w *Watcher) Forget(namespace, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs, key{namespace, name})
	w.rest()
}

// Watching says whether the watches are held.
func (w *Watcher) Watching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end != nil
}

// watch begins the watches.
func (w *Watcher) watch() {
	ctx, cancel := context.WithCancel(w.ctx)
	w.end = cancel
	selector := kube.Selector{Labels: Label}
	alive := kube.Selector{Labels: Label, Fields: "status.phase!=" + string(corev1.PodSucceeded)}
	w.group.Go(func() { (&stream{w: w, resource: jobs, selector: selector, view: jobView{w}}).run(ctx) })
	w.group.Go(func() { (&stream{w: w, resource: pods, selector: alive, view: podView{w}}).run(ctx) })
	w.group.Go(func() { w.judgeAgain(ctx) })
}

// rest ends the watches if no Job runs.
func (w *Watcher) rest() {
	for _, f := range w.jobs {
		if f.known && !f.state.Done() {
			return
		}
	}
	if w.end != nil {
		w.end()
		w.end = nil
	}
}

// note keeps what the API server says of the Job, and says whether its state has changed.
func (f *followed) note(said State, version string, now time.Time) (changed bool) {
	f.known, f.said, f.version = true, said, version
	return f.judge(now)
}

// judge makes the state anew from what is known, and says whether it has changed.
func (f *followed) judge(now time.Time) (changed bool) {
	state := f.said
	if state.Done() {
		f.pods = nil
	} else if trouble := f.hindrance(now); trouble != "" {
		state.Message += "; " + trouble
	}
	changed = f.state != state
	f.state = state
	return changed
}

// hindrance says what keeps the Job from going on, and remembers it for when its Pods are gone.
func (f *followed) hindrance(now time.Time) string {
	var own []corev1.Pod
	staying := false
	for _, pod := range f.pods {
		if madeBy(&pod, f.said.UID) {
			own = append(own, pod)
			staying = staying || pod.DeletionTimestamp == nil
		}
	}
	if len(own) == 0 {
		return f.podless
	}
	reason, _ := health.Pods(own, now)
	if reason != "" || staying {
		f.last, f.podless = reason, ""
	}
	return reason
}

// tell calls Changed for f, if it has changed.
func (w *Watcher) tell(f *followed, changed bool) {
	if changed && w.ctx.Err() == nil {
		w.Changed(f.spec.Owner.Namespace, f.spec.Release)
	}
}

// apart runs f on its own, unless the Watcher is closed. The lock is held.
func (w *Watcher) apart(f func()) {
	if w.ctx.Err() == nil {
		w.group.Go(f)
	}
}

// turn waits for the turn of one request, and says whether there is one.
func (w *Watcher) turn() bool {
	select {
	case w.slots <- struct{}{}:
		return true
	case <-w.ctx.Done():
		return false
	}
}

func (w *Watcher) endTurn() { <-w.slots }
