package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// observation is everything that a decision about a Fleet's Apps rests on.
type observation struct {
	fleet    *v1alpha1.Fleet
	revision string
	places   []layout.Place
	members  map[string]member
	// touched names the Apps whose inputs differ at revision from what they were rendered from.
	touched map[string]bool
	// confirmed is the token of the deletion that a person has confirmed.
	confirmed string
}

// plan is what to do about a Fleet's Apps. The lists are sorted by name.
type plan struct {
	Create  []v1alpha1.AppSpec
	Update  []update
	Delete  []member
	Waiting *v1alpha1.PendingRemoval
	// Why says what a removal waits for, if one does.
	Why string
	// Removing is true while an App that was approved for removal still has objects.
	Removing bool
	Services int
	Apps     int
}

// update is a new spec for an App that exists.
type update struct {
	Member member
	Spec   v1alpha1.AppSpec
}

// decide compares what the repository holds with the Apps that exist.
func decide(o observation) plan {
	p := plan{}
	wanted := map[string]v1alpha1.AppSpec{}
	services := map[string]struct{}{}
	for _, place := range o.places {
		env, ok := layout.Environment(o.fleet, place.Environment)
		if !ok {
			continue
		}
		services[place.Service] = struct{}{}
		wanted[layout.NameOfApp(o.fleet.Name, place.Service, place.Environment)] = layout.SpecOf(o.fleet, env, place, o.revision)
	}
	p.Services, p.Apps = len(services), len(wanted)

	var gone []member
	for name, m := range o.members {
		spec, still := wanted[name]
		if !still {
			gone = append(gone, m)
			continue
		}
		if next, changed := o.next(m, spec); changed {
			p.Update = append(p.Update, update{m, next})
		}
	}
	for name, spec := range wanted {
		if _, exists := o.members[name]; !exists {
			p.Create = append(p.Create, spec)
		}
	}
	o.retire(&p, gone)
	slices.SortFunc(p.Create, func(a, b v1alpha1.AppSpec) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
	})
	slices.SortFunc(p.Update, func(a, b update) int { return cmp.Compare(a.Member.Name, b.Member.Name) })
	return p
}

// next returns the spec that m should have, and whether it differs from the one it has. An App that the revision
// does not touch keeps the revision it has.
func (o observation) next(m member, spec v1alpha1.AppSpec) (v1alpha1.AppSpec, bool) {
	moved := m.Source.Path != spec.Source.Path || m.Source.Cluster != spec.Source.Cluster ||
		m.Source.Namespace != spec.Source.Namespace || m.Removal != ""
	if !moved && !o.touched[m.Name] {
		spec.Source.Revision = m.Source.Revision
	}
	changed := m.Source != spec.Source || m.Removal != "" ||
		m.SelfHeal != *spec.SelfHeal || m.ServiceAccountName != spec.ServiceAccountName
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
	running := slices.DeleteFunc(slices.Clone(waiting), func(m member) bool { return m.Settled && m.Objects == 0 })
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
