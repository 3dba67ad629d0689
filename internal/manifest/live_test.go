package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLiveOf(t *testing.T) {
	u := liveDeployment(t)
	baseline, _ := testKey.Baseline(u, testManager)
	want := Live{
		Ref:     Ref{"apps", "Deployment", "bench", "app-0000"},
		Version: "v1", UID: "0b6d1a52-7c1e-4f3f-93f7-0c6a1b0c9e22", ResourceVersion: "4711", Generation: 1,
		Owner: Owner{Namespace: "sengu", Name: "app-0000-bench", UID: "6f2e6b1c-9a43-4b0e-8d7e-0d7f1c0b9a11"}, Owned: true,
		Baseline: baseline,
	}
	if diff := cmp.Diff(want, testKey.LiveOf(u)); diff != "" {
		t.Errorf("LiveOf(...): -want, +got:\n%s", diff)
	}
	set(t, u, "2026-01-05T09:00:00Z", "metadata", "deletionTimestamp")
	set(t, u, map[string]any{AnnotationPrune: "never"}, "metadata", "annotations")
	want.Owner, want.Owned, want.Baseline, want.Deleting, want.Never = Owner{}, false, "", true, true
	if diff := cmp.Diff(want, testKey.LiveOf(u)); diff != "" {
		t.Errorf("LiveOf of an object without a mark: -want, +got:\n%s", diff)
	}
}
