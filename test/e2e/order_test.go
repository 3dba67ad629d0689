package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestWaves has a wave that is not healthy until a node gets a label: the next one waits for it.
func TestWaves(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	at := folder("web", "dev")
	first := strings.Replace(deployment("first", "  replicas: 1"), "    spec:\n", "    spec:\n      nodeSelector: {wave: "+s.target+"}\n", 1)
	second := strings.Replace(configMap("second", "x"), "  name: second\n", "  name: second\n  annotations: {sengu.dev/wave: \"1\"}\n", 1)
	head := s.repo.commit(files{at + "/first.yaml": first, at + "/second.yaml": second})
	s.eventually("the App waits for its first wave", func() error {
		a := s.app("web", "dev")
		reason, message, _ := condition(a.Status.Conditions, v1alpha1.ConditionReady)
		if reason != "WaitsForWave" || !strings.Contains(message, "first") || !strings.Contains(message, "wave 0") || len(a.Status.Inventory) != 1 {
			return fmt.Errorf("Ready is %s: %q", reason, message)
		}
		return nil
	})
	if err := s.absent(s.dev, s.configMap("second")); err != nil {
		t.Fatalf("the second wave did not wait: %v", err)
	}
	var nodes corev1.NodeList
	if err := s.dev.List(t.Context(), &nodes); err != nil || len(nodes.Items) == 0 {
		t.Fatalf("no node: %v", err)
	}
	s.patch(s.dev, &nodes.Items[0], fmt.Sprintf(`{"metadata":{"labels":{"wave":%q}}}`, s.target))
	s.synced(head, 1)
	if err := s.holds(s.dev, "second", "x"); err != nil {
		t.Error(err)
	}
	d := s.deployment("first")
	if s.have(s.dev, d); d.Status.AvailableReplicas != 1 {
		t.Errorf("the second wave was applied while the first had %d Pods available", d.Status.AvailableReplicas)
	}
}

// TestTwoAppsOneObject has a second App claim what a first has: it is refused until the first lets go.
func TestTwoAppsOneObject(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	one, two := folder("one", "dev"), folder("two", "dev")
	s.synced(s.repo.commit(files{one + "/own.yaml": configMap("one", "x"), one + "/shared.yaml": configMap("shared", "of one")}), 1)
	before := s.configMap("shared")
	s.have(s.dev, before)
	head := s.repo.commit(files{two + "/own.yaml": configMap("two", "x"), two + "/shared.yaml": configMap("shared", "of two")})
	s.eventually("the second App is refused", func() error {
		a := s.app("two", "dev")
		if err := s.compared(head); err != nil {
			return err
		}
		if reason, message, _ := condition(a.Status.Conditions, v1alpha1.ConditionReady); reason != "Conflict" ||
			!strings.Contains(message, "ConfigMap") || !strings.Contains(message, "shared") || !strings.Contains(message, appName("one", "dev")) {
			return fmt.Errorf("Ready is %s: %q", reason, message)
		}
		return nil
	})
	now := s.configMap("shared")
	if s.have(s.dev, now); now.ResourceVersion != before.ResourceVersion {
		t.Errorf("the object of the first App was written: %v", now.Data)
	}
	if err := notSynced(s.app("one", "dev")); err != nil {
		t.Errorf("the first App is disturbed: %v", err)
	}
	s.synced(s.repo.commit(files{one + "/shared.yaml": gone}), 2)
	if err := s.holds(s.dev, "shared", "of two"); err != nil {
		t.Error(err)
	}
	if s.have(s.dev, now); now.UID != before.UID {
		t.Error("the object was deleted and made again when it was handed over")
	}
}

// TestDefinitionAndItsObject delivers a CRD and an object of its kind in one App, and takes both away again.
func TestDefinitionAndItsObject(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	group := strings.ReplaceAll(s.target, "-", "") + ".example.com"
	definition := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shrines.` + group + `}
spec:
  group: ` + group + `
  names: {kind: Shrine, plural: shrines, singular: shrine, listKind: ShrineList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
	at := folder("web", "dev")
	object := func(years string) string {
		return "apiVersion: " + group + "/v1\nkind: Shrine\nmetadata: {name: ise}\nspec: {years: " + years + "}\n"
	}
	years := func() (int64, error) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Shrine"})
		u.SetNamespace(s.target)
		u.SetName("ise")
		err := s.get(s.dev, u)
		n, _, _ := unstructured.NestedInt64(u.Object, "spec", "years")
		return n, err
	}
	s.synced(s.repo.commit(files{at + "/crd.yaml": definition, at + "/a.yaml": object("20"), at + "/config.yaml": configMap("web", "x")}), 1)
	if n, err := years(); err != nil || n != 20 {
		t.Errorf("the object has %d years: %v", n, err)
	}
	s.synced(s.repo.commit(files{at + "/a.yaml": object("21")}), 1)
	if n, err := years(); err != nil || n != 21 {
		t.Errorf("the object has %d years: %v", n, err)
	}
	head := s.repo.commit(files{at + "/crd.yaml": gone, at + "/a.yaml": gone})
	s.eventually("the definition waits for a confirmation", func() error {
		a := s.app("web", "dev")
		if p := a.Status.PendingRemoval; a.Status.Revision != head || p == nil || !strings.Contains(strings.Join(p.Examples, " "), "shrines."+group) {
			return fmt.Errorf("it waits for %+v: %s", p, why(a.Status.Why))
		}
		return nil
	})
	s.must("confirm", "app/"+appName("web", "dev"), s.app("web", "dev").Status.PendingRemoval.Token, "--yes")
	s.eventually("the definition is gone", func() error {
		if n, err := years(); err == nil {
			return fmt.Errorf("there is an object of %d years", n)
		}
		if left := s.app("web", "dev").Status.Inventory; len(left) != 1 {
			return fmt.Errorf("%d objects are left", len(left))
		}
		return nil
	})
}
