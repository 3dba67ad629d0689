package release

import (
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// truth is what a simulated service knows of itself, apart from what any status says. Where a decision may know less,
// because it was lost in a crash, truth knows more: a rule asks for what is needed at least.
type truth struct {
	// proved are the outputs that have truly passed, by environment.
	proved map[string]map[string]bool
	// trail is what the App of an environment was brought to, the newest last.
	trail map[string][]ran
	// taken is how many actions of a Release were used up when it last went into an environment.
	taken map[Place]int
	// passes and failures count the answers of a check; passed says that there were enough in a row once.
	passes, failures map[StepKey]int32
	passed           map[StepKey]bool
	plan             func(Place) Plan
	// good, bad and unwell are since when a decision has seen the App of a Release so. That it is not so any more counts
	// once the decision is stored: unstored does that.
	good, bad, unwell map[Place]time.Time
	unstored          []func()
	// out are the Releases that a failure or a way back keeps out of an environment, and owed the environments where a
	// person has ended a hold: the newest of what was kept out has to come back.
	out  map[Place]bool
	owed map[string]bool
	// refused are checks that have answered with no since a decision was stored.
	refused []StepKey
}

// ran is what an App was brought to.
type ran struct {
	release, digest string
	blocked         bool
}

func newTruth(plan func(Place) Plan) truth {
	return truth{
		proved: map[string]map[string]bool{}, trail: map[string][]ran{}, taken: map[Place]int{}, passes: map[StepKey]int32{},
		failures: map[StepKey]int32{}, passed: map[StepKey]bool{}, plan: plan,
		out: map[Place]bool{}, owed: map[string]bool{}, good: map[Place]time.Time{}, bad: map[Place]time.Time{}, unwell: map[Place]time.Time{},
	}
}

// prove notes that an output has passed an environment.
func (t *truth) prove(env, digest, rev string) {
	if t.proved[env] == nil {
		t.proved[env] = map[string]bool{}
	}
	t.proved[env][digest] = true
	t.proved[env][rev] = true
}

// isProved reports whether an output has passed an environment; a revision stands for one that was not known.
func (t *truth) isProved(env, digest, rev string) bool {
	return t.proved[env][digest] || t.proved[env][rev]
}

// heard notes the answer of a check.
func (t *truth) heard(key StepKey, look Look) {
	if !look.Passed || !look.Evidence {
		t.refused = append(t.refused, key)
		t.failures[key]++
		return
	}
	t.passes[key]++
	for _, c := range t.plan(Place{key.Release, key.Environment}).Checks {
		if c.Name == key.Step && t.passes[key] >= max(c.Successes, 1) {
			t.passed[key] = true
		}
	}
}

// ranApp notes what an App was brought to.
func (s *service) ranApp(env string, app *v1alpha1.App, was v1alpha1.AppSpec) {
	if app.Spec.Source == was.Source && app.Spec.Release == was.Release || app.Spec.Removal != "" {
		return
	}
	step := ran{release: app.Spec.Release, digest: s.renders[renderOf(app.Spec.Source.Revision, env)]}
	for _, r := range s.releases {
		if r.Name == app.Spec.Release {
			step.blocked = intentIn(r, env).RollbackBlocked != ""
			s.taken[Place{r.Name, env}] = len(r.Spec.Actions)
		}
	}
	s.trail[env] = append(s.trail[env], step)
}

// stopsAt notes that a stored status has a Release kept out of an environment, or no more.
func (t *truth) stopsAt(r *v1alpha1.Release, at *v1alpha1.ReleaseEnvironmentStatus) {
	place := Place{r.Name, at.Name}
	if stopped(at.Stage) && at.Resumed == nil && !endedByHand(&r.Status, at.Name) {
		t.out[place] = true
	} else {
		delete(t.out, place)
	}
}

// endedByHand reports whether a person has aborted a Release in an environment, and it was never there again.
func endedByHand(st *v1alpha1.ReleaseStatus, env string) bool {
	by := false
	for _, happened := range st.Journal {
		if happened.Environment == env {
			by = happened.Kind == string(history.Aborted) || by && happened.Kind != string(history.Failed) && happened.Kind != string(history.Started)
		}
	}
	return by
}

// observe notes what a decision sees of the Apps, and when.
func (t *turn) observe() {
	if !t.fresh {
		return
	}
	t.s.unstored = nil
	for _, env := range t.w.envs() {
		app := t.v.Apps[env.Name]
		for _, r := range t.v.Releases {
			place := Place{r.Name, env.Name}
			if app == nil || app.Spec.Release != r.Name {
				t.since(t.s.good, place, false)
				t.since(t.s.bad, place, false)
				t.since(t.s.unwell, place, false)
				continue
			}
			pinned := app.Spec.Pin.ImageAt(t.v.Now) != "" || app.Status.Pinned != ""
			good, bad, patient := isGood(app, r.Name), false, app.Status.ObservedGeneration != app.Generation
			if !patient && !good {
				switch reason := reasonOf(app); reason {
				case "RenderFailed", ReasonRenderedOtherwise:
					bad = true
				case "ApplyFailed", "Degraded", "Missing":
					bad, patient = !pinned, pinned // with a pinned image, that says nothing of the change
				case "ClusterNotReady", "WaitsForConfirmation":
					patient = true
				}
				patient = patient || pinned && !bad
				bad = bad || !patient && app.Status.Health == v1alpha1.Degraded
			}
			t.since(t.s.good, place, good)
			t.since(t.s.bad, place, bad)
			t.since(t.s.unwell, place, !good && !patient)
		}
	}
}

// since keeps the earliest time at which something was seen to be so, also if the clock was put back meanwhile.
func (t *turn) since(m map[Place]time.Time, place Place, is bool) {
	if !is {
		t.s.unstored = append(t.s.unstored, func() { delete(m, place) })
	} else if first, known := m[place]; !known || t.v.Now.Before(first) {
		m[place] = t.v.Now
	}
}

// stored makes what a decision saw known for good.
func (t *truth) stored() {
	for _, store := range t.unstored {
		store()
	}
	for _, key := range t.refused {
		t.passes[key] = 0
	}
	t.unstored, t.refused = nil, nil
}

// lasted reports whether something has been seen to be so for as long as d.
func (t *turn) lasted(m map[Place]time.Time, place Place, d time.Duration) bool {
	since, known := m[place]
	if since.Before(t.w.up) {
		since = t.w.up
	}
	return known && !t.v.Now.Add(second).Before(since.Add(d))
}
