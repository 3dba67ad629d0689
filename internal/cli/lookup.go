package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// scope says, beside the argument APP, which App is meant.
type scope struct {
	fleet, env string
}

// find connects to the plane, reads what it holds, and returns the App of it that word means.
func (p *program) find(ctx context.Context, word string, sc scope) (*plane, snapshot, *v1alpha1.App, error) {
	pl, err := p.plane()
	if err != nil {
		return nil, snapshot{}, nil, err
	}
	snap, err := pl.snapshot(ctx)
	if err != nil {
		return nil, snapshot{}, nil, err
	}
	app, err := snap.find(word, sc)
	return pl, snap, app, err
}

// find returns the App that word means: an App's name, SERVICE/ENVIRONMENT, or a service, with the environment in sc
// if it runs in several.
func (s snapshot) find(word string, sc scope) (*v1alpha1.App, error) {
	service, env, slashed := strings.Cut(word, "/")
	if !slashed {
		service, env = word, sc.env
	}
	var found []*v1alpha1.App
	f := filter{fleet: sc.fleet}
	for _, app := range sorted(s, f) {
		if app.Name == word && (sc.env == "" || sc.env == app.Spec.Environment) {
			return app, nil
		}
		if app.Spec.Service == service && (env == "" || app.Spec.Environment == env) {
			found = append(found, app)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, ambiguous(word, found)
	}
	return nil, s.unknown(word, service, env, sc)
}

func ambiguous(word string, found []*v1alpha1.App) error {
	var envs, fleets []string
	for _, app := range found {
		if !slices.Contains(envs, app.Spec.Environment) {
			envs = append(envs, app.Spec.Environment)
		}
		if !slices.Contains(fleets, app.Spec.Fleet) {
			fleets = append(fleets, app.Spec.Fleet)
		}
	}
	if len(envs) > 1 {
		return fmt.Errorf("%s runs in %s: say which with -e, as in `-e %s`", word, list(envs), envs[len(envs)-1])
	}
	return fmt.Errorf("%s is a service of the fleets %s: say which with -f", word, list(fleets))
}

// unknown says what there is instead of an App that does not exist.
func (s snapshot) unknown(word, service, env string, sc scope) error {
	if len(s.apps) == 0 {
		return fmt.Errorf("there is no app %s: there are no apps at all; see `sengu get fleets` for why", word)
	}
	var in, names []string
	for _, app := range sorted(s, filter{fleet: sc.fleet}) {
		if app.Spec.Service == service {
			in = append(in, app.Spec.Environment)
		}
		names = append(names, app.Name)
	}
	if len(in) > 0 {
		return fmt.Errorf("%s does not run in %s, only in %s", service, env, list(in))
	}
	if near := nearest(service, append(serviceNames(s.apps, sc.fleet), names...)); near != "" {
		return fmt.Errorf("there is no app or service %s: did you mean %s?", service, near)
	}
	return fmt.Errorf("there is no app or service %s: see `sengu get` for what there is", service)
}

// oneOf refuses a name that is not among known.
func oneOf(what, name string, known []string) error {
	if slices.Contains(known, name) {
		return nil
	}
	if near := nearest(name, known); near != "" {
		return fmt.Errorf("there is no %s %s: did you mean %s?", what, name, near)
	}
	if len(known) == 0 {
		return fmt.Errorf("there is no %s %s: there is none at all", what, name)
	}
	if len(known) > 12 {
		return fmt.Errorf("there is no %s %s: see `sengu get`", what, name)
	}
	return fmt.Errorf("there is no %s %s, only %s", what, name, list(known))
}

func fleetNames(fleets []v1alpha1.Fleet) []string {
	names := make([]string, 0, len(fleets))
	for i := range fleets {
		names = append(names, fleets[i].Name)
	}
	return names
}

func clusterNames(clusters []v1alpha1.Cluster) []string {
	names := make([]string, 0, len(clusters))
	for i := range clusters {
		names = append(names, clusters[i].Name)
	}
	return names
}

// environments returns the environments of the fleet of this name, or of all fleets, in their order.
func environments(fleets []v1alpha1.Fleet, fleet string) []string {
	var names []string
	for i := range fleets {
		if fleet != "" && fleet != fleets[i].Name {
			continue
		}
		for _, e := range fleets[i].Spec.Environments {
			if !slices.Contains(names, e.Name) {
				names = append(names, e.Name)
			}
		}
	}
	return names
}

// serviceNames returns the services of the fleet of this name, or of all fleets, and the Apps written by hand.
func serviceNames(apps []v1alpha1.App, fleet string) []string {
	var names []string
	for i := range apps {
		if fleet != "" && fleet != apps[i].Spec.Fleet {
			continue
		}
		names = append(names, apps[i].Name)
		if s := apps[i].Spec.Service; s != "" {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nearest returns the word among known that is closest to name, and "" when none is close: a third of it wrong at most.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+1
	for _, k := range known {
		d := distance(name, k)
		if strings.HasPrefix(k, name) && len(name) > 1 {
			d = min(d, 1)
		}
		if d < least || (d == least && best == "") {
			best, least = k, d
		}
	}
	return best
}

// distance is how many insertions, deletions, substitutions and swaps of neighbours lead from a to b (the optimal
// string alignment distance).
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
