package fleet

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// scope is what a Reconcile compares: services with their folders, their Apps and their newest Releases.
type scope struct {
	view
	// places are the folders by service and environment.
	places map[string]map[string]layout.Place
}

// index holds the folders of a revision.
type index interface {
	Places(service string) map[string]layout.Place
	All() iter.Seq2[string, map[string]layout.Place]
}

// scope returns the services of which something has changed since they were compared last: a folder, an App, or the
// newest Release; moved are those of which it is a folder. It is everything if that is asked for, or if an App is on its
// way out: that waits for all others.
func (st *state) scope(fleet *v1alpha1.Fleet, all index, moved map[string]struct{}, everything bool) scope {
	services := st.roster.changed()
	maps.Copy(services, moved)
	found := scope{view: st.roster.of(services), places: map[string]map[string]layout.Place{}}
	if everything || found.leaving(fleet) {
		found.view = st.roster.all()
		st.census = census{}
		for service, places := range all.All() {
			found.places[service] = places
			st.census.count(service, inFleet(fleet, places))
		}
		return found
	}
	for service := range services {
		places := all.Places(service)
		if len(places) > 0 {
			found.places[service] = places
		}
		st.census.count(service, inFleet(fleet, places))
	}
	return found
}

// leaving reports whether an App may be on its way out.
func (s scope) leaving(fleet *v1alpha1.Fleet) bool {
	for _, m := range s.members {
		if _, known := layout.Environment(fleet, m.Environment); !known || m.Removal != "" {
			return true
		}
	}
	return false
}

// inFleet counts the folders that are of an environment of the Fleet.
func inFleet(fleet *v1alpha1.Fleet, places map[string]layout.Place) (n int) {
	for environment := range places {
		if _, ok := layout.Environment(fleet, environment); ok {
			n++
		}
	}
	return n
}

// services are all that a folder, an App or a Release is of.
func (s scope) services() map[string]struct{} {
	services := s.delivered()
	for service := range s.places {
		services[service] = struct{}{}
	}
	return services
}

// delivered are the services that an App or a Release is of.
func (s scope) delivered() map[string]struct{} {
	services := make(map[string]struct{}, len(s.courses))
	for _, m := range s.members {
		services[m.Service] = struct{}{}
	}
	for service := range s.courses {
		services[service] = struct{}{}
	}
	return services
}

// folders are the places in the order of their paths.
func (s scope) folders() []layout.Place {
	var all []layout.Place
	for _, by := range s.places {
		all = slices.AppendSeq(all, maps.Values(by))
	}
	slices.SortFunc(all, func(a, b layout.Place) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// census counts the Apps that the repository holds, by service. The zero value has counted none.
type census struct {
	of   map[string]int
	apps int
}

// count takes in that a service has n Apps.
func (c *census) count(service string, n int) {
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.apps += n - c.of[service]
	if c.of[service] = n; n == 0 {
		delete(c.of, service)
	}
}

// services is how many services have an App.
func (c *census) services() int { return len(c.of) }
