package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func workload(kind string, images ...string) Object {
	var containers []any
	for _, image := range images {
		containers = append(containers, map[string]any{"name": "c", "image": image})
	}
	pod := map[string]any{"spec": map[string]any{"initContainers": containers[:1], "containers": containers[1:]}}
	return Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
		"kind": kind, "spec": map[string]any{"jobTemplate": map[string]any{"spec": map[string]any{"template": pod}}},
	}}}
}

func TestImages(t *testing.T) {
	objects := []Object{
		workload("CronJob", "b:1", "a:2", "b:1"), workload("Deployment", "registry:5000/c@sha256:1", "d"),
		workload("CustomResourceDefinition", "no:1", "no:2"),
		{Unstructured: &unstructured.Unstructured{Object: map[string]any{"kind": "ConfigMap", "data": map[string]any{"containers": "x"}}}},
	}
	want := []string{"a:2", "b:1", "d", "registry:5000/c@sha256:1"}
	if diff := cmp.Diff(want, Images(objects)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPinImage(t *testing.T) {
	cases := map[string]struct {
		reason, pin string
		want        []string
		n           int
	}{
		"Tag":     {"every container of the repository, whatever its tag or digest", "registry:5000/web:pr-1", []string{"registry:5000/other:1", "registry:5000/web:pr-1"}, 2},
		"Another": {"an image that nothing runs pins nothing", "registry:5000/we:pr-1", []string{"registry:5000/other:1", "registry:5000/web:1", "registry:5000/web@sha256:2"}, 0},
		"NoPort":  {"another registry is another repository", "registry/web:pr-1", []string{"registry:5000/other:1", "registry:5000/web:1", "registry:5000/web@sha256:2"}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects := []Object{workload("Deployment", "registry:5000/web:1", "registry:5000/web@sha256:2", "registry:5000/other:1")}
			if n := PinImage(objects, tc.pin); n != tc.n {
				t.Errorf("%s: %d containers, want %d", tc.reason, n, tc.n)
			}
			if diff := cmp.Diff(tc.want, Images(objects)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
