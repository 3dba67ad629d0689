package release

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// dice is where all chance of the model comes from.
type dice struct{ *rand.Rand }

func roll(seed, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

func (d dice) chance(p float64) bool { return d.Float64() < p }

func oneOf[T any](d dice, all []T) T { return all[d.IntN(len(all))] }

// maxEnvs is how many environments a simulated Fleet may have.
const maxEnvs = 6

var envNames = [maxEnvs]string{"develop", "staging", "production", "tenant-a", "tenant-b", "tenant-c"}

// world is a simulated Fleet with its services, clusters and people. What is stored in it is only ever replaced, never
// changed, so that an old view of it stays what it was, and a write is refused if its object has been replaced.
type world struct {
	seed uint64
	now  time.Time
	// up is since when Sengu runs.
	up       time.Time
	fleet    *v1alpha1.Fleet
	services []*service
	// commits made so far; the revision of a commit is its number.
	commits int
	// luck is how likely it is that what is awaited turns out well.
	luck   float64
	jobs   map[StepKey]JobState
	plans  map[Place]Plan
	starts map[StepKey]int
	// lost are the Jobs that somebody has deleted.
	lost map[StepKey]bool
	// happened counts all that has changed in the world.
	happened int
	// tell takes the lines of the story; nil if nobody listens.
	tell func(string)
	// broken is the first rule that was broken.
	broken string
}

// service is a simulated service of the Fleet.
type service struct {
	name     string
	apps     map[string]*v1alpha1.App
	releases []*v1alpha1.Release
	// content is what the branch holds, and past what it held.
	content content
	past    []content
	// renders is what a revision truly renders, by revision and environment.
	renders map[string]string
	// asked are the checks that are under way, and looks the answers that were not decided upon.
	asked map[StepKey]bool
	looks map[StepKey]Look
	// look is when the last decision asked to be made again.
	look time.Time
	// rests is how much had happened when nothing was left to do.
	rests int
	// before is what a caller with an old cache sees: the world after the last writes that were complete.
	before *Service
	truth
}

// content is what a service is made of. A number stands for the state of some files.
type content struct {
	common, image   int
	shared, overlay [maxEnvs]int
	in, broken      [maxEnvs]bool
	blocked         bool
}

func (c content) own(i int) string { return fmt.Sprintf("c%d-o%d", c.common, c.overlay[i]) }
func (c content) images() []string { return []string{fmt.Sprintf("image:%d", c.image)} }
func (c content) digest(i int) string {
	return fmt.Sprintf("s%d-%s-i%d", c.shared[i], c.own(i), c.image)
}
func revision(commit int) string              { return fmt.Sprintf("%040x", commit) }
func renderOf(rev, env string) string         { return rev + "/" + env }
func (w *world) stamp() metav1.Time           { return metav1.NewTime(w.now.Truncate(time.Second)) }
func (w *world) envs() []v1alpha1.Environment { return w.fleet.Spec.Environments }

// clock and number are a time and a revision as a story tells them.
type (
	clock  time.Time
	number string
)

func (c clock) String() string { return time.Time(c).UTC().Format("Mon 15:04:05") }

func (n number) String() string { return cmp.Or(strings.TrimLeft(string(n), "0"), "0") }

func (w *world) say(format string, args ...any) {
	if w.tell != nil {
		w.tell(fmt.Sprintf(format, args...))
	}
}

// breaks notes that a rule was broken.
func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.say("BROKEN: %s", w.broken)
	}
}

// newWorld makes the world of a seed.
func newWorld(seed uint64, tell func(string)) *world {
	d := roll(seed, 0)
	w := &world{
		seed: seed, tell: tell, luck: 0.4 + 0.58*d.Float64(), now: summerEnds.Add(time.Duration(d.IntN(96*60)-48*60) * time.Minute),
		jobs: map[StepKey]JobState{}, plans: map[Place]Plan{}, starts: map[StepKey]int{}, lost: map[StepKey]bool{},
	}
	w.fleet = &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	w.fleet.Spec.Environments = graph(d)
	w.fleet.Spec.MaxParallel = int32(max(0, d.IntN(5)-2))
	for i := range 1 + max(0, d.IntN(4)-1) {
		w.services = append(w.services, w.newService(d, fmt.Sprintf("s%d", i)))
	}
	for i, env := range w.envs() {
		w.say("environment %s: %+v", env.Name, w.envs()[i])
	}
	w.say("maxParallel %d, %d services, luck %.2f", w.fleet.Spec.MaxParallel, len(w.services), w.luck)
	return w
}

// graph makes the environments of a Fleet: a chain, tenants beside each other, or anything.
func graph(d dice) []v1alpha1.Environment {
	n := 1 + d.IntN(maxEnvs)
	shape := d.IntN(3)
	var all []v1alpha1.Environment
	for i := range n {
		env := v1alpha1.Environment{Name: envNames[i], MaxFailures: int32(d.IntN(3)), MaxConcurrent: int32(max(0, d.IntN(4)-1))}
		switch {
		case i == 0:
		case shape == 0 || shape == 1 && i < 3:
			env.After = []string{envNames[i-1]}
		case shape == 1:
			env.After = []string{envNames[1]}
		default:
			for j := range i {
				if d.chance(0.4) {
					env.After = append(env.After, envNames[j])
				}
			}
		}
		if d.chance(0.3) {
			env.Soak = &metav1.Duration{Duration: time.Duration(d.IntN(30)) * time.Minute}
		}
		if d.chance(0.25) {
			env.Windows = []string{"allow Mon-Sun 09:00-17:00 Europe/Berlin"}
		}
		if d.chance(0.4) {
			env.Approval = rule(d)
		}
		all = append(all, env)
	}
	return all
}

func rule(d dice) *v1alpha1.ApprovalRule {
	r := &v1alpha1.ApprovalRule{Required: int32(d.IntN(3)), NotAuthor: d.chance(0.3)}
	if d.chance(0.5) {
		r.Groups = []string{"sre"}
	}
	if d.chance(0.3) {
		r.Expires = &metav1.Duration{Duration: time.Duration(1+d.IntN(240)) * time.Minute}
	}
	return r
}

func (w *world) newService(d dice, name string) *service {
	s := &service{
		name: name, apps: map[string]*v1alpha1.App{}, renders: map[string]string{}, asked: map[StepKey]bool{}, looks: map[StepKey]Look{},
		truth: newTruth(func(p Place) Plan { return w.plans[p] }),
	}
	for i, env := range w.envs() {
		s.content.in[i] = d.chance(0.85)
		s.renders[renderOf(revision(0), env.Name)] = s.content.digest(i)
		if !s.content.in[i] || d.chance(0.3) {
			continue
		}
		// What ran before Sengu looked after it: good, and brought by no Release.
		app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: name + "-" + env.Name, Generation: 1}}
		app.Spec.Source = sourceIn(revision(0), name, env.Name)
		app.Status = v1alpha1.AppStatus{
			ObservedGeneration: 1, Revision: revision(0), Digest: s.content.digest(i), Sync: v1alpha1.Synced, Health: v1alpha1.Healthy,
		}
		s.apps[env.Name] = app
		s.prove(env.Name, s.content.digest(i), revision(0))
		s.trail[env.Name] = []ran{{digest: s.content.digest(i)}}
	}
	s.past = []content{s.content}
	return s
}

func sourceIn(rev, service, env string) v1alpha1.AppSource {
	return v1alpha1.AppSource{Revision: rev, Path: "apps/" + service + "/" + env, Cluster: "cluster-" + env, Namespace: service}
}

// view is what a caller would hand to Next now.
func (w *world) view(s *service) Service {
	n := len(s.releases) * len(w.envs())
	v := Service{
		Fleet: w.fleet, Name: s.name, Releases: slices.Clone(s.releases), Apps: maps.Clone(s.apps), Plans: make(map[Place]Plan, n),
		Jobs: map[StepKey]JobState{}, Looks: s.looks, Peers: map[Peer]Peers{}, Approvals: map[string][]v1alpha1.ReleaseAction{},
	}
	w.setTime(&v)
	for _, r := range s.releases {
		for i := range r.Spec.Environments {
			env := r.Spec.Environments[i].Name
			if plan, ok := w.plans[Place{r.Name, env}]; ok {
				if plan.Problem != "" {
					plan = Plan{Problem: plan.Problem}
				}
				v.Plans[Place{r.Name, env}] = plan
			}
			if len(w.services) > 1 {
				v.Peers[Peer{r.Spec.Group, env}] = w.peers(s, r.Spec.Group, env)
			}
		}
		w.viewJobs(r, v.Jobs)
		if agreed := w.groupApprovals(r.Spec.Group); agreed != nil {
			v.Approvals[r.Spec.Group] = agreed
		}
	}
	return v
}

// viewJobs puts the Jobs that r knows of into all.
func (w *world) viewJobs(r *v1alpha1.Release, all map[StepKey]JobState) {
	for i := range r.Status.Environments {
		at := &r.Status.Environments[i]
		for j := range at.Steps {
			key := StepKey{r.Name, at.Name, at.Steps[j].Name, at.Attempt}
			if state, ok := w.jobs[key]; ok {
				all[key] = state
			}
		}
	}
}

// setTime makes v a view of this moment.
func (w *world) setTime(v *Service) {
	v.Now, v.Watched, v.Windows = w.now, map[string]time.Time{}, map[string]Window{}
	for _, env := range w.envs() {
		v.Watched[env.Name] = w.up
		if len(env.Windows) > 0 {
			v.Windows[env.Name] = Window{Open: opens(w.now), Rule: env.Windows[0], Until: turns(w.now)}
		}
	}
}

func intentIn(r *v1alpha1.Release, env string) *v1alpha1.ReleaseEnvironment {
	for i := range r.Spec.Environments {
		if r.Spec.Environments[i].Name == env {
			return &r.Spec.Environments[i]
		}
	}
	return nil
}

func inside(stage v1alpha1.Stage) bool {
	return stage == v1alpha1.StageRunning || stage == v1alpha1.StageVerifying
}

// peers counts how the other services of a change fare in an environment. What an App was brought to counts before the
// Release says so.
func (w *world) peers(s *service, group, env string) Peers {
	var p Peers
	for _, other := range w.services {
		if other == s {
			continue
		}
		for _, r := range other.releases {
			if r.Spec.Group != group {
				continue
			}
			at := environmentOf(&r.Status, env)
			app := other.apps[env]
			switch {
			case at == nil:
			case inside(at.Stage) || at.Stage == v1alpha1.StageWaiting && app != nil && app.Spec.Release == r.Name:
				p.Busy++
			case at.Stage == v1alpha1.StageFailed || at.Stage == v1alpha1.StageRolledBack:
				p.Failed++
			}
		}
	}
	return p
}

func (w *world) groupApprovals(group string) []v1alpha1.ReleaseAction {
	var all []v1alpha1.ReleaseAction
	for _, s := range w.services {
		for _, r := range s.releases {
			if r.Spec.Group != group {
				continue
			}
			for _, a := range r.Spec.Actions {
				if a.Group && a.Verb == v1alpha1.VerbApprove {
					all = append(all, a)
				}
			}
		}
	}
	return all
}

// summerEnds is when the clocks of Berlin are put back.
var summerEnds = time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)

// opens reports whether the windows of the model are open.
func opens(t time.Time) bool {
	offset := time.Hour
	if t.Before(summerEnds) {
		offset = 2 * time.Hour
	}
	hour := t.UTC().Add(offset).Hour()
	return hour >= 9 && hour < 17
}

// turns returns when the windows of the model open or close next.
func turns(t time.Time) time.Time {
	is := opens(t)
	next := t.UTC().Truncate(time.Hour).Add(time.Hour)
	for opens(next) == is {
		next = next.Add(time.Hour)
	}
	return next
}
