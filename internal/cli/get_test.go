package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	revA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	revB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	revC = "cccccccccccccccccccccccccccccccccccccccc"
)

// running returns an App that runs rev since a while before now.
func running(app v1alpha1.App, rev string, since time.Duration, s v1alpha1.SyncStatus, h v1alpha1.HealthStatus) v1alpha1.App {
	at := metav1.NewTime(now.Add(-since))
	app.Spec.Source = v1alpha1.AppSource{Revision: rev, Path: "apps/x", Cluster: "dev", Namespace: app.Spec.Service}
	app.Status = v1alpha1.AppStatus{Revision: rev, Sync: s, Health: h, LastSynced: &at}
	return app
}

func because(app v1alpha1.App, message string, since time.Duration) v1alpha1.App {
	app.Status.Why = &v1alpha1.Why{Message: message, Since: metav1.NewTime(now.Add(-since))}
	return app
}

func shopSnapshot() snapshot {
	return snapshot{
		fleets: []v1alpha1.Fleet{fleetOf("shop", "develop", "staging", "production")},
		apps: []v1alpha1.App{
			because(running(appOf("shop", "checkout", "production"), revB, 3*time.Hour, v1alpha1.OutOfSync, v1alpha1.Degraded),
				"Pod checkout-1: ImagePullBackOff.", 10*time.Minute),
			running(appOf("shop", "checkout", "develop"), revA, time.Minute, v1alpha1.Synced, v1alpha1.Healthy),
			running(appOf("shop", "checkout", "staging"), revA, 5*time.Minute, v1alpha1.Synced, v1alpha1.Progressing),
			running(appOf("shop", "cart", "production"), revA, 48*time.Hour, v1alpha1.Synced, v1alpha1.Healthy),
			appOf("shop", "cart", "develop"),
		},
	}
}

// markedSnapshot is the shop with a hold, a pin, and a change that waits for an approval.
func markedSnapshot() snapshot {
	s := shopSnapshot()
	s.apps[3].Spec.Hold = &v1alpha1.Hold{By: "ann", At: metav1.NewTime(now.Add(-time.Hour)), Reason: "sale"}
	s.apps[2].Status.Pinned = "registry.example.com/checkout:pr-1"
	s.releases = []v1alpha1.Release{waitingRelease("checkout", 7)}
	return s
}

// waitingRelease is a Release that has passed develop and waits for an approval before production.
func waitingRelease(service string, sequence int64) v1alpha1.Release {
	at := metav1.NewTime(now.Add(-10 * time.Minute))
	why := &v1alpha1.Why{Message: "it waits for an approval", Since: at}
	r := v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.shop.ccccccc.%d", service, sequence), CreationTimestamp: metav1.NewTime(at.Add(time.Duration(sequence) * time.Second))},
		Spec: v1alpha1.ReleaseSpec{
			Fleet: "shop", Service: service, Revision: revC, Sequence: sequence,
			Commit:       v1alpha1.Commit{Title: "Show the delivery date before payment", Author: "Ann <ann@example.com>"},
			Environments: []v1alpha1.ReleaseEnvironment{{Name: "develop"}, {Name: "production"}},
		},
	}
	r.Status.Stage = v1alpha1.StageWaiting
	r.Status.Why = &v1alpha1.Why{Message: "production: " + why.Message, Since: at}
	r.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{
		{Name: "develop", Stage: v1alpha1.StageDone, Since: at},
		{Name: "production", Stage: v1alpha1.StageWaiting, Since: at, Why: why, Gates: []v1alpha1.Gate{{Name: "hold", Open: true}, {Name: "approval", Message: why.Message}}},
	}
	return r
}

func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }

func TestMatrices(t *testing.T) {
	cases := map[string]struct {
		reason  string
		snap    snapshot
		filter  filter
		columns int
		want    string
	}{
		"Full": {
			reason: "environments stand in the order of the fleet, services in that of the alphabet",
			snap:   shopSnapshot(),
			want: lines(
				"SERVICE    DEVELOP                       STAGING                         PRODUCTION",
				"cart       -       unknown unknown -     ·                               aaaaaaa synced      healthy  2d",
				"checkout   aaaaaaa synced  healthy 60s   aaaaaaa synced progressing 5m   bbbbbbb out-of-sync degraded 3h",
			),
		},
		"Compact": {
			reason:  "on a narrow terminal what is as it should be is left out",
			snap:    shopSnapshot(),
			filter:  filter{envs: []string{"production"}},
			columns: 30,
			want: lines(
				"SERVICE    PRODUCTION",
				"cart       aaaaaaa             ok       2d",
				"checkout   bbbbbbb out-of-sync degraded 3h",
			),
		},
		"OneService": {
			reason: "a service that is not meant has no row",
			snap:   shopSnapshot(),
			filter: filter{services: []string{"checkout"}, envs: []string{"develop"}},
			want: lines(
				"SERVICE    DEVELOP",
				"checkout   aaaaaaa synced healthy 60s",
			),
		},
		"TwoFleets": {
			reason: "each fleet has its own matrix under its name, also before it has Apps",
			snap: snapshot{
				fleets: []v1alpha1.Fleet{fleetOf("shop", "develop"), fleetOf("blog", "live")},
				apps:   []v1alpha1.App{running(appOf("shop", "cart", "develop"), revA, time.Minute, v1alpha1.Synced, v1alpha1.Healthy)},
			},
			want: lines(
				"fleet blog",
				"SERVICE   LIVE",
				"",
				"fleet shop",
				"SERVICE   DEVELOP",
				"cart      aaaaaaa synced healthy 60s",
			),
		},
		"Marked": {
			reason: "what is held or waits for a person is marked, and the marks are explained",
			snap:   markedSnapshot(),
			filter: filter{envs: []string{"staging", "production"}},
			want: lines(
				"SERVICE    STAGING                          PRODUCTION",
				"cart       ·                                aaaaaaa! synced      healthy  2d",
				"checkout   aaaaaaa* synced progressing 5m   bbbbbbb? out-of-sync degraded 3h",
				"",
				"! held: no change goes in   ? a change waits for a person   * an image is pinned   (`sengu why SERVICE` says more)",
			),
		},
		"MarkedElsewhere": {
			reason: "marks that are not shown are not explained",
			snap:   markedSnapshot(),
			filter: filter{envs: []string{"develop"}, services: []string{"checkout"}},
			want: lines(
				"SERVICE    DEVELOP",
				"checkout   aaaaaaa synced healthy 60s",
			),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := matrices(now, tc.snap, tc.filter, tc.columns, false)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nmatrices: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMatrixColour(t *testing.T) {
	got := matrices(now, shopSnapshot(), filter{services: []string{"checkout"}, envs: []string{"production"}}, 0, true)
	for _, want := range []string{"\x1b[33mout-of-sync\x1b[0m", "\x1b[31mdegraded\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("matrices in colour: %q is not in %q", want, got)
		}
	}
}

func TestProblems(t *testing.T) {
	down := "The API server of cluster dev does not answer."
	many := snapshot{clusters: []v1alpha1.Cluster{{
		ObjectMeta: metav1.ObjectMeta{Name: "dev"},
		Status:     v1alpha1.ClusterStatus{Why: &v1alpha1.Why{Message: down, Since: metav1.NewTime(now.Add(-time.Minute))}},
	}}}
	for _, s := range []string{"a", "b", "c", "d"} {
		many.apps = append(many.apps, because(appOf("shop", s, "develop"), down, 30*time.Second))
	}
	cases := map[string]struct {
		reason string
		snap   snapshot
		filter filter
		want   string
	}{
		"AllWell": {
			reason: "nothing is said when there is nothing to say",
			snap:   snapshot{apps: []v1alpha1.App{running(appOf("shop", "cart", "develop"), revA, 0, v1alpha1.Synced, v1alpha1.Healthy)}},
		},
		"One": {
			reason: "the line names the App as every verb understands it",
			snap:   shopSnapshot(),
			want:   "\ncheckout/production  Pod checkout-1: ImagePullBackOff. (10m)\n",
		},
		"Filtered": {
			reason: "what is not meant is not told",
			snap:   shopSnapshot(),
			filter: filter{envs: []string{"develop"}},
		},
		"Shared": {
			reason: "one sentence for all that share it, since the first of them",
			snap:   many,
			want:   "\ncluster/dev, a/develop and 3 more  " + down + " (60s)\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problems(now, tc.snap, tc.filter, false)); diff != "" {
				t.Errorf("%s\nproblems: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
