package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// running is a service of one Pod of an image. One that cannot be pulled is left alone by the simulated node, so that its
// kubelet can be the test.
func running(service, image string, pullable bool, environments ...string) files {
	tree := files{}
	for _, env := range environments {
		pod := "    metadata:\n      labels: {app: " + service + "}\n"
		if !pullable {
			pod += "      annotations: {localplane.sengu.dev/hold: \"true\"}\n"
		}
		tree[folder(service, env)+"/deployment.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + service + "}\nspec:\n  replicas: 1\n" +
			"  selector: {matchLabels: {app: " + service + "}}\n  template:\n" + pod + "    spec:\n      containers: [{name: app, image: \"" + image + "\"}]\n"
	}
	return tree
}

// pullFails says of the Pod of an image what a kubelet says that cannot pull it.
func (s *sengu) pullFails(namespace, image string) {
	s.Helper()
	s.eventually("a Pod of "+image+" is there", func() error {
		var pods corev1.PodList
		if err := s.dev.List(s.Context(), &pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if pod.Spec.Containers[0].Image != image || pod.Spec.NodeName == "" {
				continue
			}
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: image, State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: `Back-off pulling image "` + image + `"`},
			}}}
			return s.dev.Status().Update(s.Context(), pod)
		}
		return errors.New("there is none on a node")
	})
}

// TestBrokenImage brings an image to staging that cannot be pulled. What runs there goes on running, staging is brought back
// and held, and production never hears of it.
func TestBrokenImage(t *testing.T) {
	t.Parallel()
	const good, bad, mended = "registry.example.com/web:1", "registry.example.com/web:2", "registry.example.com/web:3"
	s := newTimedSengu(t, monday, inOrder(ungated, "staging", "production"))
	staging := s.target + "-staging"
	first := s.repo.commit(running("web", good, true, "staging", "production"))
	s.synced(first, 2)
	broken := s.repo.commit(running("web", bad, false, "staging", "production"))
	s.pullFails(staging, bad)
	s.eventually("the App says which image cannot be pulled", func() error {
		a := s.app("web", "staging")
		if text := why(a.Status.Why); !strings.Contains(text, "ImagePullBackOff") || !strings.Contains(text, bad) {
			return fmt.Errorf("it is %s: %s", a.Status.Health, text)
		}
		return nil
	})
	if text := s.must("why", "web", "-e", "staging"); !strings.Contains(text, "ImagePullBackOff") {
		t.Errorf("`sengu why` does not say that the image cannot be pulled:\n%s", text)
	}
	s.eventually("the Release says so too", func() error {
		is := at(s.release("web", broken), "staging")
		if text := why(is.Why); is.Unhealthy == nil || !strings.Contains(text, "ImagePullBackOff") {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
	if err := s.podReady(staging, good); err != nil {
		t.Errorf("what ran does not go on running: %v", err)
	}
	s.clock.Step(9 * time.Minute)
	if r := s.release("web", broken); at(r, "staging").Stage != v1alpha1.StageRunning {
		t.Errorf("it is %s before its time to become healthy is over", at(r, "staging").Stage)
	}
	s.clock.Step(2 * time.Minute)
	r := s.becomes("web", broken, "staging", v1alpha1.StageRolledBack)
	if text := why(r.Status.Why); !strings.Contains(text, "not healthy within 10m") || !strings.Contains(text, bad) {
		t.Errorf("it says %q, not what is wrong", text)
	}
	s.eventually("staging is back", func() error {
		return errors.Join(s.podReady(staging, good), s.healthIs("web", "staging", v1alpha1.Healthy))
	})
	if got := s.revision("web", "production"); got != first {
		t.Errorf("production is at %.7s, not at what was good", got)
	}
	s.becomes("web", s.repo.commit(running("web", mended, true, "staging", "production")), "production", v1alpha1.StageDone)
}

// podReady is nil if a Pod of that image is ready.
func (s *sengu) podReady(namespace, image string) error {
	var sets appsv1.ReplicaSetList
	if err := s.dev.List(s.Context(), &sets, client.InNamespace(namespace)); err != nil {
		return err
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		if set.Spec.Template.Spec.Containers[0].Image == image && set.Status.ReadyReplicas == 1 {
			return nil
		}
	}
	return fmt.Errorf("no Pod of %s is ready", image)
}

// healthIs is nil if an App has a health.
func (s *sengu) healthIs(service, env string, health v1alpha1.HealthStatus) error {
	if a := s.app(service, env); a.Status.Health != health {
		return fmt.Errorf("%s in %s is %s: %s", service, env, a.Status.Health, why(a.Status.Why))
	}
	return nil
}

// crashes has the Pod of an image, which was ready, crash again and again.
func (s *sengu) crashes(namespace, image string) {
	s.Helper()
	s.eventually("the Pod of "+image+" crashes", func() error {
		var pods corev1.PodList
		if err := s.dev.List(s.Context(), &pods, client.InNamespace(namespace)); err != nil {
			return err
		}
		i := slices.IndexFunc(pods.Items, func(pod corev1.Pod) bool {
			return pod.Spec.Containers[0].Image == image && len(pod.Status.ContainerStatuses) > 0
		})
		if i < 0 {
			return errors.New("there is none on a node")
		}
		pod := &pods.Items[i]
		if pod.Annotations["localplane.sengu.dev/hold"] == "" { // else the simulated node has it recover
			pod.Annotations = map[string]string{"localplane.sengu.dev/hold": "true"}
			if err := s.dev.Update(s.Context(), pod); err != nil {
				return err
			}
		}
		for j := range pod.Status.Conditions {
			if c := &pod.Status.Conditions[j]; c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
				c.Status = corev1.ConditionFalse
			}
		}
		is := &pod.Status.ContainerStatuses[0]
		is.Ready, is.RestartCount = false, 5
		is.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting failed container"}}
		return s.dev.Status().Update(s.Context(), pod)
	})
}
