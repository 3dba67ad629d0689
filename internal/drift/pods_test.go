package drift_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/drift"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// says waits until the message about a workload holds text.
func (b *bench) says(ref manifest.Ref, text string) {
	b.t.Helper()
	b.eventually(ref, func(live manifest.Live) error {
		if !strings.Contains(live.Message, text) {
			return fmt.Errorf("it is %s and says %q", live.Health, live.Message)
		}
		return nil
	})
}

// pod returns the path of the one Pod of the namespace.
func (b *bench) pod() string {
	b.t.Helper()
	path := "/api/v1/namespaces/" + b.namespace + "/pods"
	items, _ := b.plane.Request(b.t, http.MethodGet, path, nil)["items"].([]any)
	if len(items) != 1 {
		b.t.Fatalf("%d Pods", len(items))
	}
	return path + "/" + items[0].(map[string]any)["metadata"].(map[string]any)["name"].(string)
}

func TestPodsAreWatchedWhileAWorkloadIsNotReady(t *testing.T) {
	b := newBench(t, func(o *drift.Options) { o.PodDelay = 100 * time.Millisecond })
	b.track(configMaps, deploys)
	live := b.apply(deployment("a", ", nodeSelector: {no: such}"))
	b.says(live.Ref, "Unschedulable")
	before := b.notices()

	waiting := func(reason string) map[string]any {
		return map[string]any{"status": map[string]any{"containerStatuses": []any{map[string]any{
			"name": "app", "image": "example.com/app:1", "imageID": "", "ready": false, "restartCount": 0,
			"state": map[string]any{"waiting": map[string]any{"reason": reason, "message": "no such image"}},
		}}}}
	}
	b.plane.Request(t, http.MethodPatch, b.pod()+"/status", waiting("ImagePullBackOff"))
	b.says(live.Ref, "ImagePullBackOff")
	b.says(live.Ref, strings.TrimPrefix(b.pod(), "/api/v1/namespaces/"+b.namespace+"/pods/"))
	if b.notices() == before {
		t.Error("the App is not told that the reason changed")
	}
	if n := b.watcher.PodsWatched(); n != 1 {
		t.Errorf("%d workloads' Pods are watched, want 1", n)
	}
	b.plane.Request(t, http.MethodPatch, b.path(live)+"/scale", map[string]any{"spec": map[string]any{"replicas": 0}})
	testenv.Eventually(t, soon, func() error {
		if n := b.watcher.PodsWatched(); n != 0 {
			return fmt.Errorf("%d workloads' Pods are watched, want none", n)
		}
		now, _ := b.watcher.Live(live.Ref)
		if strings.Contains(now.Message, "ImagePullBackOff") {
			return fmt.Errorf("it still says %q", now.Message)
		}
		return nil
	})
}

func TestAnUpdateThatGoesWellCostsNoPodWatch(t *testing.T) {
	b := newBench(t, func(o *drift.Options) { o.PodDelay = time.Minute })
	b.track(configMaps, deploys)
	watches := b.conn.Requests()["watch"]
	live := b.apply(deployment("a"))
	b.eventually(live.Ref, func(now manifest.Live) error {
		if now.Health != "Healthy" {
			return fmt.Errorf("it is %s: %s", now.Health, now.Message)
		}
		return nil
	})
	if n := b.conn.Requests()["watch"]; n != watches {
		t.Errorf("%d watches were begun", n-watches)
	}
}

func TestTheNumberOfPodWatchesIsBounded(t *testing.T) {
	b := newBench(t, func(o *drift.Options) { o.PodDelay, o.PodWatches = time.Millisecond, 1 })
	b.track(configMaps, deploys)
	var lives []manifest.Live
	for i := range 3 {
		lives = append(lives, b.apply(deployment(fmt.Sprintf("a-%d", i), ", nodeSelector: {no: such}")))
	}
	var first manifest.Ref
	testenv.Eventually(t, soon, func() error {
		for _, live := range lives {
			if now, _ := b.watcher.Live(live.Ref); strings.Contains(now.Message, "Unschedulable") {
				first = live.Ref
				return nil
			}
		}
		return fmt.Errorf("none says why")
	})
	if n := b.watcher.PodsWatched(); n != 1 {
		t.Errorf("%d workloads' Pods are watched, want 1", n)
	}
	b.plane.Request(t, http.MethodDelete, "/apis/apps/v1/namespaces/"+b.namespace+"/deployments/"+first.Name, nil)
	testenv.Eventually(t, soon, func() error {
		for _, live := range lives {
			if now, _ := b.watcher.Live(live.Ref); live.Ref != first && strings.Contains(now.Message, "Unschedulable") {
				return nil
			}
		}
		return fmt.Errorf("the next one does not get its turn")
	})
}
