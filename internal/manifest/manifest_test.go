package manifest

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

const testManager = "sengu:sengu/app-0000-bench"

var (
	testKey   = Key("0123456789abcdef0123456789abcdef")
	testOwner = Owner{Namespace: "sengu", Name: "checkout-develop", UID: "u-1"}
)

// parse reads one object from YAML.
func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if strings.Contains(text, "kind:") && strings.Contains(text, "apiVersion:") {
		if err := u.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		return u
	}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func liveDeployment(t testing.TB) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile("testdata/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// testScopes knows the kinds of the tests.
func testScopes(gk schema.GroupKind) (namespaced, known bool) {
	switch gk.Kind {
	case "Namespace", "CustomResourceDefinition", "ClusterRole":
		return false, true
	case "Deployment", "Service", "ConfigMap", "Secret", "HorizontalPodAutoscaler", "ScaledObject", "Pod", "Ingress", "StatefulSet":
		return true, true
	}
	return false, false
}

// newSet makes a Set of YAML documents.
func newSet(t testing.TB, texts ...string) Set {
	t.Helper()
	set, err := NewSet(objects(t, texts...), "shop", testOwner, testScopes)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func objects(t testing.TB, texts ...string) []Object {
	t.Helper()
	var list []Object
	for _, text := range texts {
		list = append(list, Object{Unstructured: parse(t, text)})
	}
	return list
}

func set(t testing.TB, u *unstructured.Unstructured, value any, fields ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(u.Object, value, fields...); err != nil {
		t.Fatal(err)
	}
}
