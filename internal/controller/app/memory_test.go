package app

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func TestWaversHold(t *testing.T) {
	was := v1alpha1.AppStatus{
		Health: v1alpha1.Healthy, Sync: v1alpha1.Synced, Revision: "a", ObservedGeneration: 1,
		Inventory: []v1alpha1.InventoryEntry{{ID: "apps/Deployment/shop/cart", UID: "1", Baseline: "a"}},
	}
	// becomes returns was with some changes.
	becomes := func(change func(*v1alpha1.AppStatus)) v1alpha1.AppStatus {
		next := *was.DeepCopy()
		next.Health, next.Why = v1alpha1.Progressing, &v1alpha1.Why{Message: "Deployment shop/cart: 0 of 1 Pods are available"}
		next.Inventory[0].Health = v1alpha1.Progressing
		if change != nil {
			change(&next)
		}
		return next
	}
	cases := map[string]struct {
		reason string
		next   v1alpha1.AppStatus
		want   bool
	}{
		"Progressing": {"What was healthy may be so again in a moment.", becomes(nil), true},
		"Same":        {"Nothing has changed.", was, false},
		"Degraded":    {"Trouble is told at once.", becomes(func(s *v1alpha1.AppStatus) { s.Health = v1alpha1.Degraded }), false},
		"Revision": {"So may be what another revision has changed in place.", becomes(func(s *v1alpha1.AppStatus) {
			s.Revision, s.Digest, s.ObservedGeneration, s.Inventory[0].Baseline = "b", "b", 2, "b"
			s.Inputs, s.InputsDigest, s.Renderer, s.LastSynced = []string{"apps/cart"}, "b", "2", &metav1.Time{}
		}), true},
		"NotSynced": {"That it could not be applied whole is told at once.", becomes(func(s *v1alpha1.AppStatus) { s.Sync = v1alpha1.OutOfSync }), false},
		"Asked":     {"So is that what a person asked for was done.", becomes(func(s *v1alpha1.AppStatus) { s.HandledSync = "1" }), false},
		"Pinned":    {"So is a pin.", becomes(func(s *v1alpha1.AppStatus) { s.Pinned = "image" }), false},
		"Drifted":   {"So is drift.", becomes(func(s *v1alpha1.AppStatus) { s.Drift = []v1alpha1.Drift{{}} }), false},
		"Fewer":     {"So is that an object is gone.", becomes(func(s *v1alpha1.AppStatus) { s.Inventory = nil }), false},
		"Written":   {"So is that an object was written anew.", becomes(func(s *v1alpha1.AppStatus) { s.Inventory[0].UID = "2" }), false},
		"More": {"So is another object.", becomes(func(s *v1alpha1.AppStatus) {
			s.Inventory = append(s.Inventory, v1alpha1.InventoryEntry{ID: "/Service/shop/cart"})
		}), false},
	}
	now := time.Unix(1_800_000_000, 0)
	at := func(status v1alpha1.AppStatus) *v1alpha1.App {
		return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "cart", Generation: 2, ResourceVersion: "7"}, Status: status}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var w wavers
			if wait := w.hold(at(tc.next), &was, now); (wait > 0) != tc.want {
				t.Errorf("%s\ngot a wait of %s, want one: %v", tc.reason, wait, tc.want)
			}
			if wait := w.hold(at(tc.next), &was, now.Add(steadyAfter)); wait > 0 {
				t.Errorf("%s\nafter %s it still waits, for %s", tc.reason, steadyAfter, wait)
			}
		})
	}
	t.Run("BeginsAnew", func(t *testing.T) {
		var w wavers
		w.hold(at(becomes(nil)), &was, now)
		w.hold(at(was), &was, now.Add(steadyAfter/2)) // healthy again
		if wait := w.hold(at(becomes(nil)), &was, now.Add(steadyAfter)); wait != steadyAfter {
			t.Errorf("what was healthy in between waits %s, want %s", wait, steadyAfter)
		}
	})
	t.Run("AnotherGeneration", func(t *testing.T) {
		var w wavers
		w.hold(at(becomes(nil)), &was, now)
		next := at(becomes(nil))
		next.Generation++
		if wait := w.hold(next, &was, now.Add(steadyAfter)); wait != steadyAfter {
			t.Errorf("what a new spec has changed waits %s, want %s", wait, steadyAfter)
		}
	})
}

// TestWaversRecall gives an App back what was done for it and is not written yet, and nothing of what was done before
// somebody changed it.
func TestWaversRecall(t *testing.T) {
	was := v1alpha1.AppStatus{Health: v1alpha1.Healthy, Revision: "a"}
	done := v1alpha1.AppStatus{Health: v1alpha1.Progressing, Revision: "b"}
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "cart", Generation: 2, ResourceVersion: "7"}, Status: done}
	revision := func(w *wavers, change func(*v1alpha1.App)) string {
		is := app.DeepCopy()
		is.Status = was
		change(is)
		w.recall(is)
		return is.Status.Revision
	}
	var w wavers
	w.hold(app, &was, time.Unix(1_800_000_000, 0))
	if got := revision(&w, func(*v1alpha1.App) {}); got != "b" {
		t.Errorf("an App whose status is held back begins at %s, want b", got)
	}
	if got := revision(&w, func(a *v1alpha1.App) { a.Generation++ }); got != "a" {
		t.Errorf("an App with another spec begins at %s, want a", got)
	}
	if got := revision(&w, func(a *v1alpha1.App) { a.ResourceVersion = "8" }); got != "a" {
		t.Errorf("an App that somebody has written begins at %s, want a", got)
	}
	if got := revision(&w, func(a *v1alpha1.App) { a.Name = "mail" }); got != "a" {
		t.Errorf("another App begins at %s, want a", got)
	}
	w.forget(types.NamespacedName{Name: "cart"})
	if got := revision(&w, func(*v1alpha1.App) {}); got != "a" {
		t.Errorf("an App that was forgotten begins at %s, want a", got)
	}
}
