package release

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/calendar"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// plans keeps what the Releases that have not ended do in their environments, by Release. It is read from Git again
// after a start.
type plans struct {
	mu sync.Mutex
	of map[types.NamespacedName]map[string]plan
	// read are the generations of the Releases that the plans were read for: one changes when a commit becomes its step. A
	// plan that has none is read anew by the next pass.
	read map[types.NamespacedName]int64
	// news counts how often what a plan was read from has changed.
	news int64
}

// plan is what a Release does in an environment besides applying.
type plan struct {
	release.Plan
	// jobs are the steps and checks that are Jobs, and requests the checks that are asked over HTTP, by name.
	jobs     map[string]work
	requests map[string]delivery.HTTP
}

// work is a Job, and whether the namespace is made for it.
type work struct {
	delivery.Job
	createNamespace bool
}

// plan returns what a Release does in an environment. One that was not read is not one that does nothing.
func (p *plans) plan(name types.NamespacedName, environment string) plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, read := p.of[name]
	if !read {
		return plan{Plan: release.Plan{Problem: "it could not be read yet what is to be done"}}
	}
	return all[environment]
}

// request returns the request of a check.
func (p *plans) request(name types.NamespacedName, key release.StepKey) (delivery.HTTP, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.of[name][key.Environment].requests[key.Step]
	return h, ok
}

func (p *plans) get(name types.NamespacedName, generation int64) map[string]plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if read, is := p.read[name]; !is || read != generation {
		return nil
	}
	return p.of[name]
}

// begin is to be called before a plan is read, for put.
func (p *plans) begin() (news int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.news
}

// put keeps a plan. One that may have been read from what is there no more is that of this pass only: the pass decides and
// acts by the same, and the next one reads anew.
func (p *plans) put(name types.NamespacedName, generation, news int64, all map[string]plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of, p.read = map[types.NamespacedName]map[string]plan{}, map[types.NamespacedName]int64{}
	}
	p.of[name], p.read[name] = all, generation
	if news != p.news {
		delete(p.read, name)
	}
}

// outdate has the plan of a Release read anew, also if it is being read just now. What is under way goes on by what it was.
func (p *plans) outdate(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news++
	delete(p.read, name)
}

func (p *plans) forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, name)
	delete(p.read, name)
}

// plan adds to world what its Releases do besides applying, and whether they may do it now. Of those that have ended, only
// what some do is asked. It returns when to read again what could not be read.
func (r *Reconciler) plan(ctx context.Context, world *release.Service, also map[string]bool) (again time.Time) {
	for _, env := range world.Fleet.Spec.Environments {
		if len(env.Windows) == 0 {
			continue
		}
		world.Windows[env.Name] = windowOf(env, world.Now)
	}
	for _, one := range world.Releases {
		name := types.NamespacedName{Namespace: one.Namespace, Name: one.Name}
		if one.Status.Ended != nil && !also[one.Name] {
			r.plans.forget(name)
			if !revertsIn(one) {
				r.desk.forget(one)
			}
			continue
		}
		known := r.plans.get(name, one.Generation)
		if known == nil {
			news := r.plans.begin()
			read, err := r.read(ctx, world.Fleet, one)
			if err != nil {
				unread(world, one, err)
				again = world.Now.Add(readAgain)
				continue
			}
			known = read
			r.plans.put(name, one.Generation, news, known)
		}
		for env, does := range known {
			world.Plans[release.Place{Release: one.Name, Environment: env}] = does.Plan
		}
	}
	return again
}

// readAgain is how long what could not be read from Git is left alone.
const readAgain = 30 * time.Second

// unread says of a Release that it cannot be known what it does, as while its Git server is away or since its commit is on no
// branch any more. It begins nothing, and holds up no other Release of its service: a newer one takes its place.
func unread(world *release.Service, one *v1alpha1.Release, err error) {
	for _, env := range one.Spec.Environments {
		world.Plans[release.Place{Release: one.Name, Environment: env.Name}] = release.Plan{Problem: err.Error()}
	}
}

// revertsIn reports whether a Release that has ended asks for its change in Git to be taken back.
func revertsIn(one *v1alpha1.Release) bool {
	return slices.ContainsFunc(one.Status.Environments, func(at v1alpha1.ReleaseEnvironmentStatus) bool {
		return at.Proposal != nil && at.Proposal.Revert && at.Proposal.Commit == ""
	})
}

// windowOf asks an environment's calendar. One that cannot be read lets nothing in.
func windowOf(env v1alpha1.Environment, now time.Time) release.Window {
	windows, err := calendar.Parse(env.Windows)
	if err != nil {
		return release.Window{Rule: err.Error()} // which the closed gate tells
	}
	answer := windows.At(now)
	return release.Window{Open: answer.Open, Rule: answer.Rule, Until: answer.Until}
}

// read reads from Git what a Release does in each of its environments.
func (r *Reconciler) read(ctx context.Context, fleet *v1alpha1.Fleet, one *v1alpha1.Release) (map[string]plan, error) {
	all := map[string]plan{}
	for _, env := range one.Spec.Environments {
		tree, err := r.tree(ctx, fleet, one.Spec.RevisionIn(env.Name))
		if err != nil {
			return nil, err
		}
		does, err := r.readOne(ctx, fleet, one, env, tree)
		if err != nil {
			return nil, err
		}
		all[env.Name] = does
	}
	return all, nil
}

func (r *Reconciler) readOne(ctx context.Context, fleet *v1alpha1.Fleet, one *v1alpha1.Release, env v1alpha1.ReleaseEnvironment, tree *gitrepo.Tree) (plan, error) {
	does := plan{jobs: map[string]work{}, requests: map[string]delivery.HTTP{}}
	standard := delivery.Settings{}
	does.FailAfter, does.Deadline = standard.FailsAfter(), standard.HealthyWithin()
	if env.Gone || env.Problem != "" {
		return does, nil // nothing is applied
	}
	settings, err := origin.Settings(origin.Order{App: appOf(fleet, one, env), Fleet: fleet, Source: tree})
	if err != nil {
		does.Problem = err.Error()
		return does, nil //nolint:nilerr // it is told by the closed gate
	}
	does.FailAfter, does.Deadline = settings.FailsAfter(), settings.HealthyWithin()
	for _, step := range settings.Before {
		does.Before = append(does.Before, step.Name)
		does.jobs[step.Name] = work{step.Runs(), settings.CreatesNamespace()}
	}
	for _, step := range settings.After {
		does.After = append(does.After, step.Name)
		does.jobs[step.Name] = work{step.Runs(), settings.CreatesNamespace()}
	}
	for _, check := range settings.Checks {
		if err := r.addCheck(ctx, fleet, &does, check, one.Spec.Service, env.Name, settings.CreatesNamespace()); err != nil {
			return does, err
		}
	}
	return does, nil
}

// addCheck adds a check to a plan. One that only has a name is a Check object. One that would never be asked, as it asks
// for what is not done, makes the plan one that cannot be carried out: it says nothing about the change.
func (r *Reconciler) addCheck(ctx context.Context, fleet *v1alpha1.Fleet, does *plan, check delivery.Check, service, environment string, createNamespace bool) error {
	told := "check " + check.Name
	if check.HTTP == nil && check.Job == nil {
		told = fmt.Sprintf("Check %s in namespace %s", check.Name, fleet.Namespace)
		object := &v1alpha1.Check{}
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: check.Name}, object)
		if apierrors.IsNotFound(err) {
			does.problem("%s: there is no Check %s in namespace %s: make it, or correct the name", check.At, check.Name, fleet.Namespace)
			return nil
		}
		if err != nil {
			return fmt.Errorf("read Check %s: %w", check.Name, err)
		}
		check.HTTP, check.Job = httpOf(object.Spec.HTTP), jobOf(object.Spec.Job)
	}
	switch {
	case check.Job != nil:
		does.jobs[check.Name] = work{*check.Job, createNamespace}
		does.Checks = append(does.Checks, release.Check{Name: check.Name, Job: true})
		return nil
	case check.HTTP == nil: // one of a later version of the API
		does.problem("%s: %s asks for nothing: set http or job", check.At, told)
		return nil
	}
	if err := r.validate(*check.HTTP, service, environment); err != nil {
		does.problem("%s: %s: http.%v", check.At, told, err)
		return nil
	}
	does.requests[check.Name] = *check.HTTP
	does.Checks = append(does.Checks, release.Check{
		Name: check.Name, Interval: check.HTTP.Interval,
		Successes: int32(min(check.HTTP.Successes, 1000)), Failures: int32(min(check.HTTP.Failures, 1000)), //nolint:gosec // bounded
	})
	return nil
}

// problem notes why a plan cannot be carried out: the first reason of several.
func (p *plan) problem(format string, args ...any) {
	if p.Problem == "" {
		p.Problem = fmt.Sprintf(format, args...)
	}
}

// httpOf is a Check object as a Delivery would write it.
func httpOf(h *v1alpha1.HTTPCheck) *delivery.HTTP {
	if h == nil {
		return nil
	}
	is := &delivery.HTTP{
		URL: h.URL, Method: delivery.Method(h.Method), Headers: h.Headers, Body: h.Body,
		Interval: 10 * time.Second, Timeout: 10 * time.Second, Successes: int(h.Successes), Failures: 3,
	}
	for _, status := range h.Status {
		is.Status = append(is.Status, int(status))
	}
	if h.Interval != nil {
		is.Interval = h.Interval.Duration
	}
	if h.Timeout != nil {
		is.Timeout = h.Timeout.Duration
	}
	if h.Failures != nil {
		is.Failures = int(*h.Failures)
	}
	return is
}

func jobOf(j *v1alpha1.JobCheck) *delivery.Job {
	if j == nil {
		return nil
	}
	is := &delivery.Job{Work: delivery.Work{
		Image: j.Image, Command: j.Command, Args: j.Args, Env: j.Env, ServiceAccountName: j.ServiceAccountName,
		BackoffLimit: int(j.BackoffLimit), Timeout: time.Hour,
	}}
	if j.Timeout != nil {
		is.Timeout = j.Timeout.Duration
	}
	return is
}

// appOf is the App that a Release means, which need not exist.
func appOf(fleet *v1alpha1.Fleet, one *v1alpha1.Release, env v1alpha1.ReleaseEnvironment) *v1alpha1.App {
	app := &v1alpha1.App{}
	app.Namespace, app.Name = fleet.Namespace, layout.NameOfApp(fleet.Name, one.Spec.Service, env.Name)
	app.Spec = v1alpha1.AppSpec{
		Fleet: fleet.Name, Service: one.Spec.Service, Environment: env.Name,
		Source: v1alpha1.AppSource{Revision: one.Spec.RevisionIn(env.Name), Path: env.Path, Cluster: env.Cluster, Namespace: env.Namespace},
	}
	return app
}

// tree returns a revision. One that the mirror does not hold, as after the disk was lost, is fetched.
func (r *Reconciler) tree(ctx context.Context, fleet *v1alpha1.Fleet, revision string) (*gitrepo.Tree, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return nil, err
	}
	if err := origin.Have(ctx, r.Client, fleet, repository, revision); err != nil {
		return nil, fmt.Errorf("read what Releases of %.7s do: %w", revision, err)
	}
	return origin.Tree(ctx, r.Client, fleet, repository, revision)
}
