package image

import (
	"slices"
	"strings"
)

// maxNeeds bounds how many tags are asked for at once.
const maxNeeds = 100

// Needs says which tags must be looked up at the registry before [Pick] can choose: the digest of each, and its build
// time for Newest. Known is what is known already; a tag that may have moved since is left out of it. The answer has at
// most 100 tags: look them up, add them to known, and ask again until it is empty. A tag that turned out to be gone is
// left out of tags.
func Needs(p Policy, tags []string, known map[string]Candidate, quarantined func(digest string) bool) []string {
	if quarantined == nil {
		quarantined = none
	}
	if p.track.Strategy == Newest {
		return p.needsNewest(tags, known)
	}
	candidates := make([]Candidate, len(tags))
	for i, tag := range tags {
		candidates[i] = Candidate{Tag: tag, Digest: known[tag].Digest}
	}
	// The names alone tell which is the best, so that only this one must be known, and the next if it is in quarantine.
	for _, r := range p.ranking(candidates) {
		switch {
		case r.Digest == "":
			return []string{r.Tag}
		case !quarantined(r.Digest):
			return nil
		}
	}
	return nil
}

func (p Policy) needsNewest(tags []string, known map[string]Candidate) []string {
	fit := 0
	var needs []string
	for _, tag := range tags {
		if !p.Fits(tag) {
			continue
		}
		fit++
		if known[tag].Digest == "" {
			needs = append(needs, tag)
		}
	}
	if fit > maxNewest {
		return nil // Pick refuses: it makes no sense to begin.
	}
	// Names tend to grow: the ones that count most come first.
	slices.SortFunc(needs, func(a, b string) int { return strings.Compare(b, a) })
	needs = slices.Compact(needs)
	return needs[:min(len(needs), maxNeeds)]
}

// Changes is what differs between two looks at a repository, each list in the order of names.
type Changes struct {
	New   []string // tags that were not there
	Moved []string // tags that lead to another digest
	Gone  []string // tags that are no longer there
}

// Any says whether anything differs.
func (c Changes) Any() bool { return len(c.New)+len(c.Moved)+len(c.Gone) > 0 }

// Compare says what changed between two looks, each of which gives the digest of each tag, "" where nobody looked. Of
// such a tag it is not said that it moved.
func Compare(before, after map[string]string) Changes {
	var c Changes
	for tag, now := range after {
		was, ok := before[tag]
		switch {
		case !ok:
			c.New = append(c.New, tag)
		case was != "" && now != "" && was != now:
			c.Moved = append(c.Moved, tag)
		}
	}
	for tag := range before {
		if _, ok := after[tag]; !ok {
			c.Gone = append(c.Gone, tag)
		}
	}
	slices.Sort(c.New)
	slices.Sort(c.Moved)
	slices.Sort(c.Gone)
	return c
}
