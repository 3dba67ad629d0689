package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// monday is a Monday at noon in Tokyo.
var monday = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// judged is a service that is one ConfigMap in each environment, which is degraded while its value is bad.
func judged(service, value string, environments ...string) files {
	tree := files{"apps/" + service + "/sengu.yaml": ownRule}
	for _, env := range environments {
		tree[folder(service, env)+"/config.yaml"] = configMap(service, value)
	}
	return tree
}

// inOrder is a Fleet of environments of which each comes after the one before it. The last is on the plane prod.
func inOrder(edit func(*v1alpha1.Environment), names ...string) func(*v1alpha1.FleetSpec) {
	return func(f *v1alpha1.FleetSpec) {
		namespace := f.Environments[0].Namespace
		f.Environments = nil
		for i, name := range names {
			env := v1alpha1.Environment{Name: name, Cluster: "dev", Namespace: namespace + "-" + name}
			if i == len(names)-1 {
				env.Cluster = "prod"
			}
			if i > 0 {
				env.After = names[i-1 : i]
			}
			edit(&env)
			f.Environments = append(f.Environments, env)
		}
	}
}

func ungated(*v1alpha1.Environment) {}

// TestSoak leaves a change in staging for as long as the Fleet says.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newTimedSengu(t, monday, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "staging" {
			e.Soak = &metav1.Duration{Duration: 10 * time.Minute}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	r := s.becomes("web", head, "staging", v1alpha1.StageVerifying)
	if text := why(at(r, "staging").Why); !strings.Contains(text, "soaks until 2026-11-23 03:10:00 UTC") {
		t.Errorf("it says %q, not until when it soaks", text)
	}
	s.clock.Step(9 * time.Minute)
	if got := s.revision("web", "production"); got == head {
		t.Error("production has it before the soak is over")
	}
	s.clock.Step(2 * time.Minute)
	s.becomes("web", head, "production", v1alpha1.StageDone)
}

// TestWindow lets a change into production when the Fleet's calendar does.
func TestWindow(t *testing.T) {
	t.Parallel()
	night := monday.Add(9 * time.Hour) // nine in the evening in Tokyo
	s := newTimedSengu(t, night, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Windows = []string{"allow Mon-Thu 10:00-17:00 Asia/Tokyo", "deny 2026-11-24 Asia/Tokyo"}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	r := s.waitsBefore("web", head, "production", "windows")
	// Tuesday is a holiday: it is let in on Wednesday at ten.
	if text := why(at(r, "production").Why); !strings.Contains(text, "before 2026-11-25 01:00 UTC") {
		t.Errorf("it says %q, not when it may go in", text)
	}
	s.clock.SetTime(time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)) // Tuesday at noon
	s.waitsBefore("web", head, "production", "windows")
	s.clock.SetTime(time.Date(2026, 11, 25, 1, 0, 1, 0, time.UTC))
	s.becomes("web", head, "production", v1alpha1.StageDone)
}

// TestApprovals counts people of the right groups, never the author, and not for ever.
func TestApprovals(t *testing.T) {
	t.Parallel()
	s := newTimedSengu(t, monday, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval = &v1alpha1.ApprovalRule{Required: 2, Groups: []string{"sre"}, NotAuthor: true, Expires: &metav1.Duration{Duration: time.Hour}}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	r := s.waitsBefore("web", head, "production", "approval")
	author, _, _ := strings.Cut(r.Spec.Commit.Author, " <")
	says := func(words ...string) {
		t.Helper()
		s.eventually("it says why it still waits", func() error {
			text := why(at(s.release("web", head), "production").Why)
			for _, word := range words {
				if !strings.Contains(text, word) {
					return fmt.Errorf("it says %q, without %q", text, word)
				}
			}
			return nil
		})
	}
	approve := func(by string, groups ...string) {
		t.Helper()
		s.actionAt(r, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: "production", By: by, Groups: groups}, s.clock.Now())
	}
	says("2 of 2 approvals by sre", "sengu release approve "+r.Name+" -e production")
	approve("guest", "interns")
	says("2 of 2 approvals", "that of guest does not count, who is not in sre")
	approve(author, "sre")
	says("2 of 2 approvals", "that of "+author+" does not count, who made the change")
	approve("first", "sre")
	approve("first", "sre")
	says("1 of 2 approvals")
	s.clock.Step(2 * time.Hour)
	says("2 of 2 approvals", "the approval of first has expired")
	approve("second", "sre")
	approve("third", "sre")
	s.becomes("web", head, "production", v1alpha1.StageDone)
}

// TestBrokenInStaging stops a change that does not work in staging, brings staging back and holds it. A commit to
// something else does not let it in again; a change of the service does.
func TestBrokenInStaging(t *testing.T) {
	t.Parallel()
	s := newTimedSengu(t, monday, inOrder(ungated, "staging", "production"))
	base := files{"base/kustomization.yaml": "resources: [shared.yaml]\n", "base/shared.yaml": configMap("shared", "one")}
	uses := files{}
	for _, env := range []string{"staging", "production"} {
		uses[folder("web", env)+"/kustomization.yaml"] = "resources: [config.yaml, ../../../base]\n"
	}
	first := s.repo.commit(judged("web", "one", "staging", "production").with(base).with(uses))
	s.synced(first, 2)
	bad := s.repo.commit(judged("web", "bad", "staging", "production"))
	s.eventually("staging is degraded", func() error {
		if a := s.app("web", "staging"); a.Status.Health != v1alpha1.Degraded || at(s.release("web", bad), "staging").Degraded == nil {
			return fmt.Errorf("it is %s", a.Status.Health)
		}
		return nil
	})
	s.clock.Step(2 * time.Minute)
	r := s.becomes("web", bad, "staging", v1alpha1.StageRolledBack)
	if text := why(r.Status.Why); !strings.Contains(text, "its value is bad") {
		t.Errorf("it says %q, not what is wrong", text)
	}
	if got := s.revision("web", "staging"); got != first {
		t.Errorf("staging is at %.7s, not at what was good", got)
	}
	s.eventually("staging runs what was good", func() error {
		return s.mapIs(s.dev, s.target+"-staging", "web", "one")
	})

	unrelated := s.repo.commit(files{"base/shared.yaml": configMap("shared", "two")})
	s.waitsBefore("web", unrelated, "staging", "hold")
	if got := s.revision("web", "staging"); got != first {
		t.Errorf("an unrelated commit moved staging to %.7s", got)
	}
	mended := s.repo.commit(judged("web", "three", "staging", "production"))
	s.becomes("web", mended, "production", v1alpha1.StageDone)
	s.eventually("the older one says that it was superseded", func() error {
		if r := s.release("web", unrelated); r.Status.Stage != v1alpha1.StageSuperseded || !strings.Contains(why(r.Status.Why), s.release("web", mended).Name) {
			return fmt.Errorf("it is %s: %s", r.Status.Stage, why(r.Status.Why))
		}
		return nil
	})
}

// TestHold keeps three commits out of production because a person says so, until the person says otherwise.
func TestHold(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(ungated, "staging", "production"))
	first := s.repo.commit(judged("web", "0", "staging", "production"))
	s.synced(first, 2)
	s.hold("web", "production", &v1alpha1.Hold{By: "operator", At: metav1.Now(), Reason: "sale"})
	var heads []string
	for i := 1; i <= 3; i++ {
		head := s.repo.commit(judged("web", fmt.Sprint(i), "staging", "production"))
		heads = append(heads, head)
		r := s.waitsBefore("web", head, "production", "hold")
		if text := why(at(r, "production").Why); !strings.Contains(text, "operator holds production (sale)") {
			t.Errorf("it says %q, not who holds it and why", text)
		}
	}
	for _, head := range heads[:2] {
		s.becomes("web", head, "production", v1alpha1.StageSuperseded)
	}
	if got := s.revision("web", "production"); got != first {
		t.Errorf("production is at %.7s while it is held", got)
	}
	held := s.app("web", "production").Spec.Hold.DeepCopy()
	held.Ended = &v1alpha1.HoldEnd{By: "operator", At: metav1.Now()}
	s.hold("web", "production", held)
	s.becomes("web", heads[2], "production", v1alpha1.StageDone)
}

// TestRollback goes back to an earlier revision at once, stays there, and goes on when the person says so.
func TestRollback(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(ungated, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "0", "staging", "production")), 2)
	var heads []string
	for i := 1; i <= 3; i++ {
		heads = append(heads, s.repo.commit(judged("web", fmt.Sprint(i), "staging", "production")))
		s.becomes("web", heads[i-1], "production", v1alpha1.StageDone)
	}
	to := s.release("web", heads[0])
	s.hold("web", "production", &v1alpha1.Hold{By: "operator", At: metav1.Now(), RollbackTo: to.Name})
	s.eventually("production is back", func() error { return s.mapIs(s.prod, s.target+"-production", "web", "1") })
	s.becomes("web", heads[2], "production", v1alpha1.StageRolledBack)
	fourth := s.repo.commit(judged("web", "4", "staging", "production"))
	s.waitsBefore("web", fourth, "production", "hold")
	held := s.app("web", "production").Spec.Hold.DeepCopy()
	held.Ended = &v1alpha1.HoldEnd{By: "operator", At: metav1.Now()}
	s.hold("web", "production", held)
	s.becomes("web", fourth, "production", v1alpha1.StageDone)

	s.hold("web", "production", &v1alpha1.Hold{By: "operator", At: metav1.Now(), RollbackTo: "never.was"})
	s.eventually("what was never good is refused", func() error {
		if h := s.app("web", "production").Spec.Hold; !strings.Contains(h.Refused, "never.was") {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	if got := s.revision("web", "production"); got != fourth {
		t.Errorf("a refused rollback moved production to %.7s", got)
	}
}

// TestApprovedWhileAway takes in an approval that was given while Sengu was down.
func TestApprovedWhileAway(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval = &v1alpha1.ApprovalRule{Required: 1}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	s.waitsBefore("web", head, "production", "approval")
	s.kill9()
	s.approve("web", head, "production", false)
	s.start()
	s.becomes("web", head, "production", v1alpha1.StageDone)
}

// TestTenants brings a change to tenants after staging, two at once, and one that fails stops no other.
func TestTenants(t *testing.T) {
	t.Parallel()
	tenants := []string{"t1", "t2", "t3"}
	s := newTimedSengu(t, monday, func(f *v1alpha1.FleetSpec) {
		inOrder(ungated, "staging", "t1")(f)
		for _, name := range tenants[1:] {
			f.Environments = append(f.Environments, v1alpha1.Environment{
				Name: name, Cluster: "prod", Namespace: strings.TrimSuffix(f.Environments[0].Namespace, "staging") + name, After: []string{"staging"},
			})
		}
		f.MaxParallel = 2
	})
	all := append([]string{"staging"}, tenants...)
	first := s.repo.commit(judged("web", "one", all...))
	s.synced(first, 4)
	tree := judged("web", "two", all...)
	tree[folder("web", "t2")+"/config.yaml"] = configMap("web", "bad")
	head := s.repo.commit(tree)
	s.becomes("web", head, "t1", v1alpha1.StageDone)
	s.becomes("web", head, "t3", v1alpha1.StageDone)
	s.eventually("t2 is degraded", func() error {
		if at(s.release("web", head), "t2").Degraded == nil {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	s.clock.Step(2 * time.Minute)
	s.becomes("web", head, "t2", v1alpha1.StageRolledBack)
	if got := s.revision("web", "t2"); got != first {
		t.Errorf("t2 is at %.7s", got)
	}
}

// TestBrokenWhileAway has what soaks in staging break while Sengu is stopped, until the soak would have been over: it is not
// passed on by what was so before, and staging is brought back.
func TestBrokenWhileAway(t *testing.T) {
	t.Parallel()
	const good, bad = "registry.example.com/web:1", "registry.example.com/web:2"
	s := newTimedSengu(t, monday, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "staging" {
			e.Soak = &metav1.Duration{Duration: 10 * time.Minute}
		}
	}, "staging", "production"))
	staging := s.target + "-staging"
	first := s.repo.commit(running("web", good, true, "staging", "production"))
	s.synced(first, 2)
	head := s.repo.commit(running("web", bad, true, "staging", "production"))
	s.becomes("web", head, "staging", v1alpha1.StageVerifying)
	s.stop()
	s.crashes(staging, bad)
	s.clock.Step(time.Hour)
	s.start()
	s.eventually("the Release says what is wrong", func() error {
		is := at(s.release("web", head), "staging")
		if text := why(is.Why); is.Unhealthy == nil || !strings.Contains(text, "CrashLoopBackOff") {
			return fmt.Errorf("it is %s and says %q", is.Stage, text)
		}
		return nil
	})
	s.clock.Step(11 * time.Minute)
	s.becomes("web", head, "staging", v1alpha1.StageRolledBack)
	if got := s.revision("web", "production"); got != first {
		t.Errorf("production is at %.7s, not at what was good", got)
	}
}
