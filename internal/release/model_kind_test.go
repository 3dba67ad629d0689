package release

import (
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// loseJob makes a Job vanish that was seen, over or not.
func (w *world) loseJob(d dice, s *service) {
	for _, r := range s.releases {
		for _, at := range r.Status.Environments {
			for _, step := range at.Steps {
				key := StepKey{r.Name, at.Name, step.Name, at.Attempt}
				if _, there := w.jobs[key]; there && step.Started != nil && step.Job != "" && step.Phase == v1alpha1.StepRunning && d.chance(0.5) {
					delete(w.jobs, key)
					w.lost[key] = true
					w.say("Job %v is deleted by somebody", key)
					return
				}
			}
		}
	}
}

// loseApp deletes an App object behind the back of its Release. What it ran runs on.
func (w *world) loseApp(d dice, s *service) {
	for _, env := range w.envs() {
		if app := s.apps[env.Name]; app != nil && !app.Spec.Hold.Active() && d.chance(0.3) {
			delete(s.apps, env.Name)
			w.say("somebody deletes the App of %s in %s", s.name, env.Name)
			return
		}
	}
}

// commitClean is a commit that changes every file of every service and has no fault.
func (w *world) commitClean() {
	w.commits++
	for _, s := range w.services {
		was := s.content
		s.content.common, s.content.image, s.content.broken = w.commits, w.commits, [maxEnvs]bool{}
		for i := range w.envs() {
			s.content.in[i] = true
		}
		w.bring(s, was, "")
		for i := range w.envs() {
			place := Place{fmt.Sprintf("%s-%d", s.name, w.commits), envNames[i]}
			p := w.plans[place]
			p.Problem = ""
			w.plans[place] = p
		}
	}
}

// turnKind lets everything turn out well that is waited for, and then looks whether the newest Releases have arrived.
// Time passes only to when a decision asked to be made again.
func (w *world) turnKind(d dice, clean bool) {
	w.say("--- the world turns kind at %s", clock(w.now))
	w.luck = 1
	const patience = 300
	for _, s := range w.services {
		s.rests = -1
	}
	for range patience {
		busy := false
		for _, s := range w.services {
			if s.rests == w.happened && (s.look.IsZero() || w.now.Before(s.look)) {
				continue
			}
			before := w.happened
			w.settle(d, s, false)
			s.rests = w.happened
			w.kindly(d, s)
			if w.broken != "" {
				return
			}
			busy = busy || before != w.happened
		}
		if busy {
			continue
		}
		look := w.nextLook()
		if look.IsZero() {
			break
		}
		w.now = look
		w.say("it is %s", clock(w.now))
	}
	for _, s := range w.services {
		w.arrived(s, clean)
	}
}

// kindly does what is good for a service: Apps settle, Jobs and checks pass, people agree, holds end.
func (w *world) kindly(d dice, s *service) {
	for _, key := range w.running() {
		if w.serviceOf(key.Release) == s {
			state := w.jobs[key]
			state.Phase, state.Finished = v1alpha1.StepSucceeded, w.now
			w.jobs[key] = state
			w.happened++
		}
	}
	w.happened += len(s.asked)
	for key := range s.asked {
		s.looks[key] = Look{Passed: true, Evidence: true}
		s.heard(key, s.looks[key])
	}
	s.asked = map[StepKey]bool{}
	for _, env := range w.envs() {
		app := s.apps[env.Name]
		if app == nil {
			continue
		}
		if h := app.Spec.Hold; h.Active() && (h.RollbackTo == "" || h.Release != "" || h.Refused != "") && !s.hopeless(env.Name, h) {
			w.resume(s, env.Name, users[0])
		} else if !isGood(app, app.Spec.Release) || app.Spec.Removal != "" {
			w.controller(d, s, env.Name)
		}
	}
	for i, r := range s.releases {
		for _, env := range r.Spec.Environments {
			place := Place{r.Name, env.Name}
			if p := w.plans[place]; p.Problem != "" {
				p.Problem = ""
				w.plans[place] = p
				w.happened++
			}
		}
		if r.Status.Ended == nil || i == len(s.releases)-1 {
			w.agree(s, i)
		}
	}
}

// hopeless reports whether what a hold keeps out cannot be rendered, and nothing newer waits for its end: nobody tries that
// again.
func (s *service) hopeless(env string, h *v1alpha1.Hold) bool {
	for _, r := range slices.Backward(s.releases) {
		if at := environmentOf(&r.Status, env); at != nil && at.Stage == v1alpha1.StageWaiting && len(at.Gates) > 0 && at.Gates[0].Name == gateHold {
			return false
		}
		if r.Name == h.Release {
			return intentIn(r, env).Problem != ""
		}
	}
	return false
}

// agree has people approve what waits for it, and try the newest again where it has stopped.
func (w *world) agree(s *service, i int) {
	for _, at := range s.releases[i].Status.Environments {
		closed := func(names ...string) bool {
			return slices.ContainsFunc(at.Gates, func(g v1alpha1.Gate) bool { return !g.Open && slices.Contains(names, g.Name) })
		}
		r := s.releases[i]
		stopped := at.Stage == v1alpha1.StageFailed || at.Stage == v1alpha1.StageRolledBack || at.Stage == v1alpha1.StageSuperseded
		newest := i == len(s.releases)-1
		asked := int(r.Status.HandledActions) < len(r.Spec.Actions)
		switch {
		case asked:
			return
		case closed(gateWindows, gateGroup, gateParallel, gateTurn): // an approval may have expired until they open
		case at.Stage == v1alpha1.StageWaiting && closed(gateApproval, gateRemoval):
			for _, who := range users[:3] {
				w.act(s, i, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: at.Name, By: who.name, Groups: who.groups, At: w.stamp()})
			}
			w.act(s, i, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: at.Name, By: "fourth", Groups: []string{"sre"}, At: w.stamp()})
			return
		case newest && (stopped && intentIn(r, at.Name).Problem == "" || closed(gateFailures) || closed(gateHold) && s.apps[at.Name] == nil):
			w.act(s, i, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbPromote, Environment: at.Name, By: "operator@example.com", SkipGates: closed(gateFailures), Reason: "it is well", At: w.stamp()})
			return
		}
	}
}

// arrived: in a kind world the newest Release is done everywhere, unless it cannot be rendered.
func (w *world) arrived(s *service, clean bool) {
	if len(s.releases) == 0 {
		return
	}
	r := s.releases[len(s.releases)-1]
	for i, env := range w.envs() {
		intent := intentIn(r, env.Name)
		if intent != nil && intent.Problem != "" {
			return
		}
		if intent == nil {
			continue
		}
		if at := environmentOf(&r.Status, env.Name); at == nil || at.Stage != v1alpha1.StageDone {
			w.breaks("%s never arrives in %s, though all is well", r.Name, env.Name)
			return
		}
		app := s.apps[env.Name]
		switch {
		case app == nil && !clean: // removed, or deleted by somebody after it had arrived
		case (app == nil) != intent.Gone:
			w.breaks("%s is done in %s: App %v", r.Name, env.Name, app)
		case app != nil && s.renders[renderOf(app.Spec.Source.Revision, env.Name)] != s.content.digest(i):
			w.breaks("%s is done in %s, which runs something else", r.Name, env.Name)
		}
	}
	if r.Status.Stage != v1alpha1.StageDone {
		w.breaks("%s is done everywhere and says %s", r.Name, r.Status.Stage)
	}
	for _, old := range s.releases {
		if old.Status.Ended == nil {
			w.breaks("%s is %s for ever: %v", old.Name, old.Status.Stage, old.Status.Why)
		}
	}
}
