package release

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// Next decides about a service.
func Next(s Service) Decision {
	d := newDecider(s)
	for _, r := range d.releases {
		d.welcome(r)
		d.listen(r)
		d.written(r)
		d.act(r)
	}
	for _, env := range s.Fleet.Spec.Environments {
		d.environment(env)
	}
	for _, r := range d.releases {
		d.finish(r)
	}
	return d.decision()
}

// decider is one call of Next: working copies of what it may change.
type decider struct {
	Service
	// releases are sorted, the oldest first.
	releases []*journey
	byName   map[string]*journey
	rules    map[string]*v1alpha1.Environment
	places   map[string]*place
	jobs     []StepKey
	checks   []StepKey
	writes   []Place
	look     time.Time
}

// journey is a Release with the status that it will have.
type journey struct {
	*v1alpha1.Release
	status v1alpha1.ReleaseStatus
	// wishes say, by environment, what a person asked for that waits for a Job.
	wishes map[string]string
}

// place is an environment of the service with what its App will be.
type place struct {
	app *v1alpha1.App // as it is; nil if there is none
	was Move
	Move
}

func newDecider(s Service) *decider {
	d := &decider{
		Service: s, byName: map[string]*journey{}, rules: map[string]*v1alpha1.Environment{}, places: map[string]*place{},
	}
	for _, r := range s.Releases {
		j := &journey{Release: r, status: copied(r.Status), wishes: map[string]string{}}
		d.releases = append(d.releases, j)
		d.byName[r.Name] = j
	}
	slices.SortFunc(d.releases, func(a, b *journey) int {
		return cmp.Or(cmp.Compare(a.Spec.Sequence, b.Spec.Sequence), cmp.Compare(a.Name, b.Name))
	})
	for i := range s.Fleet.Spec.Environments {
		env := &s.Fleet.Spec.Environments[i]
		d.rules[env.Name] = env
		p := &place{app: s.Apps[env.Name]}
		if p.app != nil {
			spec := p.app.Spec.DeepCopy()
			p.was = Move{
				Source: spec.Source, Digest: spec.Digest, Release: spec.Release, LastGood: spec.LastGood, Hold: spec.Hold, Removal: spec.Removal,
			}
		}
		p.Move = p.was
		p.Hold = p.was.Hold.DeepCopy()
		d.places[env.Name] = p
	}
	return d
}

// copied returns a status that may be changed. Of its journal, which is only added to, nothing is copied.
func copied(st v1alpha1.ReleaseStatus) v1alpha1.ReleaseStatus {
	journal := slices.Clip(st.Journal)
	st.Journal = nil
	c := *st.DeepCopy()
	c.Journal = journal
	return c
}

// decision gathers what has changed.
func (d *decider) decision() Decision {
	out := Decision{
		Moves: map[string]Move{}, Statuses: map[string]v1alpha1.ReleaseStatus{}, Jobs: d.atWork(d.jobs), Checks: d.atWork(d.checks), Writes: d.writes, Look: d.look,
	}
	for name, p := range d.places {
		if !sameMove(&p.was, &p.Move) {
			out.Moves[name] = p.Move
		}
	}
	for _, r := range d.releases {
		r.steady()
		if !sameStatus(&r.Status, &r.status) {
			out.Statuses[r.Name] = r.status
		}
	}
	return out
}

// atWork leaves out the steps of what has stopped after they were asked for.
func (d *decider) atWork(steps []StepKey) []StepKey {
	return slices.DeleteFunc(steps, func(key StepKey) bool { return !working(d.byName[key.Release].stage(key.Environment)) })
}

// steady keeps since when something is the reason, where it came to be the same as before after all.
func (r *journey) steady() {
	for i := range r.Status.Environments {
		old := &r.Status.Environments[i]
		at := r.at(old.Name)
		if at.Why != nil && old.Why != nil && at.Why.Message == old.Why.Message && at.Stage == old.Stage {
			at.Why = old.Why
		}
	}
}

// welcome gives a Release that is new its first status.
func (d *decider) welcome(r *journey) {
	if len(r.status.Environments) > 0 {
		return
	}
	r.status.Stage = v1alpha1.StageWaiting
	for _, env := range r.Spec.Environments {
		r.status.Environments = append(r.status.Environments, v1alpha1.ReleaseEnvironmentStatus{
			Name: env.Name, Stage: v1alpha1.StageWaiting, Since: d.time(),
		})
	}
	d.note(r, history.Created, "", "", "")
}

// time is the moment of the decision as the API stores it.
func (d *decider) time() metav1.Time { return metav1.NewTime(d.Now.Truncate(time.Second)) }

// wakeAt asks for another decision at t.
func (d *decider) wakeAt(t time.Time) {
	if t.After(d.Now) && (d.look.IsZero() || t.Before(d.look)) {
		d.look = t
	}
}

// maxJournal bounds what a status remembers. The history has all of it: it is written there long before.
const maxJournal = 200

// note adds to what has happened to r.
func (d *decider) note(r *journey, kind history.Kind, environment, by, why string) {
	number := int64(1)
	if n := len(r.status.Journal); n > 0 {
		number = r.status.Journal[n-1].Number + 1
	}
	r.status.Journal = append(r.status.Journal, v1alpha1.Transition{
		Number: number, Kind: string(kind), Environment: environment, At: d.time(), By: by, Why: why,
	})
	if n := len(r.status.Journal); n > maxJournal {
		r.status.Journal = slices.Clone(r.status.Journal[n-maxJournal:])
	}
}

// at returns the status of r in an environment, nil if the service is not there.
func (r *journey) at(environment string) *v1alpha1.ReleaseEnvironmentStatus {
	return environmentOf(&r.status, environment)
}

// intent returns what r intends for an environment.
func (r *journey) intent(environment string) *v1alpha1.ReleaseEnvironment {
	for i := range r.Spec.Environments {
		if r.Spec.Environments[i].Name == environment {
			return &r.Spec.Environments[i]
		}
	}
	return nil
}

// environmentOf returns what a status says of an environment, nil if it does not concern it.
func environmentOf(st *v1alpha1.ReleaseStatus, environment string) *v1alpha1.ReleaseEnvironmentStatus {
	for i := range st.Environments {
		if st.Environments[i].Name == environment {
			return &st.Environments[i]
		}
	}
	return nil
}

// stage returns how far r has come in an environment, "" if the service is not there.
func (r *journey) stage(environment string) v1alpha1.Stage {
	if at := r.at(environment); at != nil {
		return at.Stage
	}
	return ""
}

// working reports whether a Release of that stage is at work in its environment.
func working(stage v1alpha1.Stage) bool {
	return stage == v1alpha1.StageRunning || stage == v1alpha1.StageVerifying
}

// promoted reports whether a person asked for r to go into an environment, and whether past its gates.
func (r *journey) promoted(environment string) (asked, skips bool) {
	at := r.at(environment)
	return at != nil && at.Promotion != "", at != nil && at.Promotion == v1alpha1.PromotionSkipsGates
}

// becomes moves r to another stage in an environment.
func (d *decider) becomes(r *journey, environment string, stage v1alpha1.Stage, why string) {
	at := r.at(environment)
	if at.Stage != stage {
		at.Stage, at.Since = stage, d.time()
		at.Gates = nil
	}
	d.because(at, why)
}

// because says why r is not further in an environment.
func (d *decider) because(at *v1alpha1.ReleaseEnvironmentStatus, why string) {
	if why == "" {
		at.Why = nil
		return
	}
	at.Why = v1alpha1.Because(at.Why, why, d.Now)
}

// why returns since when something is the reason, as it is stored.
func (d *decider) why(at *v1alpha1.ReleaseEnvironmentStatus, message string) *v1alpha1.Why {
	return v1alpha1.Because(at.Why, message, d.Now)
}

// passed reports whether r has passed an environment. One that the service is not in is passed when those before it are.
func (d *decider) passed(r *journey, environment string) bool {
	if at := r.at(environment); at != nil {
		return at.Stage == v1alpha1.StageDone && !d.retracted(r, environment)
	}
	_, missing := d.missing(r, environment)
	return !missing
}

// retracted reports whether an environment that r has passed without changing anything there runs something older by now: what
// it ran was taken back, and r would bring it further.
func (d *decider) retracted(r *journey, environment string) bool {
	p, intent := d.places[environment], r.intent(environment)
	if p == nil || !r.at(environment).Unchanged {
		return false
	}
	for _, other := range d.releases {
		if stage := other.stage(environment); other.Spec.Sequence > r.Spec.Sequence && (working(stage) || stage == v1alpha1.StageDone) {
			return false // it goes on from there
		}
	}
	if intent.Gone || p.app == nil {
		return intent.Gone && p.app != nil
	}
	by := d.byName[p.Release]
	return !p.outputs(intent.Digest) || by != nil && by.stage(environment) != v1alpha1.StageDone
}

// missing returns the first environment before this one that r has not passed.
func (d *decider) missing(r *journey, environment string) (string, bool) {
	rule := d.rules[environment]
	if rule == nil {
		return "", false
	}
	for _, before := range rule.After {
		if d.passed(r, before) {
			continue
		}
		if r.at(before) == nil {
			if further, ok := d.missing(r, before); ok {
				return further, true
			}
		}
		return before, true
	}
	return "", false
}
