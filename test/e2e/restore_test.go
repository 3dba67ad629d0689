package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/standing"
)

// refCommit returns the commit of a ref of the served repository, "" without one.
func (r *repository) refCommit(ref string) string {
	out, err := exec.Command("git", "-C", r.bare, "rev-parse", "--verify", "--quiet", ref).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// TestRestore loses the cluster that holds Sengu's objects while production is behind the branch, and brings it back from
// Git alone: production runs what it ran, and the change still waits for its approval.
func TestRestore(t *testing.T) {
	t.Parallel()
	gate := inOrder(func(e *v1alpha1.Environment) {
		if e.Name == "production" {
			e.Approval = &v1alpha1.ApprovalRule{Required: 1}
		}
	}, "staging", "production")
	s := newSengu(t, gate)
	first := s.repo.commit(judged("web", "one", "staging", "production"))
	s.synced(first, 2)
	second := s.repo.commit(judged("web", "two", "staging", "production"))
	s.waitsBefore("web", second, "production", "approval")
	ref := standing.Ref(fleetName)
	s.eventually("what runs is written to Git", func() error {
		out, err := exec.Command("git", "-C", s.repo.bare, "show", ref+":apps/web.yaml").Output()
		if err != nil || !strings.Contains(string(out), first) || !strings.Contains(string(out), second) {
			return fmt.Errorf("it is not (%w): %s", errors.Join(errors.New("no record"), err), out)
		}
		return nil
	})
	// A rewritten branch loses nothing of it.
	s.repo.rewrite(judged("web", "two", "staging", "production"))
	if out, err := exec.Command("git", "-C", s.repo.bare, "gc", "--quiet", "--prune=now").CombinedOutput(); err != nil {
		t.Fatalf("git gc: %v: %s", err, out)
	}
	for _, commit := range []string{first, second} {
		if s.repo.refCommit(commit+"^{commit}") == "" {
			t.Errorf("the repository has lost %.7s, which an environment runs", commit)
		}
	}

	// Another home, which is empty, as the clusters are that were delivered to.
	staging := s.app("web", "staging")
	again := prepareSengu(t, theWorld(t).dev, []func(*v1alpha1.FleetSpec){gate})
	s.stop()
	for p, namespace := range map[*plane]string{s.dev: s.target + "-staging", s.prod: s.target + "-production"} {
		lost := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		if err := p.Delete(t.Context(), lost); err != nil {
			t.Fatal(err)
		}
		s.eventually("what ran is gone", func() error { return s.absent(p, lost) })
	}
	if err := again.home.Delete(t.Context(), again.theFleet()); err != nil {
		t.Fatal(err)
	}
	again.repo, again.data = s.repo, t.TempDir()
	token := again.secret("old-git", "token", []byte(s.repo.token))
	again.create(again.home, token)
	git := again.secret("git", "token", []byte(s.repo.token))
	if err := again.home.Update(t.Context(), git); err != nil {
		t.Fatal(err)
	}
	again.start()
	dry := again.must("restore", s.repo.url(), "--fleet", fleetName, "--secret", "old-git", "--dry-run")
	if !strings.Contains(dry, "production") || !strings.Contains(dry, first[:7]) {
		t.Errorf("--dry-run does not say what production ran:\n%s", dry)
	}
	// Somebody makes the Fleet by hand. What ran is not on the branch any more: that it is to run again is for a person to say.
	byHand := again.fleet([]func(*v1alpha1.FleetSpec){gate})
	byHand.Spec.Environments = s.fleet([]func(*v1alpha1.FleetSpec){gate}).Spec.Environments
	again.create(again.home, byHand)
	again.eventually("the record is not believed", func() error {
		c := meta.FindStatusCondition(again.theFleet().Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || !strings.Contains(c.Message, "which is not on branch main: `sengu restore "+s.repo.url()+" --fleet "+fleetName+"` shows it") {
			return fmt.Errorf("the Fleet says %+v", c)
		}
		return nil
	})
	if list, err := again.apps(); err != nil || len(list) > 0 {
		t.Errorf("it has Apps all the same: %v, %v", list, err)
	}
	if err := again.home.Delete(t.Context(), byHand); err != nil {
		t.Fatal(err)
	}
	// A restore was cut off after it had made one App.
	again.create(again.home, &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: again.namespace, Name: staging.Name}, Spec: staging.Spec})
	again.must("restore", s.repo.url(), "--fleet", fleetName, "--secret", "old-git", "--yes")
	again.eventually("staging and production are as they were", func() error {
		for env, want := range map[string]string{"staging": second, "production": first} {
			a := again.app("web", env)
			if a.UID == "" || a.Spec.Source.Revision != want {
				return fmt.Errorf("%s is at %q, not at %.7s", env, a.Spec.Source.Revision, want)
			}
		}
		return nil
	})
	head := s.repo.refCommit("refs/heads/" + branch)
	again.waitsBefore("web", head, "production", "approval")

	// Another place where Sengu runs delivers a Fleet of the same name: neither writes over what the other runs.
	writer := func() string { return s.repo.git(nil, "show", ref+":writer.yaml") }
	again.eventually("the record is written by the Fleet that is there now", func() error {
		if text := writer(); !strings.Contains(text, string(again.theFleet().UID)) {
			return fmt.Errorf("it is written by %s", text)
		}
		return nil
	})
	text := fmt.Sprintf("uid: another\ncreated: %q\n", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	s.repo.git(bytes.NewBufferString(fmt.Sprintf("commit %s\ncommitter e2e <e2e@example.com> %d +0000\ndata 5\nother\nfrom %s^0\nM 100644 inline writer.yaml\ndata %d\n%s\n",
		ref, time.Now().Unix(), ref, len(text), text)), "fast-import", "--quiet")
	theirs := s.repo.refCommit(ref)
	again.waitsBefore("web", s.repo.commit(judged("web", "three", "staging", "production")), "production", "approval")
	again.eventually("it is told that another one writes", func() error {
		return again.told("StateNotPushed", "another fleet "+fleetName+", made at ")
	})
	if now := s.repo.refCommit(ref); now != theirs {
		t.Errorf("the record of the other one was written over: %s", s.repo.git(nil, "show", now))
	}
}
