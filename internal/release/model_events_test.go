package release

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

var authors = []string{"Author <author@example.com>", "Operator <operator@example.com>", "bot", ""}

// commit is a push to the branch.
func (w *world) commit(d dice) {
	w.commits++
	shared := d.chance(0.25)
	hit := [maxEnvs]bool{}
	for i := range hit {
		hit[i] = d.chance(0.7)
	}
	one := oneOf(d, w.services)
	author := oneOf(d, authors)
	for _, s := range w.services {
		was := s.content
		switch {
		case shared:
			for i := range hit {
				if hit[i] {
					s.content.shared[i] = w.commits
				}
			}
		case s == one:
			s.content = w.change(d, s)
		}
		w.bring(s, was, author)
	}
}

// change is what one commit does to one service.
func (w *world) change(d dice, s *service) content {
	c := s.content
	env := d.IntN(len(w.envs()))
	switch d.IntN(12) {
	case 0, 1, 2, 3:
		c.image = w.commits
	case 4, 5:
		c.common = w.commits
	case 6, 7:
		c.overlay[env] = w.commits
	case 8:
		return oneOf(d, s.past)
	case 9:
		if d.chance(0.4) {
			c.in = [maxEnvs]bool{}
		} else {
			c.in[env] = !c.in[env]
		}
	case 10:
		c.broken[env] = !c.broken[env]
		c.overlay[env] = w.commits
	case 11:
		c.blocked = !c.blocked
		c.common = w.commits
	}
	if d.chance(0.5) {
		c.broken = [maxEnvs]bool{}
	}
	return c
}

// bring makes the Release of a commit for a service that it changes.
func (w *world) bring(s *service, was content, author string) {
	rev := revision(w.commits)
	for i, env := range w.envs() {
		s.renders[renderOf(rev, env.Name)] = s.content.digest(i)
	}
	if s.content == was {
		return
	}
	s.past = append(s.past, s.content)
	r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", s.name, w.commits)}}
	r.Spec = v1alpha1.ReleaseSpec{
		Fleet: "shop", Service: s.name, Revision: rev, Sequence: int64(w.commits), Group: fmt.Sprintf("g%d", w.commits), Commit: v1alpha1.Commit{Author: author},
	}
	story := ""
	for i, env := range w.envs() {
		intent, concerns := s.intend(w, i, env.Name)
		if !concerns {
			continue
		}
		r.Spec.Environments = append(r.Spec.Environments, intent)
		story += fmt.Sprintf(" %s=%s", env.Name, intent.Digest)
		if intent.Gone {
			story += "gone"
		}
		if intent.Problem != "" {
			story += "!"
		}
		w.plans[Place{r.Name, env.Name}] = planOf(w.seed, w.commits, i)
	}
	if len(r.Spec.Environments) == 0 {
		return
	}
	s.releases = append(s.releases, r)
	w.say("commit %d: %s blocked=%v%s", w.commits, r.Name, s.content.blocked, story)
}

// intend is what the content of s means for an environment.
func (s *service) intend(w *world, i int, env string) (v1alpha1.ReleaseEnvironment, bool) {
	c := s.content
	if !c.in[i] {
		_, runs := s.apps[env]
		comes := slices.ContainsFunc(s.releases, func(r *v1alpha1.Release) bool { return intentIn(r, env) != nil })
		return v1alpha1.ReleaseEnvironment{Name: env, Gone: true}, runs || comes
	}
	source := sourceIn("", s.name, env)
	intent := v1alpha1.ReleaseEnvironment{
		Name: env, Path: source.Path, Cluster: source.Cluster, Namespace: source.Namespace, Digest: c.digest(i), Own: c.own(i), Images: c.images(),
	}
	if c.blocked {
		intent.RollbackBlocked = "the schema of the database has changed"
	}
	d := roll(w.seed, uint64(1000+100*w.commits+i))
	switch {
	case c.broken[i]:
		intent.Digest, intent.Problem = "", "kustomization.yaml is broken"
	case d.chance(0.02):
		intent.Digest = "" // the renderer could not be reached when the Release was made
	}
	return intent, true
}

// planOf makes the plan of a commit for an environment.
func planOf(seed uint64, commit, env int) Plan {
	d := roll(seed, uint64(500+100*commit+env))
	p := Plan{FailAfter: time.Duration(d.IntN(4)) * time.Minute, Deadline: time.Duration(3+d.IntN(10)) * time.Minute}
	for i := range max(0, d.IntN(4)-1) {
		p.Before = append(p.Before, fmt.Sprintf("migrate-%d", i))
	}
	if d.chance(0.3) {
		p.After = []string{"e2e"}
	}
	if d.chance(0.3) {
		p.Checks = append(p.Checks, Check{Name: "latency", Interval: time.Duration(10+d.IntN(50)) * time.Second, Successes: int32(d.IntN(4)), Failures: int32(d.IntN(3))})
	}
	if d.chance(0.15) {
		p.Checks = append(p.Checks, Check{Name: "load", Job: true})
	}
	if d.chance(0.05) {
		p.Problem = "sengu.yaml cannot be read"
	}
	return p
}

// plan makes or mends what keeps a plan from being made.
func (w *world) plan(d dice, s *service) {
	r := oneOf(d, s.releases)
	for _, env := range r.Spec.Environments {
		place := Place{r.Name, env.Name}
		p := w.plans[place]
		p.Problem = ""
		if d.chance(0.3) {
			p.Problem = "sengu.yaml cannot be read"
		}
		w.plans[place] = p
	}
	w.say("plans of %s change", r.Name)
}

// controller is the controller of Apps, which acts on one.
func (w *world) controller(d dice, s *service, env string) {
	w.happened++
	app := s.apps[env].DeepCopy()
	st := &app.Status
	if app.Spec.Removal != "" {
		w.removing(d, s, env, app)
		return
	}
	s.apps[env] = app
	w.pin(d, s, env, app)
	st.ObservedGeneration = app.Generation
	st.Conditions = nil
	st.Why = nil
	truth := s.renders[renderOf(app.Spec.Source.Revision, env)]
	fate := d.IntN(11)
	if d.chance(w.luck) {
		fate = 0
	}
	st.Sync = v1alpha1.OutOfSync
	switch fate {
	case 0:
		st.Sync, st.Health, st.Revision, st.Digest = v1alpha1.Synced, v1alpha1.Healthy, app.Spec.Source.Revision, truth
		if d.chance(0.1) {
			st.Health = v1alpha1.Suspended
		}
	case 1, 2:
		st.Health, st.Digest = v1alpha1.Progressing, truth
		ready(st, "Progressing", "a rollout is on its way")
	case 3:
		st.Sync, st.Health, st.Revision, st.Digest = v1alpha1.Synced, v1alpha1.Progressing, app.Spec.Source.Revision, truth
		ready(st, "Progressing", "1 of 2 is ready")
	case 4:
		st.Sync, st.Health, st.Revision, st.Digest = v1alpha1.Synced, v1alpha1.Degraded, app.Spec.Source.Revision, truth
		ready(st, "Degraded", "a Pod crashes")
	case 5:
		ready(st, "RenderFailed", "a file is not there")
	case 6:
		ready(st, "ApplyFailed", "the API server refuses an object")
	case 7:
		ready(st, "ClusterNotReady", "the cluster does not answer")
	case 8:
		st.Digest = truth
		ready(st, "WaitsForConfirmation", "3 objects are deleted when somebody confirms")
	case 9:
		st.Digest = truth + "-otherwise"
		ready(st, ReasonRenderedOtherwise, "the revision renders something else than what was locked")
	case 10:
		st.Sync, st.Health, st.Revision, st.Digest = v1alpha1.Synced, v1alpha1.Missing, app.Spec.Source.Revision, truth
		ready(st, "Missing", "an object is gone")
	}
	w.say("App %s in %s at %s: %s %s %s", s.name, env, number(app.Spec.Source.Revision), st.Sync, st.Health, reasonOf(app))
}

// pin has a person pin an image, or take the pin back, before the controller of Apps looks.
func (w *world) pin(d dice, s *service, env string, app *v1alpha1.App) {
	switch at := metav1.NewTime(w.now); {
	case w.luck == 1:
		app.Spec.Pin = nil
	case d.chance(0.05):
		app.Spec.Pin = &v1alpha1.Pin{By: "operator", At: at, Until: metav1.NewTime(w.now.Add(time.Duration(1+d.IntN(60)) * time.Minute)), Image: "image:pr"}
	case d.chance(0.2) && app.Spec.Pin != nil:
		app.Spec.Pin.Ended = &v1alpha1.HoldEnd{By: "operator", At: at}
	}
	if image := app.Spec.Pin.ImageAt(w.now); image != app.Status.Pinned {
		app.Status.Pinned = image
		w.say("in %s, %q is pinned for %s", env, image, s.name)
	}
}

func ready(st *v1alpha1.AppStatus, reason, message string) {
	meta.SetStatusCondition(&st.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: message})
	st.Why = &v1alpha1.Why{Message: message}
}

func reasonOf(app *v1alpha1.App) string {
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

// removing is an App that goes, and the Fleet that lets it.
func (w *world) removing(d dice, s *service, env string, app *v1alpha1.App) {
	switch {
	case app.Status.ObservedGeneration != app.Generation:
		app.Status.ObservedGeneration = app.Generation
		s.apps[env] = app
		w.say("App %s in %s settles, removal %s", s.name, env, app.Spec.Removal)
	case app.Spec.Removal == v1alpha1.RemovalPending:
		app.Spec.Removal = v1alpha1.RemovalApproved
		app.Generation++
		s.apps[env] = app
		w.say("the Fleet removes %s in %s", s.name, env)
	case d.chance(w.luck):
		w.say("App %s in %s is gone", s.name, env)
		delete(s.apps, env)
	}
}

// endJob ends a Job that runs.
func (w *world) endJob(d dice) *service {
	running := w.running()
	if len(running) == 0 {
		return nil
	}
	key := oneOf(d, running)
	state := w.jobs[key]
	state.Phase, state.Finished = v1alpha1.StepFailed, w.now
	if d.chance(w.luck) {
		state.Phase = v1alpha1.StepSucceeded
	}
	w.jobs[key] = state
	w.say("Job %v: %s", key, state.Phase)
	return w.serviceOf(key.Release)
}

func (w *world) running() []StepKey {
	var all []StepKey
	for key, state := range w.jobs {
		if state.Phase == v1alpha1.StepRunning {
			all = append(all, key)
		}
	}
	slices.SortFunc(all, compareKeys)
	return all
}

// answer answers the checks that were asked.
func (w *world) answer(d dice, s *service) {
	for _, key := range sortedKeys(s.asked) {
		if d.chance(0.3) {
			continue
		}
		delete(s.asked, key)
		look := Look{Message: "so it is", Passed: d.chance(w.luck), Evidence: d.chance(0.5 + w.luck/2)}
		s.looks[key] = look
		s.heard(key, look)
		w.say("check %v: %+v", key, look)
	}
}
