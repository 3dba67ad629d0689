package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/standing"
)

// observation is everything that a decision about a Fleet's Apps rests on. It is of all services, or of those of which
// something has changed since the last decision; of all, if an App is on its way out.
type observation struct {
	fleet    *v1alpha1.Fleet
	revision string
	places   []layout.Place
	members  map[string]member
	// courses are the newest Releases of the services.
	courses map[string]course
	// lost are the Apps that somebody deleted, as they were.
	lost map[string]v1alpha1.AppSpec
	// standing is what the Fleet ran before its cluster was lost.
	standing []standing.App
	// unreadable are the services of which a folder cannot be read: nobody knows what of them is gone.
	unreadable map[string]error
	// concerned are the services to be looked at, by look: true for one that is suspected, and has to be looked at anew.
	concerned map[string]bool
	look      *survey
	// baseline is true until a revision has been compared once: what is there then is delivered as it is.
	baseline bool
	// confirmed is the token of the deletion that a person has confirmed.
	confirmed string
}

// plan is what to do about a Fleet's Apps. The lists are sorted by name.
type plan struct {
	// Create lists the Apps that are there from the first. Later ones are made by their Release.
	Create  []v1alpha1.AppSpec
	Update  []update
	Delete  []member
	Waiting *v1alpha1.PendingRemoval
	// Why says what a removal waits for, if one does.
	Why string
	// Removing is true while an App that was approved for removal still has objects.
	Removing bool
}

// update is a new spec for an App that exists.
type update struct {
	Member member
	Spec   v1alpha1.AppSpec
}

// decide compares what the repository holds with the Apps that exist.
func decide(o observation) plan {
	p := plan{}
	wanted := map[string]bool{}
	for _, place := range o.places {
		env, ok := layout.Environment(o.fleet, place.Environment)
		if !ok {
			continue
		}
		name := layout.NameOfApp(o.fleet.Name, place.Service, place.Environment)
		wanted[name] = true
		spec := layout.SpecOf(o.fleet, env, place, o.revision)
		m, exists := o.members[name]
		if !exists {
			if spec, made := o.first(name, spec); made {
				p.Create = append(p.Create, spec)
			}
			continue
		}
		if next, changed := o.next(m, spec); changed {
			p.Update = append(p.Update, update{m, next})
		}
	}
	o.restore(&p)
	o.retire(&p, o.leaving(wanted))
	slices.SortFunc(p.Create, func(a, b v1alpha1.AppSpec) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
	})
	slices.SortFunc(p.Update, func(a, b update) int { return cmp.Compare(a.Member.Name, b.Member.Name) })
	return p
}

// restore makes the Apps of a lost cluster as they were, in place of what the branch says now. What differs from it goes
// through the environments as every change does.
func (o observation) restore(p *plan) {
	if !o.baseline || len(o.standing) == 0 {
		return
	}
	p.Create = nil
	for _, was := range o.standing {
		env, ok := layout.Environment(o.fleet, was.Environment)
		if _, exists := o.members[layout.NameOfApp(o.fleet.Name, was.Service, was.Environment)]; exists || !ok {
			continue
		}
		spec := layout.SpecOf(o.fleet, env, layout.Place{Service: was.Service, Environment: was.Environment, Path: was.Source.Path}, was.Source.Revision)
		spec.Source = was.Source
		p.Create = append(p.Create, spec)
	}
}

// first returns what an App that does not exist is made as without waiting for a Release: as it was if somebody deleted
// it, as its Release left it, or as the repository says if nothing of the Fleet has been delivered yet.
func (o observation) first(name string, spec v1alpha1.AppSpec) (v1alpha1.AppSpec, bool) {
	if was, lost := o.lost[name]; lost {
		spec.Source, spec.Digest, spec.Release, spec.LastGood, spec.Hold = was.Source, was.Digest, was.Release, was.LastGood, was.Hold
		return spec, true
	}
	c := o.courses[spec.Service]
	env, released := c.Environments[spec.Environment]
	if released && (env.Gone || !c.Passed[spec.Environment]) {
		return spec, false // its Release brings it
	}
	if released {
		spec.Source = v1alpha1.AppSource{Revision: c.Revision, Path: env.Path, Cluster: env.Cluster, Namespace: env.Namespace}
		spec.Digest, spec.Release = env.Digest, c.Release
		return spec, true
	}
	return spec, o.baseline
}

// leaving returns the Apps that are on their way out: because a Release removes them, or because their environment is
// no longer in the Fleet. One whose folder alone is gone waits for its Release, and one whose folder cannot be read stays.
func (o observation) leaving(wanted map[string]bool) []member {
	var gone []member
	for name, m := range o.members {
		if o.unreadable[m.Service] != nil {
			continue
		}
		_, known := layout.Environment(o.fleet, m.Environment)
		if !known || m.Removal != "" && (!wanted[name] || o.released(m)) {
			gone = append(gone, m)
		}
	}
	return gone
}

// released reports whether a Release means m to go.
func (o observation) released(m member) bool {
	return o.courses[m.Service].Environments[m.Environment].Gone
}

// next returns the spec that m should have as far as the Fleet says, and whether it differs from the one it has. What it
// runs is for its Releases to say.
func (o observation) next(m member, spec v1alpha1.AppSpec) (v1alpha1.AppSpec, bool) {
	spec.Source, spec.Removal = m.Source, m.Removal
	if m.Removal != "" && !o.released(m) && m.Release == "" {
		spec.Removal = "" // its environment is back
	}
	changed := m.Removal != spec.Removal || m.SelfHeal != *spec.SelfHeal || m.ServiceAccountName != spec.ServiceAccountName
	return spec, changed
}

// retire decides about Apps that the repository no longer has. First they want nothing (Pending), so that others may
// take their objects over; once everybody else has settled and the budget or a person allows it, what is left is
// deleted (Approved); and when nothing is left, the App goes.
func (o observation) retire(p *plan, gone []member) {
	slices.SortFunc(gone, func(a, b member) int { return cmp.Compare(a.Name, b.Name) })
	var waiting []member
	for _, m := range gone {
		switch {
		case m.Removal == v1alpha1.RemovalApproved && m.Objects == 0 && m.Settled:
			p.Delete = append(p.Delete, m)
		case m.Removal == v1alpha1.RemovalApproved:
			p.Removing = true
		default:
			waiting = append(waiting, m)
			if m.Removal == "" {
				p.Update = append(p.Update, update{m, o.removed(m, v1alpha1.RemovalPending)})
			}
		}
	}
	if len(waiting) == 0 {
		return
	}
	if why := o.holdsBack(p, waiting); why != "" {
		p.Why = why
		return
	}
	p.Removing = true
	for _, m := range waiting {
		p.Update = append(p.Update, update{m, o.removed(m, v1alpha1.RemovalApproved)})
	}
}

// holdsBack says why the removal of waiting cannot go on yet, or "" if it can. It fills p.Waiting when a person is
// what it waits for.
func (o observation) holdsBack(p *plan, waiting []member) string {
	// An App whose objects have all been taken over has nothing left to delete, and nobody needs to be asked.
	// One that a Release removes has been approved.
	running := slices.DeleteFunc(slices.Clone(waiting), func(m member) bool { return m.Settled && m.Objects == 0 || o.released(m) })
	pending := pendingRemoval(running)
	if reason := o.needsPerson(running); reason != "" && o.confirmed != pending.Token {
		p.Waiting = pending
		return fmt.Sprintf("%s: nothing is deleted until somebody runs `sengu confirm fleet/%s %s`", reason, o.fleet.Name, pending.Token)
	}
	for _, m := range waiting {
		if m.Removal == "" {
			return fmt.Sprintf("%s disappeared from the repository: its objects are offered to other Apps first", m.Name)
		}
	}
	if why := o.mayInherit(waiting); why != "" {
		return why
	}
	if n := len(p.Create) + len(p.Update); n > 0 {
		return fmt.Sprintf("%d Apps are being changed before what disappeared from the repository is deleted", n)
	}
	for _, name := range sortedNames(o.members) {
		if m := o.members[name]; m.Removal == "" && !m.Settled {
			return fmt.Sprintf("App %s is being synced before what disappeared from the repository is deleted", name)
		}
	}
	return ""
}

// mayInherit says which App that is yet to be made may take over what one of waiting leaves: a renamed folder is the end
// of one service and the beginning of another, in Releases of one commit.
func (o observation) mayInherit(waiting []member) string {
	for _, place := range o.places {
		course := o.courses[place.Service]
		name := layout.NameOfApp(o.fleet.Name, place.Service, place.Environment)
		if _, exists := o.members[name]; exists || course.Ended || course.Group == "" {
			continue
		}
		for _, m := range waiting {
			if m.Environment == place.Environment && o.courses[m.Service].Group == course.Group {
				return fmt.Sprintf("%s, of the same commit, has yet to come to %s and may take over what %s leaves", place.Service, place.Environment, m.Service)
			}
		}
	}
	return ""
}

// largeApp is how many objects an App has whose removal always waits for a person.
const largeApp = 10

// needsPerson says why the removal of waiting exceeds what Sengu does by itself, or "".
func (o observation) needsPerson(waiting []member) string {
	for _, m := range waiting {
		if _, ok := layout.Environment(o.fleet, m.Environment); !ok {
			return fmt.Sprintf("environment %s is no longer in the fleet, and %d of its Apps still run", m.Environment, countIn(waiting, m.Environment))
		}
	}
	for _, m := range waiting {
		if m.Objects >= largeApp {
			return fmt.Sprintf("%s disappeared from the repository with all of its %d objects", m.Name, m.Objects)
		}
	}
	if len(waiting) >= 2 && len(waiting)*10 > len(o.members) {
		return fmt.Sprintf("%d of %d Apps disappeared from the repository at once", len(waiting), len(o.members))
	}
	return ""
}

func countIn(members []member, environment string) int {
	n := 0
	for _, m := range members {
		if m.Environment == environment {
			n++
		}
	}
	return n
}

// removed returns the spec of m with a step of its removal. The source stays as it is: it says where the objects are.
func (o observation) removed(m member, step v1alpha1.Removal) v1alpha1.AppSpec {
	return v1alpha1.AppSpec{
		Fleet: o.fleet.Name, Service: m.Service, Environment: m.Environment,
		Source: m.Source, SelfHeal: &m.SelfHeal, ServiceAccountName: m.ServiceAccountName, Removal: step,
	}
}

// pendingRemoval describes waiting, with a token that confirms exactly these Apps.
func pendingRemoval(waiting []member) *v1alpha1.PendingRemoval {
	hash := sha256.New()
	pending := &v1alpha1.PendingRemoval{Count: int32(min(len(waiting), 1<<30))}
	for i, m := range waiting {
		hash.Write([]byte(m.Name + " " + string(m.UID) + "\n"))
		if i < 10 {
			pending.Examples = append(pending.Examples, m.Name)
		}
	}
	pending.Token = hex.EncodeToString(hash.Sum(nil))[:10]
	return pending
}

func sortedNames(members map[string]member) []string {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
