package fleet

import "testing"

// TestAgain numbers the Releases of a commit that renders something else than before: all of them are one group, also if
// it happens to it twice.
func TestAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		reason       string
		newest, last course
		want         int64
	}{
		"First":  {"nothing is newer than the Releases of the commit", course{Sequence: 7, Revision: "r"}, course{Sequence: 7}, 8},
		"Second": {"the first of them has made the group", course{Sequence: 8, Revision: "r"}, course{Sequence: 7}, 8},
		"Twice":  {"it renders a third thing", course{Sequence: 8, Revision: "r"}, course{Sequence: 8}, 9},
		"Newer":  {"what is newest is of another commit", course{Sequence: 9, Revision: "s"}, course{Sequence: 7}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			if got := again(tc.newest, tc.last, "r"); got != tc.want {
				t.Errorf("%s: it is %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
