package release

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

// groups keeps in mind how the Releases of one commit fare, so that a limit on how many may be at work holds although
// services are decided about at the same time. All of it is made again from the Releases: a group that is not known, as after
// a start, is read before anything is decided about one of it.
type groups struct {
	mu     sync.Mutex
	groups map[types.NamespacedName]*group
	// in are the groups that a service is a member of.
	in map[types.NamespacedName]map[types.NamespacedName]bool
	// alive holds the services with a Release that has not ended.
	alive map[types.NamespacedName]bool
}

// group is how the services of one commit fare. What a decision asks is counted as it changes: a commit may concern
// every service of a Fleet.
type group struct {
	members map[types.NamespacedName]standing
	// busy and failed are how many are, by environment, and open how many have not come to their end.
	busy, failed map[string]int
	open         int
	// approvals are those that people gave on a service for the whole group.
	approvals map[types.NamespacedName][]v1alpha1.ReleaseAction
}

func newGroup() *group {
	return &group{
		members: map[types.NamespacedName]standing{}, busy: map[string]int{}, failed: map[string]int{}, approvals: map[types.NamespacedName][]v1alpha1.ReleaseAction{},
	}
}

// set notes how a service fares.
func (g *group) set(service types.NamespacedName, is standing) {
	g.add(g.members[service], -1)
	g.add(is, 1)
	g.members[service] = is
	if delete(g.approvals, service); len(is.approvals) > 0 {
		g.approvals[service] = is.approvals
	}
}

func (g *group) add(s standing, n int) {
	for env := range s.busy {
		g.busy[env] += n
	}
	for env := range s.failed {
		g.failed[env] += n
	}
	if s.open() {
		g.open += n
	}
}

// standing is how the Release of one service fares, by environment, and what people approved for the whole group on it.
type standing struct {
	busy, failed, waiting map[string]bool
	// queued are the environments, of those it waits for, in which nothing is missing but a place.
	queued    map[string]bool
	approvals []v1alpha1.ReleaseAction
}

func standingOf(r *v1alpha1.Release, status v1alpha1.ReleaseStatus) standing {
	s := standing{busy: map[string]bool{}, failed: map[string]bool{}, waiting: map[string]bool{}, queued: map[string]bool{}}
	for _, env := range status.Environments {
		switch env.Stage {
		case v1alpha1.StageRunning, v1alpha1.StageVerifying:
			s.busy[env.Name] = true
		case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
			s.failed[env.Name] = true
		case v1alpha1.StageWaiting:
			if status.Ended == nil { // else it stopped before
				s.waiting[env.Name] = true
				if release.AwaitsPlace(env) {
					s.queued[env.Name] = true
				}
			}
		}
	}
	for _, a := range r.Spec.Actions {
		if a.Group {
			s.approvals = append(s.approvals, a)
		}
	}
	return s
}

// open reports whether something goes on, or may begin.
func (s standing) open() bool { return len(s.busy)+len(s.waiting) > 0 }

// surroundings are what a decision about a service needs of others.
type surroundings struct {
	// places are how many services of one change may be brought to an environment at once, of those that have a limit.
	places map[string]int
	// members reads how the services of a group fare.
	members func(group string) (map[types.NamespacedName]standing, error)
}

// decide calls f with how the groups of the Releases fare, and takes in what f decides before anybody else may. It
// returns the services that what was decided may let go on.
func (g *groups) decide(key types.NamespacedName, releases []*v1alpha1.Release, around surroundings, f func(map[release.Peer]release.Peers, map[string][]v1alpha1.ReleaseAction) release.Decision) (release.Decision, []types.NamespacedName, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.groups == nil {
		g.groups, g.in, g.alive = map[types.NamespacedName]*group{}, map[types.NamespacedName]map[types.NamespacedName]bool{}, map[types.NamespacedName]bool{}
	}
	peers, approvals := map[release.Peer]release.Peers{}, map[string][]v1alpha1.ReleaseAction{}
	for _, r := range releases {
		if r.Status.Ended != nil {
			continue
		}
		if err := g.recall(key, r, around); err != nil {
			return release.Decision{}, nil, err
		}
		g.count(key, r, peers, approvals)
	}
	decision := f(peers, approvals)
	next := g.leave(key, releases, around.places)
	alive := false
	for _, r := range releases {
		status, changed := decision.Statuses[r.Name]
		if !changed {
			status = r.Status
		}
		if status.Ended == nil {
			alive = true
			if err := g.recall(key, r, around); err != nil {
				return release.Decision{}, nil, err
			}
		}
		next = append(next, g.note(key, r, status, around.places)...)
	}
	g.alive[key] = alive
	if !alive {
		delete(g.alive, key)
	}
	return decision, next, nil
}

// recall reads r's group, unless it is known.
func (g *groups) recall(key types.NamespacedName, r *v1alpha1.Release, around surroundings) error {
	name := types.NamespacedName{Namespace: key.Namespace, Name: r.Spec.Group}
	if g.groups[name] != nil {
		return nil
	}
	members, err := around.members(r.Spec.Group)
	if err != nil {
		return err
	}
	of := newGroup()
	g.groups[name] = of
	for service, is := range members {
		g.set(name, service, is)
	}
	return nil
}

// set notes how a service of a group fares.
func (g *groups) set(name, service types.NamespacedName, is standing) {
	g.groups[name].set(service, is)
	if g.in[service] == nil {
		g.in[service] = map[types.NamespacedName]bool{}
	}
	g.in[service][name] = true
}

// leave takes a service out of the groups of which it has no Release any more, because somebody deleted it. It returns
// whom that concerns.
func (g *groups) leave(key types.NamespacedName, releases []*v1alpha1.Release, places map[string]int) []types.NamespacedName {
	var next []types.NamespacedName
	for name := range g.in[key] {
		if slices.ContainsFunc(releases, func(r *v1alpha1.Release) bool { return r.Spec.Group == name.Name }) {
			continue
		}
		of := g.groups[name]
		was := of.members[key]
		of.set(key, standing{})
		next = append(next, of.concerned(key, was, standing{}, places)...)
		delete(of.members, key)
		g.out(key, name)
		g.tidy(name)
	}
	return next
}

func (g *groups) out(service, name types.NamespacedName) {
	delete(g.in[service], name)
	if len(g.in[service]) == 0 {
		delete(g.in, service)
	}
}

// gone takes in that a service has no Release any more. It returns whom that concerns.
func (g *groups) gone(key types.NamespacedName, places map[string]int) []types.NamespacedName {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.alive, key)
	return g.leave(key, nil, places)
}

// tidy forgets a group in which nothing goes on any more.
func (g *groups) tidy(name types.NamespacedName) {
	of := g.groups[name]
	if of.open > 0 {
		return
	}
	for service := range of.members {
		g.out(service, name)
	}
	delete(g.groups, name)
}

// count says how the other services of r's group fare.
func (g *groups) count(key types.NamespacedName, r *v1alpha1.Release, peers map[release.Peer]release.Peers, approvals map[string][]v1alpha1.ReleaseAction) {
	of := g.groups[types.NamespacedName{Namespace: key.Namespace, Name: r.Spec.Group}]
	own := of.members[key]
	others := func(all map[string]int, own map[string]bool, env string) int {
		if own[env] {
			return all[env] - 1
		}
		return all[env]
	}
	for _, counted := range []map[string]int{of.busy, of.failed} {
		for env := range counted {
			peers[release.Peer{Group: r.Spec.Group, Environment: env}] = release.Peers{
				Busy: others(of.busy, own.busy, env), Failed: others(of.failed, own.failed, env),
			}
		}
	}
	for service, given := range of.approvals {
		if service != key {
			approvals[r.Spec.Group] = append(approvals[r.Spec.Group], given...)
		}
	}
}

// note takes in how r fares now, and returns the services of its group that may go on because of it, or have to say that
// they may not.
func (g *groups) note(key types.NamespacedName, r *v1alpha1.Release, status v1alpha1.ReleaseStatus, places map[string]int) []types.NamespacedName {
	name := types.NamespacedName{Namespace: key.Namespace, Name: r.Spec.Group}
	of := g.groups[name]
	if of == nil {
		return nil // all of it has ended
	}
	was, is := of.members[key], standingOf(r, status)
	g.set(name, key, is)
	next := of.concerned(key, was, is, places)
	if status.Ended != nil {
		g.tidy(name)
	}
	return next
}

// concerned returns the services that wait for something that a service was, and is no longer, or has become: one of so
// many at work, failed, approved for all. Of those that wait for a place only as many are woken as there are places: one that
// does not take it, after all, is concerned too, and the next is woken.
func (g *group) concerned(key types.NamespacedName, was, is standing, places map[string]int) []types.NamespacedName {
	woken := map[types.NamespacedName]bool{}
	news, approved := differing(was.failed, is.failed), len(is.approvals) > len(was.approvals)
	for service, s := range g.members {
		if approved && len(s.waiting) > 0 || slices.ContainsFunc(news, func(env string) bool { return s.waiting[env] }) {
			woken[service] = true
		}
	}
	for env := range places {
		if (was.busy[env] || was.queued[env]) && !is.busy[env] && !is.queued[env] {
			for _, service := range g.next(env, places, types.NamespacedName{}) {
				woken[service] = true
			}
		}
	}
	delete(woken, key)
	return slices.Collect(maps.Keys(woken))
}

// next returns the services that may take the places that are free in an environment, in the order of their names, of those
// that come after one.
func (g *group) next(env string, places map[string]int, after types.NamespacedName) []types.NamespacedName {
	free := places[env] - g.busy[env]
	if free <= 0 {
		return nil
	}
	var queue []types.NamespacedName
	for service, s := range g.members {
		if s.queued[env] && service.Name > after.Name {
			queue = append(queue, service)
		}
	}
	slices.SortFunc(queue, func(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) })
	return queue[:min(free, len(queue))]
}

// pass returns the services that may take the places that are free for one that could not be decided about: what keeps that
// one from going on holds up no other. It comes back by itself.
func (g *groups) pass(key types.NamespacedName, places map[string]int) []types.NamespacedName {
	g.mu.Lock()
	defer g.mu.Unlock()
	var next []types.NamespacedName
	for name := range g.in[key] {
		of := g.groups[name]
		for env := range of.members[key].queued {
			next = append(next, of.next(env, places, key)...)
		}
	}
	return next
}

// differing returns what is in one of two sets and not in the other.
func differing(a, b map[string]bool) []string {
	var names []string
	for name := range a {
		if !b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if !a[name] {
			names = append(names, name)
		}
	}
	return names
}

// knows reports whether a service has a Release that has not ended.
func (g *groups) knows(namespace, fleet, service string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alive[keyOf(namespace, fleet, service)]
}

// cutKey takes the key of a service apart.
func cutKey(key types.NamespacedName) (fleet, service string) {
	fleet, service, _ = strings.Cut(key.Name, "/")
	return fleet, service
}
