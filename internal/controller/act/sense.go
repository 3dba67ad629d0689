package act

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// StageWord says a stage in a sentence.
func StageWord(s v1alpha1.Stage) string {
	if s == v1alpha1.StageRolledBack {
		return "rolled-back"
	}
	if s == "" {
		return "new"
	}
	return strings.ToLower(string(s))
}

// At returns how far r has come in an environment, nil if r is not for it.
func At(r *v1alpha1.Release, environment string) *v1alpha1.ReleaseEnvironmentStatus {
	for i := range r.Status.Environments {
		if r.Status.Environments[i].Name == environment {
			return &r.Status.Environments[i]
		}
	}
	return nil
}

// Asks reports whether a Release waits for an approval.
func Asks(e *v1alpha1.ReleaseEnvironmentStatus) bool {
	return slices.ContainsFunc(e.Gates, func(g v1alpha1.Gate) bool { return !g.Open && (g.Name == "approval" || g.Name == "removal") })
}

// Idle refuses what would be recorded in an environment of a Release and do nothing.
func Idle(verb v1alpha1.Verb, r *v1alpha1.Release, e *v1alpha1.ReleaseEnvironmentStatus) error {
	is := StageWord(e.Stage)
	switch {
	case e.Stage == v1alpha1.StageDone:
		return fmt.Errorf("%s has passed %s already", r.Name, e.Name)
	case e.Stage == v1alpha1.StageWaiting:
	case e.Stage == v1alpha1.StageRunning, e.Stage == v1alpha1.StageVerifying:
		if verb != v1alpha1.VerbAbort {
			return fmt.Errorf("%s is in %s already, %s%s", r.Name, e.Name, is, because(e.Why))
		}
	case verb == v1alpha1.VerbApprove:
		return fmt.Errorf("%s is %s in %s: `sengu release promote %s -e %s` tries it again, and what it then waits for can be approved", r.Name, is, e.Name, r.Name, e.Name)
	case verb == v1alpha1.VerbAbort:
		return fmt.Errorf("%s is %s in %s: there is nothing to end", r.Name, is, e.Name)
	}
	return nil
}

func because(w *v1alpha1.Why) string {
	if w == nil || w.Message == "" {
		return ""
	}
	return " (" + w.Message + ")"
}

// Hold writes into app that a person holds it, resumes it, or rolls it back to a Release or a revision. The error is a
// sentence about what is so already.
func Hold(app *v1alpha1.App, verb v1alpha1.Verb, by, reason, to string, now time.Time) error {
	at := metav1.NewTime(now.Truncate(time.Second))
	is := app.Spec.Hold
	switch {
	case verb == v1alpha1.VerbResume && !is.Active():
		return fmt.Errorf("%s is not held in %s", app.Spec.Service, app.Spec.Environment)
	case verb == v1alpha1.VerbResume:
		is.Ended = &v1alpha1.HoldEnd{By: by, At: at, Reason: reason}
	case verb == v1alpha1.VerbHold && is.Active() && is.By != "":
		return fmt.Errorf("%s is held in %s by %s already, since %s", app.Spec.Service, app.Spec.Environment, is.By, ago(now, is.At.Time))
	default:
		app.Spec.Hold = &v1alpha1.Hold{By: by, At: at, Reason: reason, RollbackTo: to}
	}
	return nil
}

func ago(now, t time.Time) string {
	if now.Sub(t) < time.Second {
		return "just now"
	}
	return duration.HumanDuration(now.Sub(t)) + " ago"
}

// GoodTarget returns what an App is rolled back to, or says why there is nothing: the Release or revision that is asked for,
// or with "" what ran before and was good. Releases are those that there are.
func GoodTarget(app *v1alpha1.App, releases []v1alpha1.Release, asked string) (string, error) {
	for i := range releases {
		if r := &releases[i]; r.Name == app.Spec.Release {
			for _, env := range r.Spec.Environments {
				if env.Name == app.Spec.Environment && env.RollbackBlocked != "" {
					return "", fmt.Errorf("%s cannot be rolled back: %s", r.Name, env.RollbackBlocked)
				}
			}
		}
	}
	if asked != "" {
		if r := slices.IndexFunc(releases, func(r v1alpha1.Release) bool { return r.Name == asked }); r >= 0 {
			if is := At(&releases[r], app.Spec.Environment); is == nil || is.Stage != v1alpha1.StageDone {
				return "", fmt.Errorf("%s has never been good in %s", asked, app.Spec.Environment)
			}
		}
		return asked, nil
	}
	good := app.Spec.LastGood
	if good != nil && good.Source == app.Spec.Source {
		return "", fmt.Errorf("%s runs what was good before already, which is %.7s: `sengu release list %s --all` shows what ran earlier, and --to names it", app.Spec.Environment, good.Source.Revision, app.Spec.Service)
	}
	if good == nil {
		return "", fmt.Errorf("nothing good ran in %s before: `sengu release list %s --all` shows what did, and --to names it", app.Spec.Environment, app.Spec.Service)
	}
	if good.Release != "" {
		return good.Release, nil
	}
	return good.Source.Revision, nil
}
