package fleet

import (
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestComparing: a start, which compares again what has been compared, is no news.
func TestComparing(t *testing.T) {
	tests := map[string]struct {
		was     v1alpha1.FleetStatus
		pending int
		want    int32
	}{
		"a new revision":                {v1alpha1.FleetStatus{Revision: "old"}, 7, 7},
		"the first revision":            {v1alpha1.FleetStatus{}, 7, 7},
		"on the way":                    {v1alpha1.FleetStatus{Revision: "new", Comparing: 7}, 3, 3},
		"at its end":                    {v1alpha1.FleetStatus{Revision: "new", Comparing: 3}, 0, 0},
		"after a start":                 {v1alpha1.FleetStatus{Revision: "new"}, 1000, 0},
		"after a start in the middle":   {v1alpha1.FleetStatus{Revision: "new", Comparing: 7}, 1000, 1000},
		"another revision meanwhile":    {v1alpha1.FleetStatus{Revision: "old", Comparing: 7}, 9, 9},
		"another one that changes none": {v1alpha1.FleetStatus{Revision: "old"}, 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := comparing(&v1alpha1.Fleet{Status: tc.was}, "new", tc.pending); got != tc.want {
				t.Errorf("it says %d, want %d", got, tc.want)
			}
		})
	}
}
