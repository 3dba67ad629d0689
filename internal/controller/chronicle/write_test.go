package chronicle

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestTidyKeepsWhatIsAtWork ends more Releases than are kept, while steps of some have not ended: one whose Job runs is kept
// until that has ended.
func TestTidyKeepsWhatIsAtWork(t *testing.T) {
	d := newDesk(t, 10)
	d.Keep, d.told = 2, map[types.UID]int64{}
	steps := map[int]v1alpha1.StepStatus{
		2: {Name: "migrate", Phase: v1alpha1.StepRunning, Job: "web-migrate-1"},
		3: {Name: "migrate", Phase: v1alpha1.StepFailed, Job: "web-migrate-2"},
		4: {Name: "ready", Phase: v1alpha1.StepRunning}, // which is no Job
	}
	for sequence := 2; sequence <= 7; sequence++ {
		r := one(sequence, "web:1", v1alpha1.StageSuperseded)
		r.Namespace, r.Spec.Fleet, r.Spec.Service, r.UID = "sengu", "shop", "web", types.UID(r.Name)
		if step, has := steps[sequence]; has {
			r.Status.Environments = append(r.Status.Environments, v1alpha1.ReleaseEnvironmentStatus{Name: "prod", Stage: v1alpha1.StageFailed, Steps: []v1alpha1.StepStatus{step}})
		}
		ended := daysAgo(8 - sequence)
		r.Status.Ended = &ended
		r.Status.Journal = []v1alpha1.Transition{{Number: 1, Kind: "done", At: ended}}
		if err := d.Client.Create(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
	}
	tidies := func(what string, want ...string) {
		t.Helper()
		for sequence := 2; sequence <= 7; sequence++ {
			if _, err := d.release(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "sengu", Name: "r" + string(rune('0'+sequence))}}); err != nil {
				t.Fatal(err)
			}
		}
		var left v1alpha1.ReleaseList
		if err := d.Client.List(t.Context(), &left, client.InNamespace("sengu")); err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range left.Items {
			if left.Items[i].Status.Ended != nil {
				names = append(names, left.Items[i].Name)
			}
		}
		slices.Sort(names)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s, -want +got:\n%s", what, diff)
		}
	}
	tidies("while its Job runs", "r2", "r6", "r7")
	was := &v1alpha1.Release{}
	if err := d.Client.Get(t.Context(), types.NamespacedName{Namespace: "sengu", Name: "r2"}, was); err != nil {
		t.Fatal(err)
	}
	was.Status.Environments[1].Steps[0].Phase = v1alpha1.StepSucceeded
	if err := d.Client.Update(t.Context(), was); err != nil {
		t.Fatal(err)
	}
	tidies("when it has ended", "r6", "r7")
}
