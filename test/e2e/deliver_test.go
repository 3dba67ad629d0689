package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestPush delivers what people push with git, environment by environment, and moves only what a commit touches.
func TestPush(t *testing.T) {
	t.Parallel()
	s := newSengu(t)
	tree := files{}
	for _, name := range []string{"cart", "checkout"} {
		for _, env := range []string{"dev", "prod"} {
			tree = tree.with(fourObjects(folder(name, env), name, name+" in "+env))
		}
	}
	first := s.repo.push(tree)
	s.synced(first, 4)
	for _, p := range []*plane{s.dev, s.prod} {
		for _, name := range []string{"cart", "checkout"} {
			if err := s.holds(p, name, name+" in "+p.name); err != nil {
				t.Error(err)
			}
		}
		if got := s.uids(p); len(got) != 8 {
			t.Errorf("%d objects in %s, not 8: %v", len(got), p.name, got)
		}
	}
	s.eventually("everything is healthy", func() error {
		for _, name := range []string{"cart", "checkout"} {
			if a := s.app(name, "prod"); a.Status.Health != v1alpha1.Healthy {
				return fmt.Errorf("App %s is %s: %s", a.Name, a.Status.Health, why(a.Status.Why))
			}
		}
		return nil
	})

	before := s.uids(s.prod)
	second := s.repo.push(files{folder("cart", "prod") + "/config.yaml": configMap("cart", "changed")})
	s.synced(second, 4)
	if err := s.holds(s.prod, "cart", "changed"); err != nil {
		t.Error(err)
	}
	if err := s.holds(s.dev, "cart", "cart in dev"); err != nil {
		t.Error(err)
	}
	s.kept(s.prod, before, 8)
	if got := s.app("checkout", "prod").Spec.Source.Revision; got != first {
		t.Errorf("an App that the commit does not touch was moved to %.7s", got)
	}
	if got := s.app("cart", "prod").Spec.Source.Revision; got != second {
		t.Errorf("the App that the commit touches is at %.7s, not %.7s", got, second)
	}

	matrix := s.must("get")
	for _, want := range []string{"cart", "checkout", "DEV", "PROD", second[:7]} {
		if !strings.Contains(matrix, want) {
			t.Errorf("`sengu get` does not show %q:\n%s", want, matrix)
		}
	}
	s.must("get", "-o", "yaml")
	s.must("tree", appName("cart", "prod"))
	s.must("why", appName("cart", "prod"))
}

// TestRename moves the folder of a service: its objects get another App and stay what they are.
func TestRename(t *testing.T) {
	t.Parallel()
	s := newSengu(t)
	tree := files{}
	for _, env := range []string{"dev", "prod"} {
		tree = tree.with(fourObjects(folder("old", env), "web", "same")).with(fourObjects(folder("other", env), "other", "same"))
	}
	s.synced(s.repo.commit(tree), 4)
	watched := s.follow(s.dev, &corev1.ConfigMapList{})
	dev, prod := s.uids(s.dev), s.uids(s.prod)

	moved := files{"apps/old": gone}
	for _, env := range []string{"dev", "prod"} {
		moved = moved.with(fourObjects(folder("new", env), "web", "same"))
	}
	head := s.repo.commit(moved)
	s.waitsBefore("old", head, "dev", "removal")
	s.kept(s.dev, dev, 8)
	s.approve("old", head, "dev", false)
	s.synced(head, 4)
	s.kept(s.dev, dev, 8)
	s.kept(s.prod, prod, 8)
	watched.must(neverDeleted)
	for _, env := range []string{"dev", "prod"} {
		if a := s.app("new", env); len(a.Status.Inventory) != 4 {
			t.Errorf("App %s has %v, not the four objects", a.Name, ids(a))
		}
		if a := s.app("old", env); a.UID != "" {
			t.Errorf("App %s is still there: %s", a.Name, why(a.Status.Why))
		}
	}
}

// TestAppDeleted deletes an App: its Fleet makes it again, and its objects never notice.
func TestAppDeleted(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "one")), 1)
	before, a := s.uids(s.dev), s.app("web", "dev")
	watched := s.follow(s.dev, &corev1.ConfigMapList{})
	if err := s.home.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	s.eventually("the App is made again", func() error {
		again := s.app("web", "dev")
		if again.UID == "" || again.UID == a.UID {
			return fmt.Errorf("its UID is %q", again.UID)
		}
		return notSynced(again)
	})
	s.kept(s.dev, before, 4)
	// What it makes of the next commit proves that it owns them again.
	s.synced(s.repo.commit(files{folder("web", "dev") + "/config.yaml": configMap("web", "two"), folder("web", "dev") + "/account.yaml": gone}), 1)
	if err := s.holds(s.dev, "web", "two"); err != nil {
		t.Error(err)
	}
	s.eventually("what Git no longer has is pruned", func() error {
		return s.absent(s.dev, &corev1.ServiceAccount{ObjectMeta: s.configMap("web").ObjectMeta})
	})
	watched.must(neverDeleted)
}
