package e2e_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestSenguRemoved removes Sengu in the ways that people do: every workload runs on. Its objects live in the plane prod,
// where no other test needs its kinds.
func TestSenguRemoved(t *testing.T) {
	t.Parallel()
	w := theWorld(t)
	for _, test := range []struct {
		name   string
		remove func(*testing.T, *sengu)
	}{
		{"namespace deleted while it runs", deleteNamespace},
		{"namespace deleted while it is away", func(t *testing.T, s *sengu) { s.stop(); deleteNamespace(t, s) }},
		{"kinds deleted", deleteKinds}, // the last: there are no kinds after it
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSenguAt(t, w.prod)
			tree := fourObjects(folder("web", "dev"), "web", "x").with(fourObjects(folder("web", "prod"), "web", "x"))
			s.synced(s.repo.commit(tree), 2)
			dev, prod := s.uids(s.dev), s.uids(s.prod)
			configs := s.follow(s.dev, &corev1.ConfigMapList{})
			test.remove(t, s)
			s.stop() // and with it all that it may still have wanted to do
			s.kept(s.dev, dev, 4)
			s.kept(s.prod, prod, 4)
			configs.must(neverDeleted)
		})
	}
}

// deleteNamespace deletes Sengu's namespace, with all of its objects, and waits until it is gone.
func deleteNamespace(t *testing.T, s *sengu) {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if err := s.home.Delete(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	s.eventually("the namespace is gone", func() error { return s.absent(s.home, n) })
}

// deleteKinds deletes the definitions of Sengu's kinds, and waits until none is served.
func deleteKinds(t *testing.T, s *sengu) {
	t.Helper()
	for _, name := range []string{"apps", "releases", "checks", "clusters", "fleets"} {
		crd := &unstructured.Unstructured{}
		crd.SetName(name + ".sengu.dev")
		crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		if err := s.home.Delete(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
		s.eventually("the definition is gone", func() error {
			err := s.home.Get(t.Context(), client.ObjectKeyFromObject(crd), crd)
			if err == nil {
				return fmt.Errorf("CRD %s is there", crd.GetName())
			}
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	if err := s.home.List(t.Context(), &v1alpha1.AppList{}); err == nil {
		t.Error("Apps are still served")
	}
}
