package fleet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// town is a Fleet whose repository, Apps and Releases change at random.
type town struct {
	t     *testing.T
	rng   *rand.Rand
	fleet *v1alpha1.Fleet
	st    *state
	files fstest.MapFS
	index *layout.Index
	made  int
	// noted are the services that were said to be looked at, and still are to be.
	noted map[string]struct{}
}

// TestScopeMissesNothing holds what is decided about the services that changed to what is decided about all of them, in
// random histories: what is left out must have had nothing to be done.
func TestScopeMissesNothing(t *testing.T) {
	parsed, err := layout.Parse(shop().Spec.Layout)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(500) {
		w := &town{
			t: t, rng: rand.New(rand.NewPCG(seed, 2)), fleet: shop(), st: &state{roster: newRoster()}, files: fstest.MapFS{}, noted: map[string]struct{}{},
		}
		if w.index, err = layout.NewIndex(parsed, w.files); err != nil {
			t.Fatal(err)
		}
		everything := true
		for step := range 60 {
			moved := map[string]struct{}{}
			for range 1 + w.rng.IntN(2) {
				w.change(moved)
			}
			all, allMoved := w.decide(everythingOf(w.st, w.fleet, w.index))
			part, partMoved := w.decide(w.st.scope(w.fleet, w.index, moved, everything))
			if diff := cmp.Diff(all, part); diff != "" {
				t.Fatalf("seed %d, step %d: what is decided about what changed differs from what is decided about all (-all +changed):\n%s", seed, step, diff)
			}
			w.checkMoved(allMoved, partMoved)
			w.checkCensus()
			w.settle(all)
			everything = all.Why != "" || all.Removing
		}
	}
}

// everythingOf is a scope of all that is known, and changes nothing of st.
func everythingOf(st *state, fleet *v1alpha1.Fleet, all index) scope {
	other := &state{roster: newRoster()}
	s := other.scope(fleet, all, nil, true)
	s.view = st.roster.all()
	return s
}

// decide returns what is decided, and the services that are to be looked at.
func (w *town) decide(s scope) (plan, map[string]struct{}) {
	look := &survey{fleet: w.fleet, st: w.st, places: s.places}
	p := decide(observation{fleet: w.fleet, revision: "r2", places: s.folders(), members: s.members, courses: s.courses, lost: s.lost})
	moved := map[string]struct{}{}
	for service := range s.services() {
		if look.moved(service) {
			moved[service] = struct{}{}
		}
	}
	return p, moved
}

// checkMoved sees to it that every service that is to be looked at was said to be since it is.
func (w *town) checkMoved(all, said map[string]struct{}) {
	w.t.Helper()
	maps.Copy(w.noted, said)
	for service := range all {
		if _, ok := w.noted[service]; !ok {
			w.t.Fatalf("%s has to be looked at, and nobody said so", service)
		}
	}
	maps.DeleteFunc(w.noted, func(service string, _ struct{}) bool {
		_, still := all[service]
		return !still
	})
}

// change changes one thing.
func (w *town) change(moved map[string]struct{}) {
	service, env := fmt.Sprintf("s%d", w.rng.IntN(30)), []string{"dev", "prod", "sandbox"}[w.rng.IntN(3)]
	place := at(service, env)
	name := layout.NameOfApp(w.fleet.Name, service, env)
	m, exists := w.st.roster.member(name)
	switch w.rng.IntN(10) {
	case 0, 1, 2, 3:
		w.files[place.Path+"/x"] = &fstest.MapFile{}
		w.follow(moved, layout.Change{Path: place.Path, Is: true, Folder: true})
	case 4:
		if _, there := w.files[place.Path+"/x"]; there {
			delete(w.files, place.Path+"/x")
			w.follow(moved, layout.Change{Path: place.Path, Was: true, Folder: true})
		}
	case 5, 6: // a Release that brings, or removes
		w.made++
		w.st.roster.steer(service, course{
			Release: fmt.Sprintf("r%d", w.made), Sequence: int64(w.made), Revision: "r2", Passed: map[string]bool{env: w.rng.IntN(2) == 0}, Ended: w.rng.IntN(2) == 0,
			Environments: map[string]v1alpha1.ReleaseEnvironment{env: {
				Name: env, Path: place.Path, Cluster: env, Namespace: service, Gone: w.rng.IntN(20) == 0,
			}},
		})
	case 7: // an App that a Release made, or touched
		if !exists {
			m = running(w.fleet, place)
		}
		switch w.rng.IntN(8) { // one thing alone, so that each has to be noticed
		case 0, 1, 2:
			m.Release = fmt.Sprintf("r%d", w.rng.IntN(w.made+1))
		case 3:
			if w.rng.IntN(2) == 0 { // while it goes, everything is looked at
				m.Removal = v1alpha1.RemovalPending
			}
		case 4:
			m.Source.Namespace = fmt.Sprintf("n%d", w.rng.IntN(3))
		case 5:
			m.SelfHeal = !m.SelfHeal
		case 6:
			m.ServiceAccountName = fmt.Sprintf("a%d", w.rng.IntN(2))
		case 7:
			m.Removal = ""
		}
		w.st.roster.put(m)
	case 8:
		if exists {
			w.st.roster.lose(&v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: name, UID: m.UID}, Spec: v1alpha1.AppSpec{Service: service, Environment: env, Source: m.Source}})
			w.st.roster.remove(name, m.UID)
		}
	case 9: // progress
		if exists {
			m.Settled, m.Objects, m.Digest = true, 0, "d2"
			w.st.roster.put(m)
		}
	}
}

func (w *town) follow(moved map[string]struct{}, c layout.Change) {
	w.t.Helper()
	found, err := w.index.Follow(w.files, slices.Values([]layout.Change{c}))
	if err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(moved, found)
}

// settle does what was decided, as act does it.
func (w *town) settle(p plan) {
	for _, spec := range p.Create {
		env, _ := layout.Environment(w.fleet, spec.Environment)
		m := running(w.fleet, layout.Place{Service: spec.Service, Environment: env.Name, Path: spec.Source.Path})
		w.made++
		m.UID, m.Source, m.Release = types.UID(fmt.Sprint(w.made)), spec.Source, spec.Release
		w.st.roster.put(m)
	}
	for _, u := range p.Update {
		m := u.Member.moved(u.Spec, u.Member.Generation+1)
		w.st.roster.put(m)
	}
	for _, m := range p.Delete {
		w.st.roster.remove(m.Name, m.UID)
	}
}

func (w *town) checkCensus() {
	w.t.Helper()
	services, apps := 0, 0
	for _, places := range w.index.All() {
		if n := inFleet(w.fleet, places); n > 0 {
			services, apps = services+1, apps+n
		}
	}
	if w.st.census.services() != services || w.st.census.apps != apps {
		w.t.Fatalf("counted %d services and %d Apps, want %d and %d", w.st.census.services(), w.st.census.apps, services, apps)
	}
}
