package main

import "testing"

func TestWhatChangesIsSpreadAndCounted(t *testing.T) {
	for _, n := range []int{1, 7, 50, 100, 1000} {
		all := makeServices(n)
		seen := map[task]bool{}
		for _, task := range drifting(all) {
			seen[task] = true
		}
		if want := min(driftingObjects, 2*n); len(seen) != want {
			t.Errorf("%d Apps: %d different objects drift, want %d", n, len(seen), want)
		}
	}
	all := makeServices(1000)
	touched := map[string]bool{}
	for i := range 200 {
		touched[touch(all, i).name] = true
	}
	if len(touched) != 200 {
		t.Errorf("200 commits touch %d different Apps", len(touched))
	}
}
