package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// grid is one fleet's services against its environments.
type grid struct {
	fleet    string
	revision string
	envs     []string
	services []string
	apps     map[[2]string]*v1alpha1.App
	// marks are characters for what a person should know of a service in an environment; see legend.
	marks map[[2]string]string
}

func (g grid) title() string {
	if g.revision == "" {
		return "fleet " + g.fleet
	}
	return "fleet " + g.fleet + " at " + short(g.revision)
}

// gridsOf arranges the Apps of snap by fleet, in the order of the fleets' names. Environments come in the order in
// which their fleet lists them, and then those that only Apps know. An App written by hand has a row of its own in a
// column of its own.
func gridsOf(snap snapshot, f filter) []grid {
	byFleet := map[string]*grid{}
	var names []string
	of := func(name string) *grid {
		g := byFleet[name]
		if g == nil {
			g = &grid{fleet: name, apps: map[[2]string]*v1alpha1.App{}, marks: map[[2]string]string{}}
			byFleet[name] = g
			names = append(names, name)
		}
		return g
	}
	for i := range snap.fleets {
		fleet := &snap.fleets[i]
		if f.fleet != "" && fleet.Name != f.fleet {
			continue
		}
		g := of(fleet.Name)
		g.revision = fleet.Status.Revision
		for _, e := range fleet.Spec.Environments {
			if len(f.envs) == 0 || slices.Contains(f.envs, e.Name) {
				g.envs = append(g.envs, e.Name)
			}
		}
	}
	for i := range snap.apps {
		app := &snap.apps[i]
		if f.matches(app) {
			of(app.Spec.Fleet).put(app)
		}
	}
	snap.mark(byFleet)
	slices.Sort(names)
	grids := make([]grid, 0, len(names))
	for _, n := range names {
		slices.Sort(byFleet[n].services)
		grids = append(grids, *byFleet[n])
	}
	return grids
}

const (
	// markHeld is for where no change goes in, markAsks for where one waits for a person, and markPinned for where an
	// image is not what Git says.
	markHeld, markAsks, markPinned = "!", "?", "*"
)

// mark notes in the grids where changes are held or wait for a person, and what is pinned.
func (s snapshot) mark(grids map[string]*grid) {
	for i := range s.releases {
		r := &s.releases[i]
		g := grids[r.Spec.Fleet]
		if g == nil || r.Status.Ended != nil {
			continue
		}
		for j := range r.Status.Environments {
			if is := &r.Status.Environments[j]; is.Stage == v1alpha1.StageWaiting && person(is) {
				g.marks[[2]string{r.Spec.Service, is.Name}] = markAsks
			}
		}
	}
	for _, g := range grids {
		for at, app := range g.apps {
			if app.Spec.Hold.Active() {
				g.marks[at] = markHeld
			}
			if app.Status.Pinned != "" {
				g.marks[at] += markPinned
			}
		}
	}
}

// legend says what the marks in the grids mean, if there are any.
func legend(grids []grid) string {
	shown := ""
	for _, g := range grids {
		for at, marks := range g.marks {
			if slices.Contains(g.services, at[0]) && slices.Contains(g.envs, at[1]) {
				shown += marks
			}
		}
	}
	var words []string
	for _, m := range [][2]string{{markHeld, "held: no change goes in"}, {markAsks, "a change waits for a person"}, {markPinned, "an image is pinned"}} {
		if strings.Contains(shown, m[0]) {
			words = append(words, m[0]+" "+m[1])
		}
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, "   ") + "   (`sengu why SERVICE` says more)\n"
}

// byHand is the column of Apps that no fleet made.
const byHand = "(by hand)"

func (g *grid) put(app *v1alpha1.App) {
	service, env := cmp.Or(app.Spec.Service, app.Name), cmp.Or(app.Spec.Environment, byHand)
	if !slices.Contains(g.services, service) {
		g.services = append(g.services, service)
	}
	if !slices.Contains(g.envs, env) {
		g.envs = append(g.envs, env)
	}
	g.apps[[2]string{service, env}] = app
}

// fields is how many columns of the table an environment takes: revision, sync, health, age.
const fields = 4

// table draws g. Compact leaves out the words for what is as it should be, for a narrow terminal.
func (g grid) table(now time.Time, compact bool) *table {
	t := &table{gap: map[int]int{}}
	head := make([]cell, 0, 1+fields*len(g.envs))
	head = append(head, heading("service"))
	for i, env := range g.envs {
		h := heading(env)
		h.span = fields
		head = append(head, h, cell{}, cell{}, cell{})
		for j := range fields - 1 {
			t.gap[1+i*fields+j] = 1
		}
		t.gap[(1+i)*fields] = 3
	}
	t.gap[0] = 3
	t.add(head...)
	for _, service := range g.services {
		row := make([]cell, 0, 1+fields*len(g.envs))
		row = append(row, cell{text: service})
		for _, env := range g.envs {
			row = append(row, g.cells(service, env, now, compact)...)
		}
		t.add(row...)
	}
	return t
}

func (g grid) cells(service, env string, now time.Time, compact bool) []cell {
	app, mark := g.apps[[2]string{service, env}], g.marks[[2]string{service, env}]
	if app == nil {
		return []cell{{text: "·" + mark, style: dim}, {}, {}, {}}
	}
	st := app.Status
	sync := cell{text: syncWord(st.Sync), style: syncStyle(st.Sync)}
	health := cell{text: healthWord(st.Health), style: healthStyle(st.Health)}
	if compact && st.Sync == v1alpha1.Synced {
		sync.text = ""
	}
	if compact && st.Health == v1alpha1.Healthy {
		health.text = "ok"
	}
	revision := cell{text: short(st.Revision) + mark}
	if mark != "" {
		revision.style = yellow
	}
	return []cell{revision, sync, health, {text: age(now, lastSynced(app)), style: dim}}
}

func lastSynced(app *v1alpha1.App) time.Time {
	if app.Status.LastSynced == nil {
		return time.Time{}
	}
	return app.Status.LastSynced.Time
}
