package release

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// failedSecond is a service that runs what r1 brought, after r0, and is held since r2 failed.
func failedSecond(t *testing.T) *scene {
	t.Helper()
	s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
	for _, name := range []string{"r0", "r1"} {
		s.commit(name, Plan{})
		s.passes(name, "prod")
	}
	s.commit("r2", Plan{})
	s.fails("r2", "prod")
	return s
}

func TestResumeRetriesWhatFailedBeforeAPersonHeld(t *testing.T) {
	tests := map[string]struct {
		story func(*scene)
		// runs is what runs under the hold.
		runs string
	}{
		"TheHoldOfTheFailure": {func(*scene) {}, "r1"},
		"AHold":               {func(s *scene) { s.holds("prod", "") }, "r1"},
		"AHoldOnceItIsBack":   {func(s *scene) { s.becomes("prod", v1alpha1.Healthy); s.holds("prod", "") }, "r1"},
		"TwoHolds":            {func(s *scene) { s.holds("prod", ""); s.holds("prod", "") }, "r1"},
		"AHoldUnseen":         {func(s *scene) { s.holdsUnseen("prod", "") }, "r1"},
		"ARollback":           {func(s *scene) { s.becomes("prod", v1alpha1.Healthy); s.holds("prod", "r0") }, "r0"},
		"ARollbackAtOnce":     {func(s *scene) { s.holds("prod", "r0") }, "r0"},
		"ARollbackToTheSame":  {func(s *scene) { s.holds("prod", "r1") }, "r1"},
		"ARollbackRefused":    {func(s *scene) { s.holds("prod", "r9") }, "r1"},
		"ARollbackUnseen":     {func(s *scene) { s.holdsUnseen("prod", "r0") }, "r1"},
		"TwoRollbacks":        {func(s *scene) { s.holds("prod", "r0"); s.holds("prod", "r0") }, "r0"},
		"FailedAgain":         {func(s *scene) { s.resumes("prod"); s.fails("r2", "prod"); s.holds("prod", "") }, "r1"},
		"RolledBackFurther": {func(s *scene) {
			s.resumes("prod")
			s.passes("r2", "prod")
			s.holds("prod", "r1")
			s.holds("prod", "r0")
		}, "r0"},
		"AbortedSince": {func(s *scene) {
			s.commit("r3", Plan{})
			s.Releases[3].Spec.Environments[0].Own = "r2"
			s.settle()
			s.acts("r3", "prod", v1alpha1.VerbAbort, false)
			s.holds("prod", "")
		}, "r1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := failedSecond(t)
			tt.story(s)
			s.runs("prod", tt.runs)
			s.resumes("prod")
			s.wants("r2", "prod", v1alpha1.StageRunning)
			s.passes("r2", "prod")
			s.runs("prod", "r2")
		})
	}
}

func TestARollbackOverAFailureIsToldOfWhatItLeaves(t *testing.T) {
	s := failedSecond(t)
	s.becomes("prod", v1alpha1.Healthy)
	s.wants("r2", "prod", v1alpha1.StageRolledBack, "runs what it ran before")
	s.holds("prod", "r0")
	s.wants("r1", "prod", v1alpha1.StageRolledBack, "operator rolled prod back")
	if h := s.Apps["prod"].Spec.Hold; h.Release != "r2" || h.Own != "r2" {
		t.Errorf("the hold remembers %q with %q, want r2", h.Release, h.Own)
	}
	s.resumes("prod")
	s.fails("r2", "prod")
	s.runs("prod", "r0")
	s.wants("r1", "prod", v1alpha1.StageRolledBack)
}

func TestResumeBringsBackOnlyWhatTheHoldKeptOut(t *testing.T) {
	tests := map[string]func(*scene){
		"APassedFix":     func(s *scene) { s.commit("r3", Plan{}); s.passes("r3", "prod") },
		"AnAbortedFix":   func(s *scene) { s.commit("r3", Plan{}); s.settle(); s.acts("r3", "prod", v1alpha1.VerbAbort, false) },
		"AnAbortedRetry": func(s *scene) { s.resumes("prod"); s.acts("r2", "prod", v1alpha1.VerbAbort, false) },
		"AnOlderPromoted": func(s *scene) {
			s.becomes("prod", v1alpha1.Healthy)
			s.holds("prod", "r0")
			s.resumes("prod")
			s.fails("r2", "prod")
			s.acts("r1", "prod", v1alpha1.VerbPromote, false)
			s.passes("r1", "prod")
		},
	}
	for name, story := range tests {
		t.Run(name, func(t *testing.T) {
			s := failedSecond(t)
			story(s)
			s.settle()
			s.becomes("prod", v1alpha1.Healthy)
			before := s.Apps["prod"].Spec.Release
			s.holds("prod", "")
			s.resumes("prod")
			s.runs("prod", before)
			if at := s.at("r2", "prod"); !stopped(at.Stage) {
				t.Errorf("r2 is %s", at.Stage)
			}
			// what stops later, without a hold, is not what that end was about
			s.commit("r4", Plan{})
			s.settle()
			s.acts("r4", "prod", v1alpha1.VerbAbort, false)
			s.wants("r4", "prod", v1alpha1.StageFailed)
		})
	}
}

func TestAFailureUnderARefusedRollbackIsNoRollback(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
	s.commit("r1", Plan{})
	s.passes("r1", "prod")
	s.commit("r2", Plan{})
	s.settle()
	s.holds("prod", "r9")
	s.fails("r2", "prod")
	s.wants("r2", "prod", v1alpha1.StageFailed, "it is Degraded")
	s.resumes("prod")
	s.wants("r2", "prod", v1alpha1.StageRunning)
}

func TestResumeAndPromoteAtOnce(t *testing.T) {
	s := failedSecond(t)
	s.holds("prod", "r0")
	s.Plans[Place{"r2", "prod"}] = Plan{Before: []string{"migrate"}}
	s.end("prod")
	s.acts("r2", "prod", v1alpha1.VerbPromote, false)
	s.settle()
	s.wants("r2", "prod", v1alpha1.StageRunning, "Job migrate runs")
	s.acts("r2", "prod", v1alpha1.VerbAbort, false)
	s.wants("r2", "prod", v1alpha1.StageRunning, "operator aborted it, which waits for Job migrate")
	s.Jobs[StepKey{"r2", "prod", "migrate", s.at("r2", "prod").Attempt}] = JobState{Phase: v1alpha1.StepSucceeded, Job: "migrate", Started: s.Now}
	s.settle()
	s.wants("r2", "prod", v1alpha1.StageFailed, "operator aborted it")
}

func TestAHoldThatEndedIsNotAboutWhatStopsLater(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
	s.commit("r1", Plan{})
	s.passes("r1", "prod")
	s.holds("prod", "")
	s.resumes("prod")
	s.commit("r2", Plan{})
	s.settle()
	s.runs("prod", "r2")
	m := moveOf(s.Apps["prod"])
	m.Source.Revision, m.Digest, m.Release = "rev-r1", "r1", "r1"
	s.write("prod", m)
	s.becomes("prod", v1alpha1.Healthy)
	s.wants("r2", "prod", v1alpha1.StageRolledBack, "brought to something else")
	s.runs("prod", "r1")
}

func TestAFixThatFailsAtOnceStillEndsTheHold(t *testing.T) {
	s := failedSecond(t)
	s.commit("r3", Plan{}).Spec.Environments[0].Problem = "kustomization.yaml is broken"
	s.settle()
	s.wants("r3", "prod", v1alpha1.StageFailed, "is broken")
	s.Windows["prod"] = Window{Rule: "deny"}
	s.acts("r3", "prod", v1alpha1.VerbPromote, false)
	s.acts("r3", "prod", v1alpha1.VerbAbort, false)
	s.holds("prod", "")
	s.resumes("prod")
	s.wants("r2", "prod", v1alpha1.StageFailed)
	s.runs("prod", "r1")
}

func TestARevertEndsTheHoldOfAFailure(t *testing.T) {
	s := failedSecond(t)
	s.becomes("prod", v1alpha1.Healthy)
	s.commit("r3", Plan{}).Spec.Environments[0].Digest = "r1"
	s.settle()
	s.wants("r3", "prod", v1alpha1.StageDone)
	if h := s.Apps["prod"].Spec.Hold; h.Active() || !s.at("r3", "prod").Unchanged {
		t.Errorf("the revert leaves %+v", h)
	}
}

func TestWhatAPersonAsksAfterARollbackStands(t *testing.T) {
	tests := map[string]struct {
		story func(*scene)
		stage v1alpha1.Stage
	}{
		"PromotedAndAborted": {func(s *scene) {
			s.Windows["prod"] = Window{Rule: "deny"}
			s.end("prod")
			s.acts("r2", "prod", v1alpha1.VerbPromote, false)
			s.acts("r2", "prod", v1alpha1.VerbAbort, false)
		}, v1alpha1.StageFailed},
		"PromotedAndOvertaken": {func(s *scene) {
			s.acts("r2", "prod", v1alpha1.VerbPromote, false)
			s.commit("r3", Plan{}).Spec.Environments[0].Digest = "r0" // a revert to what runs
			s.becomes("prod", v1alpha1.Healthy)
			s.wants("r3", "prod", v1alpha1.StageDone)
		}, v1alpha1.StageSuperseded},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := failedSecond(t)
			s.holds("prod", "r0")
			tt.story(s)
			s.wants("r2", "prod", tt.stage)
		})
	}
}

func TestWhatFailedBeforeTheServiceEverRanIsNotTriedByAnyCommit(t *testing.T) {
	tests := map[string]struct {
		change func(*v1alpha1.ReleaseEnvironment)
		stage  v1alpha1.Stage
	}{
		"OfSomethingElse":  {func(e *v1alpha1.ReleaseEnvironment) { e.Own = "r1" }, v1alpha1.StageWaiting},
		"OfItsFiles":       {func(*v1alpha1.ReleaseEnvironment) {}, v1alpha1.StageRunning},
		"OfItsImages":      {func(e *v1alpha1.ReleaseEnvironment) { e.Own, e.Images = "r1", []string{"web:2"} }, v1alpha1.StageRunning},
		"ThatRemovesItAll": {func(e *v1alpha1.ReleaseEnvironment) { e.Own, e.Gone = "r1", true }, v1alpha1.StageDone},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sceneOf(t, v1alpha1.Environment{Name: "prod"})
			s.commit("r1", Plan{Before: []string{"migrate"}})
			s.settle()
			s.job("r1", "prod", "migrate", v1alpha1.StepFailed)
			s.wants("r1", "prod", v1alpha1.StageFailed, "Job migrate failed")
			tt.change(&s.commit("r2", Plan{}).Spec.Environments[0])
			s.settle()
			s.wants("r2", "prod", tt.stage)
		})
	}
}

// TestWhatWasTakenBackGoesNoFurther rolls staging back from a change that another, newer one has passed staging with as
// unchanged: that one brings it no further under its own name, until it is let in again.
func TestWhatWasTakenBackGoesNoFurther(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "staging"}, v1alpha1.Environment{Name: "prod", After: []string{"staging"}, Approval: &v1alpha1.ApprovalRule{Required: 1}})
	s.commit("r0", Plan{})
	s.acts("r0", "prod", v1alpha1.VerbApprove, false)
	s.passes("r0", "staging", "prod")
	s.commit("r1", Plan{})
	s.passes("r1", "staging")
	overlay := s.commit("r2", Plan{})
	overlay.Spec.Environments[0] = s.Releases[1].Spec.Environments[0] // which it does not change
	s.settle()
	s.wants("r2", "staging", v1alpha1.StageDone)
	s.wants("r2", "prod", v1alpha1.StageWaiting, "approval")
	s.holds("staging", "r0")
	s.becomes("staging", v1alpha1.Healthy)
	s.acts("r2", "prod", v1alpha1.VerbApprove, false)
	s.wants("r2", "prod", v1alpha1.StageWaiting, "staging comes first: what this renders there was taken back")
	s.resumes("staging")
	s.wants("r2", "prod", v1alpha1.StageWaiting, "staging comes first: what this renders there was taken back")
	s.becomes("staging", v1alpha1.Healthy)
	s.wants("r1", "staging", v1alpha1.StageDone)
	s.wants("r2", "prod", v1alpha1.StageRunning)
}

// TestAuthorsOfWhatComesBack rolls production back by two changes: the authors of both may not approve what brings them again.
func TestAuthorsOfWhatComesBack(t *testing.T) {
	s := sceneOf(t, v1alpha1.Environment{Name: "prod", Approval: &v1alpha1.ApprovalRule{Required: 1, NotAuthor: true}})
	brings := func(name, author string) {
		s.commit(name, Plan{}).Spec.Commit.Author = author
		s.settle()
	}
	approves := func(name, by string) {
		t.Helper()
		s.pass(time.Second)
		i := slices.IndexFunc(s.Releases, func(r *v1alpha1.Release) bool { return r.Name == name })
		s.Releases[i] = s.Releases[i].DeepCopy()
		s.Releases[i].Spec.Actions = append(s.Releases[i].Spec.Actions, v1alpha1.ReleaseAction{
			Verb: v1alpha1.VerbApprove, Environment: "prod", By: by, At: metav1.NewTime(s.Now),
		})
		s.settle()
	}
	for _, is := range []struct{ name, author string }{{"r1", "ann"}, {"r2", "ben"}, {"r3", "cyd"}} {
		brings(is.name, is.author)
		approves(is.name, "operator")
		s.passes(is.name, "prod")
	}
	s.holds("prod", "r1")
	s.becomes("prod", v1alpha1.Healthy)
	brings("r4", "dan")
	s.resumes("prod")
	for _, author := range []string{"ben", "cyd", "dan"} {
		approves("r4", author)
		s.wants("r4", "prod", v1alpha1.StageWaiting, "that of "+author+" does not count, who made the change")
	}
	approves("r4", "ann") // whose change is there
	s.wants("r4", "prod", v1alpha1.StageRunning)
}
