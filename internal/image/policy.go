package image

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Strategy is how a service follows a repository.
type Strategy string

// The strategies.
const (
	// Semver: the highest version within a range.
	Semver Strategy = "semver"
	// Newest: the image that was built last.
	Newest Strategy = "newest"
	// Digest: whatever one tag leads to.
	Digest Strategy = "digest"
	// Alphabetical: the last tag by its name.
	Alphabetical Strategy = "alphabetical"
)

// Order is the direction of [Alphabetical].
type Order string

// The directions.
const (
	// Ascending: of a and b, b is chosen.
	Ascending Order = "asc"
	// Descending: of a and b, a is chosen.
	Descending Order = "desc"
)

// Track says which images of a repository a service follows, as it is written down.
type Track struct {
	Strategy Strategy
	// Range of versions, for Semver: ">=1.2.0 <2.0.0", "^1.4", "1.x". Pre-releases are followed only if the range
	// names one: ">=1.2.0-0".
	Range string
	// Tag, for Digest.
	Tag string
	// Order, for Alphabetical; Ascending when empty.
	Order Order
	// Allow are regular expressions, of which one must match a tag; each tag is allowed when there are none. A group
	// that is named key, as in "^main-(?P<key>[0-9]+)$", is compared in place of the whole tag by Semver and
	// Alphabetical.
	Allow []string
	// Ignore are regular expressions, none of which may match a tag.
	Ignore []string
}

// Bounds of what a Track may say.
const (
	maxPatterns = 32
	maxPattern  = 512 // bytes
)

// keyGroup is the name of the group that is compared in place of the tag.
const keyGroup = "key"

// attached matches the tags under which signatures, attestations and lists of contents are stored beside an image.
var attached = regexp.MustCompile(`^sha256-[0-9a-f]{64}(?:\..*)?$`)

// Policy is a [Track] made ready. The zero Policy follows nothing.
type Policy struct {
	track         Track
	versions      *semver.Constraints
	allow, ignore []*regexp.Regexp
}

// Compile checks a Track. The error names the field and the way out.
func Compile(t Track) (Policy, error) {
	p := Policy{track: t}
	if err := p.strategy(); err != nil {
		return Policy{}, err
	}
	var err error
	if p.allow, err = patterns("allow", t.Allow); err != nil {
		return Policy{}, err
	}
	if p.ignore, err = patterns("ignore", t.Ignore); err != nil {
		return Policy{}, err
	}
	if t.Strategy == Digest && !p.lets(t.Tag) {
		return Policy{}, fmt.Errorf("digest: the tag %s is kept out by allow and ignore: leave them away, since one tag is followed", t.Tag)
	}
	return p, nil
}

func (p *Policy) strategy() error {
	t := p.track
	others := map[Strategy]bool{Semver: t.Range != "", Digest: t.Tag != "", Alphabetical: t.Order != ""}
	delete(others, t.Strategy)
	for s, set := range others {
		if set {
			return fmt.Errorf("%s does not go with %s: one strategy is followed", s, t.Strategy)
		}
	}
	switch t.Strategy {
	case Semver:
		versions, err := semver.NewConstraint(t.Range)
		if t.Range == "" || err != nil {
			return fmt.Errorf("semver: %s is no range of versions: write for example \">=1.2.0 <2.0.0\", \"^1.4\" or \"1.x\"", shown(t.Range))
		}
		p.versions = versions
	case Digest:
		if !ValidTag(t.Tag) {
			return fmt.Errorf("digest: %s is no tag: name the one to follow", shown(t.Tag))
		}
	case Alphabetical:
		if t.Order == "" {
			p.track.Order = Ascending
		}
		if o := p.track.Order; o != Ascending && o != Descending {
			return fmt.Errorf("alphabetical: %s is no order: write asc or desc", shown(string(o)))
		}
	case Newest:
	default:
		return fmt.Errorf("%s is no strategy: write semver, newest, digest or alphabetical", shown(string(t.Strategy)))
	}
	return nil
}

func patterns(field string, all []string) ([]*regexp.Regexp, error) {
	if len(all) > maxPatterns {
		return nil, fmt.Errorf("%s has %d expressions, and %d at most are taken: join some by |", field, len(all), maxPatterns)
	}
	compiled := make([]*regexp.Regexp, 0, len(all))
	for i, s := range all {
		if len(s) > maxPattern {
			return nil, fmt.Errorf("%s[%d] is longer than %d bytes", field, i, maxPattern)
		}
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %s is no regular expression: %w", field, i, shown(s), errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
		}
		compiled = append(compiled, re)
	}
	return compiled, nil
}

// Fits says whether a tag is one that the policy could choose, for all that its name tells.
func (p Policy) Fits(tag string) bool {
	_, ok := p.rank(Candidate{Tag: tag})
	return ok
}

// lets says whether allow and ignore let a tag through.
func (p Policy) lets(tag string) bool {
	_, ok := p.key(tag)
	return ok
}

// key returns what of a tag is compared. It is false if allow or ignore keep the tag out.
func (p Policy) key(tag string) (string, bool) {
	if !ValidTag(tag) || (p.track.Strategy != Digest && attached.MatchString(tag)) {
		return "", false
	}
	for _, re := range p.ignore {
		if re.MatchString(tag) {
			return "", false
		}
	}
	for _, re := range p.allow {
		m := re.FindStringSubmatch(tag)
		if m == nil {
			continue
		}
		if i := re.SubexpIndex(keyGroup); i >= 0 {
			return m[i], true
		}
		return tag, true
	}
	return tag, len(p.allow) == 0
}

// version reads a tag, or the key of one, as a version: all three numbers must be there, so that no date, build number
// or hash of digits alone is taken for one. A leading v is allowed.
func version(key string) (*semver.Version, bool) {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(key, "v"))
	return v, err == nil
}
