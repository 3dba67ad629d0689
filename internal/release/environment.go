package release

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// environment decides about one environment: what has become of the Release that is in it, and which one goes in next.
func (d *decider) environment(env v1alpha1.Environment) {
	p := d.places[env.Name]
	d.recall(env.Name, p)
	d.overtake(env.Name, p)
	d.rollback(env.Name, p)
	d.remember(env.Name, p)
	d.retry(env.Name, p)
	if inside := d.inside(env.Name); inside != nil {
		d.advance(inside, env, p)
		if wish := inside.wishes[env.Name]; wish != "" && working(inside.stage(env.Name)) {
			d.because(inside.at(env.Name), wish)
		}
	}
	d.admit(env, p)
}

// inside returns the Release that an environment is being brought to, or that is verified in it.
func (d *decider) inside(name string) *journey {
	for _, r := range slices.Backward(d.releases) {
		if stage := r.stage(name); stage == v1alpha1.StageRunning || stage == v1alpha1.StageVerifying {
			return r
		}
	}
	return nil
}

// waiting returns the Releases that stand before an environment, with all before it passed, or that a person promoted
// into it. The oldest comes first.
func (d *decider) waiting(name string) []*journey {
	var all []*journey
	for _, r := range d.releases {
		if r.stage(name) != v1alpha1.StageWaiting {
			continue
		}
		before, missing := d.missing(r, name)
		if _, skips := r.promoted(name); missing && !skips {
			d.shut(r, name, gateAfter, d.comesFirst(r, before))
			continue
		}
		all = append(all, r)
	}
	return all
}

// comesFirst says what an environment, which r has not passed, lacks.
func (d *decider) comesFirst(r *journey, before string) string {
	if r.stage(before) == v1alpha1.StageDone {
		return before + " comes first: what this renders there was taken back"
	}
	return before + " comes first"
}

// admit lets the newest Release that stands before an environment in, if its gates are open. Older ones that stand there
// are superseded: what they bring is part of the newer. One that a person promoted goes first if it can, and is else
// superseded as soon as a newer one can go in.
func (d *decider) admit(env v1alpha1.Environment, p *place) {
	waiting := d.waiting(env.Name)
	if len(waiting) == 0 {
		return
	}
	inside := d.inside(env.Name)
	newest := waiting[len(waiting)-1]
	queue := []*journey{newest}
	for _, r := range waiting[:len(waiting)-1] {
		if asked, _ := r.promoted(env.Name); asked {
			queue = []*journey{r, newest}
		}
	}
	closed := make([][]v1alpha1.Gate, len(queue))
	for i, r := range queue {
		if closed[i] = d.attempt(r, env, p, inside); closed[i] == nil {
			d.settle(waiting, r, nil, env.Name)
			return
		}
	}
	d.settle(waiting, newest, queue, env.Name)
	for i, r := range queue {
		d.wait(r, env.Name, closed[i])
	}
}

// attempt lets r into an environment, or past it, unless a gate is closed: then it returns the gates.
func (d *decider) attempt(r *journey, env v1alpha1.Environment, p *place, inside *journey) []v1alpha1.Gate {
	if _, skips := r.promoted(env.Name); inside == nil {
		switch like := d.like(r, env.Name, p); {
		case like == equal:
			d.pass(r, env.Name, p)
			return nil
		case like == unclear && !skips:
			return []v1alpha1.Gate{closed(gateTurn, "%s is still being brought to what this renders%s", env.Name, d.whyOf(p))}
		}
	}
	gates := d.gates(r, env, p, inside)
	if slices.ContainsFunc(gates, func(g v1alpha1.Gate) bool { return !g.Open }) {
		d.propose(r, env.Name, gates)
		return gates
	}
	d.release(r, env.Name, p)
	if inside != nil {
		d.supersede(inside, r, env.Name)
	}
	previous := p.Source.Revision
	if p.Release == r.Name { // it was brought there before a crash, or never went back
		previous = cmp.Or(revisionOf(p.LastGood), r.at(env.Name).Previous)
	}
	d.enter(r, env.Name, previous)
	d.advance(r, env, p)
	return nil
}

// settle says what becomes of those that wait when first goes first: what is older is superseded, unless it is spared,
// and what is newer waits.
func (d *decider) settle(waiting []*journey, first *journey, spared []*journey, name string) {
	for _, r := range d.releases {
		if r.Spec.Sequence < first.Spec.Sequence && r.stage(name) == v1alpha1.StageWaiting && !slices.Contains(spared, r) {
			d.supersede(r, first, name)
		}
	}
	for _, r := range waiting {
		if r.Spec.Sequence > first.Spec.Sequence {
			d.shut(r, name, gateTurn, first.Name+" was promoted, and goes first")
		}
	}
}

// likeness says whether what runs in an environment is what a Release would bring.
type likeness int

const (
	different likeness = iota
	// unclear: the App is to run the same, or may be, and does not yet.
	unclear
	equal
)

// like compares what runs in an environment, where nobody is at work, with what r would bring.
func (d *decider) like(r *journey, name string, p *place) likeness {
	intent := r.intent(name)
	if intent.Gone && p.app == nil {
		return equal
	}
	if intent.Gone || p.app == nil || p.Removal != "" || intent.Digest == "" || intent.Path != p.Source.Path ||
		intent.Cluster != p.Source.Cluster || intent.Namespace != p.Source.Namespace {
		return different
	}
	if by := d.byName[p.Release]; by != nil && by.stage(name) != v1alpha1.StageDone {
		return different // what runs there has not passed
	} else if by == nil && p.Release != "" && (!applied(p.app) || !well(p.app)) {
		return different // nothing is known of what runs there, and it does not run well
	}
	current := settled(p.app) && p.was.Source == p.Source
	digest := p.Digest
	if digest == "" && current && applied(p.app) {
		digest = p.app.Status.Digest // what was last rendered is what runs
	}
	switch {
	case digest != "" && digest != intent.Digest, digest == "" && current:
		return different
	case !current || !applied(p.app):
		return unclear
	}
	return equal
}

// settled reports whether an App's controller has acted on the whole of its spec.
func settled(app *v1alpha1.App) bool { return app.Status.ObservedGeneration == app.Generation }

// pass lets r through an environment that it does not change.
func (d *decider) pass(r *journey, name string, p *place) {
	if p.Hold.Active() && p.Hold.By == "" && d.mends(r, name, p.Hold) {
		d.release(r, name, p)
	}
	d.becomes(r, name, v1alpha1.StageDone, "")
	r.at(name).Unchanged, r.at(name).Promotion = true, ""
	d.note(r, history.Passed, name, "", "it renders what runs there already")
}

// enter puts r into an environment: from here it is the one that the environment is brought to.
func (d *decider) enter(r *journey, name, previous string) {
	d.becomes(r, name, v1alpha1.StageRunning, "")
	at := r.at(name)
	at.Previous, at.Promotion, at.Moved = previous, "", nil
	if h := d.places[name].Hold; h != nil && h.Ended != nil && h.Release == r.Name {
		at.Resumed = &h.Ended.At
	}
	d.note(r, history.Started, name, "", "")
}

// supersede ends r in an environment because a newer Release takes its place there.
func (d *decider) supersede(r, newer *journey, name string) {
	why := fmt.Sprintf("%s, which is newer and holds this change too, took its place in %s", newer.Name, name)
	d.becomes(r, name, v1alpha1.StageSuperseded, why)
	r.at(name).Promotion = ""
	r.status.SupersededBy = newer.Name
	d.note(r, history.Superseded, name, "", why)
}

// wait leaves r before an environment, for the first of its gates that is closed.
func (d *decider) wait(r *journey, name string, gates []v1alpha1.Gate) {
	at := r.at(name)
	known := at.Gates
	at.Gates = gates
	why := ""
	for _, g := range gates {
		if g.Open {
			continue
		}
		if why == "" {
			why = g.Message
		}
		if forPeople[g.Name] && !slices.ContainsFunc(known, func(old v1alpha1.Gate) bool { return old.Name == g.Name && !old.Open }) {
			d.note(r, history.Waiting, name, "", g.Message)
		}
	}
	d.because(at, why)
}

// shut leaves r before an environment because of one gate.
func (d *decider) shut(r *journey, name, gate, message string) {
	d.wait(r, name, []v1alpha1.Gate{{Name: gate, Message: message}})
}
