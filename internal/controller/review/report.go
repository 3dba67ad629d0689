package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// report is what a pull request would do.
type report struct {
	Fleet string
	// Branch that it goes into. Head is its newest commit, and Base what that was made from.
	Branch, Head, Base string
	Fork               bool
	Environments       []v1alpha1.Environment
	// Places are those that were compared, in the order of their services and of the environments.
	Places []place
	// Left counts the places that there was no time or no room to compare.
	Left int
	// Untried counts the objects that no cluster was asked about.
	Untried int
	// Failure is why nothing could be compared, in a sentence.
	Failure string
}

// place is what would become of one service in one environment.
type place struct {
	Service, Environment, Cluster, Namespace string
	Fate                                     fate
	// Objects are those that would differ.
	Objects []object
	Images  []swap
	// Reason is why it cannot be rendered, or could not be compared, in a sentence.
	Reason string
	// Refused are sentences about what would not be applied, Waits about what would wait for a person, and Notes about what
	// a reviewer should know.
	Refused, Waits, Notes []string
	// Before and After are the Jobs that are run around it, Checks what is asked then.
	Before, After, Checks []string
}

// fate is what becomes of a place.
type fate int

// The fates.
const (
	same    fate = iota // nothing that is rendered differs
	altered             // something does
	added               // its folder is new
	removed             // its folder is gone
	broken              // it cannot be rendered any more
	unknown             // it could not be compared
)

// object is how one object would differ.
type object struct {
	Ref manifest.Ref
	// Made and Gone say that it is new, or no longer wanted.
	Made, Gone bool
	Lines      []manifest.DiffLine
}

// swap is an image that comes in the place of others of its repository. Either may be empty.
type swap struct{ Repository, From, To string }

// name of the place.
func (p place) name() string { return p.Service + "/" + p.Environment }

// quiet reports whether there is nothing to tell of a place.
func (p place) quiet() bool {
	return p.Fate == same && len(p.Refused)+len(p.Waits)+len(p.Notes) == 0
}

// counts says how many objects are made, changed and gone.
func (p place) counts() (made, changed, gone int) {
	for _, o := range p.Objects {
		switch {
		case o.Made:
			made++
		case o.Gone:
			gone++
		default:
			changed++
		}
	}
	return made, changed, gone
}

// told are the places that there is something to tell of.
func (r report) told() []place {
	return slices.DeleteFunc(slices.Clone(r.Places), place.quiet)
}

// of counts the places of a fate.
func (r report) of(f fate) int {
	n := 0
	for _, p := range r.Places {
		if p.Fate == f {
			n++
		}
	}
	return n
}

// status is what the report says of the commit, in one line.
func (r report) status() forge.Status {
	s := forge.Status{State: forge.StatusSuccess, Context: statusName(r.Fleet)}
	if r.Failure != "" {
		s.State, s.Description = forge.StatusFailure, r.Failure
		return s
	}
	for _, p := range r.Places {
		switch {
		case p.Fate == broken:
			s.State, s.Description = forge.StatusFailure, p.name()+": "+first(p.Reason)
			return s
		case len(p.Refused) > 0 && s.State != forge.StatusFailure:
			s.State, s.Description = forge.StatusFailure, p.name()+": "+first(p.Refused[0])
		case p.Fate == unknown && s.State == forge.StatusSuccess:
			s.State, s.Description = forge.StatusError, p.name()+": "+first(p.Reason)
		}
	}
	switch {
	case s.State != forge.StatusSuccess:
	case r.Left > 0:
		s.State, s.Description = forge.StatusError, plural(r.Left, "place", "places")+" could not be compared: there are too many"
	default:
		s.Description = r.gist()
	}
	return s
}

// gist is what would change, in a few words.
func (r report) gist() string {
	changed := slices.DeleteFunc(r.told(), func(p place) bool { return p.Fate != altered && p.Fate != added && p.Fate != removed })
	if len(changed) == 0 {
		return "nothing that is delivered changes"
	}
	services, environments := map[string]bool{}, map[string]bool{}
	for _, p := range changed {
		services[p.Service], environments[p.Environment] = true, true
	}
	return "changes " + plural(len(services), "service", "services") + " in " + plural(len(environments), "environment", "environments")
}

// statusName is how the status of a Fleet is told from the others of a commit.
func statusName(fleet string) string { return "sengu/" + fleet }

// first is the first line of a text.
func first(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// swaps says which images come in the place of which, by their repository.
func swaps(before, after []string) []swap {
	var all []swap
	gone := slices.DeleteFunc(slices.Clone(before), func(image string) bool { return slices.Contains(after, image) })
	for _, image := range after {
		if slices.Contains(before, image) {
			continue
		}
		repository, version := split(image)
		s := swap{Repository: repository, To: version}
		i := slices.IndexFunc(gone, func(other string) bool { name, _ := split(other); return name == repository })
		if i >= 0 {
			_, s.From = split(gone[i])
			gone = slices.Delete(gone, i, i+1)
		}
		all = append(all, s)
	}
	for _, image := range gone {
		repository, version := split(image)
		all = append(all, swap{Repository: repository, From: version})
	}
	return all
}

// split takes an image apart: its repository, and its tag and digest. One without either runs what latest leads to.
func split(image string) (repository, version string) {
	name, digest, pinned := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, version = name[:i], name[i+1:]
	}
	switch {
	case pinned && version != "":
		return name, version + "@" + digest
	case pinned:
		return name, digest
	case version == "":
		return name, "latest"
	}
	return name, version
}
