package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// release returns the newest Release of a service for a commit, or for any with "", nil if there is none.
func (s *sengu) release(service, commit string) *v1alpha1.Release {
	s.Helper()
	var list v1alpha1.ReleaseList
	if err := s.home.List(context.Background(), &list, client.InNamespace(s.namespace)); err != nil {
		s.Fatal(err)
	}
	var newest *v1alpha1.Release
	for i := range list.Items {
		r := &list.Items[i]
		if r.Spec.Service == service && (commit == "" || r.Spec.Revision == commit) && (newest == nil || newest.Spec.Sequence < r.Spec.Sequence) {
			newest = r
		}
	}
	return newest
}

// at returns how far a Release has come in an environment.
func at(r *v1alpha1.Release, environment string) v1alpha1.ReleaseEnvironmentStatus {
	i := slices.IndexFunc(r.Status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool { return e.Name == environment })
	if i < 0 {
		return v1alpha1.ReleaseEnvironmentStatus{}
	}
	return r.Status.Environments[i]
}

// waitsBefore waits until the Release of a service stands before an environment because of a gate, and says so.
func (s *sengu) waitsBefore(service, commit, environment, gate string) *v1alpha1.Release {
	s.Helper()
	var found *v1alpha1.Release
	s.eventually(fmt.Sprintf("%s waits before %s for its %s", service, environment, gate), func() error {
		found = s.release(service, commit)
		if found == nil {
			return fmt.Errorf("there is no Release: %w", errors.Join(errors.New("not made"), s.compared(commit)))
		}
		is := at(found, environment)
		i := slices.IndexFunc(is.Gates, func(g v1alpha1.Gate) bool { return !g.Open })
		if is.Stage != v1alpha1.StageWaiting || i < 0 || is.Gates[i].Name != gate || is.Why == nil {
			return fmt.Errorf("it is %s: %s %+v", is.Stage, why(is.Why), is.Gates)
		}
		return nil
	})
	return found
}

// becomes waits until the Release of a service has come to a stage in an environment.
func (s *sengu) becomes(service, commit, environment string, stage v1alpha1.Stage) *v1alpha1.Release {
	s.Helper()
	var found *v1alpha1.Release
	s.eventually(fmt.Sprintf("%s is %s in %s", service, stage, environment), func() error {
		found = s.release(service, commit)
		if found == nil {
			return fmt.Errorf("there is no Release: %w", errors.Join(errors.New("not made"), s.compared(commit)))
		}
		if is := at(found, environment); is.Stage != stage {
			return fmt.Errorf("it is %s: %s %+v", is.Stage, why(is.Why), is.Gates)
		}
		return nil
	})
	return found
}

// action adds what a person did to a Release.
func (s *sengu) action(r *v1alpha1.Release, a v1alpha1.ReleaseAction) {
	s.Helper()
	s.actionAt(r, a, time.Now())
}

// mapIs is nil if a ConfigMap has a value.
func (s *sengu) mapIs(p *plane, namespace, name, value string) error {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := s.get(p, config); err != nil {
		return err
	}
	if got := config.Data["value"]; got != value {
		return fmt.Errorf("ConfigMap %s has %q, not %q", name, got, value)
	}
	return nil
}

// actionAt adds what a person did at a time to a Release.
func (s *sengu) actionAt(r *v1alpha1.Release, a v1alpha1.ReleaseAction, now time.Time) {
	s.Helper()
	a.At = metav1.NewTime(now.Truncate(time.Second))
	s.eventually("the action is recorded", func() error {
		fresh := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name}}
		if err := s.get(s.home, fresh); err != nil {
			return err
		}
		fresh.Spec.Actions = append(fresh.Spec.Actions, a)
		return s.home.Update(context.Background(), fresh)
	})
}

// approve lets the Release of a service into an environment, or all of its commit.
func (s *sengu) approve(service, commit, environment string, group bool) {
	s.Helper()
	s.action(s.release(service, commit), v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: environment, By: "operator", Group: group})
}

// hold writes what holds an environment of a service.
func (s *sengu) hold(service, environment string, h *v1alpha1.Hold) {
	s.Helper()
	s.eventually("the hold is recorded", func() error {
		a := s.app(service, environment)
		a.Spec.Hold = h
		return s.home.Update(context.Background(), a)
	})
}

// revision returns the commit that an App was brought to.
func (s *sengu) revision(service, environment string) string {
	return s.app(service, environment).Spec.Source.Revision
}

// gated is a Fleet of three environments, the last of which asks for an approval.
func gated(f *v1alpha1.FleetSpec) {
	f.Environments = []v1alpha1.Environment{
		{Name: "develop", Cluster: "dev", Namespace: f.Environments[0].Namespace + "-develop"},
		{Name: "dev", Cluster: "dev", Namespace: f.Environments[0].Namespace, After: []string{"develop"}},
		{Name: "prod", Cluster: "prod", Namespace: f.Environments[0].Namespace, After: []string{"dev"}, Approval: &v1alpha1.ApprovalRule{Required: 1}},
	}
}

// TestRelease takes a change through develop and dev by itself, and to prod once somebody approves.
func TestRelease(t *testing.T) {
	t.Parallel()
	s := newSengu(t, gated)
	tree := files{}
	for _, env := range []string{"develop", "dev", "prod"} {
		tree = tree.with(fourObjects(folder("web", env), "web", "one"))
	}
	first := s.repo.commit(tree)
	s.synced(first, 3)
	change := files{}
	for _, env := range []string{"develop", "dev", "prod"} {
		change[folder("web", env)+"/config.yaml"] = configMap("web", "two")
	}
	second := s.repo.commit(change)
	s.waitsBefore("web", second, "prod", "approval")
	for _, env := range []string{"develop", "dev"} {
		if got := s.revision("web", env); got != second {
			t.Errorf("%s is at %.7s, not at the change", env, got)
		}
	}
	if err := s.holds(s.prod, "web", "one"); err != nil {
		t.Errorf("prod, which nobody approved: %v", err)
	}
	s.approve("web", second, "prod", false)
	r := s.becomes("web", second, "prod", v1alpha1.StageDone)
	if err := s.holds(s.prod, "web", "two"); err != nil {
		t.Error(err)
	}
	s.eventually("the Release has ended", func() error {
		r = s.release("web", second)
		if r.Status.Stage != v1alpha1.StageDone || r.Status.Ended == nil {
			return fmt.Errorf("it is %s", r.Status.Stage)
		}
		return nil
	})
	// A commit that changes nothing rendered makes no Release.
	third := s.repo.commit(files{"README.md": "nothing to see here"})
	s.eventually("the commit is compared", func() error { return s.compared(third) })
	if r := s.release("web", third); r != nil {
		t.Errorf("a commit that changes nothing made %s", r.Name)
	}
}
