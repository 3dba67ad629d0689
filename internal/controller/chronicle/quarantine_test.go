package chronicle

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

// one is a Release that brings an image to the environment dev.
func one(sequence int, image string, stage v1alpha1.Stage) v1alpha1.Release {
	r := v1alpha1.Release{}
	r.Name = fmt.Sprint("r", sequence)
	r.Spec.Sequence = int64(sequence)
	r.Spec.Environments = []v1alpha1.ReleaseEnvironment{{Name: "dev", Images: []string{image}}}
	r.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{Name: "dev", Stage: stage}}
	return r
}

// TestQuarantined keeps what failed, and what it failed after, so that what is in quarantine stays there once all others
// are gone.
func TestQuarantined(t *testing.T) {
	all := []v1alpha1.Release{one(1, "web:1", v1alpha1.StageDone), one(2, "web:2", v1alpha1.StageDone), one(3, "web:3", v1alpha1.StageRolledBack), one(4, "web:2", v1alpha1.StageDone)}
	for i := 5; i < 20; i++ {
		all = append(all, one(i, "web:2", v1alpha1.StageDone))
	}
	all = append(all, one(20, "web:4", v1alpha1.StageRolledBack), one(21, "web:4", v1alpha1.StageDone))
	names := quarantined(all, 10)
	if diff := cmp.Diff([]string{"r2", "r3"}, slices.Sorted(maps.Keys(names))); diff != "" {
		t.Errorf("kept is not what failed and is in quarantine\n%s", diff)
	}
	var left []*v1alpha1.Release
	for i := range all {
		if names[all[i].Name] || i >= 11 {
			left = append(left, &all[i])
		}
	}
	if diff := cmp.Diff([]string{"web:3"}, release.Quarantine(left)); diff != "" {
		t.Errorf("quarantine does not outlive what is deleted\n%s", diff)
	}
}

// TestQuarantinedOfTwo has two images fail at once, one of which passes later; and one fail where another was pinned before.
func TestQuarantinedOfTwo(t *testing.T) {
	all := []v1alpha1.Release{one(1, "web:1", v1alpha1.StageDone), one(2, "web:2", v1alpha1.StageDone), one(3, "web:3", v1alpha1.StageRolledBack), one(4, "web:3", v1alpha1.StageDone)}
	all[1].Status.Environments[0].Pinned = "web:pr"
	for i := range all {
		image := "proxy:1"
		if i == 2 {
			image = "proxy:2"
		}
		all[i].Spec.Environments[0].Images = append(all[i].Spec.Environments[0].Images, image)
	}
	for i := 5; i < 20; i++ {
		all = append(all, one(i, "web:4", v1alpha1.StageDone))
	}
	names := quarantined(all, 10)
	if diff := cmp.Diff([]string{"r1", "r3", "r4"}, slices.Sorted(maps.Keys(names))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var left []*v1alpha1.Release
	for i := range all {
		if names[all[i].Name] || i >= 11 {
			left = append(left, &all[i])
		}
	}
	if diff := cmp.Diff([]string{"proxy:2"}, release.Quarantine(left)); diff != "" {
		t.Errorf("quarantine does not outlive what is deleted\n%s", diff)
	}
}

// TestQuarantinedBounded keeps no more than so many failures.
func TestQuarantinedBounded(t *testing.T) {
	all := []v1alpha1.Release{one(1, "web:0", v1alpha1.StageDone)}
	for i := 2; i < 30; i++ {
		all = append(all, one(i, fmt.Sprint("web:", i), v1alpha1.StageFailed))
	}
	names := quarantined(all, 3)
	if diff := cmp.Diff([]string{"r1", "r27", "r28", "r29"}, slices.Sorted(maps.Keys(names))); diff != "" {
		t.Error(diff)
	}
}
