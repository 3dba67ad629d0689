package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestUnfinished takes an App that is synced through syncs that end early, each in the way that a real one does, and asks
// what is left to do.
func TestUnfinished(t *testing.T) {
	const (
		unrendered = iota
		partly     // a wave is held, or an object is refused
		wholly
	)
	// sync is one: whether the spec changed before it, what it renders with which image pinned, and how it ends.
	type sync struct {
		spec   bool
		digest string
		pin    string
		ends   int
	}
	type left struct {
		Sync     bool
		Pinned   string
		Revision string
	}
	cases := map[string]struct {
		reason string
		syncs  []sync
		want   left
	}{
		"Drift": {"What is only put back leaves nothing to bring: drift is seen again.",
			[]sync{{false, "a", "", partly}}, left{false, "", "r2"}},
		"PinBegins": {"A pin that got into some objects goes on, and is told of.",
			[]sync{{true, "a", "x:pr", partly}}, left{true, "x:pr", "r2"}},
		"PinBeginsUnrendered": {"A pin that got nowhere is tried again, and is not told of.",
			[]sync{{true, "a", "x:pr", unrendered}}, left{true, "", "r2"}},
		"Pinned": {"A pin that is everywhere is done.",
			[]sync{{true, "a", "x:pr", partly}, {false, "a", "x:pr", wholly}}, left{false, "x:pr", "r2"}},
		"PinEnds": {"A pin that some objects still run goes on ending, and is told of until none does.",
			[]sync{{true, "a", "x:pr", wholly}, {false, "a", "", partly}}, left{true, "x:pr", "r2"}},
		"PinEndsUnrendered": {"So does one whose end could not be rendered.",
			[]sync{{true, "a", "x:pr", wholly}, {false, "a", "", unrendered}}, left{true, "x:pr", "r2"}},
		"PinEnded": {"A pin that no object runs is gone.",
			[]sync{{true, "a", "x:pr", wholly}, {false, "a", "", partly}, {false, "a", "", wholly}}, left{false, "", "r2"}},
		"PinEndsEarly": {"A pin that ends while it is still spreading is taken back.",
			[]sync{{true, "a", "x:pr", partly}, {false, "a", "", partly}}, left{true, "x:pr", "r2"}},
		"PinChanges": {"Another pin in its place goes on.",
			[]sync{{true, "a", "x:pr", wholly}, {true, "a", "x:pr2", partly}}, left{true, "x:pr2", "r2"}},
		"Digest": {"The same revision rendered otherwise, by a new Release, goes on.",
			[]sync{{true, "b", "", partly}}, left{true, "", "r2"}},
		"DigestUnrendered": {"So does one that cannot be rendered yet.",
			[]sync{{true, "b", "", unrendered}}, left{true, "", "r2"}},
		"DigestWhole": {"It is done when all of it is applied.",
			[]sync{{true, "b", "", partly}, {false, "b", "", wholly}}, left{false, "", "r2"}},
		"DigestUnlocked": {"So it is without a Release, where another Sengu renders the same spec otherwise.",
			[]sync{{false, "b", "", partly}}, left{true, "", "r2"}},
		"Back": {"A way back that got through in part goes on, although the revision is the one that was whole before.",
			[]sync{{true, "b", "", partly}, {true, "a", "", partly}}, left{true, "", "r2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			app := synced(func(a *v1alpha1.App) { a.Status.Digest = "a" })
			pin := ""
			for _, s := range tc.syncs {
				pin = s.pin
				if s.spec {
					app.Generation++
				}
				begin(app, s.pin)
				app.Status.ObservedGeneration = app.Generation
				if s.ends != unrendered {
					rendered(app, s.digest, s.pin)
				}
				if s.ends == wholly {
					finish(app, time.Unix(1_800_000_000, 0))
				}
			}
			got := left{decide(app, picture{}, true, pin).Sync, app.Status.Pinned, app.Status.Revision}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if got.Sync && app.Status.Sync == v1alpha1.Synced {
				t.Error("an App with something left to do says Synced")
			}
		})
	}
}

// TestUnfinishedIsNotSynced looks at an App whose next wave waits: it is healthy, and nothing drifted, and yet it is not as
// it should be.
func TestUnfinishedIsNotSynced(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &Reconciler{Now: func() time.Time { return now }}
	app := synced(func(a *v1alpha1.App) { a.Status.Unfinished = &v1alpha1.Unfinished{} })
	r.report(t.Context(), app, nil, picture{health: v1alpha1.Healthy})
	if app.Status.Sync != v1alpha1.OutOfSync {
		t.Errorf("it says %s", app.Status.Sync)
	}
}

// TestRemovalIsNeverUnfinished leaves it to the inventory how far a removal is.
func TestRemovalIsNeverUnfinished(t *testing.T) {
	app := synced(func(a *v1alpha1.App) {
		a.Spec.Removal = v1alpha1.RemovalApproved
		a.Status.Pinned, a.Status.Unfinished = "x:pr", &v1alpha1.Unfinished{Pinned: "x:pr"}
		a.Generation++
	})
	if begin(app, "") {
		t.Error("the removal has begun anew")
	}
	rendered(app, "", "")
	finish(app, time.Unix(1_800_000_000, 0))
	if app.Status.Unfinished != nil || app.Status.Pinned != "" {
		t.Errorf("unfinished is %+v, and %q is pinned", app.Status.Unfinished, app.Status.Pinned)
	}
}

// TestAPinEndsWhileItIsLookedAt has a pin be in force when an App is looked at, and over a moment later: it is looked at
// again all the same.
func TestAPinEndsWhileItIsLookedAt(t *testing.T) {
	until := time.Unix(1_800_000_000, 0)
	now := until.Add(-time.Millisecond)
	r := &Reconciler{Now: func() time.Time { return now }}
	app := synced(func(a *v1alpha1.App) { a.Spec.Pin = &v1alpha1.Pin{Image: "x:pr", Until: metav1.NewTime(until)} })
	pin := app.Spec.Pin.ImageAt(r.Now())
	now = until.Add(time.Millisecond)
	if result := r.untilPinEnds(app, pin, ctrl.Result{}); result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("it is looked at again after %s", result.RequeueAfter)
	}
	if result := r.untilPinEnds(app, "", ctrl.Result{}); result.RequeueAfter != 0 {
		t.Errorf("without a pin it is looked at again after %s", result.RequeueAfter)
	}
}
