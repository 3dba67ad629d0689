package apply_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/manifest"
)

func TestFirstSyncCostsOneRequestAnObjectAndTheSecondNone(t *testing.T) {
	a := newApp(t)
	set := a.set(
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}",
		deployment("a", "replicas: 0"),
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {defaultBackend: {service: {name: a, port: {number: 80}}}}",
	)
	changes, result := a.mustSync(set)
	if result.Requests != 4 || len(result.Entries) != 4 || len(result.Live) != 4 {
		t.Fatalf("4 new objects should be 4 requests: %d, with %d entries and %d live", result.Requests, len(result.Entries), len(result.Live))
	}
	if n := a.conn.Requests()["patch"]; n != 4 || len(changes.Of(apply.Create)) != 4 {
		t.Errorf("%d patches were sent", n)
	}
	for _, entry := range a.inventory {
		if entry.UID == "" || entry.Desired == "" || entry.Baseline == "" || entry.V == "" {
			t.Errorf("an entry of the inventory lacks something: %+v", entry)
		}
	}
	changes, result = a.mustSync(set)
	if changes.Sends() != 0 || result.Requests != 0 {
		t.Errorf("nothing changed, and %d requests were sent: %v", result.Requests, actions(changes))
	}
}

func TestCreateNeverTakesOverWhatExists(t *testing.T) {
	tests := map[string]map[string]any{
		"without a conflict": {"other": "x"},
		"the same":           {"key": "value"},
		"with a conflict":    {"key": "different"},
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.plane.Request(t, http.MethodPost, a.path("/api/v1/NS", "configmaps"), map[string]any{
				"metadata": map[string]any{"name": "theirs"}, "data": data,
			})
			before := a.get(configMaps, "theirs").GetResourceVersion()
			_, result := a.sync(a.set(configMap("theirs"), configMap("ours")))
			if len(result.Failed) != 1 || !result.Failed[0].Conflict || result.Failed[0].Retryable ||
				!strings.Contains(result.Failed[0].Sentence, "ConfigMap "+a.namespace+"/theirs exists already") ||
				!strings.Contains(result.Failed[0].Sentence, "sengu adopt") {
				t.Errorf("want a conflict that says how to adopt: %+v", result.Failed)
			}
			if after := a.get(configMaps, "theirs").GetResourceVersion(); after != before {
				t.Error("somebody else's object was written to")
			}
			if len(a.inventory) != 1 || a.get(configMaps, "ours") == nil {
				t.Errorf("the other object of the stage should be made: %+v", a.inventory)
			}
		})
	}
}

func TestCreateOfEveryKindIsGuarded(t *testing.T) {
	a := newApp(t)
	documents := []string{
		configMap("a"), deployment("a", "replicas: 0"),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: b}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: " + a.namespace + "-more}",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: " + a.namespace + "}\nrules: []",
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}",
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: b}\nspec: {maxReplicas: 2, scaleTargetRef: {kind: Deployment, name: b, apiVersion: apps/v1}}",
		crd(a.namespace + ".example.com"),
		"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1." + a.namespace + ".example.org}\n" +
			"spec: {group: " + a.namespace + ".example.org, version: v1, groupPriorityMinimum: 100, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: a, namespace: default}}",
	}
	t.Cleanup(func() {
		for _, path := range []string{
			"/api/v1/namespaces/" + a.namespace + "-more", "/apis/rbac.authorization.k8s.io/v1/clusterroles/" + a.namespace,
			"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets." + a.namespace + ".example.com",
			"/apis/apiregistration.k8s.io/v1/apiservices/v1." + a.namespace + ".example.org",
		} {
			a.plane.Request(t, http.MethodDelete, path, nil)
		}
	})
	_, result := a.mustSync(a.set(documents...))
	if result.Requests != len(documents) {
		t.Errorf("%d objects were made in %d requests", len(documents), result.Requests)
	}
	// Another App that knows nothing of them makes nothing of its own of them.
	b := a.sibling()
	for _, document := range documents {
		set := b.set(document)
		in := b.input(set)
		in.Live = func(manifest.Ref) (manifest.Live, bool) { return manifest.Live{}, false }
		changes, err := apply.Plan(in)
		if err != nil {
			t.Fatal(err)
		}
		got := apply.Do(t.Context(), b.conn, changes.Changes, b.options())
		if len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Sentence, "belongs to App "+a.owner.Namespace+"/"+a.owner.Name) {
			t.Errorf("%s: want a refusal that names the first App: %+v", set.Items()[0].Ref, got.Failed)
		}
	}
	if changes := a.plan(a.set(documents...)); changes.Sends() != 0 {
		t.Errorf("the refused writes changed something: %v", actions(changes))
	}
}

func crd(group string) string {
	return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets." + group + "}\n" +
		"spec: {group: " + group + ", scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true, storage: true, " +
		"schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}"
}

func TestObjectsOfAnInterruptedSyncAreFound(t *testing.T) {
	a := newApp(t)
	set := a.set(configMap("a"), configMap("b"))
	a.mustSync(set)
	a.inventory = nil // as if Sengu was killed before it wrote the status
	changes, _ := a.mustSync(set)
	if got := actions(changes); !slices.Equal(got, []string{"Update ConfigMap a", "Update ConfigMap b"}) {
		t.Errorf("got %v", got)
	}
	a.inventory = nil
	changes, _ = a.mustSync(a.set(configMap("a")))
	if got := actions(changes); !slices.Equal(got, []string{"Update ConfigMap a", "Delete ConfigMap b"}) {
		t.Errorf("got %v", got)
	}
	if a.get(configMaps, "b") != nil {
		t.Error("an object that was applied and not noted down was left behind")
	}
}

func TestWatchesThatLagDoNotHurt(t *testing.T) {
	a := newApp(t)
	set := a.set(configMap("a"))
	a.mustSync(set)
	in := a.input(set)
	in.Inventory, in.OwnedLive = nil, nil
	in.Live = func(manifest.Ref) (manifest.Live, bool) { return manifest.Live{}, false }
	changes, err := apply.Plan(in)
	if err != nil {
		t.Fatal(err)
	}
	result := apply.Do(t.Context(), a.conn, changes.Changes, a.options())
	if len(result.Failed) != 0 || len(result.Entries) != 1 || result.Entries[0].UID != a.inventory[0].UID {
		t.Errorf("our own object should be taken as such: %+v", result)
	}
}

func TestIfNotPresent(t *testing.T) {
	a := newApp(t)
	once := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {sengu.dev/apply: IfNotPresent}}\ndata: {key: " + value + "}"
	}
	a.mustSync(a.set(once("first")))
	changes, _ := a.mustSync(a.set(once("second")))
	if len(changes.Of(apply.Unchanged)) != 1 {
		t.Errorf("an object that is there should stay as it is: %v", actions(changes))
	}
	first := func() {
		t.Helper()
		if value := a.get(configMaps, "a").Object["data"].(map[string]any)["key"]; value != "first" {
			t.Errorf("it was changed to %v", value)
		}
	}
	first()
	a.inventory = nil // interrupted before the status was written
	if a.mustSync(a.set(once("second"))); len(a.inventory) != 1 {
		t.Error("an object that was made should be noted")
	}
	first()
	b := *a
	b.inventory, b.owner.UID = nil, "made-again" // the App was deleted and made again
	if b.mustSync(b.set(once("second"))); len(b.inventory) != 1 || b.plan(b.set(once("second"))).Sends() != 0 {
		t.Error("an object of the earlier App should be noted")
	}
	first()
	a.owner, a.inventory = b.owner, b.inventory
	a.plane.Request(t, http.MethodPost, a.path("/api/v1/NS", "configmaps"), map[string]any{"metadata": map[string]any{"name": "theirs"}})
	theirs := strings.ReplaceAll(once("x"), "name: a", "name: theirs")
	_, result := a.mustSync(a.set(once("second"), theirs))
	if len(result.Entries) != 0 {
		t.Errorf("somebody else's object is present and is not ours: %+v", result.Entries)
	}
}
