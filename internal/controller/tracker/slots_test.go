package tracker

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/image"
)

// TestMergeByChange holds what has been merged service by service to what is merged at once, in random histories.
func TestMergeByChange(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		st := newState()
		all := map[string]reading{}
		for range 30 {
			fresh := map[string]reading{}
			for range 1 + rng.IntN(3) {
				service := fmt.Sprintf("s%d", rng.IntN(5))
				fresh[service] = someReading(rng, service)
			}
			maps.Copy(all, fresh)
			st.merge(fresh)
			anew := newState()
			anew.merge(all)
			if diff := cmp.Diff(followed(anew), followed(st)); diff != "" {
				t.Fatalf("seed %d: what is followed differs from what is when all is read anew (-anew +merged):\n%s", seed, diff)
			}
		}
	}
}

// TestMergeKeepsWhatWasFound decides anew only about what says something else.
func TestMergeKeepsWhatWasFound(t *testing.T) {
	st := newState()
	at := func(tag string) reading {
		return reading{wants: []want{{
			service: "shop", environment: "dev", image: delivery.Image{Name: "web", Repository: "r.example.com/web", Track: delivery.Track{Newest: true}},
			place: scribe.Place{File: "a"}, now: image.Reference{Tag: tag},
		}}}
	}
	st.merge(map[string]reading{"shop": at("1")})
	s := st.slots[scribe.Place{File: "a"}]
	s.dirty, s.why, s.chosen = false, "because", &image.Reference{Tag: "2"}
	st.merge(map[string]reading{"shop": at("1")})
	if s = st.slots[scribe.Place{File: "a"}]; s.dirty || s.why != "because" || s.chosen == nil {
		t.Errorf("what was decided is lost although nothing changed: %+v", s)
	}
	st.merge(map[string]reading{"shop": at("2")})
	if s = st.slots[scribe.Place{File: "a"}]; !s.dirty {
		t.Error("another tag is written, and nobody decides anew")
	}
	st.merge(map[string]reading{"shop": {}})
	if len(st.slots)+len(st.subjects)+len(st.readings)+len(st.writers) > 0 {
		t.Errorf("something is left of a service that tracks nothing any more: %+v", st)
	}
}

func someReading(rng *rand.Rand, service string) reading {
	var is reading
	for range rng.IntN(4) {
		is.wants = append(is.wants, want{
			service: service, environment: fmt.Sprintf("e%d", rng.IntN(2)),
			image: delivery.Image{
				Name: "web", Repository: fmt.Sprintf("r.example.com/%d", rng.IntN(3)), Track: delivery.Track{Newest: rng.IntN(5) > 0, Digest: "live"},
			},
			place: scribe.Place{File: fmt.Sprintf("f%d", rng.IntN(4))},
		})
	}
	return is
}

// followed is what a state follows, in words.
func followed(st *state) map[string]string {
	words := map[string]string{}
	for place, s := range st.slots {
		words["slot "+place.File] = fmt.Sprint(s.service, s.services, s.environments, s.repository, s.image.Track, s.problem)
	}
	for repository, of := range st.subjects {
		words["repository "+repository] = fmt.Sprint(of.slots)
	}
	for place, services := range st.writers {
		words["writers "+place.File] = fmt.Sprint(slices.Sorted(maps.Keys(services)))
	}
	for _, service := range slices.Sorted(maps.Keys(st.readings)) {
		words["reading "+service] = fmt.Sprint(st.readings[service].wants)
	}
	return words
}
