package release

import (
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// user is somebody who may act, with the groups that the user is in.
type user struct {
	name   string
	groups []string
}

var users = []user{
	{"operator@example.com", []string{"sre"}}, {"second", []string{"sre", "dev"}}, {"third", []string{"sre"}}, {"author", []string{"dev", "sre"}}, {"guest", nil},
}

// person is somebody who does something to a service, sensible or not.
func (w *world) person(d dice, s *service) {
	who := oneOf(d, users)
	env := oneOf(d, w.envs()).Name
	app := s.apps[env]
	switch k := d.IntN(20); {
	case k < 8 && len(s.releases) > 0:
		w.action(d, s, v1alpha1.VerbApprove, who, "")
	case k < 12 && len(s.releases) > 0:
		w.action(d, s, v1alpha1.VerbPromote, who, "")
	case k < 13 && len(s.releases) > 0:
		w.action(d, s, v1alpha1.VerbAbort, who, "")
	case app == nil:
	case app.Spec.Hold.Active():
		switch {
		case k < 17:
			w.resume(s, env, who)
		case k < 18:
			w.hold(s, env, &v1alpha1.Hold{By: who.name, Reason: "nobody touches it"})
		default:
			w.hold(s, env, &v1alpha1.Hold{By: who.name, Reason: "it looks bad", RollbackTo: w.destination(d, s, env)})
		}
	case k < 16:
		w.hold(s, env, &v1alpha1.Hold{By: who.name})
	default:
		w.hold(s, env, &v1alpha1.Hold{By: who.name, Reason: "it looks bad", RollbackTo: w.destination(d, s, env)})
	}
}

// destination is where a person may think of going back to.
func (w *world) destination(d dice, s *service, env string) string {
	good := s.apps[env].Spec.LastGood
	switch k := d.IntN(6); {
	case k < 3 && good != nil && good.Release != "":
		return good.Release
	case k < 3 && good != nil:
		return good.Source.Revision
	case k < 5 && len(s.releases) > 0:
		return oneOf(d, s.releases).Name
	case k == 5 && len(s.releases) > 0:
		return oneOf(d, s.releases).Spec.Revision
	default:
		return "nothing"
	}
}

// action adds an action to a Release that it may concern: in env, or anywhere.
func (w *world) action(d dice, s *service, verb v1alpha1.Verb, who user, env string) {
	i := len(s.releases) - 1 - min(d.IntN(len(s.releases)), d.IntN(len(s.releases)))
	r := s.releases[i]
	if env == "" {
		env = oneOf(d, r.Spec.Environments).Name
		for _, at := range r.Status.Environments {
			if at.Stage != v1alpha1.StageDone && d.chance(0.5) {
				env = at.Name
				break
			}
		}
	}
	a := v1alpha1.ReleaseAction{Verb: verb, Environment: env, By: who.name, Groups: who.groups, At: w.stamp()}
	switch verb {
	case v1alpha1.VerbApprove:
		a.Group = d.chance(0.3)
	case v1alpha1.VerbPromote:
		a.SkipGates = d.chance(0.4)
		a.Reason = "it is urgent"
	}
	w.act(s, i, a)
}

func (w *world) act(s *service, i int, a v1alpha1.ReleaseAction) {
	if len(s.releases[i].Spec.Actions) >= 100 {
		return
	}
	w.happened++
	r := s.releases[i].DeepCopy()
	r.Spec.Actions = append(r.Spec.Actions, a)
	s.releases[i] = r
	w.say("%s: %s %s in %s (skips %v, group %v)", a.By, a.Verb, r.Name, a.Environment, a.SkipGates, a.Group)
}

func (w *world) hold(s *service, env string, h *v1alpha1.Hold) {
	h.At = w.stamp()
	w.happened++
	app := s.apps[env].DeepCopy()
	app.Spec.Hold = h
	app.Generation++
	delete(s.owed, env)
	s.apps[env] = app
	w.say("%s holds %s in %s, back to %q", h.By, s.name, env, h.RollbackTo)
}

func (w *world) resume(s *service, env string, who user) {
	w.happened++
	app := s.apps[env].DeepCopy()
	app.Spec.Hold.Ended = &v1alpha1.HoldEnd{By: who.name, At: w.stamp()}
	app.Generation++
	s.owed[env] = true
	s.apps[env] = app
	w.say("%s resumes %s in %s", who.name, s.name, env)
}

// collect forgets the oldest Releases that are over and that no App needs.
func (w *world) collect(s *service) {
	const kept = 4
	for len(s.releases) > kept {
		r := s.releases[0]
		needed := func(app *v1alpha1.App) bool {
			return app.Spec.Release == r.Name || app.Spec.LastGood != nil && app.Spec.LastGood.Release == r.Name ||
				app.Spec.Hold != nil && (app.Spec.Hold.Release == r.Name || app.Spec.Hold.RollbackTo == r.Name || app.Spec.Hold.RollbackTo == r.Spec.Revision)
		}
		if r.Status.Ended == nil || slices.ContainsFunc(w.appsOf(s), needed) {
			return
		}
		w.say("%s is forgotten", r.Name)
		s.releases = slices.Clone(s.releases[1:])
	}
}

func (w *world) appsOf(s *service) []*v1alpha1.App {
	var all []*v1alpha1.App
	for _, env := range w.envs() {
		if app := s.apps[env.Name]; app != nil {
			all = append(all, app)
		}
	}
	return all
}
