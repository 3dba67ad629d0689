package release

import (
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// stages: a Release goes from one stage to another only for a reason that is true.
func (t *turn) stages(r *v1alpha1.Release, env v1alpha1.Environment) {
	before, after := t.before(r, env.Name), t.after(r, env.Name)
	app := t.v.Apps[env.Name]
	runs := app != nil && app.Spec.Release == r.Name
	m, moves := t.d.Moves[env.Name]
	started := t.enters(r, env.Name) && !after.Unchanged && after.Stage != v1alpha1.StageFailed && !inside(before.Stage)
	if started && !runs || !runs && moves && m.Release == r.Name && t.enters(r, env.Name) && !inside(before.Stage) {
		t.entry(r, env)
	}
	if before.Stage == after.Stage && before.Attempt == after.Attempt {
		return
	}
	switch before.Stage {
	case v1alpha1.StageDone:
		if h := app; after.Stage != v1alpha1.StageDone && (h == nil || h.Spec.Hold == nil || h.Spec.Hold.RollbackTo == "") {
			t.broke("%s had passed %s and became %s", r.Name, env.Name, after.Stage)
		}
	case v1alpha1.StageFailed, v1alpha1.StageRolledBack, v1alpha1.StageSuperseded:
		if after.Stage != v1alpha1.StageRolledBack && !t.askedAgain(r, env.Name) {
			t.broke("%s had stopped in %s and became %s, though nobody asked for it", r.Name, env.Name, after.Stage)
		}
	}
	switch after.Stage {
	case v1alpha1.StageDone:
		t.done(r, env, after)
	case v1alpha1.StageFailed:
		t.failed(r, env.Name, after)
		t.broughtBack(r, env.Name)
	case v1alpha1.StageSuperseded:
		t.superseded(r, env.Name)
	}
}

// askedAgain reports whether a person asked for r to be tried again in an environment.
func (t *turn) askedAgain(r *v1alpha1.Release, env string) bool {
	for _, a := range r.Spec.Actions[r.Status.HandledActions:] {
		if a.Verb == v1alpha1.VerbPromote && a.Environment == env {
			return true
		}
	}
	app := t.v.Apps[env]
	if app == nil || app.Spec.Hold == nil || app.Spec.Hold.Ended == nil || app.Spec.Hold.Ended.By == "" {
		return false
	}
	m, moves := t.d.Moves[env]
	return app.Spec.Hold.Release == r.Name || moves && m.Hold.Release == r.Name && t.s.out[Place{r.Name, env}]
}

// skips reports whether a person has let r past the gates of an environment, and that has not been used.
func (t *turn) skips(r *v1alpha1.Release, env string) bool {
	from := min(t.s.taken[Place{r.Name, env}], len(r.Spec.Actions))
	return slices.ContainsFunc(r.Spec.Actions[from:], func(a v1alpha1.ReleaseAction) bool {
		return a.Verb == v1alpha1.VerbPromote && a.SkipGates && a.Environment == env
	})
}

// entry: a Release goes into an environment when every gate of it is open, and never in place of what must not be
// disturbed.
func (t *turn) entry(r *v1alpha1.Release, env v1alpha1.Environment) {
	app := t.v.Apps[env.Name]
	if app != nil && app.Spec.Hold.Active() {
		switch h := app.Spec.Hold; {
		case h.By != "":
			t.broke("%s goes into %s, which %s holds", r.Name, env.Name, h.By)
		case !t.mayEnd(r, env.Name, h):
			t.broke("%s goes into %s, which is held since %s failed", r.Name, env.Name, h.Release)
		}
	}
	for _, other := range t.v.Releases {
		t.disturbs(r, other, env.Name)
	}
	if t.skips(r, env.Name) {
		return
	}
	if missing := t.unproved(r, env); missing != "" {
		t.broke("%s goes into %s, and has not passed %s", r.Name, env.Name, missing)
	}
	if len(env.Windows) > 0 && !opens(t.v.Now) {
		t.broke("%s goes into %s outside of its windows", r.Name, env.Name)
	}
	gone := intentIn(r, env.Name).Gone
	rule := env.Approval
	if gone && rule == nil {
		rule = &v1alpha1.ApprovalRule{}
	}
	agreed := rule != nil && t.agreed(r, env.Name, *rule) >= int(max(rule.Required, 1))
	if env.Approval != nil && !agreed {
		t.broke("%s goes into %s without approval", r.Name, env.Name)
	}
	if gone && !agreed && !t.removed(r) {
		t.broke("%s is removed from %s, and nobody has approved that", r.Name, env.Name)
	}
	peers := t.w.peers(t.s, r.Spec.Group, env.Name)
	if env.MaxConcurrent > 0 && peers.Busy >= int(env.MaxConcurrent) {
		t.broke("%s goes into %s beside %d others, where %d may be", r.Name, env.Name, peers.Busy, env.MaxConcurrent)
	}
	limit := int(env.MaxFailures)
	if limit == 0 && len(env.After) > 0 {
		limit = 1
	}
	if limit > 0 && peers.Failed >= limit {
		t.broke("%s goes into %s though %d others of its change failed there", r.Name, env.Name, peers.Failed)
	}
	t.parallel(r, env.Name)
}

// disturbs: nothing goes in while a Job runs there, in place of what is being verified, or over what is newer.
func (t *turn) disturbs(r, other *v1alpha1.Release, env string) {
	if intentIn(other, env) == nil || other == r {
		return
	}
	for _, key := range t.w.running() {
		if key.Release == other.Name && key.Environment == env {
			t.broke("%s goes into %s while Job %s of %s runs there", r.Name, env, key.Step, other.Name)
		}
	}
	before, after, app := t.before(other, env), t.after(other, env), t.v.Apps[env]
	newer := other.Spec.Sequence > r.Spec.Sequence
	switch {
	case newer && inside(before.Stage) && after.Stage == v1alpha1.StageSuperseded:
		t.broke("%s goes into %s over %s, which is newer", r.Name, env, other.Name)
	case newer && app != nil && app.Spec.Release == other.Name && before.Stage == v1alpha1.StageDone && after.Stage == v1alpha1.StageDone:
		t.broke("%s goes into %s, which runs %s, which is newer", r.Name, env, other.Name)
	case !t.skips(r, env) && after.Stage == v1alpha1.StageSuperseded && inside(before.Stage) && isGood(app, other.Name) && t.fresh && before.Healthy != nil && t.w.plans[Place{other.Name, env}].Problem == "":
		t.broke("%s goes into %s while %s is verified there", r.Name, env, other.Name)
	}
}

// unproved returns an environment before env that what r brings has not passed, "" if there is none.
func (t *turn) unproved(r *v1alpha1.Release, env v1alpha1.Environment) string {
	for _, name := range env.After {
		intent := intentIn(r, name)
		switch {
		case intent == nil:
			for _, before := range t.w.envs() {
				if before.Name == name {
					if missing := t.unproved(r, before); missing != "" {
						return missing
					}
				}
			}
		case intent.Gone:
			if !t.s.isProved(name, "gone with "+r.Name, "gone with "+r.Name) {
				return name
			}
		case !t.s.isProved(name, intent.Digest, r.Spec.Revision) || t.after(r, name).Stage != v1alpha1.StageDone:
			return name
		}
	}
	return ""
}

// agreed counts who has approved r in an environment.
func (t *turn) agreed(r *v1alpha1.Release, env string, rule v1alpha1.ApprovalRule) int {
	people := map[string]bool{}
	running := int64(-1)
	if app := t.v.Apps[env]; app != nil && t.named(app.Spec.Release) != nil {
		running = t.named(app.Spec.Release).Spec.Sequence
	}
	wrote := map[string]bool{}
	for _, other := range t.v.Releases {
		folded := other.Spec.Sequence > running && other.Spec.Sequence < r.Spec.Sequence && intentIn(other, env) != nil && t.before(other, env).Stage != v1alpha1.StageDone
		if other == r || folded {
			wrote[other.Spec.Commit.Author] = true
		}
	}
	count := func(a v1alpha1.ReleaseAction) {
		own := a.By == "author" && wrote[authors[0]] || a.By == "operator@example.com" && wrote[authors[1]]
		switch {
		case a.Verb != v1alpha1.VerbApprove || a.Environment != env:
		case len(rule.Groups) > 0 && !slices.Contains(a.Groups, "sre"):
		case rule.NotAuthor && own:
		case rule.Expires != nil && !t.v.Now.Before(a.At.Add(rule.Expires.Duration)):
		default:
			people[a.By] = true
		}
	}
	for _, other := range t.v.Releases {
		theirs, mine := intentIn(other, env), intentIn(r, env)
		carried := theirs != nil && theirs.Digest != "" && theirs.Digest == mine.Digest && other.Spec.Sequence < r.Spec.Sequence
		if other != r && !carried {
			continue
		}
		for _, a := range other.Spec.Actions {
			count(a)
		}
		for _, a := range t.w.groupApprovals(other.Spec.Group) {
			count(a)
		}
	}
	return len(people)
}

// removed reports whether r was removed from an environment already.
func (t *turn) removed(r *v1alpha1.Release) bool {
	return slices.ContainsFunc(r.Spec.Environments, func(e v1alpha1.ReleaseEnvironment) bool {
		at := t.after(r, e.Name)
		return e.Gone && at.Stage == v1alpha1.StageDone && !at.Unchanged
	})
}

// parallel: a Release is in no more environments at once than it may be.
func (t *turn) parallel(r *v1alpha1.Release, env string) {
	limit := int(t.w.fleet.Spec.MaxParallel)
	others := 0
	for _, e := range r.Spec.Environments {
		if e.Name != env && inside(t.after(r, e.Name).Stage) && inside(t.before(r, e.Name).Stage) {
			others++
		}
	}
	if limit > 0 && others >= limit {
		t.broke("%s goes into %s while it is in %d others, and may be in %d", r.Name, env, others, limit)
	}
}

// done: nothing passes that was not seen to pass.
func (t *turn) done(r *v1alpha1.Release, env v1alpha1.Environment, at *v1alpha1.ReleaseEnvironmentStatus) {
	intent, app, place := intentIn(r, env.Name), t.v.Apps[env.Name], Place{r.Name, env.Name}
	switch {
	case intent.Gone:
		if app != nil {
			t.broke("%s is said to be gone from %s, and is not", r.Name, env.Name)
		}
		t.s.prove(env.Name, "gone with "+r.Name, "gone with "+r.Name)
		return
	case app == nil:
		t.broke("%s passes %s without running there", r.Name, env.Name)
		return
	}
	truth := t.s.renders[renderOf(app.Spec.Source.Revision, env.Name)]
	if at.Unchanged {
		if truth != intent.Digest || !t.s.isProved(env.Name, truth, app.Spec.Source.Revision) || app.Spec.Removal != "" {
			t.broke("%s passes %s as unchanged: it brings %q, and %q runs", r.Name, env.Name, intent.Digest, truth)
		}
		return
	}
	plan := t.w.plans[place]
	for _, step := range slices.Concat(plan.Before, plan.After) {
		if !t.succeeded(r.Name, env.Name, step) {
			t.broke("%s passes %s though its Job %s has not succeeded", r.Name, env.Name, step)
		}
	}
	for _, c := range plan.Checks {
		key := StepKey{r.Name, env.Name, c.Name, at.Attempt}
		if !t.s.passed[key] && (!c.Job || !t.succeeded(r.Name, env.Name, c.Name)) {
			t.broke("%s passes %s though its check %s has not passed", r.Name, env.Name, c.Name)
		}
	}
	if image := app.Status.Pinned; image != "" && at.Pinned != image {
		t.broke("%s passes %s and does not say that %s ran there in its place, but %q", r.Name, env.Name, image, at.Pinned)
	}
	if !isGood(app, r.Name) {
		t.broke("%s passes %s though it does not run well there", r.Name, env.Name)
	}
	if since, known := t.s.good[place]; t.fresh && env.Soak != nil && (!known || t.v.Now.Add(second).Before(since.Add(env.Soak.Duration))) {
		t.broke("%s passes %s, and has not soaked for %s", r.Name, env.Name, env.Soak.Duration)
	}
	old := at.Moved == nil || at.Moved.Time.Before(t.w.up)
	if old && t.fresh && env.Soak != nil && env.Soak.Duration > 0 && t.v.Now.Add(second).Before(t.w.up.Add(leastPatience)) {
		t.broke("%s passes %s right after Sengu was down: what was meanwhile is not known", r.Name, env.Name)
	}
	t.s.prove(env.Name, truth, r.Spec.Revision)
}

// failed: nothing fails because of an error elsewhere, of what is not known, or too early.
func (t *turn) failed(r *v1alpha1.Release, env string, at *v1alpha1.ReleaseEnvironmentStatus) {
	place := Place{r.Name, env}
	plan, app := t.w.plans[place], t.v.Apps[env]
	if t.aborts(r, env) {
		return
	}
	for key, state := range t.w.jobs {
		if key.Release == r.Name && key.Environment == env && key.Attempt == at.Attempt && state.Phase == v1alpha1.StepFailed {
			return
		}
	}
	for key := range t.w.lost {
		if key.Release == r.Name && key.Environment == env && key.Attempt == at.Attempt {
			return
		}
	}
	for _, c := range plan.Checks {
		if t.s.failures[StepKey{r.Name, env, c.Name, at.Attempt}] > c.Failures {
			return
		}
	}
	held := app != nil && app.Spec.Hold.Active() && app.Spec.Hold.Release == r.Name
	elsewhere := app != nil && app.Spec.Release != r.Name && t.before(r, env).Moved != nil
	switch {
	case intentIn(r, env).Problem != "", held, elsewhere, !t.fresh:
	case t.lasted(t.s.bad, place, plan.FailAfter), t.lasted(t.s.unwell, place, plan.Deadline):
	default:
		t.broke("%s fails in %s for no reason: %s", r.Name, env, at.Why.Message)
	}
}

// broughtBack: where a Release has failed, what was good runs again, and a hold keeps out what comes.
func (t *turn) broughtBack(r *v1alpha1.Release, env string) {
	app := t.v.Apps[env]
	if app == nil || !inside(t.before(r, env).Stage) {
		return
	}
	now, good, hold := app.Spec.Release, app.Spec.LastGood, app.Spec.Hold
	if m, moves := t.d.Moves[env]; moves {
		now, good, hold = m.Release, m.LastGood, m.Hold
	}
	switch {
	case now == r.Name && good != nil:
		t.broke("%s failed in %s and is left there, though %q was good", r.Name, env, good.Release)
	case !hold.Active() && app.Spec.Release == r.Name && !t.aborts(r, env) && !t.taken(env):
		t.broke("%s failed in %s, and nothing holds it", r.Name, env)
	}
}

// taken reports whether a Release goes into an environment by this decision.
func (t *turn) taken(env string) bool {
	return slices.ContainsFunc(t.v.Releases, func(r *v1alpha1.Release) bool {
		return intentIn(r, env) != nil && !inside(t.before(r, env).Stage) && t.enters(r, env)
	})
}

// aborts reports whether a person has asked to abort r in an environment, and that was not taken in.
func (t *turn) aborts(r *v1alpha1.Release, env string) bool {
	return slices.ContainsFunc(r.Spec.Actions[r.Status.HandledActions:], func(a v1alpha1.ReleaseAction) bool {
		return a.Verb == v1alpha1.VerbAbort && a.Environment == env
	})
}

// superseded: what is newer takes the place of what waits or is stuck, and never of a Job that runs.
func (t *turn) superseded(r *v1alpha1.Release, env string) {
	for _, key := range t.w.running() {
		if key.Release == r.Name && key.Environment == env {
			t.broke("%s is superseded in %s while its Job %s runs", r.Name, env, key.Step)
		}
	}
	if !slices.ContainsFunc(t.v.Releases, func(o *v1alpha1.Release) bool {
		return o.Spec.Sequence > r.Spec.Sequence && intentIn(o, env) != nil && t.after(o, env).Stage != v1alpha1.StageSuperseded
	}) {
		t.broke("%s is superseded in %s by nothing", r.Name, env)
	}
}
