package e2e_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestGroup changes three services in one commit. One approval lets all of them on, one at a time goes into production, and
// none does once one has failed there: also right after a start, whoever is looked at first.
func TestGroup(t *testing.T) {
	t.Parallel()
	services := []string{"api", "mail", "web"}
	s := newTimedSengu(t, monday, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval, e.MaxConcurrent = &v1alpha1.ApprovalRule{Required: 1}, 1
		}
	}, "staging", "production"))
	tree := func(value string) files {
		all := files{}
		for _, service := range services {
			all = all.with(judged(service, value, "staging", "production"))
		}
		return all
	}
	first := s.repo.commit(tree("one"))
	s.synced(first, 6)
	head := s.repo.commit(tree("two").with(files{folder("api", "production") + "/config.yaml": configMap("api", "bad")}))
	act := func(service string, a v1alpha1.ReleaseAction) {
		t.Helper()
		a.Environment, a.By = "production", "operator"
		s.actionAt(s.release(service, head), a, s.clock.Now())
	}
	for _, service := range services {
		s.waitsBefore(service, head, "production", "approval")
	}
	act("api", v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove})
	s.eventually("api is degraded in production", func() error {
		if at(s.release("api", head), "production").Degraded == nil {
			return errors.New("it is not")
		}
		return nil
	})
	act("mail", v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Group: true})
	s.waitsBefore("mail", head, "production", "group")
	s.waitsBefore("web", head, "production", "group")
	s.stop()
	s.start()
	s.clock.Step(2 * time.Minute)
	s.becomes("api", head, "production", v1alpha1.StageRolledBack)
	s.waitsBefore("mail", head, "production", "failures")
	s.waitsBefore("web", head, "production", "failures")
	s.stop()
	s.start()
	act("web", v1alpha1.ReleaseAction{Verb: v1alpha1.VerbPromote, SkipGates: true, Reason: "it has nothing to do with api"})
	s.becomes("web", head, "production", v1alpha1.StageDone)
	s.waitsBefore("mail", head, "production", "failures")
	for _, service := range []string{"api", "mail"} {
		if got := s.revision(service, "production"); got != first {
			t.Errorf("%s is at %.7s in production, want %.7s", service, got, first)
		}
	}
}
