package app

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func TestWaversHold(t *testing.T) {
	was := v1alpha1.AppStatus{
		Health: v1alpha1.Healthy, Sync: v1alpha1.Synced, Revision: "a", Inventory: []v1alpha1.InventoryEntry{{ID: "apps/Deployment/shop/cart", UID: "1"}},
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
		"Revision":    {"That a revision was applied is told at once.", becomes(func(s *v1alpha1.AppStatus) { s.Revision = "b" }), false},
		"Written":     {"So is that an object was written anew.", becomes(func(s *v1alpha1.AppStatus) { s.Inventory[0].UID = "2" }), false},
		"More": {"So is another object.", becomes(func(s *v1alpha1.AppStatus) {
			s.Inventory = append(s.Inventory, v1alpha1.InventoryEntry{ID: "/Service/shop/cart"})
		}), false},
	}
	app, now := types.NamespacedName{Name: "cart"}, time.Unix(1_800_000_000, 0)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var w wavers
			if wait := w.hold(app, &was, &tc.next, now); (wait > 0) != tc.want {
				t.Errorf("%s\ngot a wait of %s, want one: %v", tc.reason, wait, tc.want)
			}
			if wait := w.hold(app, &was, &tc.next, now.Add(steadyAfter)); wait > 0 {
				t.Errorf("%s\nafter %s it still waits, for %s", tc.reason, steadyAfter, wait)
			}
		})
	}
	t.Run("BeginsAnew", func(t *testing.T) {
		var w wavers
		progressing := becomes(nil)
		w.hold(app, &was, &progressing, now)
		w.hold(app, &was, &was, now.Add(steadyAfter/2)) // healthy again
		if wait := w.hold(app, &was, &progressing, now.Add(steadyAfter)); wait != steadyAfter {
			t.Errorf("what was healthy in between waits %s, want %s", wait, steadyAfter)
		}
	})
}
