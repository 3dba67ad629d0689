package tracker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/image"
)

// slot is a field of a file that follows an image, for one environment or for several.
type slot struct {
	want
	environments []string
	// services write into the field; the first is that of want.
	services   []string
	repository string
	policy     image.Policy
	// dirty is true until it is decided anew.
	dirty bool
	// chosen is what it is to say, nil if it stays as it is, and choice what the registry has. Why is one sentence on it.
	chosen *image.Reference
	choice image.Candidate
	why    string
	// refused is what could not be written, in the place of what.
	refused refusal
	// seen is what the written tag led to at the last look.
	seen image.Reference
}

type refusal struct {
	from, to image.Reference
	problem  string
}

// merge takes in what services say that they track now. Who writes into the same field has to follow the same images: if
// not, nobody writes.
func (st *state) merge(fresh map[string]reading) {
	concerned := map[scribe.Place]bool{}
	for service, is := range fresh {
		for _, w := range st.readings[service].wants {
			concerned[w.place] = true
			delete(st.writers[w.place], service)
		}
		if delete(st.readings, service); len(is.wants) > 0 || is.problem != "" {
			st.readings[service] = is
		}
		for _, w := range is.wants {
			concerned[w.place] = true
			if st.writers[w.place] == nil {
				st.writers[w.place] = map[string]bool{}
			}
			st.writers[w.place][service] = true
		}
	}
	for place := range concerned {
		st.put(place, st.slotOf(place))
	}
}

// slotOf returns the slot of a place, nil if nobody writes there any more.
func (st *state) slotOf(place scribe.Place) *slot {
	var s *slot
	for _, service := range slices.Sorted(maps.Keys(st.writers[place])) {
		for _, w := range st.readings[service].wants {
			switch {
			case w.place != place:
			case s == nil:
				s = newSlot(w)
			default:
				s.share(w)
			}
		}
	}
	return s
}

// put replaces the slot of a place. What was found out about the same stays, but for what could not be written: the files
// were read anew because something in them changed, which may have mended it. A repository that nothing follows any more
// is forgotten.
func (st *state) put(place scribe.Place, s *slot) {
	was := st.slots[place]
	switch {
	case s == nil:
		delete(st.slots, place)
		delete(st.writers, place)
	case was == nil || was.repository != s.repository || was.image.Track != s.image.Track:
		s.dirty = true
		st.soon(s.repository)
	default:
		s.dirty = was.dirty || was.now != s.now || was.problem != s.problem || !slices.Equal(was.services, s.services)
		s.chosen, s.choice, s.why, s.seen = was.chosen, was.choice, was.why, was.seen
	}
	if s != nil {
		st.slots[place] = s
		st.subjects[s.repository].slots++
	}
	if was == nil {
		return
	}
	of := st.subjects[was.repository]
	if of.slots--; of.slots == 0 {
		delete(st.subjects, was.repository)
	}
}

func newSlot(w want) *slot {
	s := &slot{want: w, environments: []string{w.environment}, services: []string{w.service}}
	track := w.image.Track
	rule := image.Track{Range: track.Semver, Tag: track.Digest, Order: image.Order(track.Alphabetical)}
	switch {
	case track.Semver != "":
		rule.Strategy = image.Semver
	case track.Newest:
		rule.Strategy = image.Newest
	case track.Digest != "":
		rule.Strategy = image.Digest
	case track.Alphabetical != "":
		rule.Strategy = image.Alphabetical
	}
	if track.Allow != "" {
		rule.Allow = []string{track.Allow}
	}
	if track.Ignore != "" {
		rule.Ignore = []string{track.Ignore}
	}
	var err error
	if s.repository, err = image.ParseRepository(w.image.Repository); err == nil {
		s.policy, err = image.Compile(rule)
	}
	if err != nil && s.problem == "" {
		s.problem = fmt.Sprintf("%s: the image %s cannot be followed: %s", w.image.At, w.image.Name, err)
	}
	return s
}

// about is what people are told about a slot by.
func (s *slot) about() string { return "image " + s.place.File + " " + s.place.Field }

// share lets another environment, or another service, write into the field of s.
func (s *slot) share(w want) {
	if w.image.Repository != s.image.Repository || w.image.Track != s.image.Track {
		s.problem = fmt.Sprintf("%s and %s write into one field of %s and follow different images: let them follow the same one, or write into files of their own",
			s.image.At, w.image.At, s.place.File)
		return
	}
	switch {
	case w.service == s.service:
		s.environments = append(s.environments, w.environment)
	case !slices.Contains(s.services, w.service):
		s.services = append(s.services, w.service)
	}
}

// soon makes a repository be looked at as soon as possible.
func (st *state) soon(repository string) {
	s := st.subjects[repository]
	if s == nil {
		s = &subject{repository: repository}
		st.subjects[repository] = s
	}
	s.hurry()
}
