package release

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestWhatOfAnAppWakes changes one thing of an App after the other that a decision rests on, and some that none does.
func TestWhatOfAnAppWakes(t *testing.T) {
	ready := func(reason string) func(*v1alpha1.App) {
		return func(a *v1alpha1.App) {
			meta.SetStatusCondition(&a.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason})
		}
	}
	for name, tt := range map[string]struct {
		change func(*v1alpha1.App)
		want   bool
	}{
		"Pinned":     {func(a *v1alpha1.App) { a.Status.Pinned = "" }, true},
		"Unfinished": {func(a *v1alpha1.App) { a.Status.Unfinished = &v1alpha1.Unfinished{} }, true},
		"Reason":     {ready("ApplyFailed"), true},
		"Health":     {func(a *v1alpha1.App) { a.Status.Health = v1alpha1.Healthy }, true},
		"Why":        {func(a *v1alpha1.App) { a.Status.Why = &v1alpha1.Why{Message: "b"} }, true},
		"Generation": {func(a *v1alpha1.App) { a.Generation++ }, true},
		"Inputs":     {func(a *v1alpha1.App) { a.Status.Inputs = []string{"a"} }, false},
		"Nothing":    {ready("Degraded"), false},
	} {
		app := &v1alpha1.App{Status: v1alpha1.AppStatus{Pinned: "web:pr-7", Health: v1alpha1.Degraded, Why: &v1alpha1.Why{Message: "a"}}}
		ready("Degraded")(app)
		changed := app.DeepCopy()
		if tt.change(changed); differs(app, changed) != tt.want {
			t.Errorf("%s: it differs: %v, want %v", name, !tt.want, tt.want)
		}
	}
}

// TestClusterBackWakes connects a cluster again: a service is woken whose Release is on its way there, or has ended while a Job
// of it runs there, which somebody may wait for.
func TestClusterBackWakes(t *testing.T) {
	ended := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1alpha1.Release)
		want   bool
	}{
		"OnItsWay":     {func(*v1alpha1.Release) {}, true},
		"Over":         {func(r *v1alpha1.Release) { r.Status.Ended = &ended }, false},
		"OverWithAJob": {func(r *v1alpha1.Release) { r.Status.Ended = &ended; r.Status.Environments[0].Steps[0].UID = "u" }, true},
		"JobOver": {func(r *v1alpha1.Release) {
			r.Status.Ended = &ended
			r.Status.Environments[0].Steps[0].UID, r.Status.Environments[0].Steps[0].Phase = "u", v1alpha1.StepFailed
		}, false},
		"Elsewhere": {func(r *v1alpha1.Release) { r.Spec.Environments[0].Cluster = "prod" }, false},
	} {
		y := newYard(t)
		one := y.brings(1, inline)
		tt.change(one)
		if err := y.r.Client.Create(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		y.woken()
		y.r.clusterChanged(types.NamespacedName{Namespace: "sengu", Name: "dev"})
		if got := y.woken(); got != tt.want {
			t.Errorf("%s: it is woken: %v, want %v", name, got, tt.want)
		}
	}
}
