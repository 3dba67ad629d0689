package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDriftOf(t *testing.T) {
	kubectl := func(t *testing.T, u *unstructured.Unstructured, at string, fields map[string]any) {
		entries, _, _ := unstructured.NestedSlice(u.Object, "metadata", "managedFields")
		entries = append(entries, map[string]any{"manager": "kubectl-edit", "operation": "Update", "time": at, "fieldsV1": fields})
		set(t, u, entries, "metadata", "managedFields")
	}
	dict := func(keys ...string) map[string]any {
		inner := map[string]any{}
		for i := len(keys) - 1; i >= 0; i-- {
			inner = map[string]any{keys[i]: inner}
		}
		return inner
	}
	cases := map[string]struct {
		reason string
		change func(t *testing.T, live *unstructured.Unstructured)
		want   []FieldDrift
	}{
		"None": {reason: "Nothing differs.", change: func(*testing.T, *unstructured.Unstructured) {}},
		"NotOurs": {
			reason: "What others set beside ours is no drift.",
			change: func(t *testing.T, live *unstructured.Unstructured) {
				set(t, live, int64(3), "spec", "revisionHistoryLimit")
				set(t, live, "me", "metadata", "labels", "team")
			},
		},
		"Changed": {
			reason: "A field that somebody changed, with who it was.",
			change: func(t *testing.T, live *unstructured.Unstructured) {
				set(t, live, int64(3), "spec", "replicas")
				kubectl(t, live, "2026-01-05T09:00:00Z", dict("f:spec", "f:replicas"))
			},
			want: []FieldDrift{{"spec.replicas", "kubectl-edit"}},
		},
		"Within": {
			reason: "A field within keyed lists.",
			change: func(t *testing.T, live *unstructured.Unstructured) {
				set(t, live, []any{map[string]any{"name": "podinfo", "image": "x"}}, "spec", "template", "spec", "containers")
				kubectl(t, live, "2026-01-05T09:00:00Z", dict("f:spec", "f:template", "f:spec", "f:containers", `k:{"name":"podinfo"}`, "f:image"))
			},
			want: []FieldDrift{
				{"spec.template.spec.containers[name=podinfo].image", "kubectl-edit"},
				{"spec.template.spec.containers[name=podinfo].livenessProbe", ""},
				{"spec.template.spec.containers[name=podinfo].ports", ""},
				{"spec.template.spec.containers[name=podinfo].readinessProbe", ""},
				{"spec.template.spec.containers[name=podinfo].resources", ""},
			},
		},
		"TakenOut": {
			reason: "A field that is gone is held by nobody.",
			change: func(_ *testing.T, live *unstructured.Unstructured) {
				unstructured.RemoveNestedField(live.Object, "metadata", "labels", LabelApp)
			},
			want: []FieldDrift{{`metadata.labels["sengu.dev/app"]`, ""}},
		},
		"NotOurAnyMore": {
			reason: "A field that a dry run would make ours, and somebody has taken over by force.",
			change: func(t *testing.T, live *unstructured.Unstructured) {
				unstructured.RemoveNestedField(live.Object["metadata"].(map[string]any)["managedFields"].([]any)[0].(map[string]any), "fieldsV1", "f:spec", "f:replicas")
				set(t, live, int64(7), "spec", "replicas")
				kubectl(t, live, "2026-01-05T09:00:00Z", dict("f:spec", "f:replicas"))
			},
			want: []FieldDrift{{"spec.replicas", "kubectl-edit"}},
		},
		"Latest": {
			reason: "Of several managers, the latest.",
			change: func(t *testing.T, live *unstructured.Unstructured) {
				set(t, live, int64(3), "spec", "replicas")
				kubectl(t, live, "2026-01-05T09:00:00Z", dict("f:spec", "f:replicas"))
				list, _, _ := unstructured.NestedSlice(live.Object, "metadata", "managedFields")
				list = append(list, map[string]any{"manager": "scaler", "operation": "Update", "subresource": "scale", "time": "2026-01-05T09:30:00Z", "fieldsV1": dict("f:spec", "f:replicas")})
				set(t, live, list, "metadata", "managedFields")
			},
			want: []FieldDrift{{"spec.replicas", "scaler"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			live := liveDeployment(t)
			tc.change(t, live)
			got := DriftOf(live, liveDeployment(t), testManager)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nDriftOf(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDriftOfSetShowsNoValue(t *testing.T) {
	live := listObject([]any{"x"}, `v:"x"`)
	wanted := listObject([]any{"x", "planted-value"}, `v:"x"`, `v:"planted-value"`)
	want := []FieldDrift{{"list[…]", ""}}
	if diff := cmp.Diff(want, DriftOf(live, wanted, "m")); diff != "" {
		t.Errorf("DriftOf(...): -want, +got:\n%s", diff)
	}
}

func TestDiff(t *testing.T) {
	cases := map[string]struct {
		reason        string
		before, after string
		want          string
	}{
		"Same": {
			reason: "What only a cluster writes is no difference.",
			before: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, resourceVersion: '1', uid: x}, status: {x: 1}}",
			after:  "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, resourceVersion: '2', generation: 4}}",
		},
		"Changed": {
			reason: "A changed line, in its context, under its path.",
			before: "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: app, image: 'a:1', tty: true, stdin: true, command: [run]}]}}",
			after:  "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: app, image: 'a:2', tty: true, stdin: true, command: [run]}]}}",
			want: `@spec.containers.command
   containers:
   - command:
     - run
-    image: a:1
+    image: a:2
     name: app
     stdin: true
     tty: true
`,
		},
		"Made": {
			reason: "An object that is made.",
			after:  "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: cGxhbnRlZA==}}",
			want: `+apiVersion: v1
+data:
+  password: '***'
+kind: Secret
+metadata:
+  name: a
`,
		},
		"Deleted": {
			reason: "An object that is deleted.",
			before: "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: planted}}",
			want: `-apiVersion: v1
-kind: Secret
-metadata:
-  name: a
-stringData:
-  password: '***'
`,
		},
		"Secret": {
			reason: "Values of a Secret only say whether they change.",
			before: "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {gone: cGxhbnRlZA==, password: cGxhbnRlZA==, same: cGxhbnRlZA==}}",
			after:  "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {new: cGxhbnRlZA==, password: cGxhbnRlZDI=, same: cGxhbnRlZA==}}",
			want: ` apiVersion: v1
 data:
-  gone: '***'
-  password: '***'
+  new: '***'
+  password: '*** (changed)'
   same: '***'
 kind: Secret
 metadata:
`,
		},
		"Broken": {
			reason: "A Secret that is no Secret is masked as a whole.",
			before: "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: planted}",
			after:  "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: [planted]}",
			want: ` apiVersion: v1
-data: '***'
+data: '*** (changed)'
 kind: Secret
 metadata:
   name: a
`,
		},
		"LastApplied": {
			reason: "The copy that kubectl leaves is masked, whatever the kind.",
			before: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: planted}}}`,
			after:  `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: planted2}}}`,
			want: `@metadata.annotations
 kind: ConfigMap
 metadata:
   annotations:
-    kubectl.kubernetes.io/last-applied-configuration: '***'
+    kubectl.kubernetes.io/last-applied-configuration: '*** (changed)'
   name: a
`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after *unstructured.Unstructured
			if tc.before != "" {
				before = parse(t, tc.before)
			}
			if tc.after != "" {
				after = parse(t, tc.after)
			}
			var got strings.Builder
			for _, line := range Diff(before, after) {
				got.WriteString(string(line.Op) + line.Text + "\n")
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Errorf("%s\nDiff(...): -want, +got:\n%s", tc.reason, diff)
			}
			if strings.Contains(got.String(), "planted") || strings.Contains(got.String(), "cGxhbn") {
				t.Errorf("a secret is shown:\n%s", got.String())
			}
		})
	}
}

func TestMaskSecret(t *testing.T) {
	u := parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: planted, x: y}}, data: {a: cGxhbnRlZA==}, stringData: null}")
	before := u.DeepCopy()
	want := parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '***', x: y}}, data: {a: '***'}, stringData: null}")
	if diff := cmp.Diff(want.Object, MaskSecret(u).Object); diff != "" {
		t.Errorf("MaskSecret(...): -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(before.Object, u.Object); diff != "" {
		t.Errorf("the object that was passed in has changed: -before, +after:\n%s", diff)
	}
	if config := parse(t, "{apiVersion: v1, kind: ConfigMap, data: {a: b}}"); MaskSecret(config).Object["data"].(map[string]any)["a"] != "b" {
		t.Error("a ConfigMap is masked")
	}
}
