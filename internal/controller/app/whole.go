package app

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// whole reports whether all objects of app are applied as its spec and its pin had them last. The revision alone does not
// say so: a pin, or a digest that its Release has locked anew, changes the objects of the same revision. An App that an
// older Sengu wrote has nothing unfinished.
func whole(app *v1alpha1.App) bool {
	return app.Status.Revision == app.Spec.Source.Revision && app.Status.Unfinished == nil
}

// pinBegun is the image that the last sync was to pin, whether it got through or not.
func pinBegun(st *v1alpha1.AppStatus) string {
	if st.Unfinished != nil {
		return st.Unfinished.Pinned
	}
	return st.Pinned
}

// begin notes, before anything is rendered, that what app should be may have changed, and reports whether it has: from
// here on it counts as applied only in part, whatever this sync fails at or waits for. Of an App that is being removed, the
// inventory says how far that is.
func begin(app *v1alpha1.App, pin string) bool {
	st := &app.Status
	if app.Spec.Removal != "" || st.ObservedGeneration == app.Generation && pin == pinBegun(st) {
		return false
	}
	unfinish(st, pin)
	return true
}

// rendered notes what is about to be applied. A pin is told of as soon as an object may run it, and until none does.
func rendered(app *v1alpha1.App, digest, pin string) {
	st := &app.Status
	if app.Spec.Removal != "" {
		st.Digest, st.Pinned, st.Unfinished = digest, pin, nil
		return
	}
	if st.Digest != digest { // where no Release locks it, another Sengu may render the same spec otherwise
		unfinish(st, pin)
	}
	st.Digest, st.Pinned = digest, cmp.Or(pin, st.Pinned)
}

func unfinish(st *v1alpha1.AppStatus, pin string) {
	st.Unfinished = &v1alpha1.Unfinished{Pinned: pin}
	st.Sync = v1alpha1.OutOfSync // until something else is found: an error on the way must leave no "Synced" behind
}

// finish notes that everything was applied.
func finish(app *v1alpha1.App, now time.Time) {
	st := &app.Status
	if app.Spec.Removal != "" {
		return
	}
	if st.Unfinished != nil {
		st.Pinned, st.Unfinished = st.Unfinished.Pinned, nil
	}
	if st.Revision != app.Spec.Source.Revision {
		st.Revision = app.Spec.Source.Revision
		st.LastSynced = &metav1.Time{Time: now.Truncate(time.Second)}
	}
}
