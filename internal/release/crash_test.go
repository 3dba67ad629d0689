package release

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestACrashAnywhereEndsTheSame plays stories again and again, each time with a crash after another of its writes, and
// wants the end that they have without one.
func TestACrashAnywhereEndsTheSame(t *testing.T) {
	tests := map[string]func(*scene){
		"AllIsWell": func(s *scene) {
			s.commit("r1", Plan{Before: []string{"migrate"}})
			s.settle()
			s.job("r1", "prod", "migrate", v1alpha1.StepSucceeded)
			s.becomes("prod", v1alpha1.Healthy)
		},
		"AFailure": func(s *scene) { s.commit("r1", Plan{}); s.settle(); s.becomes("prod", v1alpha1.Degraded) },
		"AFailureIsBack": func(s *scene) {
			s.commit("r1", Plan{})
			s.settle()
			s.becomes("prod", v1alpha1.Degraded)
			s.becomes("prod", v1alpha1.Healthy)
		},
		"AFailureIsMended": func(s *scene) {
			s.commit("r1", Plan{})
			s.settle()
			s.becomes("prod", v1alpha1.Degraded)
			s.commit("r2", Plan{})
			s.settle()
		},
		"AFailedJob": func(s *scene) {
			s.commit("r1", Plan{Before: []string{"migrate"}})
			s.settle()
			s.job("r1", "prod", "migrate", v1alpha1.StepFailed)
		},
		"ARollback":            func(s *scene) { s.holds("prod", "before") },
		"ARollbackIsResumed":   func(s *scene) { s.holds("prod", "before"); s.resumes("prod") },
		"ARollbackOfWhatComes": func(s *scene) { s.commit("r1", Plan{}); s.settle(); s.holds("prod", "good") },
		"ARollbackOverAFailure": func(s *scene) {
			s.commit("r1", Plan{})
			s.settle()
			s.becomes("prod", v1alpha1.Degraded)
			s.becomes("prod", v1alpha1.Healthy)
			s.holds("prod", "before")
			s.resumes("prod")
		},
		"AnAbort": func(s *scene) { s.commit("r1", Plan{}); s.settle(); s.acts("r1", "prod", v1alpha1.VerbAbort, false) },
		"APromotion": func(s *scene) {
			s.commit("r1", Plan{})
			s.fails("r1", "prod")
			s.acts("r1", "prod", v1alpha1.VerbPromote, false)
		},
		"ASuperseded": func(s *scene) {
			s.commit("r1", Plan{})
			s.commit("r2", Plan{})
			s.settle()
			s.becomes("prod", v1alpha1.Healthy)
		},
	}
	for name, story := range tests {
		t.Run(name, func(t *testing.T) {
			end := func(t *testing.T, crash int) *scene {
				s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
				for _, name := range []string{"before", "good"} {
					s.commit(name, Plan{})
					s.passes(name, "prod")
				}
				s.crash = crash
				story(s)
				s.settle()
				return s
			}
			want := end(t, 0)
			writes := -want.crash
			for i := range writes {
				t.Run(fmt.Sprint(i+1), func(t *testing.T) {
					got := end(t, i+1)
					// When things happened may differ, and how long a Release that has stopped was ill. A history may skip a step.
					options := []cmp.Option{
						cmpopts.IgnoreTypes(time.Time{}), cmpopts.IgnoreFields(v1alpha1.ReleaseStatus{}, "Journal"),
						cmpopts.IgnoreFields(v1alpha1.App{}, "ObjectMeta", "Status"), cmpopts.EquateEmpty(),
						cmpopts.IgnoreFields(v1alpha1.ReleaseEnvironmentStatus{}, "Unhealthy", "Degraded"),
					}
					if diff := cmp.Diff(want.Releases, got.Releases, options...); diff != "" {
						t.Errorf("Releases, -without a crash +with one:\n%s", diff)
					}
					if diff := cmp.Diff(want.Apps, got.Apps, options...); diff != "" {
						t.Errorf("Apps, -without a crash +with one:\n%s", diff)
					}
				})
			}
		})
	}
}
