package drift_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestWatcherSeesWhatRuns(t *testing.T) {
	b := newBench(t)
	first := b.apply(configMap("first"))
	if b.watcher.Synced(configMaps.GroupKind()) {
		t.Error("a kind that is not tracked is not synced")
	}
	b.track(configMaps)
	live, ok := b.watcher.Live(first.Ref)
	if !ok || live.UID != first.UID || live.Baseline != first.Baseline || !live.Owned || live.Owner != b.owner || live.Health != v1alpha1.Healthy {
		t.Fatalf("got %+v", live)
	}
	if b.notices() == 0 {
		t.Error("the App should be told when the state of its objects is known")
	}
	second := b.apply(configMap("second"))
	b.eventually(second.Ref, func(manifest.Live) error { return nil })
	if owned := b.watcher.OwnedBy(b.owner.UID); len(owned) != 2 {
		t.Errorf("%d objects of the App, want 2", len(owned))
	}
}

func TestDriftIsTold(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.watcher.Observe(live)
	b.settle()
	before := b.notices()

	b.merge(live, map[string]any{"data": map[string]any{"theirs": "x"}})
	b.settle()
	if n := b.notices(); n != before {
		t.Errorf("a field that is not ours was told of %d times", n-before)
	}
	b.merge(live, map[string]any{"data": map[string]any{"key": "changed"}})
	testenv.Eventually(t, soon, func() error {
		if b.notices() == before {
			return errors.New("drift was not told")
		}
		return nil
	})
	drifted, _ := b.watcher.Live(live.Ref)
	if drifted.Baseline == live.Baseline || !drifted.Owned {
		t.Errorf("got %+v", drifted)
	}
}

func TestOurOwnWriteIsNoNews(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	b.watcher.Observe(b.apply(configMap("a")))
	b.settle()
	// The event may have come before the answer was observed; from here on it cannot say anything new.
	before := b.notices()
	live, _ := b.watcher.Live(manifest.Ref{Kind: "ConfigMap", Namespace: b.namespace, Name: "a"})
	for range 5 {
		answer := b.apply(configMap("a"))
		b.watcher.Observe(answer)
		if now, _ := b.watcher.Live(answer.Ref); now.ResourceVersion != live.ResourceVersion {
			t.Errorf("a write that changes nothing made version %s of %s", now.ResourceVersion, live.ResourceVersion)
		}
	}
	b.settle()
	if n := b.notices(); n != before {
		t.Errorf("the echo of our own writes was told %d times", n-before)
	}
}

func TestAnswerIsTheStateUntilSomethingNewer(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	newer := live
	newer.ResourceVersion, newer.Baseline = "999999999999", "from an answer"
	b.watcher.Observe(newer)
	b.merge(live, map[string]any{"data": map[string]any{"key": "changed"}})
	b.settle()
	if now, _ := b.watcher.Live(live.Ref); now.Baseline != "from an answer" {
		t.Error("an event from before the answer has replaced it")
	}
	b.watcher.Observe(live)
	if now, _ := b.watcher.Live(live.Ref); now.Baseline != "from an answer" {
		t.Error("an older answer has replaced a newer one")
	}
}

func TestDeletedObjectIsToldAndForgotten(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.eventually(live.Ref, func(manifest.Live) error { return nil })
	before := b.notices()
	b.plane.Request(t, http.MethodDelete, b.path(live), nil)
	testenv.Eventually(t, soon, func() error {
		if _, there := b.watcher.Live(live.Ref); there || b.notices() == before {
			return errors.New("the deletion is not known")
		}
		return nil
	})
	if owned := b.watcher.OwnedBy(b.owner.UID); len(owned) != 0 {
		t.Errorf("got %+v", owned)
	}
}

func TestStrippedLabelIsDriftAndNoDeletion(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.eventually(live.Ref, func(manifest.Live) error { return nil })
	before := b.notices()
	b.merge(live, map[string]any{"metadata": map[string]any{"labels": map[string]any{manifest.LabelApp: nil}}})
	testenv.Eventually(t, soon, func() error {
		now, there := b.watcher.Live(live.Ref)
		if !there {
			t.Fatal("an object whose label was taken off looks deleted")
		}
		if now.Owned || now.Baseline == live.Baseline || b.notices() == before {
			return fmt.Errorf("not noticed: %+v", now)
		}
		return nil
	})
	before = b.notices()
	b.watcher.Observe(b.apply(configMap("a")))
	b.eventually(live.Ref, func(now manifest.Live) error {
		if !now.Owned || now.Baseline != live.Baseline || now.UID != live.UID {
			return fmt.Errorf("the label is back, and it is not seen: %+v", now)
		}
		return nil
	})
	// With both marks gone nothing on the object says whose it was.
	b.merge(live, map[string]any{"metadata": map[string]any{
		"labels": map[string]any{manifest.LabelApp: nil}, "annotations": map[string]any{manifest.AnnotationOwner: nil},
	}})
	testenv.Eventually(t, soon, func() error {
		if b.notices() <= before {
			return errors.New("the App is not told")
		}
		return nil
	})
}

func TestACopyOfTheLabelProvesNothing(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/configmaps", map[string]any{"metadata": map[string]any{
		"name": "copy", "labels": map[string]any{manifest.LabelApp: b.owner.Label()},
	}})
	b.settle()
	if live, there := b.watcher.Live(manifest.Ref{Kind: "ConfigMap", Namespace: b.namespace, Name: "copy"}); there {
		t.Errorf("a label alone proves nothing: %+v", live)
	}
	if owned := b.watcher.OwnedBy(b.owner.UID); len(owned) != 0 || b.notices() != 0 {
		t.Errorf("got %+v", owned)
	}
}

func TestHandOverTellsBothApps(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.eventually(live.Ref, func(manifest.Live) error { return nil })
	before, first := b.notices(), b.owner
	b.owner = manifest.Owner{Namespace: "sengu", Name: "second", UID: "uid-second-" + first.UID}
	b.apply(configMap("a"))
	b.eventually(live.Ref, func(now manifest.Live) error {
		if now.Owner != b.owner || b.notices() == 0 {
			return fmt.Errorf("the new App is not told: %+v", now)
		}
		return nil
	})
	b.owner = first
	if b.notices() == before || len(b.watcher.OwnedBy(first.UID)) != 0 {
		t.Error("the first App is not told, or still has the object")
	}
}

func TestHealthIsTold(t *testing.T) {
	b := newBench(t)
	b.track(configMaps, deploys)
	live := b.apply(deployment("a"))
	b.eventually(live.Ref, func(now manifest.Live) error {
		if now.Health != v1alpha1.Healthy {
			return fmt.Errorf("it is %s: %s", now.Health, now.Message)
		}
		return nil
	})
	if b.notices() == 0 {
		t.Error("the App is not told")
	}
	now, _ := b.watcher.Live(live.Ref)
	if now.Baseline != live.Baseline {
		t.Error("what controllers write to the status is no drift")
	}
}

func TestKindThatIsAppliedInTwoVersions(t *testing.T) {
	b := newBench(t)
	v1 := schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler"}
	v2 := v1.GroupKind().WithVersion("v2")
	b.track(v1, v2, configMaps)
	old := b.apply("apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: old}\n" +
		"spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 80, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}")
	current := b.apply("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: current}\n" +
		"spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}")
	for _, live := range []manifest.Live{old, current} {
		same := func(now manifest.Live) error {
			if now.Baseline != live.Baseline || now.Version != live.Version {
				return fmt.Errorf("%s was applied in %s and is judged in %s", live.Ref, live.Version, now.Version)
			}
			return nil
		}
		b.eventually(live.Ref, same)
		b.merge(live, map[string]any{"metadata": map[string]any{"annotations": map[string]any{"example.com/a": "b"}}})
		b.settle()
		testenv.During(t, 300*time.Millisecond, func() error {
			now, _ := b.watcher.Live(live.Ref)
			return same(now)
		})
	}
}
