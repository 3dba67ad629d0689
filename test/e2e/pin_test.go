package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// imageIs is nil if a Deployment runs an image.
func (s *sengu) imageIs(p *plane, namespace, name, image string) error {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := s.get(p, d); err != nil {
		return err
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != image {
		return fmt.Errorf("Deployment %s runs %s, not %s", name, got, image)
	}
	return nil
}

// TestPin runs the image of a branch in staging: changes go through it to production as if it were not there, and it goes
// away by itself.
func TestPin(t *testing.T) {
	t.Parallel()
	s := newSengu(t, inOrder(ungated, "staging", "production"))
	web := func(tag string) files {
		tree := files{}
		for _, env := range []string{"staging", "production"} {
			tree[folder("web", env)+"/deployment.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: web}}\n" +
				"  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - {name: web, image: \"registry.example.com/web:" + tag + "\"}\n"
		}
		return tree
	}
	s.synced(s.repo.commit(web("1")), 2)
	staging, production := s.target+"-staging", s.target+"-production"
	s.must("pin", "web", "--env", "staging", "--image", "registry.example.com/web:pr-7", "--for", "1h", "--reason", "try it")
	s.eventually("the pinned image runs", func() error { return s.imageIs(s.dev, staging, "web", "registry.example.com/web:pr-7") })
	if out := s.must("why", "web", "-e", "staging"); !strings.Contains(out, "registry.example.com/web:pr-7 until") {
		t.Errorf("`sengu why` does not tell of the pin:\n%s", out)
	}
	second := s.repo.commit(web("2"))
	s.becomes("web", second, "production", v1alpha1.StageDone)
	if err := s.imageIs(s.prod, production, "web", "registry.example.com/web:2"); err != nil {
		t.Errorf("production: %v", err)
	}
	if err := s.imageIs(s.dev, staging, "web", "registry.example.com/web:pr-7"); err != nil {
		t.Errorf("staging, which is pinned: %v", err)
	}
	s.must("unpin", "web", "--env", "staging")
	s.eventually("staging runs what Git says", func() error { return s.imageIs(s.dev, staging, "web", "registry.example.com/web:2") })

	s.eventually("the pin is recorded", func() error {
		a, now := s.app("web", "staging"), time.Now()
		a.Spec.Pin = &v1alpha1.Pin{By: "operator", At: metav1.NewTime(now), Until: metav1.NewTime(now.Add(5 * time.Second)), Image: "registry.example.com/web:pr-8", Reason: "short"}
		return s.home.Update(context.Background(), a)
	})
	s.eventually("the pinned image runs", func() error { return s.imageIs(s.dev, staging, "web", "registry.example.com/web:pr-8") })
	s.eventually("the pin has gone away by itself", func() error { return s.imageIs(s.dev, staging, "web", "registry.example.com/web:2") })
	s.eventually("the App says so", func() error {
		if a := s.app("web", "staging"); a.Status.Pinned != "" {
			return fmt.Errorf("it says that %s is pinned", a.Status.Pinned)
		}
		return nil
	})
}

// TestPinInWaves has an image run in two waves, the first of which takes a moment to be healthy: a pin gets into the second
// too, and out of it again.
func TestPinInWaves(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	tree := files{}
	for wave, name := range []string{"first", "second"} {
		tree[folder("web", "dev")+"/"+name+".yaml"] = fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, annotations: {sengu.dev/wave: \"%d\"}}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: %[1]s}}\n"+
			"  template:\n    metadata: {labels: {app: %[1]s}}\n    spec:\n      containers:\n      - {name: web, image: \"registry.example.com/web:1\"}\n", name, wave)
	}
	head := s.repo.commit(tree)
	s.synced(head, 1)
	everywhere := func(tag, pinned string) {
		t.Helper()
		s.eventually("both waves run "+tag, func() error {
			for _, name := range []string{"first", "second"} {
				if err := s.imageIs(s.dev, s.target, name, "registry.example.com/web:"+tag); err != nil {
					return err
				}
			}
			if a := s.app("web", "dev"); a.Status.Pinned != pinned || a.Status.Unfinished != nil {
				return fmt.Errorf("the App says that %q is pinned, and has %+v unfinished", a.Status.Pinned, a.Status.Unfinished)
			}
			return nil
		})
		s.synced(head, 1)
	}
	s.must("pin", "web", "--env", "dev", "--image", "registry.example.com/web:pr-7", "--for", "1h", "--reason", "try it")
	everywhere("pr-7", "registry.example.com/web:pr-7")
	s.must("unpin", "web", "--env", "dev")
	everywhere("1", "")
}
