package image

import (
	"fmt"
	"time"
)

// maxNewest is how many tags may fit [Newest], the build time of each of which must be read from the registry.
const maxNewest = 2000

// Candidate is a tag of a repository, as far as it is known.
type Candidate struct {
	Tag string
	// Digest that the tag leads to, "" when nobody has looked.
	Digest string
	// Created is when the image was built (see [BuildTime]). Zero when the image does not tell, or nobody has looked;
	// only Newest asks.
	Created time.Time
}

// Pick chooses the image that should run. Current is what runs, the zero Candidate if nothing does; candidates are the
// tags of the repository, all of them, with what is known of them (see [Needs]); quarantined says which digests must
// not be chosen. The choice may be what runs already, its tag at another digest, or an older image in the cases that
// the package documentation names. Nothing is in quarantine if quarantined is nil. Why is one sentence for people, also when there is no choice.
func Pick(p Policy, current Candidate, candidates []Candidate, quarantined func(digest string) bool) (choice Candidate, why string, ok bool) {
	if quarantined == nil {
		quarantined = none
	}
	s := selection{Policy: p, current: current, quarantined: quarantined, total: len(candidates)}
	s.fit = p.ranking(candidates)
	if len(s.fit) == 0 {
		return s.nothing(s.noneFits())
	}
	if p.track.Strategy == Newest {
		if why := s.incomplete(); why != "" {
			return s.nothing(why)
		}
	}
	best, why := s.best()
	if why != "" {
		return s.nothing(why)
	}
	return s.against(best)
}

// none is the quarantine that nothing is in.
func none(string) bool { return false }

// selection is one Pick under way.
type selection struct {
	Policy
	current     Candidate
	quarantined func(digest string) bool
	total       int
	fit         []ranked
	// passed are those that would have been better and are in quarantine.
	passed []ranked
}

func (s *selection) nothing(why string) (Candidate, string, bool) { return Candidate{}, why, false }

// incomplete says what is not known of the candidates for Newest: any of them could be the newest.
func (s *selection) incomplete() string {
	if len(s.fit) > maxNewest {
		return fmt.Sprintf("%d tags fit, and newest compares %d at most, because the registry must be asked for the build time of each: narrow them down with allow", len(s.fit), maxNewest)
	}
	looked := 0
	for _, r := range s.fit {
		if r.Digest != "" {
			looked++
		}
	}
	if looked < len(s.fit) {
		return fmt.Sprintf("%d of %d tags have been looked at so far, and the newest of them could be any", looked, len(s.fit))
	}
	return ""
}

// best returns the first that is not in quarantine, or why there is none.
func (s *selection) best() (ranked, string) {
	untold := 0
	for _, r := range s.fit {
		switch {
		case r.Digest == "":
			return ranked{}, fmt.Sprintf("the registry has not been asked yet which image %s is", r.Tag)
		case s.quarantined(r.Digest):
			s.passed = append(s.passed, r)
		case s.track.Strategy == Newest && r.Created.IsZero():
			untold++
		default:
			return r, ""
		}
	}
	if untold > 0 {
		return ranked{}, fmt.Sprintf("none of %s tells when it was built: build with a time, set the label %s, or follow the repository by semver or alphabetical", fitting(untold), LabelCreated)
	}
	return ranked{}, s.allPassed()
}

// against weighs the best of the registry against what runs.
func (s *selection) against(best ranked) (Candidate, string, bool) {
	running, floor := s.rank(s.running())
	if !floor {
		return best.Candidate, s.chosen(best), true
	}
	if s.track.Strategy == Newest && running.Created.IsZero() {
		return s.nothing(fmt.Sprintf("it is not known when %s, which runs, was built, so nothing can be called newer: set an image that the registry still has by hand, once", running.Tag))
	}
	if ahead := s.compare(best, running); ahead > 0 || (ahead == 0 && best.Tag == running.Tag) {
		return best.Candidate, s.chosen(best), true
	}
	for _, r := range s.fit {
		// What runs by now under its tag may be another image, which is taken unless it is an older build.
		if r.Tag == running.Tag && r.Digest != "" && !s.quarantined(r.Digest) && s.compare(r, running) >= 0 {
			return r.Candidate, s.chosen(r), true
		}
	}
	return s.current, s.kept(best), true
}

// running completes what runs by what the registry says of its image.
func (s *selection) running() Candidate {
	c := s.current
	for _, r := range s.fit {
		if (r.Digest != "" && r.Digest == c.Digest) || (c.Digest == "" && r.Tag == c.Tag) {
			if c.Tag == "" {
				c.Tag = r.Tag
			}
			if c.Created.IsZero() {
				c.Created = r.Created
			}
		}
	}
	return c
}
