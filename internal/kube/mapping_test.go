package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

var (
	deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	namespaces  = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
)

func TestMapping(t *testing.T) {
	conn, _ := connect(t)
	tests := map[string]struct {
		gvk  schema.GroupVersionKind
		path string
	}{
		"namespaced":      {deployments, "/apis/apps/v1/namespaces/shop/deployments/a"},
		"core":            {schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, "/api/v1/namespaces/shop/configmaps/a"},
		"cluster-scoped":  {namespaces, "/api/v1/namespaces/a"},
		"without version": {schema.GroupVersionKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}, "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := conn.Mapping(t.Context(), test.gvk)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Path("shop", "a"); got != test.path || !r.Watchable {
				t.Errorf("got %s (watchable %v), want %s", got, r.Watchable, test.path)
			}
		})
	}
	if n := conn.Requests()["discover"]; n != 2 {
		t.Errorf("the kinds should be asked for once, in two requests: %d were sent", n)
	}
	_, err := conn.Mapping(t.Context(), schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	var unknown *kube.UnknownKindError
	if !errors.As(err, &unknown) {
		t.Errorf("want an UnknownKindError, got %v", err)
	}
}

func crd(group, kind, plural string) map[string]any {
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "plural": plural},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}
}

func TestMappingFindsAKindThatIsDefinedLater(t *testing.T) {
	conn, plane := connect(t)
	gvk := schema.GroupVersionKind{Group: plane.Namespace(t) + ".example.com", Version: "v1", Kind: "Widget"}
	if _, err := conn.Mapping(t.Context(), gvk); err == nil {
		t.Fatal("the kind is there already")
	}
	plane.Request(t, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd(gvk.Group, gvk.Kind, "widgets"))
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := conn.Mapping(t.Context(), gvk)
		return err
	})
	for range 100 {
		_, _ = conn.Mapping(t.Context(), schema.GroupVersionKind{Group: "never.example.com", Version: "v1", Kind: "Widget"})
	}
	if n := conn.Requests()["discover"]; n > 40 {
		t.Errorf("asking for an unknown kind sent %d requests", n)
	}
}

func TestBrokenAPIServiceHidesNothing(t *testing.T) {
	conn, plane := connect(t)
	apiservices := "/apis/apiregistration.k8s.io/v1/apiservices"
	plane.Request(t, http.MethodPost, apiservices, map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1.broken.example.com"},
		"spec": map[string]any{
			"group": "broken.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
			"insecureSkipTLSVerify": true, "service": map[string]any{"name": "nobody", "namespace": "default"},
		},
	})
	t.Cleanup(func() { plane.Request(t, http.MethodDelete, apiservices+"/v1.broken.example.com", nil) })
	broken := schema.GroupVersionKind{Group: "broken.example.com", Version: "v1", Kind: "Widget"}
	testenv.Eventually(t, 20*time.Second, func() error {
		_, err := conn.Mapping(t.Context(), broken)
		var could *kube.CouldNotAskError
		if !errors.As(err, &could) {
			return fmt.Errorf("want a CouldNotAskError, got %w", err)
		}
		return nil
	})
	if _, err := conn.Mapping(t.Context(), deployments); err != nil {
		t.Errorf("a broken group hides Deployments: %v", err)
	}
	if _, err := conn.Scopes(t.Context(), deployments.GroupKind(), broken.GroupKind()); err == nil {
		t.Error("Scopes should say that it could not ask")
	}
	scopes, err := conn.Scopes(t.Context(), deployments.GroupKind(), namespaces.GroupKind(), schema.GroupKind{Group: "example.com", Kind: "Widget"})
	if err != nil {
		t.Fatal(err)
	}
	if namespaced, known := scopes(deployments.GroupKind()); !namespaced || !known {
		t.Error("Deployment should be known and namespaced")
	}
	if namespaced, known := scopes(namespaces.GroupKind()); namespaced || !known {
		t.Error("Namespace should be known and cluster-scoped")
	}
	if _, known := scopes(schema.GroupKind{Group: "example.com", Kind: "Widget"}); known {
		t.Error("Widget should be unknown")
	}
	versions, err := conn.APIVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"v1", "apps/v1", "apps/v1/Deployment", "v1/ConfigMap", "broken.example.com/v1"} {
		if !slices.Contains(versions, want) {
			t.Errorf("APIVersions lacks %s", want)
		}
	}
}

func TestIdentity(t *testing.T) {
	conn, plane := connect(t)
	identity, err := conn.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	object, err := plane.Find("/api/v1/namespaces/kube-system")
	if err != nil {
		t.Fatal(err)
	}
	if uid := object["metadata"].(map[string]any)["uid"]; uid != identity {
		t.Errorf("got %s, want %s", identity, uid)
	}
}
