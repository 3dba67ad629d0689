package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// awaited is what a verb waits for.
type awaited struct {
	// apps are the names of Apps that were asked to sync with stamp.
	apps  map[string]bool
	stamp string
	// fleets are waited for as a whole when there are no apps.
	fleets  []string
	timeout time.Duration
}

// await follows what was asked for until all of it is synced and healthy, or one of it cannot be.
func (p *program) await(ctx context.Context, pl *plane, w awaited) error {
	limited, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	show := p.progress()
	var last snapshot
	err := pl.follow(limited, func(error) { show.note("the plane at %s does not answer; still trying", pl.config.Host) },
		func(snap snapshot) (bool, error) {
			last = snap
			if len(w.apps) == 0 {
				done, all := snap.settled(w.fleets)
				show.count(done, all)
				return all > 0 && done == all, snap.failed(w.fleets)
			}
			done, err := snap.handled(w)
			show.count(done, len(w.apps))
			return done == len(w.apps), err
		})
	show.end()
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not synced and healthy after %s: %s", w.timeout, last.waitsFor(w))
	}
	return err
}

// handled counts the Apps that have done what was asked for. The error is that of an App that cannot.
func (s snapshot) handled(w awaited) (int, error) {
	done, found := 0, 0
	for i := range s.apps {
		app := &s.apps[i]
		if !w.apps[app.Name] {
			continue
		}
		found++
		if app.Status.HandledSync != w.stamp {
			continue
		}
		if good(app) {
			done++
			continue
		}
		if stuck(app) {
			return done, fmt.Errorf("%s: %s", title(app), reasonOf(s, app))
		}
	}
	if found < len(w.apps) {
		return done, fmt.Errorf("%s gone while it was waited for", plural(len(w.apps)-found, "app is", "apps are"))
	}
	return done, nil
}

// failed is the error of a fleet whose repository cannot be read.
func (s snapshot) failed(fleets []string) error {
	for _, name := range fleets {
		f := s.fleet(name)
		if f != nil && f.Status.Why != nil && conditionFalse(f.Status.Conditions, v1alpha1.ConditionFetched) {
			return fmt.Errorf("fleet %s: %s", name, strings.TrimSuffix(f.Status.Why.Message, "."))
		}
	}
	return nil
}

// stuck says whether an App that has handled a sync will not get further by itself.
func stuck(app *v1alpha1.App) bool {
	return app.Status.ObservedGeneration == app.Generation &&
		(app.Spec.Suspend || app.Status.Health == v1alpha1.Degraded || app.Status.PendingRemoval != nil || conflicted(app) ||
			conditionFalse(app.Status.Conditions, v1alpha1.ConditionRendered))
}

// reasonOf is why app is not as it should be, as the end of a sentence.
func reasonOf(s snapshot, app *v1alpha1.App) string {
	why, _ := s.diagnose(app)
	if why == nil {
		return "it is " + syncWord(app.Status.Sync) + " and " + healthWord(app.Status.Health)
	}
	return strings.TrimSuffix(why.Message, ".")
}

// waitsFor names the first App that has not done what was asked for, and why.
func (s snapshot) waitsFor(w awaited) string {
	for _, app := range sorted(s, filter{}) {
		meant := w.apps[app.Name]
		for _, f := range w.fleets {
			meant = meant || (len(w.apps) == 0 && app.Spec.Fleet == f)
		}
		switch {
		case !meant:
			continue
		case w.apps[app.Name] && app.Status.HandledSync != w.stamp:
			return title(app) + " has not been looked at: see that the Sengu server runs"
		case !good(app):
			return title(app) + ": " + reasonOf(s, app)
		}
	}
	return "the repository has not been read: see `sengu get fleets`"
}
