package fleet

import (
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
		lost          bool
	}{
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
			r.lose(app("prod"))
			for _, c := range tc.after {
				r.steer("checkout", c)
			}
			if _, lost := r.missing("checkout.prod.shop"); lost != tc.lost {
				t.Errorf("it is made again as it was: %t, want %t", lost, tc.lost)
			}
		})
	}
}
