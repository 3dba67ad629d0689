package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// migration is a Job among the objects of a service. One that is for a node that there is not never runs.
func migration(image string, runs bool) string {
	nodes := ""
	if !runs {
		nodes = "      nodeSelector: {nowhere: \"yes\"}\n"
	}
	return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  ttlSecondsAfterFinished: 0\n  template:\n    spec:\n      restartPolicy: Never\n" +
		nodes + "      containers:\n      - {name: migrate, image: " + image + "}\n"
}

// jobs lists the Jobs that ran for a service in dev.
func (s *sengu) jobs(namespace string) []batchv1.Job {
	s.Helper()
	var list batchv1.JobList
	if err := s.dev.List(context.Background(), &list, client.InNamespace(namespace)); err != nil {
		s.Fatal(err)
	}
	return list.Items
}

// TestMigration runs a Job before a change is applied and one after. One that fails keeps the change from being applied
// at all; a roll-back runs none; and sengu.yaml may say that one cannot go back.
func TestMigration(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(ungated, "staging", "production"))
	steps := "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nbefore:\n- {job: migrate, timeout: 1m}\nafter:\n- {name: smoke, image: registry.example.com/smoke:1}\n"
	change := func(value string, runs bool, more string) files {
		tree := files{"apps/web/sengu.yaml": steps + more}
		for _, env := range []string{"staging", "production"} {
			tree[folder("web", env)+"/config.yaml"] = configMap("web", value)
			tree[folder("web", env)+"/migrate.yaml"] = migration("registry.example.com/web:"+value, runs)
		}
		return tree
	}
	first := s.repo.commit(change("one", true, ""))
	s.synced(first, 2)
	if all := s.jobs(s.target + "-staging"); len(all) != 0 {
		t.Errorf("the first delivery ran or applied %d Jobs", len(all))
	}
	ran := s.followIn(s.dev, s.target+"-staging", &batchv1.JobList{})
	second := s.repo.commit(change("two", true, ""))
	r := s.becomes("web", second, "production", v1alpha1.StageDone)
	var names []string
	for _, step := range at(r, "staging").Steps {
		names = append(names, step.Name+" "+string(step.Phase))
		if step.Job == "" || step.Job == "migrate" || !strings.HasPrefix(step.Job, "web-staging-shop") {
			t.Errorf("step %s ran as Job %q", step.Name, step.Job)
		}
	}
	if got := strings.Join(names, ", "); got != "migrate Succeeded, smoke Succeeded" {
		t.Errorf("the steps are %s", got)
	}
	if n := madeJobs(ran); n != 2 {
		t.Errorf("%d Jobs were made in staging, want 2", n)
	}

	// A migration that never runs fails by its time, and nothing is applied.
	steps = strings.Replace(steps, "timeout: 1m", "timeout: 2s", 1)
	third := s.repo.commit(change("three", false, ""))
	r = s.becomes("web", third, "staging", v1alpha1.StageFailed)
	if text := why(r.Status.Why); !strings.Contains(text, "Job migrate failed") {
		t.Errorf("it says %q, not that the migration failed", text)
	}
	if err := s.mapIs(s.dev, s.target+"-staging", "web", "two"); err != nil {
		t.Errorf("something was applied although the migration failed: %v", err)
	}
	if h := s.app("web", "staging").Spec.Hold; !h.Active() || h.By != "" {
		t.Errorf("staging is not held: %+v", h)
	}

	// The next one works, and cannot be gone back from.
	steps = strings.Replace(steps, "timeout: 2s", "timeout: 1m", 1)
	fourth := s.repo.commit(change("four", true, "rollback: {blocked: the table is gone}\n"))
	s.becomes("web", fourth, "production", v1alpha1.StageDone)
	before := madeJobs(ran)
	s.hold("web", "staging", &v1alpha1.Hold{By: "operator", At: metav1.Now(), RollbackTo: s.release("web", second).Name})
	s.eventually("the roll-back is refused", func() error {
		if h := s.app("web", "staging").Spec.Hold; !strings.Contains(h.Refused, "the table is gone") {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	if got := s.revision("web", "staging"); got != fourth {
		t.Errorf("a refused roll-back moved staging to %.7s", got)
	}
	refused := s.app("web", "staging").Spec.Hold.DeepCopy() // which holds all the same
	refused.Ended = &v1alpha1.HoldEnd{By: "operator", At: metav1.Now()}
	s.hold("web", "staging", refused)
	fifth := s.repo.commit(change("five", true, ""))
	s.becomes("web", fifth, "production", v1alpha1.StageDone)
	s.hold("web", "staging", &v1alpha1.Hold{By: "operator", At: metav1.Now(), RollbackTo: s.release("web", fourth).Name})
	s.eventually("staging is back", func() error { return s.mapIs(s.dev, s.target+"-staging", "web", "four") })
	if n := madeJobs(ran) - before; n != 2 {
		t.Errorf("%d Jobs were made for one change and a roll-back, want the 2 of the change", n)
	}
}

// madeJobs counts the Jobs that a watch has seen to be made.
func madeJobs(w *follower) int {
	names := map[string]bool{}
	for _, one := range w.all() {
		names[one.object.GetName()] = true
	}
	return len(names)
}

// TestCheck asks an address after a change was applied: a bad answer brings the environment back.
func TestCheck(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	probed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/web/staging" && r.URL.Path != "/web/production" || broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(probed.Close)
	s := newSenguWith(t, []string{"--allow-probe", probed.URL}, inOrder(ungated, "staging", "production"))
	s.create(s.home, &v1alpha1.Check{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "answers"},
		Spec:       v1alpha1.CheckSpec{HTTP: &v1alpha1.HTTPCheck{URL: probed.URL + "/{service}/{environment}", Successes: 2, Interval: &metav1.Duration{Duration: 1e9}}},
	})
	rule := "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nchecks:\n- answers\n- name: inline\n  http: {url: '" + probed.URL + "/web/{environment}', interval: 1s, failures: 1}\n"
	change := func(value string) files {
		tree := files{"apps/web/sengu.yaml": rule}
		for _, env := range []string{"staging", "production"} {
			tree[folder("web", env)+"/config.yaml"] = configMap("web", value)
		}
		return tree
	}
	s.synced(s.repo.commit(change("one")), 2)
	second := s.repo.commit(change("two"))
	s.becomes("web", second, "production", v1alpha1.StageDone)
	broken.Store(true)
	third := s.repo.commit(change("three"))
	r := s.becomes("web", third, "staging", v1alpha1.StageRolledBack)
	if text := why(r.Status.Why); !strings.Contains(text, "check inline failed") || !strings.Contains(text, "500") {
		t.Errorf("it says %q, not which check failed and how", text)
	}
	if got := s.revision("web", "staging"); got != second {
		t.Errorf("staging is at %.7s", got)
	}
	if got := s.revision("web", "production"); got != second {
		t.Errorf("production is at %.7s", got)
	}
}
