package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const planted = "pl4nted-s3cret-v4lue"

func TestFailuresAreOneSentence(t *testing.T) {
	a := newApp(t)
	tests := map[string]struct {
		document  string
		want      []string
		retryable bool
	}{
		"an invalid value": {
			"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}",
			[]string{"Service " + a.namespace + "/a could not be applied", "spec.ports[0].port", "65535"}, false,
		},
		"a field of the wrong type": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: [b]}", []string{"ConfigMap", ".data.a"}, false},
		"a missing namespace": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}", []string{"there is no namespace nowhere", "createNamespace"}, true,
		},
		"a Secret": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '" + planted + "'}",
			[]string{"Secret " + a.namespace + "/a", "data[.dockerconfigjson]"}, false,
		},
		"a Secret of the wrong type": {
			"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: ['" + planted + "']}", []string{"Secret " + a.namespace + "/a"}, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, result := a.sync(a.set(test.document))
			if len(result.Failed) != 1 || result.Failed[0].Retryable != test.retryable {
				t.Fatalf("got %+v", result.Failed)
			}
			sentence := result.Failed[0].Sentence
			for _, want := range test.want {
				if !strings.Contains(sentence, want) {
					t.Errorf("%q does not say %q", sentence, want)
				}
			}
			if strings.Contains(sentence, planted) || strings.Contains(sentence, "\n") {
				t.Errorf("got %q", sentence)
			}
		})
	}
}

func TestAFailedStageStopsTheNext(t *testing.T) {
	a := newApp(t)
	_, result := a.sync(a.set(
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}", configMap("a"), deployment("a"),
	))
	if len(result.Failed) != 1 || result.Skipped != 1 || a.get(configMaps, "a") == nil || a.get(deployments, "a") != nil {
		t.Errorf("what comes after a failure is not tried: %+v, %d skipped", result.Failed, result.Skipped)
	}
	if len(a.inventory) != 1 {
		t.Errorf("what went right is noted: %+v", a.inventory)
	}
}

func TestAdmissionRefusals(t *testing.T) {
	a := newApp(t)
	base := "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
	name := "refuse-" + a.namespace
	a.plane.Request(t, http.MethodPost, base, map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"configmaps", "secrets"},
			}}},
			"validations": []any{map[string]any{
				"expression": "!has(object.data) || !('refuse' in object.data)", "messageExpression": "'no ' + string(object.data.refuse) + ' here'",
			}},
		},
	})
	a.plane.Request(t, http.MethodPost, base[:len(base)-3]+"ybindings", map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"policyName": name, "validationActions": []any{"Deny"},
			"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": a.namespace}}},
		},
	})
	t.Cleanup(func() { a.plane.Request(t, http.MethodDelete, base+"/"+name, nil) })
	set := a.set(configMap("a", "refuse: "+planted), "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {refuse: "+planted+"}")
	var failed []apply.Failure
	testenv.Eventually(t, 30*time.Second, func() error {
		changes := a.plan(set)
		dry := apply.Options{Owner: a.owner, Key: key}
		if _, err := apply.DryRun(t.Context(), a.conn, set.Items()[0], nil, dry); err == nil {
			return fmt.Errorf("the policy is not in force yet")
		}
		failed = a.do(changes).Failed
		return nil
	})
	if len(failed) != 2 {
		t.Fatalf("got %+v", failed)
	}
	for _, f := range failed {
		secret := f.Ref.Kind == "Secret"
		if f.Retryable || !strings.Contains(f.Sentence, "ValidatingAdmissionPolicy '"+name+"'") {
			t.Errorf("got %+v", f)
		}
		if strings.Contains(f.Sentence, planted) == secret {
			t.Errorf("a refusal is quoted, but never that of a Secret: %q", f.Sentence)
		}
	}
}

func TestDeployAsAServiceAccount(t *testing.T) {
	a := newApp(t)
	a.as = kube.As{Namespace: a.namespace, Name: "deployer"}
	set := a.set(configMap("a"))
	_, result := a.sync(set)
	if len(result.Failed) != 1 || !strings.Contains(result.Failed[0].Sentence, "system:serviceaccount:"+a.namespace+":deployer") {
		t.Fatalf("got %+v", result.Failed)
	}
	a.plane.Request(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+a.namespace+"/rolebindings", map[string]any{
		"metadata": map[string]any{"name": "deployer"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "deployer", "namespace": a.namespace}},
	})
	testenv.Eventually(t, 10*time.Second, func() error {
		if _, result := a.sync(set); len(result.Failed) > 0 {
			return fmt.Errorf("%s", result.Failed[0].Sentence)
		}
		return nil
	})
}

func TestTerminatingNamespace(t *testing.T) {
	a := newApp(t)
	held := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}"
	a.mustSync(a.set(held))
	a.plane.Request(t, http.MethodDelete, "/api/v1/namespaces/"+a.namespace, nil)
	t.Cleanup(func() {
		a.plane.Request(t, http.MethodPatch, a.path(configMaps, "held"), map[string]any{"metadata": map[string]any{"finalizers": nil}})
	})
	testenv.Eventually(t, 20*time.Second, func() error {
		_, result := a.sync(a.set(held, configMap("new")))
		if !slices.ContainsFunc(result.Failed, func(f apply.Failure) bool {
			return f.Retryable && strings.Contains(f.Sentence, "its namespace is being deleted")
		}) {
			return fmt.Errorf("got %+v", result.Failed)
		}
		return nil
	})
}

// TestMutatingAdmissionDoesNotMakeDriftFlap has a policy change a field that the App applies. The App and the policy
// want different values, and must not write against each other.
func TestMutatingAdmissionDoesNotMakeDriftFlap(t *testing.T) {
	a := newApp(t)
	base := "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
	if _, err := a.plane.Find(base); err != nil {
		base = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"
	}
	name := "mutate-" + a.namespace
	a.plane.Request(t, http.MethodPost, base, map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"failurePolicy": "Fail", "reinvocationPolicy": "Never",
			"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"configmaps"},
			}}},
			"mutations": []any{map[string]any{
				"patchType":          "ApplyConfiguration",
				"applyConfiguration": map[string]any{"expression": `Object{data: {"key": "mutated", "added": "too"}}`},
			}},
		},
	})
	a.plane.Request(t, http.MethodPost, strings.TrimSuffix(base, "ies")+"ybindings", map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{"policyName": name, "matchResources": map[string]any{
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": a.namespace}},
		}},
	})
	t.Cleanup(func() { a.plane.Request(t, http.MethodDelete, base+"/"+name, nil) })
	probe := a.sibling()
	testenv.Eventually(t, 30*time.Second, func() error {
		u, err := apply.DryRun(t.Context(), a.conn, probe.set(configMap("probe")).Items()[0], nil, probe.options())
		if err != nil {
			return err
		}
		if data(u)["added"] != "too" {
			return fmt.Errorf("the policy is not in force yet")
		}
		return nil
	})
	set := a.set(configMap("a"))
	a.mustSync(set)
	if d := data(a.get(configMaps, "a")); d["key"] != "mutated" || d["added"] != "too" {
		t.Fatalf("the policy did nothing: %v", d)
	}
	for range 3 {
		if changes, result := a.mustSync(set); changes.Sends() != 0 || result.Requests != 0 {
			t.Fatalf("drift flaps: %v", actions(changes))
		}
	}
	// A write that changes nothing moves nothing either.
	before := a.get(configMaps, "a").GetResourceVersion()
	in := a.input(set)
	in.Resend = true
	changes, err := apply.Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	a.do(changes)
	if after := a.get(configMaps, "a").GetResourceVersion(); after != before {
		t.Errorf("sent again, the object moved from version %s to %s", before, after)
	}
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}
