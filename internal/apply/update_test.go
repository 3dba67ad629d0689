package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func data(u *unstructured.Unstructured) map[string]any {
	d, _ := u.Object["data"].(map[string]any)
	return d
}

func TestUpdateRemovesWhatGitNoLongerNames(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a", "one: x", "two: x")))
	changes, result := a.mustSync(a.set(configMap("a", "one: z")))
	if result.Requests != 1 || len(changes.Of(apply.Update)) != 1 {
		t.Errorf("one change should be one request: %v, %d", actions(changes), result.Requests)
	}
	if got := fmt.Sprint(data(a.get(configMaps, "a"))); got != "map[one:z]" {
		t.Errorf("got %s", got)
	}
}

func TestDriftIsUndoneAndWhatOthersAddStays(t *testing.T) {
	a := newApp(t)
	set := a.set(configMap("a"))
	a.mustSync(set)
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a"), map[string]any{"data": map[string]any{"theirs": "x"}})
	if changes, _ := a.mustSync(set); changes.Sends() != 0 {
		t.Errorf("a field that is not ours is no drift: %v", actions(changes))
	}
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a"), map[string]any{"data": map[string]any{"key": "changed"}})
	a.mustSync(set)
	if got := fmt.Sprint(data(a.get(configMaps, "a"))); got != "map[key:value theirs:x]" {
		t.Errorf("got %s", got)
	}
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("drift that was undone is still there: %v", actions(changes))
	}
	a.plane.Request(t, http.MethodDelete, a.path(configMaps, "a"), nil)
	a.mustSync(set)
	if a.get(configMaps, "a") == nil {
		t.Error("an object that was deleted should be made again")
	}
}

func TestStrippedLabelIsPutBack(t *testing.T) {
	a := newApp(t)
	set := a.set(configMap("a"))
	a.mustSync(set)
	uid := a.inventory[0].UID
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a"), map[string]any{"metadata": map[string]any{
		"labels": map[string]any{manifest.LabelApp: nil}, "annotations": map[string]any{manifest.AnnotationOwner: nil},
	}})
	// The live state of this test is the label-selected one: the object looks gone.
	changes, result := a.mustSync(set)
	if got := actions(changes); !slices.Equal(got, []string{"Create ConfigMap a"}) || len(result.Entries) != 1 {
		t.Fatalf("got %v", got)
	}
	u := a.get(configMaps, "a")
	if string(u.GetUID()) != uid || u.GetLabels()[manifest.LabelApp] != a.owner.Label() {
		t.Error("the label should be put back on the same object")
	}
}

func TestUpdateNeverWritesToAnotherObjectOfTheName(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a")))
	changes := a.plan(a.set(configMap("a", "key: new")))
	a.plane.Request(t, http.MethodDelete, a.path(configMaps, "a"), nil)
	a.plane.Request(t, http.MethodPost, a.path("/api/v1/NS", "configmaps"), map[string]any{"metadata": map[string]any{"name": "a"}, "data": map[string]any{"key": "theirs"}})
	result := a.do(changes)
	if len(result.Failed) != 1 || !result.Failed[0].Conflict || data(a.get(configMaps, "a"))["key"] != "theirs" {
		t.Errorf("got %+v", result.Failed)
	}
	a.plane.Request(t, http.MethodDelete, a.path(configMaps, "a"), nil)
	if result = a.do(changes); len(result.Failed) != 0 || data(a.get(configMaps, "a"))["key"] != "new" {
		t.Errorf("an object that is gone should be made: %+v", result.Failed)
	}
}

func TestAnAppThatWasMadeAgainTakesItsObjectsOverQuietly(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a"), configMap("b")))
	b := *a
	b.inventory, b.owner.UID = nil, "another-uid"
	changes, _ := b.mustSync(b.set(configMap("a")))
	if got := actions(changes); !slices.Equal(got, []string{"Update ConfigMap a"}) {
		t.Errorf("got %v", got)
	}
	if a.get(configMaps, "b") == nil {
		t.Error("what the earlier App had and this one does not want is not its to delete")
	}
	if changes := b.plan(b.set(configMap("a"))); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}

func TestFieldsOfAnotherManagerAreAConflictWithoutProof(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a")))
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a")+"?fieldManager=someone", map[string]any{"data": map[string]any{"key": "changed"}})
	b := *a
	b.inventory, b.owner.UID = nil, "another-uid"
	_, result := b.sync(b.set(configMap("a")))
	if len(result.Failed) != 1 || !result.Failed[0].Conflict || !strings.Contains(result.Failed[0].Sentence, "data.key is set by someone") {
		t.Errorf("got %+v", result.Failed)
	}
}

func hpa(name string) string {
	return "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: " + name + "}\n" +
		"spec: {minReplicas: 2, maxReplicas: 10, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: " + name + "}}"
}

// replicas follows spec.replicas of a Deployment by a watch of every state that there is.
func (a *app) replicas(name string) func() []int64 {
	return a.follow(deployments, name, func(u *unstructured.Unstructured) int64 {
		n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
		return n
	})
}

func TestAutoscalerThatHasNeverScaledIsAddedBesideReplicas(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(deployment("a", "replicas: 5")))
	seen := a.replicas("a")
	set := a.set(deployment("a", "replicas: 5"), hpa("a"))
	a.ignored = manifest.Ignored(set, nil)
	a.mustSync(set)
	// The field is nobody's in Git now: another commit drops it as well.
	set = a.set(deployment("a", "minReadySeconds: 1"), hpa("a"))
	a.ignored = manifest.Ignored(set, nil)
	a.mustSync(set)
	for _, n := range seen() {
		if n < 5 {
			t.Fatalf("replicas were %d on the way", n)
		}
	}
	u := a.get(deployments, "a")
	if n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); n != 5 {
		t.Fatalf("replicas are %d", n)
	}
	if manifest.Owns(u, a.owner.Manager(), manifest.FieldPath{"f:spec", "f:replicas"}) {
		t.Error("replicas should be given up")
	}
	a.plane.Request(t, http.MethodPatch, a.path(deployments, "a")+"/scale", map[string]any{"spec": map[string]any{"replicas": 7}})
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("that an autoscaler scales is no drift: %v", actions(changes))
	}
}

func TestWorkloadMadeTogetherWithItsAutoscalerBeginsAsGitSays(t *testing.T) {
	a := newApp(t)
	set := a.set(deployment("a", "replicas: 5"), hpa("a"))
	a.ignored = manifest.Ignored(set, nil)
	a.mustSync(set)
	u := a.get(deployments, "a")
	if n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); n != 5 {
		t.Errorf("replicas are %d", n)
	}
	if manifest.Owns(u, a.owner.Manager(), manifest.FieldPath{"f:spec", "f:replicas"}) {
		t.Error("replicas should be given up")
	}
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}

func TestFieldsThatCannotChange(t *testing.T) {
	job := func(image string, annotations ...string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, annotations: {" + strings.Join(annotations, ", ") + "}}\n" +
			"spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: " + image + "}]}}}"
	}
	a := newApp(t)
	a.mustSync(a.set(job("one")))
	uid := a.get(jobs, "a").GetUID()
	_, result := a.sync(a.set(job("two")))
	if len(result.Failed) != 1 || result.Failed[0].Retryable || !strings.Contains(result.Failed[0].Sentence, "spec.template.spec cannot be changed") ||
		!strings.Contains(result.Failed[0].Sentence, "sengu.dev/apply: Replace") {
		t.Fatalf("got %+v", result.Failed)
	}
	set := a.set(job("two", "sengu.dev/apply: Replace"))
	testenv.Eventually(t, 20*time.Second, func() error {
		if _, result := a.sync(set); len(result.Failed) > 0 {
			return fmt.Errorf("%s", result.Failed[0].Sentence)
		}
		return nil
	})
	u := a.get(jobs, "a")
	image, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	if u.GetUID() == uid || image[0].(map[string]any)["image"] != "two" {
		t.Error("the Job should be made again")
	}
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}

func TestReplaceRemovesWhatOthersHaveSet(t *testing.T) {
	a := newApp(t)
	whole := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {sengu.dev/apply: Replace}}\ndata: {key: " + value + "}"
	}
	a.mustSync(a.set(whole("one")))
	uid := a.get(configMaps, "a").GetUID()
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a"), map[string]any{"data": map[string]any{"theirs": "x"}})
	set := a.set(whole("two"))
	a.mustSync(set)
	u := a.get(configMaps, "a")
	if fmt.Sprint(data(u)) != "map[key:two]" || u.GetUID() != uid {
		t.Errorf("got %v", data(u))
	}
	if changes := a.plan(set); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}

func TestDryRunSaysWhatWouldBe(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a")))
	set := a.set(configMap("a", "key: other"), configMap("new"))
	for _, item := range set.Items() {
		u, err := apply.DryRun(t.Context(), a.conn, item, nil, a.options())
		if err != nil || u.GetName() != item.Ref.Name {
			t.Fatalf("%s: %v", item.Ref, err)
		}
	}
	u, _ := apply.DryRun(t.Context(), a.conn, set.Items()[0], nil, a.options())
	live := a.get(configMaps, "a")
	drift := manifest.DriftOf(live, u, a.owner.Manager())
	if len(drift) != 1 || drift[0].Path != "data.key" {
		t.Errorf("got %v", drift)
	}
	if a.get(configMaps, "new") != nil || data(live)["key"] != "value" {
		t.Error("a dry run wrote something")
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	a := newApp(t)
	_, result := a.sync(a.set(deployment("a", "replicas: 0", "replica: 1")))
	if len(result.Failed) != 1 || result.Failed[0].Retryable || !strings.Contains(result.Failed[0].Sentence, "replica") {
		t.Errorf("a field that the API does not have must be named: %+v", result.Failed)
	}
}

func TestRestoredFieldsAreNamed(t *testing.T) {
	a := newApp(t)
	set := a.set(configMap("a", "key: git", "other: git"))
	a.mustSync(set)
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a"), map[string]any{"data": map[string]any{"key": "theirs"}})
	drifted := a.get(configMaps, "a")
	changes := a.plan(set)
	if len(changes.Changes) != 1 || changes.Changes[0].Action != apply.Update {
		t.Fatalf("drift is not noticed: %v", actions(changes))
	}
	changes.Changes[0].Before = drifted
	result := a.do(changes)
	if len(result.Restored) != 1 || len(result.Restored[0].Fields) != 1 || result.Restored[0].Fields[0].Path != "data.key" {
		t.Errorf("want that data.key was put back: %+v", result.Restored)
	}
}
