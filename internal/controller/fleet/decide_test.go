package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

func shop(mods ...func(*v1alpha1.Fleet)) *v1alpha1.Fleet {
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "sengu"},
		Spec: v1alpha1.FleetSpec{
			Layout: "apps/{service}/{environment}",
			Environments: []v1alpha1.Environment{
				{Name: "dev", Cluster: "dev", Namespace: "{service}-{environment}"},
				{Name: "prod", Cluster: "prod", Namespace: "{service}"},
			},
		},
	}
	for _, mod := range mods {
		mod(f)
	}
	return f
}

func at(service, environment string) layout.Place {
	return layout.Place{Service: service, Environment: environment, Path: "apps/" + service + "/" + environment}
}

// running is an App as decide would have made it at revision r1, synced and with objects.
func running(f *v1alpha1.Fleet, p layout.Place, mods ...func(*member)) member {
	env, _ := layout.Environment(f, p.Environment)
	spec := layout.SpecOf(f, env, p, "r1")
	m := member{
		Name: layout.NameOfApp(f.Name, p.Service, p.Environment), UID: types.UID("uid-" + p.Service + "-" + p.Environment), Generation: 1,
		Service: p.Service, Environment: p.Environment, Source: spec.Source, SelfHeal: true, Settled: true, Objects: 4,
		Inputs: []string{p.Path}, InputsDigest: "d1",
	}
	for _, mod := range mods {
		mod(&m)
	}
	return m
}

func members(all ...member) map[string]member {
	out := map[string]member{}
	for _, m := range all {
		out[m.Name] = m
	}
	return out
}

func pending(m *member)   { m.Removal = v1alpha1.RemovalPending }
func approved(m *member)  { m.Removal = v1alpha1.RemovalApproved }
func empty(m *member)     { m.Objects = 0 }
func large(m *member)     { m.Objects = 10 }
func unsettled(m *member) { m.Settled = false }

// goes is the course of a service that a Release removes.
func goes(group string) course {
	return course{Group: group, Environments: map[string]v1alpha1.ReleaseEnvironment{"dev": {Name: "dev", Gone: true}}}
}

// summary is a plan in words: one line for each App that is written.
func summary(p plan) []string {
	var out []string
	for _, spec := range p.Create {
		out = append(out, "create "+spec.Service+"."+spec.Environment+" at "+spec.Source.Revision)
	}
	for _, u := range p.Update {
		line := "update " + u.Member.Service + "." + u.Member.Environment + " to " + u.Spec.Source.Revision
		if u.Spec.Removal != "" {
			line += " removal " + string(u.Spec.Removal)
		}
		out = append(out, line)
	}
	for _, m := range p.Delete {
		out = append(out, "delete "+m.Service+"."+m.Environment)
	}
	return out
}

func TestDecide(t *testing.T) {
	f := shop()
	many := func(n int, mods ...func(*member)) []member {
		var out []member
		for i := range n {
			out = append(out, running(f, at("s"+string(rune('a'+i)), "dev"), mods...))
		}
		return out
	}
	placesOf := func(all []member) []layout.Place {
		var out []layout.Place
		for _, m := range all {
			out = append(out, layout.Place{Service: m.Service, Environment: m.Environment, Path: m.Source.Path})
		}
		return out
	}
	thirty := many(25)

	cases := map[string]struct {
		reason string
		o      observation
		want   []string
		why    string
		waits  int32
	}{
		"First": {
			reason: "what is there from the first is delivered as it is; an environment that the fleet does not have is passed over",
			o:      observation{baseline: true, places: []layout.Place{at("cart", "dev"), at("cart", "sandbox")}},
			want:   []string{"create cart.dev at r2"},
		},
		"New": {
			reason: "a folder that comes later waits for its Release",
			o:      observation{places: []layout.Place{at("cart", "dev")}},
		},
		"Deleted": {
			reason: "an App that somebody deleted is made again as it was, and not at the head",
			o: observation{
				places: []layout.Place{at("cart", "dev")},
				lost:   map[string]v1alpha1.AppSpec{"cart.dev.shop": {Source: v1alpha1.AppSource{Revision: "r0"}, Release: "old"}},
			},
			want: []string{"create cart.dev at r0"},
		},
		"DeletedWhileAway": {
			reason: "an App that was deleted while nobody looked is made again as its Release left it",
			o: observation{
				places: []layout.Place{at("cart", "dev"), at("cart", "prod")},
				courses: map[string]course{"cart": {
					Revision: "r1", Environments: map[string]v1alpha1.ReleaseEnvironment{"dev": {Name: "dev"}, "prod": {Name: "prod"}}, Passed: map[string]bool{"dev": true},
				}},
			},
			want: []string{"create cart.dev at r1"},
		},
		"Untouched": {
			reason: "an App that the commit does not touch keeps its revision and is not written",
			o:      observation{places: []layout.Place{at("cart", "dev")}, members: members(running(f, at("cart", "dev")))},
		},
		"SelfHealChanged": {
			reason: "a setting of the fleet reaches the App without moving it",
			o: observation{
				fleet:  shop(func(f *v1alpha1.Fleet) { f.Spec.SelfHeal = new(bool) }),
				places: []layout.Place{at("cart", "dev")}, members: members(running(f, at("cart", "dev"))),
			},
			want: []string{"update cart.dev to r1"},
		},
		"GoneWaitsForItsRelease": {
			reason: "an App whose folder is gone runs on until its Release removes it",
			o:      observation{places: placesOf(thirty), members: members(append(thirty, running(f, at("cart", "dev")))...)},
		},
		"ReleaseRemovesMany": {
			reason: "what a Release removes has been approved, however much it is",
			o: observation{
				places: placesOf(thirty[3:]), members: members(append(many(3, pending, large), thirty[3:]...)...),
				courses: map[string]course{"sa": goes("g"), "sb": goes("g"), "sc": goes("g")},
			},
			want: []string{
				"update sa.dev to r1 removal Approved", "update sb.dev to r1 removal Approved", "update sc.dev to r1 removal Approved",
			},
		},
		"HeirIsOnItsWay": {
			reason: "an App of the same commit that is yet to be made may take over what the one that goes leaves",
			o: observation{
				places: append(placesOf(thirty), at("cart2", "dev")), members: members(append(thirty, running(f, at("cart", "dev"), pending))...),
				courses: map[string]course{"cart": goes("g"), "cart2": {Group: "g"}},
			},
			why: "cart2, of the same commit, has yet to come to dev and may take over what cart leaves",
		},
		"GoneThenApproved": {
			reason: "one App of many is removed without asking once all others have settled",
			o:      observation{places: placesOf(thirty), members: members(append(thirty, running(f, at("cart", "dev"), pending))...)},
			want:   []string{"update cart.dev to r1 removal Approved"},
		},
		"GoneWaitsForOthers": {
			reason: "an App that has not settled may still want an object of the one that goes",
			o: observation{
				places:  placesOf(thirty),
				members: members(append(append([]member{}, thirty[1:]...), running(f, at("sa", "dev"), unsettled), running(f, at("cart", "dev"), pending))...),
			},
			why: "App sa.dev.shop is being synced",
		},
		"TooManyGone": {
			reason: "more than a tenth at once waits for a person",
			o:      observation{places: placesOf(thirty[3:]), members: members(append(many(3, pending), thirty[3:]...)...)},
			why:    "3 of 25 Apps disappeared from the repository at once",
			waits:  3,
		},
		"Emptied": {
			reason: "an emptied repository deletes nothing by itself",
			o:      observation{members: members(many(2, pending)...)},
			why:    "2 of 2 Apps disappeared",
			waits:  2,
		},
		"Large": {
			reason: "one App with many objects waits for a person although it is one of many",
			o:      observation{places: placesOf(thirty), members: members(append(thirty, running(f, at("cart", "dev"), pending, large))...)},
			why:    "cart.dev.shop disappeared from the repository with all of its 10 objects",
			waits:  1,
		},
		"LastOne": {
			reason: "a single App is within the budget however small the fleet is",
			o:      observation{members: members(running(f, at("cart", "dev"), pending))},
			want:   []string{"update cart.dev to r1 removal Approved"},
		},
		"HandedOver": {
			reason: "Apps whose objects have all been taken over go without asking: a renamed folder deletes nothing",
			o:      observation{places: []layout.Place{at("new", "dev")}, members: members(append(many(3, pending, empty), running(f, at("new", "dev")))...)},
			want: []string{
				"update sa.dev to r1 removal Approved", "update sb.dev to r1 removal Approved", "update sc.dev to r1 removal Approved",
			},
		},
		"EnvironmentRemoved": {
			reason: "an environment that left the fleet keeps running until a person confirms, even if it is one App",
			o: observation{
				fleet:   shop(func(f *v1alpha1.Fleet) { f.Spec.Environments = f.Spec.Environments[:1] }),
				places:  append(placesOf(thirty), at("cart", "prod")),
				members: members(append(thirty, running(f, at("cart", "prod"), pending))...),
			},
			why:   "environment prod is no longer in the fleet, and 1 of its Apps still run",
			waits: 1,
		},
		"Back": {
			reason: "an environment that comes back ends the removal",
			o:      observation{places: []layout.Place{at("cart", "dev")}, members: members(running(f, at("cart", "dev"), pending))},
			want:   []string{"update cart.dev to r1"},
		},
		"Finished": {
			reason: "an approved App that has nothing left goes",
			o:      observation{places: placesOf(thirty), members: members(append(thirty, running(f, at("cart", "dev"), approved, empty))...)},
			want:   []string{"delete cart.dev"},
		},
		"NotFinished": {
			reason: "an approved App with objects stays until they are gone",
			o:      observation{places: placesOf(thirty), members: members(append(thirty, running(f, at("cart", "dev"), approved))...)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := tc.o
			if o.fleet == nil {
				o.fleet = f
			}
			o.revision = "r2"
			got := decide(o)
			if diff := cmp.Diff(tc.want, summary(got)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if !strings.Contains(got.Why, tc.why) || (tc.why == "") != (got.Why == "") {
				t.Errorf("%s: why is %q, want %q in it", tc.reason, got.Why, tc.why)
			}
			if tc.waits > 0 && (got.Waiting == nil || got.Waiting.Count != tc.waits) {
				t.Errorf("%s: waits for the confirmation of %v, want %d", tc.reason, got.Waiting, tc.waits)
			}
			if tc.waits == 0 && got.Waiting != nil {
				t.Errorf("%s: waits for a confirmation of %v", tc.reason, got.Waiting)
			}
		})
	}
}

func TestConfirmationIsForExactlyWhatWasShown(t *testing.T) {
	f := shop()
	a, b, c := running(f, at("a", "dev"), pending), running(f, at("b", "dev"), pending), running(f, at("c", "dev"), pending)
	shown := decide(observation{fleet: f, revision: "r2", members: members(a, b)})
	if shown.Waiting == nil {
		t.Fatal("nothing waits")
	}
	confirmed := decide(observation{fleet: f, revision: "r2", members: members(a, b), confirmed: shown.Waiting.Token})
	if got := len(confirmed.Update); got != 2 {
		t.Errorf("a confirmed removal approves %d Apps, want 2", got)
	}
	more := decide(observation{fleet: f, revision: "r2", members: members(a, b, c), confirmed: shown.Waiting.Token})
	if len(more.Update) != 0 || more.Waiting == nil {
		t.Errorf("the confirmation of two Apps let three go: %v", summary(more))
	}
}
