package review

import (
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

// subject is a place to compare.
type subject struct {
	service string
	env     v1alpha1.Environment
	// at and was are its folders at the head and before, nil where there is none.
	at, was *layout.Place
	// likely says that the pull request touches what it reads.
	likely bool
}

// subjects are the places that the pull request may concern: first those that it surely does, then by service, and in
// the order of the environments.
func (e *examination) subjects() ([]subject, error) {
	parsed, err := layout.Parse(e.fleet.Spec.Layout)
	if err != nil {
		return nil, err
	}
	type key struct{ service, environment string }
	all := map[key]*subject{}
	for _, side := range []struct {
		tree *gitrepo.Tree
		set  func(*subject, *layout.Place)
	}{
		{e.was, func(s *subject, p *layout.Place) { s.was = p }},
		{e.at, func(s *subject, p *layout.Place) { s.at = p }},
	} {
		places, err := parsed.List(side.tree)
		if err != nil {
			return nil, err
		}
		for _, place := range places {
			env, ok := layout.Environment(e.fleet, place.Environment)
			if !ok {
				continue
			}
			k := key{place.Service, place.Environment}
			if all[k] == nil {
				all[k] = &subject{service: place.Service, env: env}
			}
			side.set(all[k], &place)
		}
	}
	var list []subject
	for _, s := range all {
		concerned, likely := e.concerns(*s)
		if s.likely = likely; concerned {
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b subject) int {
		if a.likely != b.likely {
			if a.likely {
				return -1
			}
			return 1
		}
		return e.order(a.service, a.env.Name, b.service, b.env.Name)
	})
	return list, nil
}

// order is that of services, and within one that of the environments.
func (e *examination) order(service, environment, otherService, otherEnvironment string) int {
	if c := strings.Compare(service, otherService); c != 0 {
		return c
	}
	at := func(name string) int {
		return slices.IndexFunc(e.fleet.Spec.Environments, func(env v1alpha1.Environment) bool { return env.Name == name })
	}
	return at(environment) - at(otherEnvironment)
}

// concerns says whether the pull request may change what a place renders, and whether it touches what that reads. What
// a render reads is what the App's last one has read, as long as the revision before the pull request holds the same; of
// any other it is found out by rendering.
func (e *examination) concerns(s subject) (concerned, likely bool) {
	if s.at == nil || s.was == nil {
		return true, true
	}
	folder, _ := layout.Folders(e.fleet.Spec.Layout, s.at.Path)
	if e.changes.Has(folder) || e.changes.Has(s.at.Path) {
		return true, true
	}
	app := e.apps[layout.NameOfApp(e.fleet.Name, s.service, s.env.Name)]
	if app == nil || len(app.Status.Inputs) == 0 {
		return true, false
	}
	if reads(app.Status.Inputs, e.changes) {
		return true, true
	}
	digest, err := render.DigestOf(e.was, app.Status.Inputs)
	return err != nil || digest != app.Status.InputsDigest, false
}

// reads says whether one of the paths that were read is among those that differ. A path that ends in a slash is a folder
// of which only the existence mattered.
func reads(inputs []string, changes gitrepo.Changes) bool {
	for _, p := range inputs {
		folder, existence := strings.CutSuffix(p, "/")
		if !existence {
			if changes.Has(p) {
				return true
			}
			continue
		}
		if c, ok := changes.Get(folder); ok && (c.From == "" || c.To == "" || !c.Dir) {
			return true
		}
	}
	return false
}
