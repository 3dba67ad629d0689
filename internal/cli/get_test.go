package cli

import (
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
