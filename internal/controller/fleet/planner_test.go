package fleet

import (
	"cmp"
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestPlannerWaits begins a look at a commit while one at the commit before is on its way: the first is given up, and the
// second begins when the first has returned, which may have made a Release.
func TestPlannerWaits(t *testing.T) {
	p := newPlanner()
	at := task{types.NamespacedName{Namespace: "sengu", Name: "shop"}, "checkout"}
	begun, finish := make(chan struct{}), make(chan struct{})
	made := false // by the first look, without any lock: the race detector sees one that runs beside it
	p.start(t.Context(), at, question{revision: "one"}, false, func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		<-finish
		made = true
		return ctx.Err()
	}, func(error) { t.Error("a look that was given up is said to have ended") })
	<-begun
	ended := make(chan bool, 1)
	p.start(t.Context(), at, question{revision: "two"}, false, func(context.Context) error {
		ended <- made
		return nil
	}, func(error) {})
	close(finish)
	if !<-ended {
		t.Error("the second look began before the first had returned")
	}
	p.close()
}

// TestRosterForgetsWhatGoes deletes Apps by hand. One comes back as it was, but not one that a Release means to go: when
// its folder is back, its Release brings it.
func TestRosterForgetsWhatGoes(t *testing.T) {
	app := func(environment string) *v1alpha1.App {
		a := &v1alpha1.App{}
		a.Name, a.UID = "checkout."+environment+".shop", types.UID(environment)
		a.Spec = v1alpha1.AppSpec{Fleet: "shop", Service: "checkout", Environment: environment}
		return a
	}
	leaves := func(sequence int64, environment string) course {
		return course{Sequence: sequence, Environments: map[string]v1alpha1.ReleaseEnvironment{environment: {Name: environment, Gone: true}}}
	}
	for name, tc := range map[string]struct {
		before, after []course
		// service is whose Releases come after, checkout's if it is empty.
		service string
		// deleted is how the App was that somebody deletes, as it was put if it is nil.
		deleted func(*v1alpha1.App)
		back    bool
		lost    bool
	}{
		"AnotherServiceGoes": {after: []course{leaves(1, "prod")}, service: "payment", lost: true},
		"OlderGoes":          {before: []course{{Sequence: 2}}, after: []course{leaves(1, "prod")}, lost: true},
		"OnItsWayOut":        {deleted: func(a *v1alpha1.App) { a.Spec.Removal = v1alpha1.RemovalPending }},
		"MadeAgainBefore":    {deleted: func(a *v1alpha1.App) { a.UID = "older" }},
		"IsBack":             {back: true},

		"Stays":         {lost: true},
		"AnotherGoes":   {before: []course{leaves(1, "staging")}, after: []course{leaves(2, "staging")}, lost: true},
		"GoesAlready":   {before: []course{leaves(1, "prod")}},
		"GoesLater":     {after: []course{leaves(1, "prod")}},
		"WouldHaveGone": {before: []course{leaves(1, "prod"), {Sequence: 2}}, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoster()
			r.put(memberOf(app("prod")))
			for _, c := range tc.before {
				r.steer("checkout", c)
			}
			deleted := app("prod")
			if tc.deleted != nil {
				tc.deleted(deleted)
			}
			r.lose(deleted)
			for _, c := range tc.after {
				r.steer(cmp.Or(tc.service, "checkout"), c)
			}
			if tc.back {
				r.put(memberOf(app("prod")))
			}
			if _, lost := r.missing("checkout.prod.shop"); lost != tc.lost {
				t.Errorf("it is made again as it was: %t, want %t", lost, tc.lost)
			}
		})
	}
}

// TestPlannerGoesOn asks the same of a service that is looked at, and then asks anew: the first look goes on until it is given
// up, and the last one is counted until it ends.
func TestPlannerGoesOn(t *testing.T) {
	p := newPlanner()
	at := task{types.NamespacedName{Namespace: "sengu", Name: "shop"}, "checkout"}
	begun, finish, done := make(chan int, 3), make(chan struct{}), make(chan error, 3)
	start := func(n int, anew bool) {
		p.start(t.Context(), at, question{revision: "one"}, anew, func(ctx context.Context) error {
			begun <- n
			if n == 3 && p.pending(at.fleet) != 1 {
				t.Errorf("while a look goes on, %d are pending", p.pending(at.fleet))
			}
			select {
			case <-finish:
			case <-ctx.Done():
			}
			return ctx.Err()
		}, func(err error) { done <- err })
	}
	start(1, false)
	<-begun
	start(2, false) // the same: the first goes on
	start(3, true)
	if n := <-begun; n != 3 {
		t.Errorf("look %d began, which was after what another was at already", n)
	}
	close(finish)
	p.close()
	if n := len(done); n != 1 || <-done != nil {
		t.Errorf("%d looks are said to have ended, or one is said to have failed", n)
	}
	if n := p.pending(at.fleet); n != 0 {
		t.Errorf("%d are pending, and none goes on", n)
	}
}
