package release

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestRefusal judges approvals by when they are said to have been given: who writes one chooses that.
func TestRefusal(t *testing.T) {
	rule := v1alpha1.ApprovalRule{Required: 1, Expires: &metav1.Duration{Duration: time.Hour}}
	for name, tc := range map[string]struct {
		at   time.Duration
		want string
	}{
		"Now":       {},
		"FastClock": {at: v1alpha1.ClockSkew},
		"Ahead":     {at: v1alpha1.ClockSkew + time.Second, want: "that of anna does not count before"},
		"Years":     {at: 10 * 365 * 24 * time.Hour, want: "that of anna does not count before"},
		"Late":      {at: -time.Hour + time.Second},
		"Expired":   {at: -time.Hour, want: "the approval of anna has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			got := refusal(v1alpha1.ReleaseAction{By: "anna", At: metav1.NewTime(noon.Add(tc.at))}, nil, rule, noon)
			if got != tc.want && (tc.want == "" || !strings.HasPrefix(got, tc.want)) {
				t.Errorf("it says %q, want %q", got, tc.want)
			}
		})
	}
}

// TestPinAhead pins nothing by a pin that is said to begin later: else it would end later than any may.
func TestPinAhead(t *testing.T) {
	pin := &v1alpha1.Pin{Image: "a/b:c", At: metav1.NewTime(noon), Until: metav1.NewTime(noon.Add(time.Hour))}
	for at, want := range map[time.Duration]string{
		-v1alpha1.ClockSkew - time.Second: "", -v1alpha1.ClockSkew: "a/b:c", 0: "a/b:c", time.Hour - time.Second: "a/b:c", time.Hour: "",
	} {
		if got := pin.ImageAt(noon.Add(at)); got != want {
			t.Errorf("%s from when it begins it pins %q, want %q", at, got, want)
		}
	}
}

// TestApprovalAhead has an approval by a clock that is far ahead: it is looked at again when it counts.
func TestApprovalAhead(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "prod", Approval: &v1alpha1.ApprovalRule{Required: 1}})
	s.commit("r1", Plan{})
	s.Releases[0].Spec.Actions = []v1alpha1.ReleaseAction{{Verb: v1alpha1.VerbApprove, Environment: "prod", By: "anna", At: metav1.NewTime(s.Now.Add(time.Hour))}}
	counts := s.Now.Add(time.Hour - v1alpha1.ClockSkew)
	s.settle()
	s.wants("r1", "prod", v1alpha1.StageWaiting, "that of anna does not count before")
	if !s.last.Look.Equal(counts) {
		t.Fatalf("it is looked at again at %s, want %s", s.last.Look, counts)
	}
	s.Now = counts
	s.settle()
	s.wants("r1", "prod", v1alpha1.StageRunning)
}
