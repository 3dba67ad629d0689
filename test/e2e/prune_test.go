package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestEmptied removes every service of a repository in one commit: a person is asked before anything goes.
func TestEmptied(t *testing.T) {
	t.Parallel()
	s := newSengu(t)
	tree := files{}
	for i := range 5 {
		name := fmt.Sprintf("web%d", i)
		tree = tree.with(fourObjects(folder(name, "dev"), name, "x")).with(fourObjects(folder(name, "prod"), name, "x"))
	}
	s.synced(s.repo.commit(tree), 10)
	dev, prod := s.uids(s.dev), s.uids(s.prod)
	watched := s.follow(s.dev, &corev1.ConfigMapList{})
	head := s.repo.commit(files{"apps": gone, "README.md": "nothing is left"})
	for i := range 5 {
		s.waitsBefore(fmt.Sprintf("web%d", i), head, "dev", "removal")
	}
	s.kept(s.dev, dev, 20)
	s.kept(s.prod, prod, 20)
	watched.must(neverDeleted)
	// One approval for all that the commit removes, and it goes environment by environment.
	s.approve("web0", head, "dev", true)
	s.eventually("what was approved is deleted", func() error {
		apps, err := s.apps()
		if left := len(apps) + len(s.uids(s.dev)) + len(s.uids(s.prod)); left > 0 {
			return fmt.Errorf("%d Apps and objects are left", left)
		}
		return err
	})
}

// waitsForPerson waits until the Fleet has compared head and asks for the removal of count Apps, and returns the token.
func (s *sengu) waitsForPerson(head string, count int32) string {
	s.Helper()
	token := ""
	s.eventually("the Fleet asks for a confirmation", func() error {
		if err := s.compared(head); err != nil {
			return err
		}
		f := s.theFleet()
		if p := f.Status.PendingRemoval; p == nil || p.Count != count || p.Token == "" || !strings.Contains(why(f.Status.Why), p.Token) {
			return fmt.Errorf("it waits for %+v: %s", p, why(f.Status.Why))
		}
		token = f.Status.PendingRemoval.Token
		return nil
	})
	return token
}

// TestEnvironmentRemoved takes an environment out of a Fleet: what ran there runs on until a person says otherwise.
func TestEnvironmentRemoved(t *testing.T) {
	t.Parallel()
	s := newSengu(t)
	head := s.repo.commit(fourObjects(folder("web", "dev"), "web", "x").with(fourObjects(folder("web", "prod"), "web", "x")))
	s.synced(head, 2)
	before := s.uids(s.prod)
	s.patch(s.home, s.theFleet(), fmt.Sprintf(`{"spec":{"environments":[{"name":"dev","cluster":"dev","namespace":%q}]}}`, s.target))
	token := s.waitsForPerson(head, 1)
	// A commit goes on being delivered where the environment is still there, and orphans stay.
	head = s.repo.commit(files{folder("web", "dev") + "/config.yaml": configMap("web", "y"), folder("web", "prod") + "/config.yaml": gone})
	s.eventually("dev follows the branch", func() error { return s.holds(s.dev, "web", "y") })
	if again := s.waitsForPerson(head, 1); again != token {
		t.Errorf("the token changed from %s to %s while what it stands for did not", token, again)
	}
	s.kept(s.prod, before, 4)
	s.must("confirm", "fleet/"+fleetName, token, "--yes")
	s.eventually("the environment is emptied", func() error {
		if left := s.uids(s.prod); len(left) > 0 || s.app("web", "prod").UID != "" {
			return fmt.Errorf("%d objects are left", len(left))
		}
		return nil
	})
}

// TestPruneNeedsMore removes objects from Git that do not come back once they are deleted, or that say that they are
// never to be.
func TestPruneNeedsMore(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	other := s.target + "-other"
	at := folder("web", "dev")
	tree := fourObjects(at, "web", "x").with(files{
		at + "/never.yaml":     strings.Replace(configMap("never", "x"), "  name: never\n", "  name: never\n  annotations: {sengu.dev/prune: never}\n", 1),
		at + "/plain.yaml":     configMap("plain", "x"),
		at + "/claim.yaml":     "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n",
		at + "/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + other + "}\n",
	})
	s.synced(s.repo.commit(tree), 1)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: "data"}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}
	s.have(s.dev, claim)
	s.have(s.dev, namespace)

	head := s.repo.commit(files{at + "/never.yaml": gone, at + "/plain.yaml": gone, at + "/claim.yaml": gone, at + "/namespace.yaml": gone})
	token := ""
	s.eventually("the App asks for a confirmation", func() error {
		a := s.app("web", "dev")
		p := a.Status.PendingRemoval
		if a.Status.Revision != head || p == nil || p.Count != 2 || !strings.Contains(why(a.Status.Why), p.Token) {
			return fmt.Errorf("it waits for %+v: %s", p, why(a.Status.Why))
		}
		token = p.Token
		return nil
	})
	s.eventually("an ordinary object is pruned", func() error { return s.absent(s.dev, s.configMap("plain")) })
	for what, check := range map[string]error{"claim": s.get(s.dev, claim), "namespace": s.get(s.dev, namespace)} {
		if check != nil {
			t.Errorf("the %s is gone, and nobody confirmed it: %v", what, check)
		}
	}
	if namespace.DeletionTimestamp != nil || claim.DeletionTimestamp != nil {
		t.Error("the claim or the namespace is being deleted, and nobody confirmed it")
	}
	s.must("confirm", "app/"+appName("web", "dev"), token, "--yes")
	s.eventually("what was confirmed is deleted", func() error {
		if err := s.get(s.dev, namespace); err == nil && namespace.DeletionTimestamp == nil {
			return fmt.Errorf("namespace %s is there", other)
		}
		if err := s.get(s.dev, claim); err == nil && claim.DeletionTimestamp == nil {
			return fmt.Errorf("claim %s is there", claim.Name)
		}
		return nil
	})
	if err := s.holds(s.dev, "never", "x"); err != nil {
		t.Errorf("what says that it is never pruned: %v", err)
	}
}

// eventuallyHolds waits for a commit and for a ConfigMap to have the value that it gives.
func (s *sengu) eventuallyHolds(head, name, value string) {
	s.Helper()
	s.eventually("the commit is applied", func() error {
		if err := s.followed(head); err != nil {
			return err
		}
		return s.holds(s.dev, name, value)
	})
}
