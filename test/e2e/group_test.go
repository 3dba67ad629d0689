package e2e_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
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

// TestGroupQueue changes five services in one commit, of which two at a time may be at work in production: the others wait for
// a place, and take it when one has passed.
func TestGroupQueue(t *testing.T) {
	t.Parallel()
	services := []string{"api", "cart", "mail", "shop", "web"}
	s := newTimedSengu(t, monday, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Soak, e.MaxConcurrent = &metav1.Duration{Duration: time.Minute}, 2
		}
	}, "staging", "production"))
	tree := func(value string) files {
		all := files{}
		for _, service := range services {
			all = all.with(judged(service, value, "staging", "production"))
		}
		return all
	}
	s.synced(s.repo.commit(tree("one")), 2*len(services))
	head := s.repo.commit(tree("two"))
	for passed := 0; passed < len(services); passed += 2 {
		s.eventually(fmt.Sprintf("%d have passed, two are at work, and the others wait for a place", passed), func() error {
			is := map[string]int{}
			for _, service := range services {
				one := s.release(service, head)
				if one == nil {
					return fmt.Errorf("%s has no Release yet", service)
				}
				env := at(one, "production")
				if release.AwaitsPlace(env) {
					is["Queued"]++
				} else {
					is[string(env.Stage)]++
				}
			}
			busy := min(2, len(services)-passed)
			if is["Done"] != passed || is["Verifying"] != busy || is["Queued"] != len(services)-passed-busy {
				return fmt.Errorf("they are %v", is)
			}
			return nil
		})
		s.clock.Step(time.Minute)
	}
	for _, service := range services {
		s.becomes(service, head, "production", v1alpha1.StageDone)
	}
}
