package release

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// advance takes r, which is in an environment, as far as it can go there: before-jobs, apply, health, after-jobs, checks,
// soak.
func (d *decider) advance(r *journey, env v1alpha1.Environment, p *place) {
	at := r.at(env.Name)
	switch problem := d.unplanned(r, env.Name); {
	case at.Moved != nil && r.intent(env.Name).Gone:
		d.remove(r, env.Name, p)
	case at.Moved == nil || p.app == nil:
		d.prepare(r, env.Name, p, problem)
	case problem != "":
		at.Healthy, at.Unhealthy, at.Degraded = nil, nil, nil // how long is too long is not known either
		d.because(at, problem)
	default:
		d.watch(r, env, p)
	}
}

// unplanned says why it is not known what r does in an environment besides applying: then nothing is begun, and nothing
// is judged.
func (d *decider) unplanned(r *journey, name string) string {
	plan, known := d.Plans[Place{r.Name, name}]
	switch {
	case r.intent(name).Gone:
		return ""
	case !known:
		return "it is not known yet what sengu.yaml asks for here besides applying"
	}
	return plan.Problem
}

// watch waits until what r has applied is healthy, and then verifies it.
func (d *decider) watch(r *journey, env v1alpha1.Environment, p *place) {
	at, plan := r.at(env.Name), d.Plans[Place{r.Name, env.Name}]
	if image := d.pinned(p); image != "" {
		at.Pinned = image
	}
	if !d.endures(r, env.Name, p, plan, d.judge(r, p)) {
		return
	}
	if at.Stage == v1alpha1.StageRunning {
		d.becomes(r, env.Name, v1alpha1.StageVerifying, "")
		d.note(r, history.Verifying, env.Name, "", "")
	}
	d.verify(r, env, p, plan)
}

// prepare runs the before-jobs and then brings the App to the revision. While a person holds the environment, nothing
// more is begun.
func (d *decider) prepare(r *journey, name string, p *place, problem string) {
	intent, held := r.intent(name), ""
	if p.Hold.Active() && p.Hold.By != "" {
		held = d.heldBy(p.Hold, name)
	}
	switch {
	case intent.Problem != "":
		d.fail(r, name, p, intent.Problem)
	case problem != "":
		d.because(r.at(name), problem)
	case !intent.Gone && !d.run(r, name, p, d.Plans[Place{r.Name, name}].Before, held):
	case held != "":
		d.because(r.at(name), held)
	default:
		d.move(r, name, p)
	}
}

// move brings the App to what r intends.
func (d *decider) move(r *journey, name string, p *place) {
	intent := r.intent(name)
	if intent.Gone && p.app == nil {
		d.leave(r, name)
		return
	}
	if good := d.good(p, name); good != nil {
		p.LastGood = good
	}
	p.Release = r.Name
	if intent.Gone {
		p.Removal = v1alpha1.RemovalPending
	} else {
		p.Create, p.Removal = p.app == nil, ""
		p.Source = v1alpha1.AppSource{Revision: r.Spec.RevisionIn(name), Path: intent.Path, Cluster: intent.Cluster, Namespace: intent.Namespace}
		p.Digest = intent.Digest
	}
	if intent.RollbackBlocked != "" {
		p.LastGood = nil // from here on, there is no way back
	}
	d.moved(r, name)
	d.because(r.at(name), "it is being applied")
}

// moved notes that the App was brought to what r intends: its health is waited for from here.
func (d *decider) moved(r *journey, name string) {
	at, now := r.at(name), d.time()
	if at.Stage != v1alpha1.StageRunning {
		d.becomes(r, name, v1alpha1.StageRunning, "")
	}
	at.Moved, at.Healthy, at.Unhealthy, at.Degraded, at.Pinned = &now, nil, nil, nil, ""
}

// good returns what an App runs, if that is good: its Release has passed here, or it runs well without one.
func (d *decider) good(p *place, name string) *v1alpha1.GoodSource {
	if p.app == nil || p.was.Removal != "" {
		return nil
	}
	current := &v1alpha1.GoodSource{Source: p.was.Source, Digest: p.was.Digest, Release: p.was.Release}
	if by := d.byName[p.was.Release]; by != nil {
		if by.stage(name) == v1alpha1.StageDone {
			return current
		}
		return nil
	}
	if p.was.Release == "" && applied(p.app) && well(p.app) {
		current.Digest = p.app.Status.Digest
		return current
	}
	return nil
}

// revisionOf is what g ran, "" without g.
func revisionOf(g *v1alpha1.GoodSource) string {
	if g == nil {
		return ""
	}
	return g.Source.Revision
}

// leave ends r in an environment that it has emptied.
func (d *decider) leave(r *journey, name string) {
	d.becomes(r, name, v1alpha1.StageDone, "")
	d.note(r, history.Done, name, "", "what it ran is gone")
}

// remove waits until nothing is left of the service in an environment.
func (d *decider) remove(r *journey, name string, p *place) {
	if p.app == nil {
		d.leave(r, name)
		return
	}
	why := "what it runs is being deleted"
	if w := p.app.Status.Why; settled(p.app) && w != nil {
		why = w.Message
	}
	d.because(r.at(name), why)
}

// applied reports whether what an App's source names has been applied whole.
func applied(app *v1alpha1.App) bool {
	return settled(app) && app.Status.Revision == app.Spec.Source.Revision
}

// well reports whether what runs does its work.
func well(app *v1alpha1.App) bool {
	return app.Status.Health == v1alpha1.Healthy || app.Status.Health == v1alpha1.Suspended
}

// view is how an App is that a Release was brought to.
type view struct {
	good bool
	// bad is true for what does not mend itself, unless it does within a moment.
	bad bool
	// patient is true if what it waits for is no fault of the Release: a person, another App, an unreachable cluster, a pinned
	// image, or the App's controller, which has not looked at it yet.
	patient bool
	why     string
}

// whyOf is what an App says it waits for, to be put behind something.
func (d *decider) whyOf(p *place) string {
	if p.was.Source != p.Source || !settled(p.app) || p.app.Status.Why == nil {
		return ""
	}
	return after(p.app.Status.Why.Message)
}

// patience are the reasons of Ready that say nothing about a Release.
var patience = map[string]bool{
	"WaitsForConfirmation": true, "Waits": true, "Conflict": true, "Contested": true, "ClusterNotReady": true, "Suspended": true, "FleetNotReadable": true,
}

// judge looks at the App of r.
func (d *decider) judge(r *journey, p *place) view {
	app := p.app
	if app == nil || p.was.Release != r.Name || !settled(app) {
		return view{patient: true, why: "it is being applied"}
	}
	why := "it is being applied"
	if app.Status.Why != nil {
		why = app.Status.Why.Message
	}
	reason := ""
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		reason = c.Reason
	}
	switch {
	case applied(app) && well(app) && (app.Status.Sync == v1alpha1.Synced || reason == "Drifted"):
		return view{good: true}
	case patience[reason]:
		return view{patient: true, why: why}
	case reason == "RenderFailed", reason == ReasonRenderedOtherwise:
		return view{bad: true, why: why} // whatever is pinned
	case d.pinned(p) != "":
		return view{patient: true, why: fmt.Sprintf("%s; it is not held against this change, as %s is pinned here", why, d.pinned(p))}
	case reason == "ApplyFailed":
		return view{bad: true, why: why}
	case app.Status.Health == v1alpha1.Degraded, app.Status.Health == v1alpha1.Missing && applied(app):
		return view{bad: true, why: why}
	}
	return view{why: why}
}

// ReasonRenderedOtherwise is the reason of an App's Ready condition when its source renders something else than its
// Release has locked.
const ReasonRenderedOtherwise = "RenderedOtherwise"

// endures keeps the clocks of r's health and fails it when one runs out. It reports whether all is well now.
func (d *decider) endures(r *journey, name string, p *place, plan Plan, v view) bool {
	at := r.at(name)
	now := d.time()
	if v.good {
		at.Unhealthy, at.Degraded = nil, nil
		if at.Healthy == nil {
			at.Healthy = &now // the soak begins, or begins anew
		}
		return true
	}
	at.Healthy = nil
	d.because(at, v.why)
	if v.patient {
		at.Unhealthy, at.Degraded = nil, nil
		return false
	}
	if at.Unhealthy == nil {
		at.Unhealthy = &now
	}
	due, why := d.seen(name, at.Unhealthy).Add(plan.Deadline), fmt.Sprintf("it was not healthy within %s: %s", plan.Deadline, v.why)
	switch {
	case !v.bad:
		at.Degraded = nil
	case at.Degraded == nil:
		at.Degraded = &now
		fallthrough
	default:
		due, why = d.seen(name, at.Degraded).Add(plan.FailAfter), v.why
	}
	if d.Now.Before(due) {
		d.wakeAt(due)
		return false
	}
	d.fail(r, name, p, why)
	return false
}

// seen returns from when on what has been so since t in an environment is held against a Release: not while nobody looked.
func (d *decider) seen(name string, t *metav1.Time) time.Time {
	if watched := d.Watched[name]; t.Time.Before(watched) {
		return watched
	}
	return t.Time
}

// verify asks what is to be known of what runs, and lets it soak.
func (d *decider) verify(r *journey, env v1alpha1.Environment, p *place, plan Plan) {
	if !d.run(r, env.Name, p, plan.After, "") || !d.check(r, env.Name, p, plan.Checks) {
		return
	}
	at := r.at(env.Name)
	if env.Soak != nil && env.Soak.Duration > 0 {
		until := at.Healthy.Add(env.Soak.Duration)
		watched := d.Watched[env.Name]
		if looked := watched.Add(leastPatience); at.Moved.Time.Before(watched) && until.Before(looked) {
			until = looked // how it is may have changed while nobody looked, and is told from before
		}
		if d.Now.Before(until) {
			d.wakeAt(until)
			d.because(at, fmt.Sprintf("it soaks until %s", until.UTC().Format("2006-01-02 15:04:05 UTC")))
			return
		}
	}
	d.becomes(r, env.Name, v1alpha1.StageDone, "")
	d.note(r, history.Done, env.Name, "", unseen(at))
}

// pinned returns the image that a person has pinned in an environment, until nothing runs it any more; "" if there is none.
func (d *decider) pinned(p *place) string {
	image := cmp.Or(p.app.Spec.Pin.ImageAt(d.Now), p.app.Status.Pinned)
	if u := p.app.Status.Unfinished; u != nil {
		image = cmp.Or(image, u.Pinned)
	}
	return image
}

// unseen says that something else ran in an environment than what a Release brings, "" if nothing did.
func unseen(at *v1alpha1.ReleaseEnvironmentStatus) string {
	if at.Pinned == "" {
		return ""
	}
	return at.Pinned + " was pinned here, so the image of this change was not seen to run"
}
