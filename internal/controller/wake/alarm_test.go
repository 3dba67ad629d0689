package wake_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/controller/wake"
)

func TestAlarm(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakeClock(start)
	var mu sync.Mutex
	var woken []string
	alarm := wake.NewAlarm(clock, func(name types.NamespacedName) {
		mu.Lock()
		defer mu.Unlock()
		woken = append(woken, name.Name)
	})
	expect := func(what string, want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(woken)
		if !slices.Equal(woken, want) {
			t.Errorf("%s: %v were woken, want %v", what, woken, want)
		}
		woken = nil
	}
	name := func(s string) types.NamespacedName { return types.NamespacedName{Name: s} }
	alarm.Set(name("moved"), start.Add(time.Minute))
	alarm.Set(name("moved"), start.Add(time.Hour))
	alarm.Set(name("taken back"), start.Add(time.Minute))
	alarm.Set(name("taken back"), time.Time{})
	alarm.Set(name("kept"), start.Add(time.Minute))
	clock.Step(2 * time.Minute)
	expect("after two minutes", "kept")
	clock.Step(time.Hour)
	expect("after an hour", "moved")
	alarm.Set(name("past"), clock.Now().Add(-time.Minute))
	alarm.Set(name("now"), clock.Now())
	expect("at once", "now", "past")
	clock.Step(time.Hour)
	expect("once only")
	alarm.Set(name("late"), clock.Now().Add(time.Minute))
	alarm.Close()
	alarm.Set(name("later"), clock.Now().Add(time.Minute))
	clock.Step(time.Hour)
	expect("after the end")
}
