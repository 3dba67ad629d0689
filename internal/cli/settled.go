package cli

import (
	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// settled counts the Apps of fleets that run what they should, in health, and all that there should be. All is 0 while
// a fleet has not been read yet.
func (s snapshot) settled(fleets []string) (done, all int) {
	for _, name := range fleets {
		f := s.fleet(name)
		if f == nil || f.Status.Revision == "" || f.Status.ObservedGeneration != f.Generation {
			return 0, 0
		}
		all += int(f.Status.Apps)
	}
	found := 0
	for i := range s.apps {
		app := &s.apps[i]
		for _, name := range fleets {
			if app.Spec.Fleet != name {
				continue
			}
			found++
			if good(app) {
				done++
			}
		}
	}
	return done, max(all, found)
}

// good says whether app runs what it should, and in health.
func good(app *v1alpha1.App) bool {
	st := app.Status
	return st.ObservedGeneration == app.Generation && st.Revision == app.Spec.Source.Revision &&
		st.Sync == v1alpha1.Synced && st.Health == v1alpha1.Healthy && st.PendingRemoval == nil
}
