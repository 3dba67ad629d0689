package e2e_test

import (
	"context"
	"fmt"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// mutation is a policy that changes what Sengu sets and adds what it does not, in one namespace.
const mutation = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{metadata: Object.metadata{annotations: {"example.com/added": "by the mutation"}}, data: {"value": "of the mutation", "more": "of the mutation"}}
`

// mutated is the value that a mutation gives to a ConfigMap.
const mutated = "of the mutation"

// TestMutationDoesNotFlap has a policy change an object that Sengu applies. Sengu takes it as it is, and goes on
// noticing what others change.
func TestMutationDoesNotFlap(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.create(s.dev, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.target}})
	s.policy()
	s.look(nil, func(i int, before *corev1.ConfigMap) {
		after := s.configMap("mutated")
		if s.have(s.dev, after); after.ResourceVersion != before.ResourceVersion {
			t.Fatalf("look %d: Sengu wrote the mutated object again: %v", i, after.ManagedFields)
		}
	})
}

// look delivers ConfigMaps, and more, that something mutates, and calls check again and again when Sengu has had reason
// and time to write the ConfigMap mutated once more. Nothing here waits for a while to see that nothing happens: each
// look is preceded by a drift that Sengu has to undo, and it sees the changes of a kind in order. Each drift is of
// another object, as reverts of the same that repeat back off.
func (s *sengu) look(more files, check func(i int, before *corev1.ConfigMap)) {
	s.Helper()
	const looks = 20
	at := folder("web", "dev")
	tree := files{at + "/a.yaml": configMap("mutated", "git")}.with(more)
	other := func(i int) string { return fmt.Sprintf("other%02d", i) }
	for i := range looks {
		tree[at+"/"+other(i)+".yaml"] = configMap(other(i), "git")
	}
	s.synced(s.repo.commit(tree), 1)
	if err := s.holds(s.dev, "mutated", mutated); err != nil {
		s.Fatalf("nothing is mutated, so that this test would not notice anything: %v", err)
	}
	for i := range looks {
		// Somebody writes what is not Sengu's business, which makes the watch tell of the object.
		s.patch(s.dev, s.configMap("mutated"), fmt.Sprintf(`{"metadata":{"annotations":{"example.com/count":"%d"}}}`, i))
		before := s.configMap("mutated")
		s.have(s.dev, before)
		s.patch(s.dev, s.configMap(other(i)), `{"metadata":{"annotations":{"sengu.dev/owner":"nobody"}}}`)
		s.eventually("drift is undone", func() error {
			c := s.configMap(other(i))
			if s.have(s.dev, c); c.Annotations["sengu.dev/owner"] == "nobody" {
				return fmt.Errorf("the mark of %s is not put back", c.Name)
			}
			return nil
		})
		check(i, before)
	}
	if err := notSynced(s.app("web", "dev")); err != nil {
		s.Error(err)
	}
}

// policy puts the mutation into force for the target namespace.
func (s *sengu) policy() {
	s.Helper()
	p := &admissionv1.MutatingAdmissionPolicy{}
	if err := yaml.UnmarshalStrict([]byte(mutation), p); err != nil {
		s.Fatal(err)
	}
	p.Name = s.target
	s.create(s.dev, p)
	s.create(s.dev, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.target},
		Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{
			PolicyName:     s.target,
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: s.onlyTarget()},
		},
	})
	s.Cleanup(func() {
		_ = s.dev.Delete(context.Background(), p) // with the plane at the latest
	})
	s.inForce()
}

// onlyTarget selects the target namespace.
func (s *sengu) onlyTarget() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.target}}
}

// inForce waits until the API server mutates what is made in the target namespace.
func (s *sengu) inForce() {
	s.Helper()
	s.eventually("the mutation is in force", func() error {
		probe := s.configMap("probe")
		probe.Data = map[string]string{"value": "mine"}
		s.create(s.dev, probe)
		if err := s.dev.Delete(s.Context(), s.configMap("probe")); err != nil {
			return err
		}
		if probe.Data["value"] != mutated {
			return fmt.Errorf("a new object keeps its value")
		}
		return nil
	})
}
