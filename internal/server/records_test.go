package server

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/history"
)

// TestSeldomDeployed measures services whose records are older than what is read of them.
func TestSeldomDeployed(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakeClock(now)
	r, err := openRecords(t.Context(), Options{DataDir: t.TempDir(), Clock: clock, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for service, ages := range map[string][]int{"seldom": {90, 8}, "lately": {365, 3}, "quiet": {70}, "young": {10, 9}, "new": {3}} {
		for _, age := range ages {
			e := history.Event{
				Key: fmt.Sprint(service, age), Kind: history.Done, Time: now.Add(-time.Duration(age) * day), Fleet: "shop", Service: service,
				Environment: "production", Release: fmt.Sprint(service, age),
			}
			if n, err := r.Append(t.Context(), e); n != 1 || err != nil {
				t.Fatalf("%d appended: %v", n, err)
			}
		}
	}
	found, err := r.insights(t.Context(), history.Filter{From: now.Add(-30 * day), To: now}, history.By{Service: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, in := range found {
		says := in.DeploymentFrequency.Why
		if v := in.DeploymentFrequency.Value; v != nil {
			says = fmt.Sprintf("%.3f", *v)
		}
		got = append(got, fmt.Sprintf("%s, %v days: %d, %s", in.Service, now.Sub(in.From).Hours()/24, in.Deployments, says))
	}
	want := []string{
		"lately, 30 days: 1, 0.033",
		"new, 3 days: 1, not enough evidence: 3 days of records, and a frequency needs 7 days",
		"quiet, 30 days: 0, 0.000",
		"seldom, 30 days: 1, 0.033",
		"young, 10 days: 2, 0.200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	found, err = r.insights(t.Context(), history.Filter{Service: "quiet", From: now.Add(-30 * day), To: now}, history.By{Service: true})
	if err != nil || len(found) != 1 || found[0].Service != "quiet" {
		t.Errorf("asked for one service, %+v: %v", found, err)
	}
	back := history.Event{Key: "back", Kind: history.RolledBack, Time: now.Add(-25 * day), Fleet: "shop", Service: "back", Environment: "production"}
	before := history.Event{Key: "before", Kind: history.Done, Time: now.Add(-40 * day), Fleet: "shop", Service: "back", Environment: "production", Release: "before"}
	if _, err := r.Append(t.Context(), before, back); err != nil {
		t.Fatal(err)
	}
	found, err = r.insights(t.Context(), history.Filter{Service: "back", From: now.Add(-30 * day), To: now}, history.By{Service: true})
	if err != nil || len(found) != 1 || found[0].TimeToRestore.N != 1 {
		t.Errorf("what was rolled back within and made before: %+v: %v", found, err)
	}
}
