package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// said is nil if there is an Event about an App whose note holds all words.
func (s *sengu) said(app, reason string, words ...string) error {
	var events eventsv1.EventList
	if err := s.home.List(context.Background(), &events, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	var notes []string
	for _, e := range events.Items {
		if e.Regarding.Name != app || e.Reason != reason {
			continue
		}
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(e.Note, word) }) {
			return nil
		}
		notes = append(notes, e.Note)
	}
	return fmt.Errorf("no Event %s about %s says %q: %q", reason, app, words, notes)
}

// TestDriftUndone changes what runs: it is put back, and people are told which field it was and who changed it.
func TestDriftUndone(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "git")), 1)
	before := s.uids(s.dev)
	s.patch(s.dev, s.configMap("web"), `{"data":{"value":"by hand"}}`)
	s.eventually("the value is put back", func() error { return s.holds(s.dev, "web", "git") })
	s.eventually("an Event tells", func() error {
		return s.said(appName("web", "dev"), "DriftUndone", "ConfigMap", "data.value", "kubectl-edit")
	})
	s.patch(s.dev, s.deployment("web"), `{"spec":{"replicas":7}}`)
	s.eventually("the replicas are put back", func() error {
		d := s.deployment("web")
		if s.have(s.dev, d); *d.Spec.Replicas != 1 {
			return fmt.Errorf("there are %d", *d.Spec.Replicas)
		}
		return nil
	})
	s.eventually("an Event tells", func() error {
		return s.said(appName("web", "dev"), "DriftUndone", "Deployment", "spec.replicas", "kubectl-edit")
	})
	s.kept(s.dev, before, 4)
	if err := s.dev.Delete(t.Context(), s.configMap("web")); err != nil {
		t.Fatal(err)
	}
	s.eventually("what was deleted is made again", func() error { return s.holds(s.dev, "web", "git") })
}

// TestDriftShown changes what runs while self-heal is off: nothing is written, and the status says what, where and who.
func TestDriftShown(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev, noSelfHeal)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "git")), 1)
	s.patch(s.dev, s.configMap("web"), `{"data":{"value":"by hand"}}`)
	changed := s.configMap("web")
	s.have(s.dev, changed)
	s.eventually("the status shows the drift", func() error {
		a := s.app("web", "dev")
		if len(a.Status.Drift) != 1 || a.Status.Sync != v1alpha1.OutOfSync {
			return fmt.Errorf("App is %s with the drift %+v: %s", a.Status.Sync, a.Status.Drift, why(a.Status.Why))
		}
		d := a.Status.Drift[0]
		if !strings.Contains(d.ID, "ConfigMap") || !slices.Contains(d.Fields, "data.value") || d.Manager != "kubectl-edit" {
			return fmt.Errorf("it shows %+v", d)
		}
		return nil
	})
	for _, word := range []string{"data.value", "kubectl-edit"} {
		if text := s.must("why", appName("web", "dev")); !strings.Contains(text, word) {
			t.Errorf("`sengu why` does not say %q: %s", word, text)
		}
	}
	now := s.configMap("web")
	if s.have(s.dev, now); now.ResourceVersion != changed.ResourceVersion {
		t.Errorf("the object was written while self-heal is off: %v", now.ManagedFields)
	}
	s.must("sync", appName("web", "dev"))
	s.eventually("a sync that was asked for puts it back", func() error { return s.holds(s.dev, "web", "git") })
	s.eventually("the drift is no longer shown", func() error {
		if a := s.app("web", "dev"); len(a.Status.Drift) > 0 || a.Status.Sync != v1alpha1.Synced {
			return fmt.Errorf("App is %s with the drift %+v", a.Status.Sync, a.Status.Drift)
		}
		return nil
	})
}

// TestLabelStripped takes the mark off an object, which looks like its deletion to whoever watches by label.
func TestLabelStripped(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "git")), 1)
	before := s.uids(s.dev)
	configs := s.follow(s.dev, &corev1.ConfigMapList{})
	workloads := s.follow(s.dev, &appsv1.DeploymentList{})
	stripped := `{"metadata":{"labels":{"` + ownLabel + `":null},"annotations":{"sengu.dev/owner":null}}}`
	s.patch(s.dev, s.configMap("web"), stripped)
	s.patch(s.dev, s.deployment("web"), `{"metadata":{"labels":{"`+ownLabel+`":null}}}`)
	for _, object := range []client.Object{s.configMap("web"), s.deployment("web")} {
		s.eventually("the mark is put back", func() error {
			s.have(s.dev, object)
			if object.GetLabels()[ownLabel] == "" || object.GetAnnotations()["sengu.dev/owner"] == "" {
				return fmt.Errorf("%T has the labels %v", object, object.GetLabels())
			}
			return nil
		})
	}
	s.kept(s.dev, before, 4)
	configs.must(neverDeleted)
	workloads.must(neverDeleted)
}

// TestHPANeverScalesDown adds an autoscaler beside `replicas: 5`, and later takes the replicas out of Git.
func TestHPANeverScalesDown(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	at := folder("web", "dev")
	// Nobody measures anything here, so that the autoscaler is never well: each change takes the place of the one before.
	impatient := "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nfailAfter: 1s\n"
	s.synced(s.repo.commit(files{at + "/deployment.yaml": deployment("web", "  replicas: 5"), at + "/sengu.yaml": impatient}), 1)
	watched := s.follow(s.dev, &appsv1.DeploymentList{})
	five := func(one sight) error {
		if d, ok := one.object.(*appsv1.Deployment); ok && (d.Spec.Replicas == nil || *d.Spec.Replicas != 5) {
			return fmt.Errorf("replicas is %v", d.Spec.Replicas)
		}
		return nil
	}
	scaler := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n" +
		"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 1\n  maxReplicas: 10\n" +
		"  metrics:\n  - type: Resource\n    resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}\n"
	steps := []files{
		{at + "/hpa.yaml": scaler, at + "/deployment.yaml": deployment("web", "  replicas: 5\n  revisionHistoryLimit: 3")},
		{at + "/deployment.yaml": deployment("web", "  revisionHistoryLimit: 4")},
		{at + "/deployment.yaml": deployment("web", "  replicas: 2\n  revisionHistoryLimit: 5")},
	}
	for i, step := range steps {
		s.repo.commit(step)
		want := int32(3 + i)
		s.eventually("the watch has told", func() error {
			for _, one := range watched.all() {
				if d, ok := one.object.(*appsv1.Deployment); ok && d.Spec.RevisionHistoryLimit != nil && *d.Spec.RevisionHistoryLimit == want {
					return nil
				}
			}
			return fmt.Errorf("revisionHistoryLimit is not %d yet", want)
		})
		watched.must(five)
	}
	s.eventually("the App has both objects", func() error {
		if a := s.app("web", "dev"); len(a.Status.Inventory) != 2 {
			return fmt.Errorf("it has %v", ids(a))
		}
		return nil
	})
}
