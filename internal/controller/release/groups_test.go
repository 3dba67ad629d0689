package release

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

var stagesOf = []v1alpha1.Stage{
	v1alpha1.StageWaiting, v1alpha1.StageRunning, v1alpha1.StageVerifying, v1alpha1.StageDone, v1alpha1.StageFailed, v1alpha1.StageRolledBack,
}

// one is the Release of a service in a group, with a stage for each environment. Where it waits, it waits for a place.
func one(service string, stages map[string]v1alpha1.Stage) *v1alpha1.Release {
	r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: service}, Spec: v1alpha1.ReleaseSpec{Fleet: "shop", Service: service, Group: "g"}}
	for _, env := range slices.Sorted(maps.Keys(stages)) {
		at := v1alpha1.ReleaseEnvironmentStatus{Name: env, Stage: stages[env]}
		if at.Stage == v1alpha1.StageWaiting {
			at.Gates = []v1alpha1.Gate{{Name: "approval", Open: true}, {Name: "group"}}
		}
		r.Status.Environments = append(r.Status.Environments, at)
	}
	return r
}

// look decides about a Release that becomes next, and returns what it was told of the others and whom it wakes.
func look(t *testing.T, g *groups, is, next *v1alpha1.Release, around surroundings) (told map[release.Peer]release.Peers, approvals int, wakes []string) {
	t.Helper()
	_, woken, err := g.decide(keyOf("sengu", "shop", is.Spec.Service), []*v1alpha1.Release{is}, around,
		func(peers map[release.Peer]release.Peers, given map[string][]v1alpha1.ReleaseAction) release.Decision {
			told, approvals = maps.Clone(peers), len(given["g"])
			return release.Decision{Statuses: map[string]v1alpha1.ReleaseStatus{is.Name: next.Status}}
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range woken {
		_, service := cutKey(key)
		wakes = append(wakes, service)
	}
	slices.Sort(wakes)
	maps.DeleteFunc(told, func(_ release.Peer, is release.Peers) bool { return is == release.Peers{} })
	return told, approvals, wakes
}

func alone() surroundings {
	return surroundings{members: func(string) (map[types.NamespacedName]standing, error) { return nil, nil }}
}

// TestGroupsCount holds what is counted as it changes to what is counted anew, in random histories.
func TestGroupsCount(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var g groups
		all := map[string]*v1alpha1.Release{}
		for step := range 200 {
			service := fmt.Sprintf("s%d", rng.IntN(8))
			is := all[service]
			if is == nil {
				is = one(service, map[string]v1alpha1.Stage{"dev": v1alpha1.StageWaiting})
			}
			next := one(service, map[string]v1alpha1.Stage{"dev": stagesOf[rng.IntN(len(stagesOf))], "prod": stagesOf[rng.IntN(len(stagesOf))]})
			for range rng.IntN(3) {
				next.Spec.Actions = append(next.Spec.Actions, v1alpha1.ReleaseAction{Group: true})
			}
			is.Spec.Actions = next.Spec.Actions
			want, approvals := map[release.Peer]release.Peers{}, 0
			for other, r := range all {
				if other == service {
					continue
				}
				for _, env := range r.Status.Environments {
					at := release.Peer{Group: "g", Environment: env.Name}
					n := want[at]
					switch env.Stage {
					case v1alpha1.StageRunning, v1alpha1.StageVerifying:
						n.Busy++
					case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
						n.Failed++
					default:
						continue
					}
					want[at] = n
				}
				approvals += len(r.Spec.Actions)
			}
			told, given, _ := look(t, &g, is, next, alone())
			if diff := cmp.Diff(want, told); diff != "" || approvals != given {
				t.Fatalf("seed %d, step %d: told of %d approvals, want %d; of others: -want +got:\n%s", seed, step, given, approvals, diff)
			}
			all[service] = next
		}
	}
}

// TestGroupsWake wakes those who wait for what has changed, and nobody else.
func TestGroupsWake(t *testing.T) {
	waiting := map[string]v1alpha1.Stage{"dev": v1alpha1.StageDone, "prod": v1alpha1.StageWaiting}
	cases := map[string]struct {
		reason  string
		is      v1alpha1.Stage
		next    v1alpha1.Stage
		limited bool
		approve bool
		want    []string
	}{
		"Passed":        {reason: "where all may go at once, nobody waits for another", is: v1alpha1.StageRunning, next: v1alpha1.StageDone},
		"PassedLimited": {reason: "where few may, one that has passed makes room", is: v1alpha1.StageRunning, next: v1alpha1.StageDone, limited: true, want: []string{"mail", "shop"}},
		"StillAtWork":   {reason: "one that is verified makes none", is: v1alpha1.StageRunning, next: v1alpha1.StageVerifying, limited: true},
		"Failed":        {reason: "that one has failed, the others say", is: v1alpha1.StageRunning, next: v1alpha1.StageFailed, want: []string{"mail", "shop"}},
		"Tried again":   {reason: "that it is tried again, they say too", is: v1alpha1.StageFailed, next: v1alpha1.StageRunning, want: []string{"mail", "shop"}},
		"RolledBack":    {reason: "that it is back is no news to them", is: v1alpha1.StageFailed, next: v1alpha1.StageRolledBack},
		"Approved":      {reason: "an approval for all lets all go on", is: v1alpha1.StageWaiting, next: v1alpha1.StageWaiting, approve: true, want: []string{"mail", "shop"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var g groups
			around := alone()
			if tc.limited {
				around.places = map[string]int{"prod": 2}
			}
			for _, other := range []string{"mail", "shop"} {
				look(t, &g, one(other, waiting), one(other, waiting), around)
			}
			look(t, &g, one("done", map[string]v1alpha1.Stage{"prod": v1alpha1.StageDone}), one("done", map[string]v1alpha1.Stage{"prod": v1alpha1.StageDone}), around)
			is, next := one("cart", map[string]v1alpha1.Stage{"prod": tc.is}), one("cart", map[string]v1alpha1.Stage{"prod": tc.next})
			look(t, &g, is, is, around)
			if tc.approve {
				is.Spec.Actions = []v1alpha1.ReleaseAction{{Group: true}}
			}
			if _, _, woken := look(t, &g, is, next, around); !slices.Equal(woken, tc.want) {
				t.Errorf("%s: %v were woken, want %v", tc.reason, woken, tc.want)
			}
		})
	}
}

// TestGroupsRecall has a service looked at first after a start: what the others of its commit have come to counts all the
// same, and while that cannot be read nothing is decided.
func TestGroupsRecall(t *testing.T) {
	var g groups
	asked := 0
	failed := one("mail", map[string]v1alpha1.Stage{"prod": v1alpha1.StageFailed})
	busy := one("cart", map[string]v1alpha1.Stage{"prod": v1alpha1.StageRunning})
	around := surroundings{members: func(string) (map[types.NamespacedName]standing, error) {
		if asked++; asked == 1 {
			return nil, errors.New("not now")
		}
		return map[types.NamespacedName]standing{
			keyOf("sengu", "shop", "mail"): standingOf(failed, failed.Status), keyOf("sengu", "shop", "cart"): standingOf(busy, busy.Status),
		}, nil
	}}
	is := one("shop", map[string]v1alpha1.Stage{"prod": v1alpha1.StageWaiting})
	_, _, err := g.decide(keyOf("sengu", "shop", "shop"), []*v1alpha1.Release{is}, around, func(map[release.Peer]release.Peers, map[string][]v1alpha1.ReleaseAction) release.Decision {
		t.Error("something was decided while it was not known how the others fare")
		return release.Decision{}
	})
	if err == nil {
		t.Error("that the others could not be read is not told")
	}
	told, _, _ := look(t, &g, is, is, around)
	want := map[release.Peer]release.Peers{{Group: "g", Environment: "prod"}: {Busy: 1, Failed: 1}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("what is told of the others: -want +got:\n%s", diff)
	}
	look(t, &g, is, is, around)
	if asked != 2 {
		t.Errorf("the group was read %d times, want twice: when it could not be, and once more", asked)
	}
	done := one("shop", map[string]v1alpha1.Stage{"prod": v1alpha1.StageDone})
	now := metav1.Now()
	done.Status.Ended = &now
	for _, service := range []string{"mail", "cart", "shop"} {
		done.Name, done.Spec.Service = service, service
		look(t, &g, one(service, nil), done, around)
	}
	if len(g.groups)+len(g.alive)+len(g.in) > 0 {
		t.Errorf("something is kept of a group that has ended: %v, %v", g.groups, g.alive)
	}
}

// TestGroupsLeave has somebody delete a Release that is at work, of a service that has another one, and of one that has
// none: its place is free, and who waits for it is woken.
func TestGroupsLeave(t *testing.T) {
	waiting := map[string]v1alpha1.Stage{"prod": v1alpha1.StageWaiting}
	for name, leave := range map[string]func(*groups, surroundings) []string{
		"Another": func(g *groups, around surroundings) []string {
			later := one("cart", waiting)
			later.Spec.Group = "later"
			_, _, woken := look(t, g, later, later, around)
			return woken
		},
		"None": func(g *groups, around surroundings) []string {
			var woken []string
			for _, key := range g.gone(keyOf("sengu", "shop", "cart"), around.places) {
				_, service := cutKey(key)
				woken = append(woken, service)
			}
			return woken
		},
	} {
		t.Run(name, func(t *testing.T) {
			var g groups
			around := alone()
			around.places = map[string]int{"prod": 1}
			busy := one("cart", map[string]v1alpha1.Stage{"prod": v1alpha1.StageRunning})
			look(t, &g, busy, busy, around)
			look(t, &g, one("mail", waiting), one("mail", waiting), around)
			if woken := leave(&g, around); !slices.Equal(woken, []string{"mail"}) {
				t.Errorf("%v were woken, want mail", woken)
			}
			if told, _, _ := look(t, &g, one("mail", waiting), one("mail", waiting), around); len(told) > 0 {
				t.Errorf("what was deleted still counts: %v", told)
			}
		})
	}
}

// TestGroupsForgetWhatFailed keeps nothing of a group whose Releases have ended before they came to every environment.
func TestGroupsForgetWhatFailed(t *testing.T) {
	var g groups
	now := metav1.Now()
	is := one("cart", map[string]v1alpha1.Stage{"dev": v1alpha1.StageRunning, "prod": v1alpha1.StageWaiting})
	next := one("cart", map[string]v1alpha1.Stage{"dev": v1alpha1.StageFailed, "prod": v1alpha1.StageWaiting})
	next.Status.Ended = &now
	look(t, &g, is, next, alone())
	if len(g.groups)+len(g.alive)+len(g.in) > 0 {
		t.Errorf("something is kept: %v, %v, %v", g.groups, g.alive, g.in)
	}
}
