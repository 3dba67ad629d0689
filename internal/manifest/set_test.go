package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const crd = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: databases.example.com},
  spec: {group: example.com, scope: Namespaced, names: {kind: Database}}}`

func TestNewSetOrder(t *testing.T) {
	got := newSet(t,
		"{apiVersion: example.com/v1, kind: Database, metadata: {name: main}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: other}}",
		"{apiVersion: v1, kind: Service, metadata: {name: a}}",
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: late, annotations: {argocd.argoproj.io/sync-wave: "5"}}}`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: early, annotations: {sengu.dev/wave: "-1", argocd.argoproj.io/sync-wave: "9"}}}`,
		crd,
		"{apiVersion: v1, kind: Namespace, metadata: {name: shop, namespace: left-over}}",
	)
	type row struct {
		Ref   string
		Wave  int32
		Stage int
	}
	var rows []row
	for _, item := range got.Items() {
		rows = append(rows, row{item.Ref.String(), item.Wave, item.Stage})
		if again, ok := got.ByRef(item.Ref); !ok || again.Ref != item.Ref {
			t.Errorf("ByRef(%s) = %v, %v", item.Ref, again.Ref, ok)
		}
		if owner, ok := OwnerOf(item.Unstructured); !ok || owner != testOwner {
			t.Errorf("%s is not stamped", item.Ref)
		}
	}
	want := []row{
		{"ConfigMap shop/early", -1, StageConfig},
		{"CustomResourceDefinition databases.example.com", 0, StageFoundation},
		{"Namespace shop", 0, StageFoundation},
		{"Service shop/a", 0, StageConfig},
		{"Deployment other/a", 0, StageWorkload},
		{"Deployment shop/b", 0, StageWorkload},
		{"Database shop/main", 0, StageCustom},
		{"ConfigMap shop/late", 5, StageConfig},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("order of a Set: -want, +got:\n%s", diff)
	}
}

func TestNewSetCleans(t *testing.T) {
	cases := map[string]struct {
		reason     string
		given      string
		want       string
		annotation string
	}{
		"ServerFields": {
			reason: "What only a cluster writes is taken out.",
			given: `{apiVersion: v1, kind: Service, spec: {type: ClusterIP}, status: {loadBalancer: {}}, metadata: {name: a, uid: x, generation: 3,
			  resourceVersion: "7", creationTimestamp: null, selfLink: /x, managedFields: [{manager: kubectl}], labels: {team: shop}}}`,
			want: `{apiVersion: v1, kind: Service, spec: {type: ClusterIP}, metadata: {name: a, namespace: shop, labels: {team: shop, sengu.dev/app: sengu.checkout-develop},
			  annotations: {sengu.dev/owner: u-1 sengu/checkout-develop /Service/shop/a}}}`,
		},
		"StringData": {
			reason: "stringData becomes data, and wins over it, as in the API server.",
			given:  `{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: b2xk, b: Yg==}, stringData: {a: new, c: ""}}`,
			want: `{apiVersion: v1, kind: Secret, data: {a: bmV3, b: Yg==, c: ""}, metadata: {name: a, namespace: shop, labels: {sengu.dev/app: sengu.checkout-develop},
			  annotations: {sengu.dev/owner: u-1 sengu/checkout-develop /Secret/shop/a}}}`,
		},
		"NullLabel": {
			reason: "A null label is no label.",
			given:  `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {x: null}, annotations: null}}`,
			want: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, labels: {sengu.dev/app: sengu.checkout-develop},
			  annotations: {sengu.dev/owner: u-1 sengu/checkout-develop /ConfigMap/shop/a}}}`,
		},
		"OwnMark": {
			reason: "An object that carries our own mark already is ours.",
			given: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, labels: {sengu.dev/app: sengu.checkout-develop},
			  annotations: {sengu.dev/owner: u-1 sengu/checkout-develop /ConfigMap/shop/a}}}`,
			want: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, labels: {sengu.dev/app: sengu.checkout-develop},
			  annotations: {sengu.dev/owner: u-1 sengu/checkout-develop /ConfigMap/shop/a}}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			given := objects(t, tc.given)
			before := given[0].DeepCopy()
			got, err := NewSet(given, "shop", testOwner, testScopes)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, tc.want).Object, got.Items()[0].Object.Object); diff != "" {
				t.Errorf("%s\nNewSet(...): -want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before.Object, given[0].Object); diff != "" {
				t.Errorf("the object that was passed in has changed: -before, +after:\n%s", diff)
			}
		})
	}
}

func TestNewSetSteering(t *testing.T) {
	cases := map[string]struct {
		reason      string
		annotations string
		mode        ApplyMode
		never       bool
	}{
		"None":          {"Without annotations, server-side apply and pruning.", "{}", ModeApply, false},
		"Ours":          {"Our own annotations.", "{sengu.dev/apply: IfNotPresent, sengu.dev/prune: never}", ModeIfNotPresent, true},
		"Replace":       {"Replace of our own.", "{sengu.dev/apply: Replace}", ModeReplace, false},
		"Argo":          {"Argo CD's options, among others.", "{argocd.argoproj.io/sync-options: 'Validate=false, Prune=false,Replace=true'}", ModeReplace, true},
		"ArgoConfirm":   {"What a person must confirm is kept.", "{argocd.argoproj.io/sync-options: Prune=confirm}", ModeApply, true},
		"ArgoPruned":    {"Prune=true is the default.", "{argocd.argoproj.io/sync-options: Prune=true}", ModeApply, false},
		"OursBefore":    {"Ours comes before theirs.", "{sengu.dev/apply: IfNotPresent, argocd.argoproj.io/sync-options: Replace=true}", ModeIfNotPresent, false},
		"Helm":          {"Helm keeps what it is told to keep.", "{helm.sh/resource-policy: keep}", ModeApply, true},
		"Flux":          {"Flux's annotations.", "{kustomize.toolkit.fluxcd.io/prune: disabled, kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}", ModeIfNotPresent, true},
		"FluxPruned":    {"Other values of Flux mean nothing here.", "{kustomize.toolkit.fluxcd.io/prune: enabled}", ModeApply, false},
		"HelmOtherwise": {"Other values of Helm mean nothing here.", "{helm.sh/resource-policy: delete}", ModeApply, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			item := newSet(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: "+tc.annotations+"}}").Items()[0]
			if item.Mode != tc.mode || item.Never != tc.never {
				t.Errorf("%s\nMode, Never = %s, %v, want %s, %v", tc.reason, item.Mode, item.Never, tc.mode, tc.never)
			}
		})
	}
}

func TestNeverPrunedLive(t *testing.T) {
	u := parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {sengu.dev/prune: please-not}}}")
	if !NeverPruned(u) {
		t.Error("a live object whose annotation is not understood would be pruned")
	}
}

func TestNewSetRefuses(t *testing.T) {
	config := func(meta string) string { return "{apiVersion: v1, kind: ConfigMap, metadata: " + meta + "}" }
	cases := map[string]struct {
		reason string
		given  []string
		want   string
	}{
		"NoKind":        {"No API without a kind.", []string{"{apiVersion: v1, metadata: {name: a}}"}, "f.yaml:1: an object without a kind: has no kind"},
		"NoVersion":     {"No API without a version.", []string{"{kind: ConfigMap, metadata: {name: a}}"}, "f.yaml:1: ConfigMap a: has no apiVersion"},
		"BadVersion":    {"The version becomes part of a URL.", []string{"{apiVersion: ../v1, kind: ConfigMap, metadata: {name: a}}"}, "f.yaml:1: ConfigMap a: has an apiVersion or kind that no API could have"},
		"NoMetadata":    {"Metadata must be a map.", []string{"{apiVersion: v1, kind: ConfigMap, metadata: x}"}, "f.yaml:1: ConfigMap without a name: has no metadata"},
		"NoName":        {"No object without a name.", []string{config("{namespace: x}")}, "f.yaml:1: ConfigMap without a name: has no metadata.name"},
		"NameIsPath":    {"The name becomes part of a URL.", []string{config("{name: a/b}")}, "f.yaml:1: ConfigMap a/b: metadata.name may not contain '/'"},
		"GenerateName":  {"A generated name is new at each sync.", []string{config("{generateName: a-}")}, "f.yaml:1: ConfigMap without a name: has metadata.generateName, which would make a new object at each sync: give it a name"},
		"NumberAsLabel": {"YAML makes numbers of versions.", []string{config("{name: a, labels: {version: 1.2}}")}, `f.yaml:1: ConfigMap a: metadata.labels["version"] must be text: put the value in quotes`},
		"LabelList":     {"Labels are a map.", []string{config("{name: a, labels: [x]}")}, "f.yaml:1: ConfigMap a: metadata.labels must be a map"},
		"BadNamespace":  {"The namespace becomes part of a URL.", []string{config("{name: a, namespace: ../x}")}, "f.yaml:1: ConfigMap ../x/a: metadata.namespace must be the name of a namespace: lower-case letters, digits and dashes, at most 63"},
		"BadWave":       {"A wave is a number.", []string{config("{name: a, annotations: {sengu.dev/wave: first}}")}, "f.yaml:1: ConfigMap a: annotation sengu.dev/wave must be a whole number between -2147483648 and 2147483647, in quotes"},
		"BadPrune":      {"Only never is understood.", []string{config("{name: a, annotations: {sengu.dev/prune: no}}")}, `f.yaml:1: ConfigMap a: metadata.annotations["sengu.dev/prune"] must be text: put the value in quotes`},
		"BadPruneText":  {"Only never is understood.", []string{config("{name: a, annotations: {sengu.dev/prune: maybe}}")}, "f.yaml:1: ConfigMap a: annotation sengu.dev/prune must be never, or be left out"},
		"BadMode":       {"Only two modes are understood.", []string{config("{name: a, annotations: {sengu.dev/apply: replace}}")}, "f.yaml:1: ConfigMap a: annotation sengu.dev/apply must be IfNotPresent or Replace"},
		"ForeignMark":   {"Another App's mark does not get into a cluster.", []string{config("{name: a, annotations: {sengu.dev/owner: u-2 sengu/cart-develop /ConfigMap/shop/a}}")}, "f.yaml:1: ConfigMap a: carries the annotation sengu.dev/owner of App sengu/cart-develop: leave it out, Sengu sets it"},
		"GarbledMark":   {"Nor does a garbled one.", []string{config("{name: a, annotations: {sengu.dev/owner: x}}")}, "f.yaml:1: ConfigMap a: carries the annotation sengu.dev/owner: leave it out, Sengu sets it"},
		"ForeignLabel":  {"Nor does a label.", []string{config("{name: a, labels: {sengu.dev/app: sengu.cart}}")}, "f.yaml:1: ConfigMap a: carries the label sengu.dev/app of another App (sengu.cart): leave the label out, Sengu sets it"},
		"Owned":         {"An owner of another cluster would have the object collected as garbage.", []string{config("{name: a, ownerReferences: [{uid: x}]}")}, "f.yaml:1: ConfigMap a: has metadata.ownerReferences: what another object owns in one cluster does not belong in Git"},
		"StatusOnly":    {"A status alone is a dump.", []string{"{apiVersion: v1, kind: Service, metadata: {name: a}, status: {loadBalancer: {}}}"}, "f.yaml:1: Service a: holds nothing but a status, which only a cluster writes"},
		"StringData":    {"Numbers in stringData.", []string{"{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {pin: 1234}}"}, `f.yaml:1: Secret a: stringData["pin"] must be text: put the value in quotes`},
		"UnknownKind":   {"A kind that nobody defines.", []string{"{apiVersion: example.com/v1, kind: Database, metadata: {name: a}}"}, "f.yaml:1: Database a: the cluster does not know the kind Database (example.com/v1), and no CustomResourceDefinition of this App defines it"},
		"EarlyResource": {"A resource before its definition.", []string{strings.Replace(crd, "name: databases", `annotations: {sengu.dev/wave: "2"}, name: databases`, 1), "{apiVersion: example.com/v1, kind: Database, metadata: {name: a}}"}, "f.yaml:2: Database shop/a: its wave 0 comes before wave 2 of the CustomResourceDefinition databases.example.com that defines its kind"},
		"Twice":         {"Twice the same, once with the namespace written out.", []string{config("{name: a}"), config("{name: a, namespace: shop}")}, "ConfigMap shop/a is there twice: in f.yaml:1 and in f.yaml:2"},
		"Several":       {"All problems are named.", []string{config("{namespace: x}"), config("{generateName: x}")}, "f.yaml:1: ConfigMap without a name: has no metadata.name\nf.yaml:2: ConfigMap without a name: has metadata.generateName, which would make a new object at each sync: give it a name"},
		"Empty":         {"An empty document is no object.", []string{"{}"}, "f.yaml:1: an object without a kind: is empty"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			given := objects(t, tc.given...)
			for i := range given {
				given[i].Origin = fmt.Sprintf("f.yaml:%d", i+1)
			}
			_, err := NewSet(given, "shop", testOwner, testScopes)
			if err == nil {
				t.Fatalf("%s\nNewSet(...) has no error", tc.reason)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("%s\nNewSet(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNewSetLimits(t *testing.T) {
	many := make([]Object, MaxObjects+1)
	if _, err := NewSet(many, "shop", testOwner, testScopes); err == nil || !strings.Contains(err.Error(), "5001 objects, and at most 5000") {
		t.Errorf("NewSet of 5001 objects: %v", err)
	}
	_, err := NewSet(make([]Object, 30), "shop", testOwner, testScopes)
	if err == nil || strings.Count(err.Error(), "\n") != maxProblems || !strings.HasSuffix(err.Error(), "and 20 more") {
		t.Errorf("NewSet of 30 empty objects: %v", err)
	}
	if got, err := NewSet(nil, "shop", testOwner, testScopes); err != nil || got.Len() != 0 {
		t.Errorf("NewSet of nothing: %v, %v", got, err)
	}
}

func TestStage(t *testing.T) {
	order := [][]schema.GroupKind{
		{{Kind: "Namespace"}, {Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}},
		{{Group: "rbac.authorization.k8s.io", Kind: "Role"}, {Kind: "Service"}, {Group: "networking.k8s.io", Kind: "NetworkPolicy"}},
		{{Group: "apps", Kind: "StatefulSet"}, {Group: "networking.k8s.io", Kind: "Ingress"}},
		{{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}, {Group: "apiregistration.k8s.io", Kind: "APIService"}},
		{{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}},
		{{Group: "example.com", Kind: "Database"}},
	}
	for i, kinds := range order {
		for _, gk := range kinds {
			if got := Stage(gk); got != i {
				t.Errorf("Stage(%s) = %d, want %d", gk, got, i)
			}
		}
	}
}

func BenchmarkNewSet(b *testing.B) {
	u := liveDeployment(b)
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	unstructured.RemoveNestedField(u.Object, "metadata", "labels")
	list := []Object{{Unstructured: u}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewSet(list, "shop", testOwner, testScopes); err != nil {
			b.Fatal(err)
		}
	}
}
