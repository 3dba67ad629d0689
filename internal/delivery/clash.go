package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// clash is two entries of which one is in the way of the other.
type clash struct{ at, text string }

// refused makes an error of clashes, nil if there are none.
func refused(found []clash) error {
	all := make([]error, 0, len(found))
	for _, c := range found {
		all = append(all, fmt.Errorf("%s: %s", c.at, c.text))
	}
	return errors.Join(all...)
}

// clashes returns steps and checks that have the same name, or run the same Job. Skipped ones are in nobody's way.
func (s Settings) clashes() []clash {
	var found []clash
	names, jobs := map[string]string{}, map[string]string{}
	add := func(at, name, job string, skip bool) {
		if skip || name == "" {
			return
		}
		first, named := names[name]
		if named {
			found = append(found, clash{at, "a step or check of this name is at " + first + ": names are unique among before, after and checks"})
			return
		}
		names[name] = at
		if job == "" {
			return
		}
		if first, run := jobs[job]; run {
			found = append(found, clash{at, "the Job of this step or check is run by the one at " + first + " already: a Job is run once for a revision"})
			return
		}
		jobs[job] = at
	}
	for _, list := range [][]Step{s.Before, s.After} {
		for _, step := range list {
			add(step.At, step.Name, step.Job, step.Skip)
		}
	}
	for _, check := range s.Checks {
		job := ""
		if check.Job != nil {
			job = check.Job.Name
		}
		add(check.At, check.Name, job, check.Skip)
	}
	return found
}

// idleSkips returns the entries of over that leave out what base does not have: most likely a name that is mistaken, so
// that what was to be left out would be run.
func idleSkips(base, over Settings) []clash {
	var found []clash
	look := func(list, at, name string, skip bool, known []string) {
		switch near := nearest(name, known); {
		case !skip || slices.Contains(known, name):
		case len(known) == 0:
			found = append(found, clash{at, fmt.Sprintf("it skips %q, and there is nothing to skip in %s", name, list)})
		case near != "":
			found = append(found, clash{at, fmt.Sprintf("it skips %q, which is not in %s; did you mean %q?", name, list, near)})
		default:
			found = append(found, clash{at, fmt.Sprintf("it skips %q, which is not in %s; there are %s", name, list, strings.Join(known, ", "))})
		}
	}
	for _, image := range over.Images {
		look("images", image.At, image.Name, image.Skip, namesOf(base.Images))
	}
	for _, step := range over.Before {
		look("before", step.At, step.Name, step.Skip, namesOf(base.Before))
	}
	for _, step := range over.After {
		look("after", step.At, step.Name, step.Skip, namesOf(base.After))
	}
	for _, check := range over.Checks {
		look("checks", check.At, check.Name, check.Skip, namesOf(base.Checks))
	}
	return found
}

func namesOf[T entry](list []T) []string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.key()
	}
	return names
}
