package release

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// calls is how often a caller may have to decide until nothing is left to do, if nothing else happens.
const calls = 8

// settle does what the controller does: it decides and carries out until nothing is left to do. With cut, it dies
// between two writes of the first decision.
func (w *world) settle(d dice, s *service, cut bool) {
	for range calls {
		v := w.view(s)
		next, ok := w.decide(d, s, v, true)
		if !ok {
			return
		}
		if !w.news(s, next) {
			s.look = next.Look
			s.stored()
			w.atRest(s)
			return
		}
		if !w.carryOut(d, s, v, next, cut) {
			return
		}
	}
	w.breaks("%s: there is always something left to do", s.name)
}

// stale decides by an old view of the world. What has changed since refuses to be written.
func (w *world) stale(d dice, s *service) {
	if s.before == nil {
		return
	}
	v := *s.before
	v.Looks, v.Peers = nil, w.view(s).Peers
	w.setTime(&v)
	w.say("an old view is decided upon")
	if next, ok := w.decide(d, s, v, false); ok {
		w.carryOut(d, s, v, next, false)
	}
}

// decide calls Next and holds what it says against the rules.
func (w *world) decide(d dice, s *service, v Service, fresh bool) (Decision, bool) {
	var copied Service
	look := d.chance(0.01)
	if look {
		copied = deepCopy(v)
	}
	next := Next(v)
	if look && (!equality.Semantic.DeepEqual(copied.Releases, v.Releases) || !equality.Semantic.DeepEqual(copied.Apps, v.Apps) || !maps.Equal(copied.Looks, v.Looks)) {
		w.breaks("%s: a decision changed what it was made from", s.name)
	}
	w.judge(&turn{w: w, s: s, v: v, d: next, fresh: fresh})
	w.tellOf(s, v, next)
	return next, w.broken == ""
}

func deepCopy(v Service) Service {
	c := v
	c.Releases, c.Apps = nil, map[string]*v1alpha1.App{}
	for _, r := range v.Releases {
		c.Releases = append(c.Releases, r.DeepCopy())
	}
	for env, app := range v.Apps {
		c.Apps[env] = app.DeepCopy()
	}
	c.Looks = maps.Clone(v.Looks)
	return c
}

// news reports whether a decision asks for anything that is not so yet.
func (w *world) news(s *service, next Decision) bool {
	if len(next.Moves)+len(next.Statuses) > 0 {
		return true
	}
	for _, key := range next.Jobs {
		if _, there := w.jobs[key]; !there {
			return true
		}
	}
	return slices.ContainsFunc(next.Checks, func(key StepKey) bool { return !s.asked[key] })
}

// carryOut writes a decision: Apps, then statuses, then Jobs. With cut, it stops anywhere. It reports whether all was
// written.
func (w *world) carryOut(d dice, s *service, v Service, next Decision, cut bool) bool {
	var writes []func() bool
	for _, env := range shuffled(d, next.Moves) {
		writes = append(writes, func() bool { return w.writeApp(s, v, env, next.Moves[env]) })
	}
	for _, name := range shuffled(d, next.Statuses) {
		writes = append(writes, func() bool { return w.writeStatus(s, v, name, next.Statuses[name]) })
	}
	for _, key := range next.Jobs {
		writes = append(writes, func() bool { return w.startJob(key) })
	}
	upTo := len(writes)
	if cut {
		upTo = d.IntN(len(writes) + 1)
	}
	s.looks = map[StepKey]Look{} // an answer is never given twice
	for i, write := range writes {
		if i == upTo || !write() {
			w.say("... and stops after %d of %d writes", i, len(writes))
			s.asked, s.refused = map[StepKey]bool{}, nil
			if cut {
				w.up = w.now
			}
			return false
		}
	}
	for _, key := range next.Checks {
		s.asked[key] = true
		w.happened++
	}
	s.stored()
	if w.seed%4 == 0 {
		v := w.view(s)
		s.before = &v
	}
	return true
}

func shuffled[V any](d dice, m map[string]V) []string {
	keys := slices.Sorted(maps.Keys(m))
	d.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

func (w *world) writeApp(s *service, v Service, env string, m Move) bool {
	if s.apps[env] != v.Apps[env] {
		return false
	}
	app := &v1alpha1.App{}
	app.Name = s.name + "-" + env
	if old := s.apps[env]; old != nil {
		app = old.DeepCopy()
	}
	w.happened++
	was := app.Spec
	app.Spec.Source, app.Spec.Digest, app.Spec.Release = m.Source, m.Digest, m.Release
	app.Spec.LastGood, app.Spec.Hold, app.Spec.Removal = m.LastGood, m.Hold, m.Removal
	if old := (Move{Source: was.Source, Digest: was.Digest, Release: was.Release, LastGood: was.LastGood, Hold: was.Hold, Removal: was.Removal, Create: m.Create}); !sameMove(&old, &m) {
		app.Generation++
	}
	s.apps[env] = app
	s.ranApp(env, app, was)
	return true
}

func (w *world) writeStatus(s *service, v Service, name string, st v1alpha1.ReleaseStatus) bool {
	i := slices.IndexFunc(s.releases, func(r *v1alpha1.Release) bool { return r.Name == name })
	j := slices.IndexFunc(v.Releases, func(r *v1alpha1.Release) bool { return r.Name == name })
	if i < 0 || s.releases[i] != v.Releases[j] {
		return false
	}
	r := *s.releases[i]
	r.Status = st
	w.happened++
	s.releases = slices.Clone(s.releases)
	s.releases[i] = &r
	for i := range st.Environments {
		at := &st.Environments[i]
		s.stopsAt(&r, at)
		if inside(at.Stage) {
			s.taken[Place{name, at.Name}] = len(r.Spec.Actions)
		}
	}
	return true
}

// startJob makes a Job, which is there already if its name is taken.
func (w *world) startJob(key StepKey) bool {
	if _, there := w.jobs[key]; there {
		return true
	}
	w.starts[key]++
	w.happened++
	w.jobs[key] = JobState{Phase: v1alpha1.StepRunning, Job: "job-" + key.Step, Started: w.now}
	if w.starts[key] > 1 {
		w.breaks("Job %v is started twice", key)
	}
	return true
}

func compareKeys(a, b StepKey) int {
	return cmp.Or(strings.Compare(a.Release, b.Release), strings.Compare(a.Environment, b.Environment), strings.Compare(a.Step, b.Step), cmp.Compare(a.Attempt, b.Attempt))
}

func sortedKeys(m map[StepKey]bool) []StepKey {
	return slices.SortedFunc(maps.Keys(m), compareKeys)
}

func (w *world) serviceOf(release string) *service {
	for _, s := range w.services {
		if strings.HasPrefix(release, s.name+"-") {
			return s
		}
	}
	return nil
}

// tellOf tells what a decision says.
func (w *world) tellOf(s *service, v Service, next Decision) {
	if w.tell == nil {
		return
	}
	for _, env := range slices.Sorted(maps.Keys(next.Moves)) {
		m := next.Moves[env]
		line := fmt.Sprintf("  -> App %s in %s: %s at %s %s", s.name, env, m.Release, number(m.Source.Revision), m.Removal)
		if m.LastGood != nil {
			line += fmt.Sprintf(", last good %q at %s", m.LastGood.Release, number(m.LastGood.Source.Revision))
		}
		if m.Hold != nil {
			line += fmt.Sprintf(", hold %+v", *m.Hold)
		}
		if m.Hold != nil && m.Hold.Ended != nil {
			line += fmt.Sprintf(" ended by %q: %s", m.Hold.Ended.By, m.Hold.Ended.Reason)
		}
		w.say("%s", line)
	}
	for _, name := range slices.Sorted(maps.Keys(next.Statuses)) {
		w.say("  -> %s %s: %s", name, next.Statuses[name].Stage, stagesOf(next.Statuses[name]))
	}
	for _, key := range next.Jobs {
		w.say("  -> Job %v", key)
	}
	for _, key := range next.Checks {
		w.say("  -> check %v", key)
	}
	if !next.Look.IsZero() {
		w.say("  -> look again in %s", next.Look.Sub(v.Now).Round(time.Second))
	}
}

func stagesOf(st v1alpha1.ReleaseStatus) string {
	var all []string
	for _, at := range st.Environments {
		text := at.Name + "=" + string(at.Stage)
		if at.Unchanged {
			text += "(unchanged)"
		}
		if at.Why != nil {
			text += fmt.Sprintf("(%s)", at.Why.Message)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}
