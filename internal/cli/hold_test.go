package cli

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestBehind checks what is said of an App that is as it was told to be, and not at the newest change.
func TestBehind(t *testing.T) {
	at := metav1.NewTime(now.Add(-time.Hour))
	stopped := func(stage v1alpha1.Stage, message string) v1alpha1.Release {
		r := waitingRelease("checkout", 7)
		r.Status.Stage, r.Status.Ended = stage, &at
		r.Status.Environments[1].Stage, r.Status.Environments[1].Gates = stage, nil
		r.Status.Environments[1].Why = &v1alpha1.Why{Message: message, Since: at}
		return r
	}
	earlier := waitingRelease("checkout", 8)
	earlier.Status.Environments[0].Stage = v1alpha1.StageVerifying
	earlier.Status.Why = &v1alpha1.Why{Message: "develop: it soaks", Since: at}
	earlier.Status.Environments[1].Gates = []v1alpha1.Gate{{Name: "after", Message: "develop comes first"}}
	live := waitingRelease("checkout", 9)
	live.Status.Environments[1].Stage = v1alpha1.StageDone
	cases := map[string]struct {
		reason   string
		hold     *v1alpha1.Hold
		releases []v1alpha1.Release
		wantWhy  string
		wantNext string
	}{
		"Live": {
			reason:   "the newest change is live: older ones that stopped are of no interest",
			releases: []v1alpha1.Release{stopped(v1alpha1.StageFailed, "Job migrate failed"), live},
		},
		"Waits": {
			reason:   "the change that waits before it is named, with what it waits for",
			releases: []v1alpha1.Release{waitingRelease("checkout", 7)},
			wantWhy:  "checkout.shop.ccccccc.7 is not here: it waits for an approval",
			wantNext: "sengu release show checkout.shop.ccccccc.7",
		},
		"WaitsForAnother": {
			reason:   "what an environment before it waits for is what it waits for",
			releases: []v1alpha1.Release{earlier},
			wantWhy:  "checkout.shop.ccccccc.8 is not here: develop: it soaks",
			wantNext: "sengu release show checkout.shop.ccccccc.8",
		},
		"RolledBack": {
			reason:   "a roll-back is told with who and why, and what resuming it lets in",
			hold:     &v1alpha1.Hold{By: "ann", At: at, Reason: "errors", RollbackTo: "x", Release: "checkout.shop.ccccccc.7"},
			releases: []v1alpha1.Release{stopped(v1alpha1.StageRolledBack, "ann rolled production back")},
			wantWhy:  "ann rolled it back to aaaaaaa and keeps changes out (errors)",
			wantNext: "`sengu release resume checkout -e production` lets changes in again: checkout.shop.ccccccc.7 is tried again",
		},
		"HeldWithNext": {
			reason:   "the change that waits behind a hold is the one that goes in",
			hold:     &v1alpha1.Hold{By: "ann", At: at},
			releases: []v1alpha1.Release{waitingRelease("checkout", 7)},
			wantWhy:  "ann keeps changes out",
			wantNext: "lets changes in again: checkout.shop.ccccccc.7 is the next",
		},
		"HeldByFailure": {
			reason:   "an automatic hold ends by a change of the service, or by a person",
			hold:     &v1alpha1.Hold{At: at, Reason: "Job migrate failed", Release: "checkout.shop.ccccccc.7"},
			releases: []v1alpha1.Release{stopped(v1alpha1.StageFailed, "Job migrate failed")},
			wantWhy:  "checkout.shop.ccccccc.7 failed here, and changes are kept out since: Job migrate failed",
			wantNext: "push a change of the service's own files or images",
		},
		"HoldEnded": {
			reason:   "a hold that has ended holds nothing",
			hold:     &v1alpha1.Hold{By: "ann", At: at, Ended: &v1alpha1.HoldEnd{By: "ann", At: at}},
			releases: []v1alpha1.Release{live},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			app := running(appOf("shop", "checkout", "production"), revA, time.Hour, v1alpha1.Synced, v1alpha1.Healthy)
			app.Spec.Hold = tc.hold
			s := shopSnapshot()
			s.clusters = []v1alpha1.Cluster{{ObjectMeta: metav1.ObjectMeta{Name: "dev"}}}
			s.releases = tc.releases
			why, next := s.diagnose(&app)
			got := ""
			if why != nil {
				got = why.Message
			}
			if got != tc.wantWhy {
				t.Errorf("%s\nwhy: %q, want %q", tc.reason, got, tc.wantWhy)
			}
			if all := strings.Join(next, "\n"); !strings.Contains(all, tc.wantNext) || tc.wantNext == "" && all != "" {
				t.Errorf("%s\nnext: %q, want %q", tc.reason, all, tc.wantNext)
			}
		})
	}
}

func TestReleaseTableFits(t *testing.T) {
	s := snapshot{releases: []v1alpha1.Release{waitingRelease("checkout", 7)}}
	found := s.newest("", "")
	for columns, want := range map[int]string{
		0:  "Show the delivery date before payment",
		90: "Show the delivery date before …",
		60: "checkout.shop.ccccccc.7  ✓ ? production  waiting",
	} {
		got := s.releaseTable(now, found, columns).render(false)
		if !strings.Contains(got, want) {
			t.Errorf("in %d columns: %q is not in\n%s", columns, want, got)
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); columns > 0 && n > columns {
				t.Errorf("in %d columns: a line of %d\n%s", columns, n, got)
			}
		}
	}
}
