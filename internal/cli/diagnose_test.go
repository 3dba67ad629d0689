package cli

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func condition(kind, reason string) []metav1.Condition {
	return []metav1.Condition{{Type: kind, Status: metav1.ConditionFalse, Reason: reason}}
}

func TestDiagnose(t *testing.T) {
	dev := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "dev"}}
	synced := func(change func(*v1alpha1.App)) v1alpha1.App {
		app := running(appOf("shop", "cart", "develop"), revA, time.Hour, v1alpha1.Synced, v1alpha1.Healthy)
		change(&app)
		return app
	}
	cases := map[string]struct {
		reason   string
		app      v1alpha1.App
		fleet    v1alpha1.FleetStatus
		cluster  *v1alpha1.ClusterStatus
		wantWhy  string
		wantNext string
	}{
		"AllWell": {
			reason: "nothing is wrong, and nothing is to do",
			app:    synced(func(*v1alpha1.App) {}),
		},
		"Suspended": {
			reason:   "what a person stopped, a person starts",
			app:      synced(func(a *v1alpha1.App) { a.Spec.Suspend = true; a.Status.Why = &v1alpha1.Why{Message: "suspended."} }),
			wantWhy:  "suspended.",
			wantNext: "kubectl -n ",
		},
		"RenderFails": {
			reason: "the files are to blame, and diff shows whether they render",
			app: synced(func(a *v1alpha1.App) {
				a.Status.Conditions = condition(v1alpha1.ConditionRendered, "RenderFailed")
				a.Status.Why = &v1alpha1.Why{Message: "a.yaml:3 is not YAML."}
			}),
			wantWhy: "a.yaml:3 is not YAML.", wantNext: "`sengu diff -e develop cart`",
		},
		"Conflict": {
			reason: "what belongs to somebody else is adopted or left",
			app: synced(func(a *v1alpha1.App) {
				a.Status.Sync = v1alpha1.OutOfSync
				a.Status.Conditions = condition(v1alpha1.ConditionReady, "Conflict")
				a.Status.Why = &v1alpha1.Why{Message: "Service cart/cart exists already."}
			}),
			wantWhy: "Service cart/cart exists already.", wantNext: "`sengu adopt cart/develop --dry-run`",
		},
		"Degraded": {
			reason: "the tree shows which Pod",
			app: synced(func(a *v1alpha1.App) {
				a.Status.Health = v1alpha1.Degraded
				a.Status.Why = &v1alpha1.Why{Message: "Pod cart-1: CrashLoopBackOff."}
			}),
			wantWhy: "Pod cart-1: CrashLoopBackOff.", wantNext: "`sengu tree cart/develop`",
		},
		"Progressing": {
			reason: "it moves by itself",
			app: synced(func(a *v1alpha1.App) {
				a.Status.Health = v1alpha1.Progressing
				a.Status.Why = &v1alpha1.Why{Message: "1 of 2 Pods."}
			}),
			wantWhy: "1 of 2 Pods.", wantNext: "wait; `sengu sync cart/develop --wait` follows it",
		},
		"FleetUnread": {
			reason:  "an App that is well may still be behind a repository that cannot be read",
			app:     synced(func(*v1alpha1.App) {}),
			fleet:   v1alpha1.FleetStatus{Why: &v1alpha1.Why{Message: "the remote does not answer."}},
			wantWhy: "Fleet shop: the remote does not answer.", wantNext: "mend the fleet first",
		},
		"ClusterMissing": {
			reason:  "an App on a cluster that does not exist",
			app:     appOf("shop", "cart", "develop"),
			wantWhy: "There is no Cluster .", wantNext: "apply a Cluster",
		},
		"ClusterDown": {
			reason: "the cluster stands before what has not been applied",
			app:    synced(func(a *v1alpha1.App) { a.Status.Sync = v1alpha1.SyncUnknown }),
			cluster: &v1alpha1.ClusterStatus{
				Why: &v1alpha1.Why{Message: "it does not answer."}, Conditions: condition(v1alpha1.ConditionReachable, "Unreachable"),
			},
			wantWhy: "Cluster dev: it does not answer.", wantNext: "see that cluster dev is up",
		},
		"NotLookedAt": {
			reason:  "the server does not run",
			app:     synced(func(a *v1alpha1.App) { a.Generation = 2; a.Status.ObservedGeneration = 1 }),
			wantWhy: "Sengu has not looked at what was last asked of this app.", wantNext: "see that the Sengu server runs",
		},
		"FolderGone": {
			reason: "the fleet waits for a person",
			app: synced(func(a *v1alpha1.App) {
				a.Spec.Removal = v1alpha1.RemovalPending
				a.Status.Why = &v1alpha1.Why{Message: "the service is gone from Git."}
			}),
			fleet:   v1alpha1.FleetStatus{PendingRemoval: &v1alpha1.PendingRemoval{Count: 3, Token: "t0ken"}},
			wantWhy: "the service is gone from Git.", wantNext: "`sengu confirm fleet/shop t0ken`",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fleet := fleetOf("shop", "develop")
			fleet.Status = tc.fleet
			cluster := dev
			if tc.cluster != nil {
				cluster.Status = *tc.cluster
			}
			snap := snapshot{apps: []v1alpha1.App{tc.app}, fleets: []v1alpha1.Fleet{fleet}, clusters: []v1alpha1.Cluster{cluster}}
			why, next := snap.diagnose(&snap.apps[0])
			if got := message(why); got != tc.wantWhy {
				t.Errorf("%s: why is %q, want %q", tc.reason, got, tc.wantWhy)
			}
			if got := strings.Join(next, "\n"); !strings.Contains(got, tc.wantNext) || (tc.wantNext == "") != (got == "") {
				t.Errorf("%s: next is %q, want %q in it", tc.reason, got, tc.wantNext)
			}
		})
	}
}

func TestSettled(t *testing.T) {
	read := v1alpha1.FleetStatus{Revision: revA, Apps: 2}
	well := running(appOf("shop", "cart", "develop"), revA, time.Hour, v1alpha1.Synced, v1alpha1.Healthy)
	behind := well
	behind.Name, behind.Spec.Source.Revision = "behind", revB
	cases := map[string]struct {
		reason    string
		fleet     v1alpha1.FleetStatus
		apps      []v1alpha1.App
		done, all int
	}{
		"NotRead":   {reason: "a fleet that has not been read has an unknown number of Apps", apps: []v1alpha1.App{well}},
		"Missing":   {reason: "Apps that are yet to be made count", fleet: read, apps: []v1alpha1.App{well}, done: 1, all: 2},
		"Behind":    {reason: "an App on an older revision is not done", fleet: read, apps: []v1alpha1.App{well, behind}, done: 1, all: 2},
		"OtherOnes": {reason: "Apps of other fleets do not count", fleet: read, apps: []v1alpha1.App{appOf("blog", "x", "live")}, all: 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fleet := fleetOf("shop", "develop")
			fleet.Status = tc.fleet
			done, all := snapshot{apps: tc.apps, fleets: []v1alpha1.Fleet{fleet}}.settled([]string{"shop"})
			if done != tc.done || all != tc.all {
				t.Errorf("%s: got %d of %d, want %d of %d", tc.reason, done, all, tc.done, tc.all)
			}
		})
	}
}
