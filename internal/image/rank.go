package image

import (
	"cmp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// ranked is a candidate that fits a policy, with what it is compared by.
type ranked struct {
	Candidate
	key     string
	version *semver.Version
}

// rank is false if the policy can never choose the candidate.
func (p Policy) rank(c Candidate) (ranked, bool) {
	key, ok := p.key(c.Tag)
	if !ok {
		return ranked{}, false
	}
	r := ranked{Candidate: c, key: key}
	switch p.track.Strategy {
	case Semver:
		v, ok := version(key)
		if !ok || !p.versions.Check(v) {
			return ranked{}, false
		}
		r.version = v
	case Digest:
		return r, c.Tag == p.track.Tag
	case Newest, Alphabetical:
	default:
		return ranked{}, false
	}
	return r, true
}

// ranking returns the candidates that fit, the best first. Those that are equally good are in the order of their names,
// the last first, so that one registry always gives one answer.
func (p Policy) ranking(candidates []Candidate) []ranked {
	var fit []ranked
	for _, c := range candidates {
		if r, ok := p.rank(c); ok {
			fit = append(fit, r)
		}
	}
	slices.SortFunc(fit, func(a, b ranked) int {
		return cmp.Or(p.compare(b, a), strings.Compare(b.Tag, a.Tag))
	})
	return fit
}

// compare is positive if a is to be preferred to b, and 0 if they are equally good.
func (p Policy) compare(a, b ranked) int {
	switch p.track.Strategy {
	case Semver:
		return a.version.Compare(b.version)
	case Newest:
		return a.Created.Compare(b.Created)
	case Alphabetical:
		if p.track.Order == Descending {
			a, b = b, a
		}
		return strings.Compare(a.key, b.key)
	}
	return 0
}
