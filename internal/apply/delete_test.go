package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestPruneOfWhatIsNoLongerInGit(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a"), configMap("b"), configMap("kept", "key: value")))
	changes, result := a.mustSync(a.set(configMap("a")))
	if len(changes.Of(apply.Delete)) != 2 || len(result.Dropped) != 2 || len(a.inventory) != 1 {
		t.Errorf("got %v, dropped %v", actions(changes), result.Dropped)
	}
	if a.get(configMaps, "b") != nil || a.get(configMaps, "a") == nil {
		t.Error("the wrong objects are there")
	}
	changes, _ = a.mustSync(a.set())
	if len(changes.Of(apply.Wait)) != 1 || a.get(configMaps, "a") == nil {
		t.Errorf("an App that renders nothing should delete nothing: %v", actions(changes))
	}
	a.removal = v1alpha1.RemovalPending
	if changes, _ = a.mustSync(a.set()); len(changes.Of(apply.Wait)) != 1 {
		t.Errorf("a pending removal should delete nothing: %v", actions(changes))
	}
	a.removal = v1alpha1.RemovalApproved
	if a.mustSync(a.set()); a.get(configMaps, "a") != nil || len(a.inventory) != 0 {
		t.Error("an approved removal should delete what is left")
	}
}

func TestDeleteNeedsProof(t *testing.T) {
	strip := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"sengu.dev/owner": nil}}}
	t.Run("the mark was taken off before the plan", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		a.plane.Request(t, http.MethodPatch, a.path(configMaps, "b"), strip)
		changes, _ := a.mustSync(a.set(configMap("a")))
		if len(changes.Of(apply.Orphan)) != 1 || a.get(configMaps, "b") == nil || len(a.inventory) != 1 {
			t.Errorf("got %v", actions(changes))
		}
	})
	t.Run("the mark was taken off after the plan", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		changes := a.plan(a.set(configMap("a")))
		a.plane.Request(t, http.MethodPatch, a.path(configMaps, "b"), strip)
		result := a.do(changes)
		if len(result.Failed) != 1 || a.get(configMaps, "b") == nil || len(a.inventory) != 2 {
			t.Errorf("a failed prune should stay in the inventory: %+v, inventory %v", result.Failed, a.inventory)
		}
	})
	t.Run("the label was taken off after the plan", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		changes := a.plan(a.set(configMap("a")))
		a.plane.Request(t, http.MethodPatch, a.path(configMaps, "b"), map[string]any{"metadata": map[string]any{"labels": map[string]any{"sengu.dev/app": nil}}})
		if result := a.do(changes); len(result.Failed) != 1 || a.get(configMaps, "b") == nil {
			t.Errorf("got %+v", result.Failed)
		}
	})
	t.Run("another object of the name was made after the plan", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		changes := a.plan(a.set(configMap("a")))
		a.plane.Request(t, http.MethodDelete, a.path(configMaps, "b"), nil)
		a.plane.Request(t, http.MethodPost, a.path("/api/v1/NS", "configmaps"), map[string]any{"metadata": map[string]any{"name": "b"}})
		if result := a.do(changes); len(result.Failed) != 1 || a.get(configMaps, "b") == nil {
			t.Errorf("got %+v", result.Failed)
		}
	})
	t.Run("only something else changed after the plan", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		changes := a.plan(a.set(configMap("a")))
		a.plane.Request(t, http.MethodPatch, a.path(configMaps, "b"), map[string]any{"data": map[string]any{"more": "x"}})
		if result := a.do(changes); len(result.Failed) != 0 || a.get(configMaps, "b") != nil {
			t.Errorf("it should be read again and deleted: %+v", result.Failed)
		}
	})
	t.Run("it is gone already", func(t *testing.T) {
		a := newApp(t)
		a.mustSync(a.set(configMap("a"), configMap("b")))
		changes := a.plan(a.set(configMap("a")))
		a.plane.Request(t, http.MethodDelete, a.path(configMaps, "b"), nil)
		if result := a.do(changes); len(result.Failed) != 0 || len(a.inventory) != 1 {
			t.Errorf("got %+v", result.Failed)
		}
	})
}

func TestCopiesOfTheMarkAreNeverPruned(t *testing.T) {
	a := newApp(t)
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}"
	slice := "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ours}\naddressType: IPv4\nendpoints: []"
	a.mustSync(a.set(service, slice, configMap("x")))
	slices := func() []any {
		return a.plane.Request(t, http.MethodGet, a.path("/apis/discovery.k8s.io/v1/NS", "endpointslices"), nil)["items"].([]any)
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		if n := len(slices()); n != 2 {
			return fmt.Errorf("%d EndpointSlices, want ours and the controller's", n)
		}
		return nil
	})
	a.mustSync(a.set(service, configMap("x")))
	left := slices()
	if len(left) != 1 {
		t.Fatalf("%d EndpointSlices are left, want the controller's", len(left))
	}
	meta := left[0].(map[string]any)["metadata"].(map[string]any)
	if meta["labels"].(map[string]any)["sengu.dev/app"] != a.owner.Label() {
		t.Error("the controller no longer copies labels, and this test proves nothing")
	}
}

func TestFinalizersKeepTheInventory(t *testing.T) {
	a := newApp(t)
	held := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}"
	a.mustSync(a.set(configMap("a"), held))
	_, result := a.mustSync(a.set(configMap("a")))
	if len(a.inventory) != 2 || len(result.Live) != 1 || !result.Live[0].Deleting {
		t.Errorf("an object that is being deleted should stay in the inventory: %+v", a.inventory)
	}
	changes, _ := a.mustSync(a.set(configMap("a"), held))
	if got := actions(changes); got[1] != "Wait ConfigMap held" {
		t.Errorf("an object that is being deleted is not written to: %v", got)
	}
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "held"), map[string]any{"metadata": map[string]any{"finalizers": nil}})
	testenv.Eventually(t, 10*time.Second, func() error {
		if a.get(configMaps, "held") != nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
	if a.mustSync(a.set(configMap("a"))); len(a.inventory) != 1 {
		t.Errorf("gone and still in the inventory: %+v", a.inventory)
	}
}

func TestCustomResourceAndItsDefinitionInOneApp(t *testing.T) {
	a := newApp(t)
	group := a.namespace + ".example.com"
	widget := "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 1}"
	set := a.set(crd(group), widget, configMap("a"))
	testenv.Eventually(t, 30*time.Second, func() error {
		_, result := a.sync(set)
		if len(result.Failed) == 0 {
			return nil
		}
		if !result.Failed[0].Retryable {
			t.Fatalf("a kind that is about to be served should be retried: %+v", result.Failed[0])
		}
		return fmt.Errorf("%s", result.Failed[0].Sentence)
	})
	set = a.set(configMap("a"))
	changes := a.plan(set)
	if changes.Pending == nil || changes.Pending.Count != 1 || !strings.Contains(changes.Pending.Examples[0], "widgets."+group) {
		t.Fatalf("a CRD is deleted only with a confirmation: %+v", changes.Pending)
	}
	a.confirmed = changes.Pending.Token
	changes = a.plan(set)
	got := actions(changes)
	if i, j := slices.Index(got, "Delete Widget a"), slices.Index(got, "Delete CustomResourceDefinition widgets."+group); i < 0 || j < i {
		t.Fatalf("custom resources go before their definition: %v", got)
	}
	a.do(changes)
	testenv.Eventually(t, 20*time.Second, func() error {
		a.mustSync(set)
		if len(a.inventory) != 1 {
			return fmt.Errorf("inventory %+v", a.inventory)
		}
		return nil
	})
}
