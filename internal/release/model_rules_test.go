package release

import (
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// turn is one decision that is held against the rules.
type turn struct {
	w *world
	s *service
	v Service
	d Decision
	// fresh is false if the view was an old one.
	fresh bool
}

func (t *turn) broke(format string, args ...any) {
	t.w.breaks(t.s.name+": "+format, args...)
}

// before and after are the status of a Release in an environment as it was and as it is decided to be.
func (t *turn) before(r *v1alpha1.Release, env string) *v1alpha1.ReleaseEnvironmentStatus {
	if at := environmentOf(&r.Status, env); at != nil {
		return at
	}
	return &unborn
}

func (t *turn) after(r *v1alpha1.Release, env string) *v1alpha1.ReleaseEnvironmentStatus {
	if st, ok := t.d.Statuses[r.Name]; ok {
		if at := environmentOf(&st, env); at != nil {
			return at
		}
	}
	return t.before(r, env)
}

// unborn is the status of a Release that has none.
var unborn = v1alpha1.ReleaseEnvironmentStatus{Stage: v1alpha1.StageWaiting}

func (t *turn) named(name string) *v1alpha1.Release {
	for _, r := range t.v.Releases {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// judge holds a decision against every rule.
func (w *world) judge(t *turn) {
	t.observe()
	for _, env := range w.envs() {
		for _, r := range t.v.Releases {
			if intentIn(r, env.Name) != nil {
				t.stages(r, env)
				t.undisturbed(r, env.Name)
			}
		}
		if m, moves := t.d.Moves[env.Name]; moves {
			t.move(env, m)
			t.holds(env.Name, m)
		}
		t.oneAtWork(env.Name)
	}
	t.jobs()
	t.words()
	t.actions()
}

// oneAtWork: at most one Release is at work in an environment.
func (t *turn) oneAtWork(env string) {
	var at []string
	for _, r := range t.v.Releases {
		if inside(t.after(r, env).Stage) {
			at = append(at, r.Name)
		}
	}
	if len(at) > 1 {
		t.broke("%v are all at work in %s", at, env)
	}
}

// move: an App is brought to a Release that enters, or back to what was good, and nowhere else.
func (t *turn) move(env v1alpha1.Environment, m Move) {
	app, was := t.v.Apps[env.Name], Move{}
	if app != nil {
		was = Move{Source: app.Spec.Source, Release: app.Spec.Release, Digest: app.Spec.Digest, LastGood: app.Spec.LastGood, Removal: app.Spec.Removal}
	}
	if m.Create != (app == nil) {
		t.broke("App in %s: create is %v", env.Name, m.Create)
	}
	if m.LastGood != nil && !equalGood(m.LastGood, was.LastGood) && !t.s.isProved(env.Name, m.LastGood.Digest, m.LastGood.Source.Revision) {
		t.broke("%s: what is called the last good one was never good: %+v", env.Name, *m.LastGood)
	}
	if m.Source == was.Source && m.Release == was.Release && m.Digest == was.Digest && m.Removal == was.Removal {
		return
	}
	r := t.named(m.Release)
	if was.Removal != "" && m.Removal == "" && m.Source == was.Source && (r == nil || t.after(r, env.Name).Stage == v1alpha1.StageFailed) {
		return // a removal is given up
	}
	if r != nil && t.enters(r, env.Name) {
		intent := intentIn(r, env.Name)
		want := sourceIn(r.Spec.Revision, t.s.name, env.Name)
		switch {
		case intent.Gone && (m.Removal == "" || m.Source != was.Source && (m.LastGood == nil || m.Source != m.LastGood.Source)):
			t.broke("%s: a removal changes what runs: %+v", env.Name, m)
		case !intent.Gone && (m.Source != want || m.Digest != intent.Digest || m.Removal != ""):
			t.broke("%s: it is brought to something else than %s: %+v", env.Name, r.Name, m)
		case intent.Problem != "":
			t.broke("%s: %s, which cannot be rendered, is applied", env.Name, r.Name)
		}
		if h := holdOf(app); h.Active() && h.By != "" {
			t.broke("%s: %s is applied while %s holds it", env.Name, r.Name, h.By)
		}
		if !intent.Gone {
			for _, step := range t.w.plans[Place{r.Name, env.Name}].Before {
				if !t.succeeded(r.Name, env.Name, step) {
					t.broke("%s: %s is applied though its Job %s has not succeeded", env.Name, r.Name, step)
				}
			}
		}
		return
	}
	t.goesBack(env.Name, m)
}

func holdOf(app *v1alpha1.App) *v1alpha1.Hold {
	if app == nil {
		return nil
	}
	return app.Spec.Hold
}

func equalGood(a, b *v1alpha1.GoodSource) bool { return a != nil && b != nil && *a == *b }

// enters reports whether r will be at work in an environment, or have just been.
func (t *turn) enters(r *v1alpha1.Release, env string) bool {
	before, after := t.before(r, env), t.after(r, env)
	return inside(after.Stage) || after.Stage == v1alpha1.StageDone && before.Stage != v1alpha1.StageDone ||
		after.Stage == v1alpha1.StageFailed && before.Stage != v1alpha1.StageFailed
}

// goesBack: the way back leads to what was good here, never past what cannot be gone back behind, and runs no Job.
func (t *turn) goesBack(env string, m Move) {
	if m.Removal != "" {
		t.broke("%s: it goes back to a removal: %+v", env, m)
		return
	}
	rev := m.Source.Revision
	digest := t.s.renders[renderOf(rev, env)]
	if !t.s.isProved(env, digest, rev) {
		t.broke("%s: it goes back to %s, which was never good", env, m.Release)
	}
	trail := t.s.trail[env]
	for i := len(trail) - 1; i >= 0 && trail[i].digest != digest; i-- {
		if trail[i].blocked {
			t.broke("%s: it goes back to %s behind %s, from where there is no way back", env, m.Release, trail[i].release)
		}
	}
}

// holds: a person's hold is ended by that person's like only, and one after a failure by a change of the service or by
// a person.
func (t *turn) holds(env string, m Move) {
	app := t.v.Apps[env]
	if app == nil || !app.Spec.Hold.Active() {
		return
	}
	was := app.Spec.Hold
	if was.By != "" {
		if m.Hold == nil || m.Hold.By != was.By || m.Hold.Ended != nil || !m.Hold.At.Equal(&was.At) || m.Hold.RollbackTo != was.RollbackTo || m.Hold.Reason != was.Reason {
			t.broke("%s: the hold of %s became %+v", env, was.By, m.Hold)
		} else if r := t.named(m.Hold.Release); r != nil && m.Hold.Release != was.Release && m.Release == app.Spec.Release &&
			!t.s.out[Place{r.Name, env}] && (stopped(t.before(r, env).Stage) || !stopped(t.after(r, env).Stage)) {
			t.broke("%s: the hold of %s keeps %s out, which nothing did", env, was.By, r.Name)
		}
		return
	}
	if m.Hold != nil && m.Hold.Ended == nil && m.Hold.Release == was.Release {
		return
	}
	for _, r := range t.v.Releases {
		before, after := t.before(r, env), t.after(r, env)
		changes := before.Stage != after.Stage || before.Attempt != after.Attempt
		if changes && after.Stage != v1alpha1.StageSuperseded && t.mayEnd(r, env, was) {
			return
		}
	}
	t.broke("%s: the hold after the failure of %s became %+v for no reason", env, was.Release, m.Hold)
}

// mayEnd reports whether r changes the service itself against what failed, or was promoted by a person.
func (t *turn) mayEnd(r *v1alpha1.Release, env string, h *v1alpha1.Hold) bool {
	intent := intentIn(r, env)
	if intent == nil {
		return false
	}
	promoted := slices.ContainsFunc(r.Spec.Actions, func(a v1alpha1.ReleaseAction) bool {
		return a.Verb == v1alpha1.VerbPromote && a.Environment == env
	})
	failed := t.named(h.Release)
	newer := failed == nil || failed.Spec.Sequence < r.Spec.Sequence
	return promoted || newer && (intent.Own != h.Own || !slices.Equal(intent.Images, h.Images))
}

// jobs: Jobs are those of the Release that is at work, in their order, once, and never those of a way back.
func (t *turn) jobs() {
	for _, key := range t.d.Checks {
		if at := t.after(t.named(key.Release), key.Environment); !inside(at.Stage) || at.Attempt != key.Attempt {
			t.broke("check %v is asked at %s", key, at.Stage)
		}
	}
	for _, key := range t.d.Jobs {
		r := t.named(key.Release)
		at, plan := t.after(r, key.Environment), t.w.plans[Place{key.Release, key.Environment}]
		if !inside(at.Stage) || at.Attempt != key.Attempt {
			t.broke("Job %v is started at %s, attempt %d", key, at.Stage, at.Attempt)
		}
		if _, there := t.v.Jobs[key]; there {
			t.broke("Job %v is asked for again", key)
		}
		before := slices.Index(plan.Before, key.Step)
		switch {
		case before >= 0:
			for _, step := range plan.Before[:before] {
				if !t.succeeded(key.Release, key.Environment, step) {
					t.broke("Job %v is started before %s has succeeded", key, step)
				}
			}
			if app := t.v.Apps[key.Environment]; app != nil && app.Spec.Hold.Active() && app.Spec.Hold.By != "" && !slices.ContainsFunc(t.before(r, key.Environment).Steps, func(s v1alpha1.StepStatus) bool { return s.Name == key.Step }) {
				t.broke("Job %v is begun while a person holds the environment", key)
			}
		case !isGood(t.v.Apps[key.Environment], key.Release):
			t.broke("Job %v is started though its Release is not healthy", key)
		}
	}
}

// succeeded reports whether a Job of a Release in an environment has truly succeeded.
func (t *turn) succeeded(release, env, step string) bool {
	for n := range int32(20) {
		if t.w.jobs[StepKey{release, env, step, n}].Phase == v1alpha1.StepSucceeded {
			return true
		}
	}
	return false
}

// words: what is not done says why, and no status loses what it had handled.
func (t *turn) words() {
	for _, r := range t.v.Releases {
		st, ok := t.d.Statuses[r.Name]
		if !ok {
			continue
		}
		if st.HandledActions < r.Status.HandledActions || int(st.HandledActions) > len(r.Spec.Actions) {
			t.broke("%s: %d actions handled after %d", r.Name, st.HandledActions, r.Status.HandledActions)
		}
		if st.Stage != v1alpha1.StageDone && (st.Why == nil || strings.TrimSpace(st.Why.Message) == "") {
			t.broke("%s is %s and does not say why", r.Name, st.Stage)
		}
		going := st.Stage == v1alpha1.StageWaiting || inside(st.Stage)
		if going == (st.Ended != nil) {
			t.broke("%s is %s, ended %v", r.Name, st.Stage, st.Ended)
		}
		for i := range st.Environments {
			at, was := &st.Environments[i], t.before(r, st.Environments[i].Name)
			switch {
			case at.Stage != v1alpha1.StageDone && (at.Why == nil || at.Why.Message == ""):
				t.broke("%s does not say why it is %s in %s", r.Name, at.Stage, at.Name)
			case at.Stage != v1alpha1.StageWaiting && at.Promotion != "":
				t.broke("%s is %s in %s, and its promotion is not used up", r.Name, at.Stage, at.Name)
			case at.Why != nil && was.Why != nil && at.Stage == was.Stage && at.Why.Message == was.Why.Message && !at.Why.Since.Equal(&was.Why.Since):
				t.broke("%s says in %s that it waits since another time for the same", r.Name, at.Name)
			}
		}
	}
}

// actions: what a person asked for is done when it is said to be.
func (t *turn) actions() {
	for _, r := range t.v.Releases {
		st, ok := t.d.Statuses[r.Name]
		if !ok {
			continue
		}
		handled := r.Spec.Actions[r.Status.HandledActions:st.HandledActions]
		for i, a := range handled {
			before, after := t.before(r, a.Environment), t.after(r, a.Environment)
			undone := slices.ContainsFunc(handled[i:], func(b v1alpha1.ReleaseAction) bool {
				return b.Verb == v1alpha1.VerbPromote && b.Environment == a.Environment
			})
			goes := before.Stage == v1alpha1.StageWaiting || inside(before.Stage)
			if a.Verb == v1alpha1.VerbAbort && goes && !undone && after.Stage != v1alpha1.StageFailed && after.Stage != v1alpha1.StageRolledBack {
				t.broke("%s was aborted in %s, and is %s", r.Name, a.Environment, after.Stage)
			}
		}
	}
}

// undisturbed: nothing ends or repeats a Release while a Job of it runs that comes before applying.
func (t *turn) undisturbed(r *v1alpha1.Release, env string) {
	before, after := t.before(r, env), t.after(r, env)
	again := after.Attempt != before.Attempt
	if !again && (!inside(before.Stage) || inside(after.Stage) || before.Moved != nil) {
		return
	}
	for _, key := range t.w.running() {
		if key.Release == r.Name && key.Environment == env && (key.Attempt == before.Attempt || again) {
			t.broke("%s becomes %s in %s while its Job %s runs", r.Name, after.Stage, env, key.Step)
		}
	}
}

// atRest: when nothing is left to do, every App belongs to a Release that looks after it, and every action was taken in.
func (w *world) atRest(s *service) {
	for _, r := range s.releases {
		if int(r.Status.HandledActions) < len(r.Spec.Actions) && !slices.ContainsFunc(w.running(), func(key StepKey) bool { return key.Release == r.Name }) {
			w.breaks("%s: an action is not taken in though no Job runs", r.Name)
		}
		for env, app := range s.apps {
			if r == s.releases[len(s.releases)-1] && s.owed[env] {
				w.paid(s, env, app)
			}
			if app.Spec.Release != r.Name {
				continue
			}
			at := environmentOf(&r.Status, env)
			givenUp := intentIn(r, env).Gone && app.Spec.Removal == ""
			if at == nil || at.Stage == v1alpha1.StageWaiting && !app.Spec.Hold.Active() && !givenUp && !s.atWork(env) {
				w.breaks("%s runs %s, and nobody looks after it", env, r.Name)
			}
		}
	}
}

// paid: once a person has ended a hold, the newest of what it kept out stands before the environment again, unless
// something newer is there, or a Job of its last try runs.
func (w *world) paid(s *service, env string, app *v1alpha1.App) {
	if h := app.Spec.Hold; h == nil || h.Ended == nil || h.Ended.By == "" {
		delete(s.owed, env) // it failed since, or the App is another one
		return
	}
	for _, r := range slices.Backward(s.releases) {
		at := environmentOf(&r.Status, env)
		switch {
		case at == nil || at.Stage == v1alpha1.StageSuperseded || stopped(at.Stage) && endedByHand(&r.Status, env):
			continue
		case slices.ContainsFunc(w.running(), func(key StepKey) bool { return key.Release == r.Name && key.Environment == env }):
			return
		case stopped(at.Stage) && s.out[Place{r.Name, env}]:
			w.breaks("%s ended the hold of %s, and %s, which it kept out, is %s for ever", app.Spec.Hold.Ended.By, env, r.Name, at.Stage)
		}
		delete(s.owed, env)
		return
	}
}

// atWork reports whether a Release is at work in an environment.
func (s *service) atWork(env string) bool {
	return slices.ContainsFunc(s.releases, func(r *v1alpha1.Release) bool {
		at := environmentOf(&r.Status, env)
		return at != nil && inside(at.Stage)
	})
}

// isGood says whether an App runs what its Release brought, and well.
func isGood(app *v1alpha1.App, release string) bool {
	if app == nil || app.Spec.Release != release || app.Status.ObservedGeneration != app.Generation || app.Status.Revision != app.Spec.Source.Revision {
		return false
	}
	return app.Status.Sync == v1alpha1.Synced && (app.Status.Health == v1alpha1.Healthy || app.Status.Health == v1alpha1.Suspended)
}

// second is how exact the times of a status are.
const second = time.Second
