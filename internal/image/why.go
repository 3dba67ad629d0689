package image

import (
	"fmt"
	"time"
)

// goal names what the policy looks for.
func (s *selection) goal() string {
	switch s.track.Strategy {
	case Semver:
		return "the highest version in " + s.track.Range
	case Newest:
		return "the newest build"
	case Digest:
		return "what is followed"
	case Alphabetical:
		if s.track.Order == Descending {
			return "the first by name"
		}
		return "the last by name"
	}
	return "what fits"
}

// chosen says why r is the one.
func (s *selection) chosen(r ranked) string {
	var why string
	switch {
	case s.track.Strategy == Digest && r.Digest == s.current.Digest:
		why = fmt.Sprintf("%s still leads to %s, which runs", r.Tag, short(r.Digest))
	case s.track.Strategy == Digest:
		why = fmt.Sprintf("%s leads to %s", r.Tag, short(r.Digest))
	case r.Tag == s.current.Tag && r.Digest == s.current.Digest:
		why = fmt.Sprintf("%s runs, and is %s", r.Tag, s.goal())
	case r.Tag == s.current.Tag && s.current.Digest != "":
		why = fmt.Sprintf("%s is %s, and leads to another image now: %s", r.Tag, s.goal(), short(r.Digest))
	default:
		why = fmt.Sprintf("%s is %s, of %s", r.Tag, s.goal(), fitting(len(s.fit)))
	}
	if s.track.Strategy == Newest {
		why += ", built at " + r.Created.UTC().Format(time.RFC3339)
	}
	return why + s.beside()
}

// kept says why what runs stays although the registry's best is another.
func (s *selection) kept(best ranked) string {
	running := s.current.Tag
	if running == "" {
		running = short(s.current.Digest)
	}
	if best.Tag == running {
		return fmt.Sprintf("%s leads to an older build now, built at %s, which would be a step back: %s stays", running, best.Created.UTC().Format(time.RFC3339), short(s.current.Digest)) + s.beside()
	}
	return fmt.Sprintf("%s stays: of what the registry has, %s is %s, which would be a step back", running, best.Tag, s.goal()) + s.beside()
}

// beside names the best of those that were passed over.
func (s *selection) beside() string {
	if len(s.passed) == 0 {
		return ""
	}
	more := ""
	if n := len(s.passed) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("; %s%s passed over, in quarantine", s.passed[0].Tag, more)
}

func (s *selection) allPassed() string {
	if s.track.Strategy == Digest {
		r := s.fit[0]
		return fmt.Sprintf("%s leads to %s, which is in quarantine: the next image that is pushed to it is taken", r.Tag, short(r.Digest))
	}
	return fmt.Sprintf("each of the %s is in quarantine", fitting(len(s.fit)))
}

func (s *selection) noneFits() string {
	of := fmt.Sprintf("none of the %s of the repository", counted(s.total, "tag"))
	switch {
	case s.track.Strategy == "":
		return "no policy says which image to follow"
	case s.total == 0:
		return "the repository has no tags"
	case s.track.Strategy == Digest:
		return fmt.Sprintf("the repository has no tag %s", s.track.Tag)
	case s.track.Strategy == Semver:
		return fmt.Sprintf("%s is a version in %s that allow and ignore let through", of, s.track.Range)
	}
	return of + " is let through by allow and ignore"
}

// fitting counts the tags that fit.
func fitting(n int) string {
	if n == 1 {
		return "1 tag that fits"
	}
	return fmt.Sprintf("%d tags that fit", n)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
