package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// The names of the gates.
const (
	gateAfter    = "after"
	gateHold     = "hold"
	gateTurn     = "turn"
	gatePlan     = "plan"
	gateRemoval  = "removal"
	gateWindows  = "windows"
	gateApproval = "approval"
	gateFailures = "failures"
	gateGroup    = "group"
	gateParallel = "parallel"
	gateGit      = "git"
	gateMerge    = "merge"
)

// forPeople are the gates that a person opens: that a Release stands before one is worth a word.
var forPeople = map[string]bool{gateHold: true, gateRemoval: true, gateApproval: true, gateFailures: true, gateMerge: true}

// gates judges everything that may keep r out of an environment, in the order in which it is told. A person's promotion
// past the gates opens all but a person's hold, the turn of a Job that runs, a plan that cannot be made, as without it
// nobody knows what comes before applying, and a change that is not in Git yet.
func (d *decider) gates(r *journey, env v1alpha1.Environment, p *place, inside *journey) []v1alpha1.Gate {
	_, skips := r.promoted(env.Name)
	gates := []v1alpha1.Gate{d.hold(r, env.Name, p), d.turn(env.Name, p, inside, skips), d.plan(r, env.Name)}
	if intent := r.intent(env.Name); intent.Promote != "" && intent.Problem == "" { // what cannot be rendered is not written
		gates = append(gates, d.git(r, env.Name))
	}
	if skips {
		return gates
	}
	if r.intent(env.Name).Gone {
		gates = append(gates, d.removal(r, env))
	}
	gates = append(gates, d.window(env.Name))
	if env.Approval != nil && r.intent(env.Name).Promote != v1alpha1.PromotePullRequest { // where merging is the approval
		gates = append(gates, d.approval(r, env))
	}
	return append(gates, d.failures(r, env), d.group(r, env), d.parallel(r))
}

func open(name string) v1alpha1.Gate { return v1alpha1.Gate{Name: name, Open: true} }

func closed(name, format string, args ...any) v1alpha1.Gate {
	return v1alpha1.Gate{Name: name, Message: fmt.Sprintf(format, args...)}
}

// hold is closed while the environment is held. A hold after a failure lets a Release through that changes the
// service's own files or images; see [decider.release].
func (d *decider) hold(r *journey, name string, p *place) v1alpha1.Gate {
	h := p.Hold
	switch {
	case !h.Active():
		if failed := d.failedUnborn(r, name, p); failed != nil {
			return closed(gateHold, "%s failed in %s, and nothing of the service itself has changed since: a change of its own files or images goes in, or `sengu release promote %s -e %s`", failed.Name, name, r.Name, name)
		}
		return open(gateHold)
	case h.By != "":
		return closed(gateHold, "%s", d.heldBy(h, name))
	case d.mends(r, name, h):
		return open(gateHold)
	default:
		return closed(gateHold, "%s is held since %s failed there: a change of the service's own files or images ends that, or `sengu release resume %s -e %s`", name, h.Release, d.Name, name)
	}
}

// heldBy says who holds an environment, and how that ends.
func (d *decider) heldBy(h *v1alpha1.Hold, name string) string {
	if h.Refused != "" {
		return fmt.Sprintf("%s holds %s and asked to go back, which was refused, as %s: `sengu release resume %s -e %s` lets Releases in again", h.By, name, h.Refused, d.Name, name)
	}
	return fmt.Sprintf("%s holds %s%s: `sengu release resume %s -e %s` lets Releases in again", h.By, name, because(h.Reason), d.Name, name)
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// mends reports whether r changes the service itself against what failed.
func (d *decider) mends(r *journey, name string, h *v1alpha1.Hold) bool {
	if asked, _ := r.promoted(name); asked || r.Name == h.Release {
		return asked
	}
	intent := r.intent(name)
	if failed := d.byName[h.Release]; failed != nil && failed.Spec.Sequence >= r.Spec.Sequence {
		return false
	}
	return intent.Own != h.Own || !slices.Equal(intent.Images, h.Images)
}

// failedUnborn returns the Release that failed before the service ever ran in an environment, so that no App could be
// held, unless r changes the service itself.
func (d *decider) failedUnborn(r *journey, name string, p *place) *journey {
	if asked, _ := r.promoted(name); asked || p.app != nil {
		return nil
	}
	for _, old := range slices.Backward(d.releases) {
		if old.Spec.Sequence >= r.Spec.Sequence {
			continue
		}
		switch old.stage(name) {
		case v1alpha1.StageDone:
			return nil
		case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
			was, is := old.intent(name), r.intent(name)
			faulty := was.Problem != "" || slices.ContainsFunc(old.at(name).Steps, func(s v1alpha1.StepStatus) bool { return s.Phase == v1alpha1.StepFailed })
			if faulty && was.Own == is.Own && slices.Equal(was.Images, is.Images) && !is.Gone {
				return old
			}
			return nil
		}
	}
	return nil
}

// leastPatience is how long a Release that is on its way to health is not taken for stuck, however soon it would fail.
const leastPatience = time.Minute

// turn is closed while an older Release is at work in the environment that is not stuck, unless a person skips that, and
// always while a Job runs there.
func (d *decider) turn(name string, p *place, inside *journey, skips bool) v1alpha1.Gate {
	if r, job := d.busy(name); job != "" {
		return closed(gateTurn, "Job %s of %s is running there, and is not interrupted", job, r.Name)
	}
	if inside == nil || skips && p.Source == p.was.Source && p.Release == p.was.Release { // what this decision moves is let move
		return open(gateTurn)
	}
	at := inside.at(name)
	since, patience, does := at.Moved, max(d.Plans[Place{inside.Name, name}].FailAfter, leastPatience), "is on its way there"
	switch problem := d.unplanned(inside, name); {
	case problem != "":
		since, patience, does = &d.why(at, problem).Since, leastPatience, "is there, and cannot go on"
	case at.Moved == nil:
		return closed(gateTurn, "%s is about to go in", inside.Name)
	case at.Healthy != nil:
		return closed(gateTurn, "%s is being verified there", inside.Name)
	case at.Degraded != nil:
		return open(gateTurn)
	case at.Unhealthy != nil:
		since = at.Unhealthy
	}
	if stuck := d.seen(name, since).Add(patience); d.Now.Before(stuck) {
		d.wakeAt(stuck)
		return closed(gateTurn, "%s %s", inside.Name, does)
	}
	return open(gateTurn)
}

// plan is closed while it is not known what is to be done in the environment besides applying.
func (d *decider) plan(r *journey, name string) v1alpha1.Gate {
	if problem := d.unplanned(r, name); problem != "" {
		return closed(gatePlan, "%s", problem)
	}
	return open(gatePlan)
}

// window is closed outside of the environment's windows.
func (d *decider) window(name string) v1alpha1.Gate {
	w, known := d.Windows[name]
	if known && !w.Until.IsZero() {
		d.wakeAt(w.Until)
	}
	switch {
	case !known || w.Open:
		return open(gateWindows)
	case w.Until.IsZero():
		return closed(gateWindows, "no Release may go in now (%s)", w.Rule)
	default:
		return closed(gateWindows, "no Release may go in before %s (%s)", w.Until.UTC().Format("2006-01-02 15:04 UTC"), w.Rule)
	}
}

// AwaitsPlace reports whether what keeps a Release out of an environment is that as many services of its change are at work
// there as may be.
func AwaitsPlace(at v1alpha1.ReleaseEnvironmentStatus) bool { return standsBefore(at) == gateGroup }

// AwaitsPerson reports whether what keeps a Release out of an environment is a gate that a person opens.
func AwaitsPerson(at v1alpha1.ReleaseEnvironmentStatus) bool { return forPeople[standsBefore(at)] }

// AwaitsEarlier reports whether what keeps a Release out of an environment is one before it that it has not passed.
func AwaitsEarlier(at v1alpha1.ReleaseEnvironmentStatus) bool { return standsBefore(at) == gateAfter }

// standsBefore names the gate that a Release waits for before an environment, the first that is closed, "" if it does not.
func standsBefore(at v1alpha1.ReleaseEnvironmentStatus) string {
	i := slices.IndexFunc(at.Gates, func(g v1alpha1.Gate) bool { return !g.Open })
	if at.Stage != v1alpha1.StageWaiting || i < 0 {
		return ""
	}
	return at.Gates[i].Name
}

// failures is closed once too many services of the same change have failed in the environment.
func (d *decider) failures(r *journey, env v1alpha1.Environment) v1alpha1.Gate {
	failed, limit := d.Peers[Peer{r.Spec.Group, env.Name}].Failed, int(env.MaxFailures)
	if limit == 0 && len(env.After) > 0 {
		limit = 1
	}
	if limit == 0 || failed < limit {
		return open(gateFailures)
	}
	return closed(gateFailures, "%s in %s, and no other begins there: `sengu release promote %s -e %s --skip-gates --reason …` goes on all the same", services(failed, "of this change has failed", "of this change have failed"), env.Name, r.Name, env.Name)
}

// group is closed while as many services of the same change are at work in the environment as may be.
func (d *decider) group(r *journey, env v1alpha1.Environment) v1alpha1.Gate {
	busy := d.Peers[Peer{r.Spec.Group, env.Name}].Busy
	if env.MaxConcurrent == 0 || busy < int(env.MaxConcurrent) {
		return open(gateGroup)
	}
	return closed(gateGroup, "%s to %s, where %d may at once: it goes in when one of them has passed or stopped", services(busy, "of this change is being brought", "of this change are being brought"), env.Name, env.MaxConcurrent)
}

// services counts services.
func services(n int, one, more string) string {
	if n == 1 {
		return "1 service " + one
	}
	return fmt.Sprintf("%d services %s", n, more)
}

// parallel is closed while r is in as many environments as it may be at once.
func (d *decider) parallel(r *journey) v1alpha1.Gate {
	var busy []string
	for _, at := range r.status.Environments {
		if working(at.Stage) {
			busy = append(busy, at.Name)
		}
	}
	if limit := int(d.Fleet.Spec.MaxParallel); limit == 0 || len(busy) < limit {
		return open(gateParallel)
	}
	return closed(gateParallel, "it is in %s already, and may be in no more than %d at once", strings.Join(busy, " and "), d.Fleet.Spec.MaxParallel)
}

// release ends a hold that does not concern r.
func (d *decider) release(r *journey, name string, p *place) {
	if !p.Hold.Active() {
		return
	}
	reason := r.Name + " changes the service itself"
	if asked, _ := r.promoted(name); asked {
		reason = r.Name + " was promoted"
	}
	p.Hold.Ended = &v1alpha1.HoldEnd{At: d.time(), Reason: reason}
	if failed := d.byName[p.Hold.Release]; failed != nil && failed.at(name) != nil {
		failed.at(name).Resumed = &p.Hold.Ended.At
	}
	d.note(r, history.Resumed, name, "", reason)
}
