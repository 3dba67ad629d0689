package release

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

// crowd are the services of one commit before an environment with few places, as the controller would look at them.
type crowd struct {
	t      *testing.T
	rng    *rand.Rand
	groups groups
	places map[string]int
	is     map[types.NamespacedName]*v1alpha1.Release
	// due are those that are to be looked at, and later those that come back by themselves: a time has come, or what could
	// not be read is read again.
	due, later []types.NamespacedName
	looks      int
}

// look decides about a service as release.Next would: it goes in when there is a place and nothing else is missing. One that
// is at work is done.
func (c *crowd) look(key types.NamespacedName) {
	c.looks++
	is := c.is[key]
	next := is.DeepCopy()
	_, woken, err := c.groups.decide(key, []*v1alpha1.Release{is}, surroundings{places: c.places, members: alone().members},
		func(peers map[release.Peer]release.Peers, _ map[string][]v1alpha1.ReleaseAction) release.Decision {
			at := &next.Status.Environments[0]
			busy := peers[release.Peer{Group: "g", Environment: "prod"}].Busy
			switch {
			case at.Stage == v1alpha1.StageRunning:
				at.Stage = v1alpha1.StageDone
			case c.rng.IntN(10) == 0: // its window has closed
				at.Gates = []v1alpha1.Gate{{Name: "windows"}, {Name: "group", Open: busy < c.places["prod"]}}
			case busy < c.places["prod"]:
				at.Stage, at.Gates = v1alpha1.StageRunning, nil
			default:
				at.Gates = []v1alpha1.Gate{{Name: "windows", Open: true}, {Name: "group"}}
			}
			return release.Decision{Statuses: map[string]v1alpha1.ReleaseStatus{is.Name: next.Status}}
		})
	if err != nil {
		c.t.Fatal(err)
	}
	c.is[key] = next
	if at := next.Status.Environments[0]; at.Stage == v1alpha1.StageRunning || at.Stage == v1alpha1.StageWaiting && !release.AwaitsPlace(at) {
		c.later = append(c.later, key)
	}
	c.wake(woken)
}

// wake queues services, as a controller's queue does: one that is in it already stays where it is.
func (c *crowd) wake(services []types.NamespacedName) {
	for _, key := range services {
		if !slices.Contains(c.due, key) {
			c.due = append(c.due, key)
		}
	}
}

// busy counts the services that are at work.
func (c *crowd) busy() (n int) {
	for _, is := range c.is {
		if is.Status.Environments[0].Stage == v1alpha1.StageRunning {
			n++
		}
	}
	return n
}

// TestGroupsQueue brings a commit of many services into an environment with few places. All of them get there, although
// some that are woken do not go in, and some cannot be decided about; no place is ever free while somebody waits for one
// and nobody is looked at; and each is looked at a few times, however many there are.
func TestGroupsQueue(t *testing.T) {
	const services, places = 500, 7
	for seed := range uint64(10) {
		c := &crowd{t: t, rng: rand.New(rand.NewPCG(seed, 9)), places: map[string]int{"prod": places}, is: map[types.NamespacedName]*v1alpha1.Release{}}
		for i := range services {
			name := fmt.Sprintf("s%03d", i)
			key := keyOf("sengu", "shop", name)
			c.is[key] = one(name, map[string]v1alpha1.Stage{"prod": v1alpha1.StageWaiting})
			c.due = append(c.due, key)
		}
		for len(c.due)+len(c.later) > 0 {
			if len(c.due) == 0 {
				waits := slices.ContainsFunc(slices.Collect(maps.Values(c.is)), func(is *v1alpha1.Release) bool {
					return release.AwaitsPlace(is.Status.Environments[0])
				})
				if busy := c.busy(); waits && busy < places {
					t.Fatalf("seed %d: %d are at work, where %d may, others wait for a place, and nobody is woken", seed, busy, places)
				}
				i := c.rng.IntN(len(c.later))
				c.due, c.later = append(c.due, c.later[i]), slices.Delete(c.later, i, i+1)
			}
			key := c.due[0]
			c.due = c.due[1:]
			if c.rng.IntN(20) == 0 { // it cannot be read just now
				c.looks++
				c.later = append(c.later, key)
				c.wake(c.groups.pass(key, c.places))
				continue
			}
			c.look(key)
			if busy := c.busy(); busy > places {
				t.Fatalf("seed %d: %d are at work, where %d may", seed, busy, places)
			}
		}
		for key, is := range c.is {
			if stage := is.Status.Environments[0].Stage; stage != v1alpha1.StageDone {
				t.Fatalf("seed %d: %s is %s at the end, and nobody will look at it again", seed, key.Name, stage)
			}
		}
		if c.looks > 5*services {
			t.Errorf("seed %d: %d services were looked at %d times, want no more than five times each", seed, services, c.looks)
		}
	}
}
