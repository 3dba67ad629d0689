package drift

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func record(i int) manifest.Live {
	name := fmt.Sprintf("service-%d", i/4)
	return manifest.Live{
		Ref:     manifest.Ref{Group: "apps", Kind: strings.Clone([]string{"Deployment", "Service", "Ingress", "ServiceAccount"}[i%4]), Namespace: strings.Clone("shop"), Name: strings.Clone(name)},
		Version: "v1", UID: fmt.Sprintf("8f14e45f-ceea-467f-a8f3-%012d", i), ResourceVersion: fmt.Sprint(100000 + i), Generation: 1,
		Owner: manifest.Owner{Namespace: "sengu", Name: name + "-production-shop", UID: fmt.Sprintf("9a14e45f-ceea-467f-a8f3-%012d", i/4)}, Owned: true,
		Baseline: fmt.Sprintf("%016d", i), Health: "Healthy",
	}
}

func TestFourThousandRecordsAreSmall(t *testing.T) {
	const count = 4000
	measure := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := measure()
	table := newTable()
	for i := range count {
		table.put(record(i))
	}
	used := float64(measure()-before) / (1 << 20)
	t.Logf("%d records take %.1f MiB", count, used)
	if used > 6 {
		t.Errorf("%d records take %.1f MiB", count, used)
	}
	if owned := table.ownedBy(record(0).Owner.UID); len(owned) != 4 {
		t.Errorf("an App has %d records, want 4", len(owned))
	}
}

func TestTableKnowsWhatIsNews(t *testing.T) {
	tests := map[string]struct {
		change func(*manifest.Live)
		told   bool
	}{
		"the same":           {func(*manifest.Live) {}, false},
		"another version":    {func(l *manifest.Live) { l.ResourceVersion, l.Generation = "200000", 2 }, false},
		"an older version":   {func(l *manifest.Live) { l.ResourceVersion, l.Baseline = "99", "x" }, false},
		"the baseline":       {func(l *manifest.Live) { l.Baseline = "x" }, true},
		"the health":         {func(l *manifest.Live) { l.Health = "Degraded" }, true},
		"what it waits for":  {func(l *manifest.Live) { l.Message = "x" }, true},
		"on its way out":     {func(l *manifest.Live) { l.Deleting = true }, true},
		"another object":     {func(l *manifest.Live) { l.UID = "x" }, true},
		"whose it is":        {func(l *manifest.Live) { l.Owner.UID = "x" }, true},
		"its mark":           {func(l *manifest.Live) { l.Owned, l.Owner = false, manifest.Owner{} }, true},
		"never to be pruned": {func(l *manifest.Live) { l.Never = true }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			table := newTable()
			table.observe(record(0))
			after := record(0)
			test.change(&after)
			told := table.put(after)
			if (len(told) > 0) != test.told {
				t.Errorf("told %v", told)
			}
			if test.told && told[0] != record(0).Owner {
				t.Errorf("the App that had it should be told: %v", told)
			}
		})
	}
}

func TestTableDropsOnlyWhatIsGone(t *testing.T) {
	table := newTable()
	table.observe(record(0))
	again := record(0)
	again.UID = "made again"
	table.observe(again)
	if told := table.drop(record(0)); len(told) != 0 {
		t.Error("an object of that name was made again, and its record dropped")
	}
	if told := table.drop(again); len(told) != 1 || told[0] != again.Owner || len(table.ownedBy(again.Owner.UID)) != 0 {
		t.Errorf("told %v", told)
	}
}

func TestRevertsBackOff(t *testing.T) {
	clock := testenv.NewClock()
	var r Reverts
	ref := record(0).Ref
	fields := []manifest.FieldDrift{{Path: "spec.replicas", Manager: "somebody"}, {Path: "metadata.labels.a", Manager: "other"}}
	var waits []time.Duration
	for i := range 14 {
		wait, cause := r.Wait(ref, fields[:1], clock.Now())
		waits = append(waits, wait)
		if wait > 0 && (cause.Path != "spec.replicas" || cause.Manager != "somebody") {
			t.Errorf("the cause is %+v", cause)
		}
		if contested := r.Contested(ref, clock.Now()); contested != (i >= freeReverts) {
			t.Errorf("after %d reverts, contested is %v", i, contested)
		}
		clock.Step(wait)
		r.Undone(ref, fields[:1], clock.Now())
		clock.Step(time.Second)
	}
	want := "[0s 0s 0s 0s 1s 3s 7s 15s 31s 1m3s 2m7s 4m15s 4m59s 4m59s]"
	if got := fmt.Sprint(waits); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if wait, _ := r.Wait(ref, fields[1:], clock.Now()); wait != 0 {
		t.Errorf("another field waits %s", wait)
	}
	if wait, cause := r.Wait(ref, fields, clock.Now()); wait == 0 || cause.Path != "spec.replicas" {
		t.Errorf("the field with the longest wait decides: %s %+v", wait, cause)
	}
	clock.Step(lastPause + calm + time.Second)
	if wait, _ := r.Wait(ref, fields, clock.Now()); wait != 0 {
		t.Errorf("a field that has settled waits %s", wait)
	}
	r.Undone(record(1).Ref, fields, clock.Now())
	if len(r.fights) != 1 {
		t.Errorf("%d objects are remembered, want only the one that was just reverted", len(r.fights))
	}
}
