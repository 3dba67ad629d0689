package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mutator is an admission webhook. It changes the value of every ConfigMap and adds another, and puts a container in
// front of those of every Deployment and changes the image of the first, as a service mesh does.
type mutator struct {
	mu sync.Mutex
	// asked counts the requests by kind/name, of Sengu and not of others.
	asked    map[string]int
	problems []error
}

// sidecar is the name of the container that a mutator adds.
const sidecar = "sidecar"

// TestWebhookDoesNotFlap has a webhook change what Sengu applies, lists with keys among it. Sengu takes it as it is: it
// asks the API server nothing more about those objects, and goes on noticing what others change.
func TestWebhookDoesNotFlap(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.create(s.dev, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.target}})
	m := &mutator{asked: map[string]int{}}
	s.webhook(m)
	workload := deployment("mutated", "  replicas: 0") // it settles at once
	var settled map[string]int
	s.look(files{folder("web", "dev") + "/workload.yaml": workload}, func(i int, _ *corev1.ConfigMap) {
		d := s.deployment("mutated")
		s.have(s.dev, d)
		if c := d.Spec.Template.Spec.Containers; len(c) != 2 || c[0].Name != sidecar || !strings.HasPrefix(c[1].Image, "mirror.") {
			t.Fatalf("look %d: what the webhook did to the Deployment is gone: %+v", i, c)
		}
		if err := s.holds(s.dev, "mutated", mutated); err != nil {
			t.Fatalf("look %d: what the webhook did to the ConfigMap is gone: %v", i, err)
		}
		now := m.count(t, "ConfigMap/mutated", "Deployment/mutated")
		if i == 0 { // until here Sengu may have looked once at what the webhook made of its objects
			settled = now
		}
		if fmt.Sprint(now) != fmt.Sprint(settled) {
			t.Fatalf("look %d: Sengu wrote mutated objects again: %v before, %v now", i, settled, now)
		}
		s.patch(s.dev, s.deployment("mutated"), fmt.Sprintf(`{"metadata":{"annotations":{"example.com/count":"%d"}}}`, i))
	})
	// A commit goes through the webhook as the first one did.
	s.synced(s.repo.commit(files{folder("web", "dev") + "/workload.yaml": strings.Replace(workload, "app:1", "app:2", 1)}), 1)
	d := s.deployment("mutated")
	if s.have(s.dev, d); len(d.Spec.Template.Spec.Containers) != 2 || d.Spec.Template.Spec.Containers[1].Image != "mirror.example.com/app:2" {
		t.Errorf("the commit was not applied through the webhook: %+v", d.Spec.Template.Spec.Containers)
	}
}

// webhook serves m over TLS, and has the API server of dev ask it about the target namespace.
func (s *sengu) webhook(m *mutator) {
	s.Helper()
	server := httptest.NewTLSServer(m)
	s.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	fail, again, none := admissionv1.Fail, admissionv1.IfNeededReinvocationPolicy, admissionv1.SideEffectClassNone
	operations := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}
	c := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.target},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:         "mutator.example.com",
			ClientConfig: admissionv1.WebhookClientConfig{URL: &server.URL, CABundle: authority},
			Rules: []admissionv1.RuleWithOperations{
				{Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}},
				{Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}}},
			},
			NamespaceSelector: s.onlyTarget(), FailurePolicy: &fail, ReinvocationPolicy: &again, SideEffects: &none,
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	s.create(s.dev, c)
	s.Cleanup(func() {
		if err := s.dev.Delete(context.Background(), c); err != nil {
			s.Errorf("take the webhook away: %v", err)
		}
	})
	s.inForce()
}

// count returns how often Sengu has asked for a write of each object, and fails the test if m did not understand one.
func (m *mutator) count(t *testing.T, ids ...string) map[string]int {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, err := range m.problems {
		t.Errorf("the webhook: %v", err)
	}
	counts := map[string]int{}
	for _, id := range ids {
		if counts[id] = m.asked[id]; counts[id] == 0 {
			t.Errorf("the webhook was never asked about %s", id)
		}
	}
	return counts
}

// ServeHTTP answers one AdmissionReview.
func (m *mutator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review reviewv1.AdmissionReview
	err := json.NewDecoder(r.Body).Decode(&review)
	if err == nil && review.Request == nil {
		err = fmt.Errorf("a review without a request")
	}
	var patch []map[string]any
	if err == nil {
		patch, err = mutationOf(review.Request)
	}
	m.mu.Lock()
	if err != nil {
		m.problems = append(m.problems, err)
	} else if strings.HasSuffix(review.Request.UserInfo.Username, ":sengu-e2e") {
		m.asked[review.Request.Kind.Kind+"/"+review.Request.Name]++
	}
	m.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, err := json.Marshal(patch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	kind := reviewv1.PatchTypeJSONPatch
	review.Response = &reviewv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: text, PatchType: &kind}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		m.mu.Lock()
		m.problems = append(m.problems, err)
		m.mu.Unlock()
	}
}

// mutationOf is what the webhook does to an object, as a JSON patch. It may be asked twice about the same.
func mutationOf(request *reviewv1.AdmissionRequest) ([]map[string]any, error) {
	object := json.NewDecoder(bytes.NewReader(request.Object.Raw))
	switch request.Kind.Kind {
	case "ConfigMap":
		return []map[string]any{{"op": "add", "path": "/data", "value": map[string]string{"value": mutated, "more": mutated}}}, nil
	case "Deployment":
		var d appsv1.Deployment
		if err := object.Decode(&d); err != nil {
			return nil, err
		}
		containers := d.Spec.Template.Spec.Containers
		for i := range containers {
			containers[i].Image = strings.Replace(containers[i].Image, "registry.", "mirror.", 1)
		}
		if !slices.ContainsFunc(containers, func(c corev1.Container) bool { return c.Name == sidecar }) {
			containers = append([]corev1.Container{{Name: sidecar, Image: "mesh.example.com/proxy:1"}}, containers...)
		}
		return []map[string]any{{"op": "replace", "path": "/spec/template/spec/containers", "value": containers}}, nil
	}
	return nil, fmt.Errorf("asked about a %s", request.Kind.Kind)
}
