package release

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
)

// pins has a person pin an image until a time.
func (s *scene) pins(env, image string, until time.Time) {
	s.write(env, moveOf(s.Apps[env]))
	s.Apps[env].Spec.Pin = &v1alpha1.Pin{By: "operator", At: metav1.NewTime(noon), Until: metav1.NewTime(until), Image: image}
}

// ails is an App of some health with a reason not to be ready, that runs an image which is pinned, or what Git says.
func (s *scene) ails(env string, health v1alpha1.HealthStatus, reason, pinned string) {
	s.t.Helper()
	s.becomes(env, v1alpha1.Progressing)
	app := s.Apps[env].DeepCopy()
	app.Status.Health, app.Status.Pinned, app.Status.Why.Message = health, pinned, "it is "+string(health)
	if reason != "" {
		app.Status.Sync = v1alpha1.OutOfSync
		meta.SetStatusCondition(&app.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason})
	}
	s.Apps[env] = app
	s.settle()
}

// tells says what the journal of a Release has to say of something that happened in an environment.
func (s *scene) tells(name string, kind history.Kind, env, why string) {
	s.t.Helper()
	for _, r := range s.Releases {
		for _, happened := range r.Status.Journal {
			if r.Name == name && happened.Kind == string(kind) && happened.Environment == env {
				if happened.Why != why {
					s.t.Errorf("%s says %q of %s in %s, want %q", name, happened.Why, kind, env, why)
				}
				return
			}
		}
	}
	s.t.Errorf("%s says nothing of %s in %s", name, kind, env)
}

// TestPinned says what becomes of a change where a person has pinned another image.
func TestPinned(t *testing.T) {
	const image = "registry.example.com/web:pr-7"
	tests := map[string]struct {
		health v1alpha1.HealthStatus
		reason string
		// ends is true if the pin is taken back then, and nothing is well all the same.
		ends  bool
		job   v1alpha1.StepPhase
		stage v1alpha1.Stage
		words string
	}{
		"Broken":        {v1alpha1.Degraded, "Degraded", false, "", v1alpha1.StageRunning, "it is Degraded; it is not held against this change, as " + image + " is pinned here"},
		"Late":          {v1alpha1.Progressing, "Progressing", false, "", v1alpha1.StageRunning, "it is Progressing; it is not held against this change, as " + image + " is pinned here"},
		"Refused":       {v1alpha1.Healthy, "ApplyFailed", false, "", v1alpha1.StageRunning, "it is Healthy; it is not held against this change, as " + image + " is pinned here"},
		"NotRendered":   {v1alpha1.Healthy, "RenderFailed", false, "", v1alpha1.StageFailed, "it is Healthy"},
		"BrokenWithout": {v1alpha1.Degraded, "Degraded", true, "", v1alpha1.StageFailed, "it is Degraded"},
		"Well":          {v1alpha1.Healthy, "", false, v1alpha1.StepSucceeded, v1alpha1.StageDone, ""},
		"FailedJob":     {v1alpha1.Healthy, "", false, v1alpha1.StepFailed, v1alpha1.StageFailed, "Job e2e failed: exit code 1; " + image + " was pinned here, so the image of this change was not seen to run"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
			s.commit("r1", Plan{After: []string{"e2e"}, FailAfter: time.Minute, Deadline: time.Hour})
			s.settle()
			s.pins("prod", image, noon.Add(8*time.Hour))
			s.ails("prod", tt.health, tt.reason, image)
			s.pass(2 * time.Hour)
			s.settle()
			if tt.ends {
				s.pins("prod", image, s.Now)
				s.ails("prod", tt.health, tt.reason, "")
				s.wants("r1", "prod", v1alpha1.StageRunning, "it is Degraded")
				s.pass(time.Minute)
				s.settle()
			}
			if tt.job != "" {
				s.Jobs[StepKey{Release: "r1", Environment: "prod", Step: "e2e"}] = JobState{Phase: tt.job, Job: "e2e", Started: s.Now, Message: "exit code 1"}
				s.settle()
			}
			s.wants("r1", "prod", tt.stage, tt.words)
			if at := s.at("r1", "prod"); at.Pinned != image {
				t.Errorf("it says that %q was pinned", at.Pinned)
			}
			if tt.stage == v1alpha1.StageDone {
				s.tells("r1", history.Done, "prod", image+" was pinned here, so the image of this change was not seen to run")
			}
		})
	}
}
