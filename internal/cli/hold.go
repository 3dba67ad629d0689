package cli

import (
	"fmt"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// heldBy says who keeps changes out of an App, since when, and why; "" if nobody does.
func heldBy(now time.Time, app *v1alpha1.App) string {
	h := app.Spec.Hold
	if !h.Active() {
		return ""
	}
	since := ago(now, h.At.Time)
	switch {
	case h.By == "":
		return fmt.Sprintf("since %s failed here %s: %s", h.Release, since, h.Reason)
	case h.Reason != "":
		return fmt.Sprintf("by %s %s: %s", h.By, since, h.Reason)
	}
	return fmt.Sprintf("by %s %s", h.By, since)
}

// refusedOf says that a roll-back was not done, and why, for as long as somebody may wonder.
func refusedOf(now time.Time, app *v1alpha1.App) string {
	h := app.Spec.Hold
	if h == nil || h.Refused == "" || now.Sub(h.At.Time) > lately {
		return ""
	}
	return fmt.Sprintf("refused, as %s asked for it %s: %s", h.By, ago(now, h.At.Time), h.Refused)
}

// resumeOf is the call that ends the hold of an App.
func resumeOf(app *v1alpha1.App) string {
	return fmt.Sprintf("sengu release resume %s -e %s", app.Spec.Service, app.Spec.Environment)
}

// coming returns the newest change of an App's service that is not live in its environment, and how far it is there.
func (s snapshot) coming(app *v1alpha1.App) (*v1alpha1.Release, *v1alpha1.ReleaseEnvironmentStatus) {
	if app.Spec.Service == "" {
		return nil, nil
	}
	for _, r := range s.newest(app.Spec.Fleet, app.Spec.Service) {
		is := at(r, app.Spec.Environment)
		switch {
		case is == nil:
		case is.Stage == v1alpha1.StageDone:
			return nil, nil
		default:
			return r, is
		}
	}
	return nil, nil
}

// waitsFor says what keeps r from being live in an environment: what it waits for there, or for one that comes before.
func waitsFor(r *v1alpha1.Release, is *v1alpha1.ReleaseEnvironmentStatus) string {
	if len(is.Gates) > 0 && !is.Gates[0].Open && is.Gates[0].Name == "after" && r.Status.Why != nil {
		return r.Status.Why.Message
	}
	return told(is.Why)
}

// behind says why an App that is as it was told to be does not run the newest of Git, and what moves it on. It is nil if
// the App does.
func (s snapshot) behind(app *v1alpha1.App) (*v1alpha1.Why, []string) {
	h := app.Spec.Hold
	r, is := s.coming(app)
	waits := r != nil && is.Stage == v1alpha1.StageWaiting
	resume := fmt.Sprintf("`%s` lets changes in again", resumeOf(app))
	if waits {
		resume += ": " + r.Name + " is the next"
	} else if h.Active() && r != nil && r.Name == h.Release {
		resume += ": " + r.Name + " is tried again, unless a newer one comes first"
	}
	switch {
	case h.Active() && h.By == "":
		return &v1alpha1.Why{Message: fmt.Sprintf("%s failed here, and changes are kept out since: %s", h.Release, h.Reason), Since: h.At},
			[]string{"push a change of the service's own files or images: one that has passed the environments before ends the hold", resume}
	case h.Active() && h.RollbackTo != "":
		return &v1alpha1.Why{Message: fmt.Sprintf("%s rolled it back to %s and keeps changes out%s", h.By, short(app.Spec.Source.Revision), bracketed(h.Reason)), Since: h.At},
			[]string{resume}
	case h.Active():
		return &v1alpha1.Why{Message: fmt.Sprintf("%s keeps changes out%s", h.By, bracketed(h.Reason)), Since: h.At}, []string{resume}
	case r == nil:
		return nil, nil
	}
	why := &v1alpha1.Why{Message: fmt.Sprintf("%s is not here: %s", r.Name, waitsFor(r, is)), Since: is.Since}
	return why, []string{fmt.Sprintf("`sengu release show %s` shows its journey", r.Name)}
}

// bracketed is a reason after a sentence.
func bracketed(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
