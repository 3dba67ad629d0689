package e2e_test

import (
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestSuperseded lets three changes come to production while nobody approves: the newest carries them all, and those
// before it say which one took their place.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval = &v1alpha1.ApprovalRule{Required: 1}
		}
	}, "staging", "production"))
	s.synced(s.repo.commit(judged("web", "zero", "staging", "production")), 2)
	var heads []string
	for _, value := range []string{"one", "two", "three"} {
		head := s.repo.commit(judged("web", value, "staging", "production"))
		s.waitsBefore("web", head, "production", "approval")
		heads = append(heads, head)
	}
	newest := s.release("web", heads[2])
	for _, head := range heads[:2] {
		r := s.becomes("web", head, "production", v1alpha1.StageSuperseded)
		if text := why(at(r, "production").Why); !strings.Contains(text, "took its place in production") {
			t.Errorf("it says %q", text)
		}
		if r.Status.SupersededBy == "" || r.Status.Ended == nil {
			t.Errorf("%s is superseded by %q and has ended %v", r.Name, r.Status.SupersededBy, r.Status.Ended)
		}
	}
	if out := s.must("why", "web", "-e", "production"); !strings.Contains(out, newest.Name) || !strings.Contains(out, "sengu release approve") {
		t.Errorf("`sengu why` does not tell what it waits for:\n%s", out)
	}
	s.must("release", "approve", "web", "-e", "production")
	s.becomes("web", heads[2], "production", v1alpha1.StageDone)
	if got := s.revision("web", "production"); got != heads[2] {
		t.Errorf("production runs %.7s, not the newest", got)
	}
}
