package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func configMap(name, label string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"for": label}},
		"data":     map[string]any{"key": "value"},
	}
}

func TestListGoesThroughAllPagesAndWatchGoesOn(t *testing.T) {
	plane := testenv.Plane(t)
	namespace := plane.Namespace(t)
	noLeaks(t)
	conn := connectTo(t, plane)
	r, err := conn.Mapping(t.Context(), schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	if err != nil {
		t.Fatal(err)
	}
	const count = 600 // more than two pages
	for i := range count {
		plane.Request(t, http.MethodPost, r.Path(namespace, ""), configMap(fmt.Sprintf("cm-%d", i), "test"))
	}
	plane.Request(t, http.MethodPost, r.Path(namespace, ""), configMap("other", "other"))
	seen := map[string]bool{}
	selector := kube.Selector{Labels: "for=test"}
	version, err := conn.List(t.Context(), r, namespace, selector, func(u *unstructured.Unstructured) error {
		if u.GetKind() != "ConfigMap" || u.GetAPIVersion() != "v1" {
			t.Errorf("an item of a list says it is %s %s", u.GetAPIVersion(), u.GetKind())
		}
		seen[u.GetName()] = true
		return nil
	})
	if err != nil || len(seen) != count {
		t.Fatalf("%d of %d listed: %v", len(seen), count, err)
	}
	if n := conn.Requests()["list"]; n != 3 {
		t.Errorf("600 objects should be 3 pages, were %d", n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- conn.Watch(ctx, r, namespace, selector, version, func(e kube.Event) error {
			if e.Type != kube.Bookmark {
				events <- string(e.Type) + " " + e.Name
			}
			return nil
		})
	}()
	plane.Request(t, http.MethodPost, r.Path(namespace, ""), configMap("new", "test"))
	plane.Request(t, http.MethodPatch, r.Path(namespace, "new"), map[string]any{"data": map[string]any{"key": "other"}})
	plane.Request(t, http.MethodDelete, r.Path(namespace, "new"), nil)
	for _, want := range []string{"ADDED new", "MODIFIED new", "DELETED new"} {
		select {
		case got := <-events:
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event %s", want)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
}

func TestWatchOfAnOldVersionIsExpired(t *testing.T) {
	conn := connectHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"}}`)
	}, kube.Options{})
	err := conn.Watch(t.Context(), kube.Resource{Name: "configmaps"}, "", kube.Selector{}, "1", func(kube.Event) error { return nil })
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("want an expired error, got %v", err)
	}
}

func TestAs(t *testing.T) {
	conn, plane := connect(t)
	namespace := plane.Namespace(t)
	r := kube.Resource{Kind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Name: "configmaps", Namespaced: true}
	as := kube.As{Namespace: namespace, Name: "deployer"}
	_, err := conn.Get(t.Context(), r, namespace, "kube-root-ca.crt", as)
	if !apierrors.IsForbidden(err) {
		t.Fatalf("a service account without rights should be refused: %v", err)
	}
	plane.Request(t, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/"+namespace+"/rolebindings", map[string]any{
		"metadata": map[string]any{"name": "deployer"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "deployer", "namespace": namespace}},
	})
	testenv.Eventually(t, 10*time.Second, func() error {
		_, err := conn.Get(t.Context(), r, namespace, "kube-root-ca.crt", as)
		return err
	})
}
