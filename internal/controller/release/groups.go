package release

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

// groups keeps in mind how the Releases of one commit fare, so that a limit on how many may be at work holds although
// services are decided about at the same time. All of it is made again from the Releases: each is looked at after a start.
type groups struct {
	mu sync.Mutex
	// groups holds the services of a group by its name.
	groups map[types.NamespacedName]map[types.NamespacedName]standing
	// alive holds the services with a Release that has not ended.
	alive map[types.NamespacedName]bool
}

// standing is how the Release of one service fares, by environment, and what people approved for the whole group on it.
type standing struct {
	busy, failed, waiting map[string]bool
	approvals             []v1alpha1.ReleaseAction
}

func standingOf(r *v1alpha1.Release, status v1alpha1.ReleaseStatus) standing {
	s := standing{busy: map[string]bool{}, failed: map[string]bool{}, waiting: map[string]bool{}}
	for _, env := range status.Environments {
		switch env.Stage {
		case v1alpha1.StageRunning, v1alpha1.StageVerifying:
			s.busy[env.Name] = true
		case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
			s.failed[env.Name] = true
		case v1alpha1.StageWaiting:
			s.waiting[env.Name] = true
		}
	}
	for _, a := range r.Spec.Actions {
		if a.Group {
			s.approvals = append(s.approvals, a)
		}
	}
	return s
}

// decide calls f with how the groups of the Releases fare, and takes in what f decides before anybody else may. It
// returns the services that what was decided may let go on.
func (g *groups) decide(key types.NamespacedName, releases []*v1alpha1.Release, f func(map[release.Peer]release.Peers, map[string][]v1alpha1.ReleaseAction) release.Decision) (release.Decision, []types.NamespacedName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.groups == nil {
		g.groups, g.alive = map[types.NamespacedName]map[types.NamespacedName]standing{}, map[types.NamespacedName]bool{}
	}
	peers, approvals := map[release.Peer]release.Peers{}, map[string][]v1alpha1.ReleaseAction{}
	for _, r := range releases {
		if r.Status.Ended == nil {
			g.count(key, r, peers, approvals)
		}
	}
	decision := f(peers, approvals)
	next := make([]types.NamespacedName, 0, len(releases))
	alive := false
	for _, r := range releases {
		status, changed := decision.Statuses[r.Name]
		if !changed {
			status = r.Status
		}
		alive = alive || status.Ended == nil
		next = append(next, g.note(key, r, status)...)
	}
	g.alive[key] = alive
	if !alive {
		delete(g.alive, key)
	}
	return decision, next
}

// count adds up how the other services of r's group fare.
func (g *groups) count(key types.NamespacedName, r *v1alpha1.Release, peers map[release.Peer]release.Peers, approvals map[string][]v1alpha1.ReleaseAction) {
	for service, s := range g.groups[types.NamespacedName{Namespace: key.Namespace, Name: r.Spec.Group}] {
		if service == key {
			continue
		}
		for env := range s.busy {
			at := release.Peer{Group: r.Spec.Group, Environment: env}
			is := peers[at]
			is.Busy++
			peers[at] = is
		}
		for env := range s.failed {
			at := release.Peer{Group: r.Spec.Group, Environment: env}
			is := peers[at]
			is.Failed++
			peers[at] = is
		}
		approvals[r.Spec.Group] = append(approvals[r.Spec.Group], s.approvals...)
	}
}

// note takes in how r fares now, and returns the services of its group that may go on because of it.
func (g *groups) note(key types.NamespacedName, r *v1alpha1.Release, status v1alpha1.ReleaseStatus) []types.NamespacedName {
	name := types.NamespacedName{Namespace: key.Namespace, Name: r.Spec.Group}
	members := g.groups[name]
	was, known := members[key]
	is := standingOf(r, status)
	if members == nil {
		members = map[types.NamespacedName]standing{}
		g.groups[name] = members
	}
	members[key] = is
	var freed []string
	for env := range was.busy {
		if !is.busy[env] {
			freed = append(freed, env)
		}
	}
	approved := len(is.approvals) > len(was.approvals)
	var next []types.NamespacedName
	for service, s := range members {
		if service == key {
			continue
		}
		wakes := approved && len(s.waiting) > 0
		for _, env := range freed {
			wakes = wakes || s.waiting[env]
		}
		if wakes && known {
			next = append(next, service)
		}
	}
	if status.Ended != nil && g.quiet(members) {
		delete(g.groups, name)
	}
	return next
}

// quiet reports whether nothing goes on in a group any more.
func (g *groups) quiet(members map[types.NamespacedName]standing) bool {
	for _, s := range members {
		if len(s.busy)+len(s.waiting) > 0 {
			return false
		}
	}
	return true
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
