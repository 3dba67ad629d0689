package apply_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// applied applies a document as another tool would: by server-side apply if ssa, by an ordinary create if not.
func (a *app) applied(manager string, ssa bool, collection, document string) {
	a.t.Helper()
	body, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		a.t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		a.t.Fatal(err)
	}
	name := object["metadata"].(map[string]any)["name"].(string)
	request := kube.Request{
		Verb: "create", Path: strings.TrimSuffix(a.path(collection, ""), "/"), Body: body, Query: url.Values{"fieldManager": {manager}},
	}
	if ssa {
		request.Verb, request.Path, request.ContentType = "patch", a.path(collection, name), kube.ApplyPatch
	}
	if _, err := a.conn.Do(a.t.Context(), request); err != nil {
		a.t.Fatal(err)
	}
}

func theirs(name, meta, values string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + meta + "}\ndata: {" + values + "}"
}

func TestAdopt(t *testing.T) {
	tests := map[string]struct {
		manager string
		ssa     bool
		meta    string
		tool    string
		removed []string
		advice  bool
	}{
		"kubectl apply": {
			"kubectl-client-side-apply", false, `, annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}`,
			"kubectl", []string{"kubectl.kubernetes.io/last-applied-configuration"}, false,
		},
		"kubectl apply --server-side": {"kubectl", true, "", "kubectl", nil, false},
		"Helm": {
			"helm", false, ", annotations: {meta.helm.sh/release-name: shop, meta.helm.sh/release-namespace: shop}",
			"Helm", []string{"meta.helm.sh/release-name", "meta.helm.sh/release-namespace"}, true,
		},
		"Argo CD": {
			"argocd-controller", true, ", labels: {app.kubernetes.io/instance: a}, annotations: {argocd.argoproj.io/tracking-id: 'a:/ConfigMap:shop/a'}",
			"Argo CD", []string{"argocd.argoproj.io/tracking-id"}, true,
		},
		"Argo CD by label": {
			"argocd-controller", true, ", labels: {app.kubernetes.io/instance: a}", "Argo CD", []string{"app.kubernetes.io/instance"}, true,
		},
		"Flux": {
			"kustomize-controller", true, ", labels: {kustomize.toolkit.fluxcd.io/name: a, kustomize.toolkit.fluxcd.io/namespace: b}",
			"Flux", []string{"kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace"}, true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.applied(test.manager, test.ssa, configMaps, theirs("a", test.meta, "key: value, dropped: x"))
			uid := a.get(configMaps, "a").GetUID()
			set := a.set(configMap("a", "key: other"), configMap("new"))

			before := a.get(configMaps, "a").GetResourceVersion()
			dry := apply.Adopt(t.Context(), a.conn, set.Items(), nil, true, a.options())
			if a.get(configMaps, "a").GetResourceVersion() != before {
				t.Fatal("a dry run wrote something")
			}
			got := apply.Adopt(t.Context(), a.conn, set.Items(), nil, false, a.options())
			if len(got) != 2 || got[0].Failure != nil || !got[0].Found || got[1].Found {
				t.Fatalf("got %+v", got)
			}
			if !slices.Equal(got[0].Tools, []string{test.tool}) || !slices.Equal(got[0].Managers, []string{test.manager}) ||
				!slices.Equal(got[0].Removed, test.removed) || (len(got[0].Advice) > 0) != test.advice {
				t.Errorf("got %+v", got[0])
			}
			if !slices.ContainsFunc(dry[0].Fields, func(f manifest.FieldDrift) bool { return f.Path == "data.key" }) ||
				!slices.Equal(dry[0].Removed, got[0].Removed) {
				t.Errorf("the dry run should say what is to come: %+v", dry[0])
			}
			a.mustSync(set)
			u := a.get(configMaps, "a")
			if d := data(u); len(d) != 1 || d["key"] != "other" || u.GetUID() != uid {
				t.Errorf("what Git does not name should be gone from the same object: %v", d)
			}
			for _, name := range test.removed {
				if u.GetAnnotations()[name] != "" || u.GetLabels()[name] != "" {
					t.Errorf("%s is still there", name)
				}
			}
			for _, e := range u.GetManagedFields() {
				if e.Manager == test.manager {
					t.Errorf("%s still holds %s", e.Manager, e.FieldsV1)
				}
			}
			if changes := a.plan(set); changes.Sends() != 0 {
				t.Errorf("got %v", actions(changes))
			}
			if again := apply.Adopt(t.Context(), a.conn, set.Items(), nil, false, a.options()); !again[0].Already {
				t.Errorf("got %+v", again[0])
			}
		})
	}
}

func TestAdoptKeepsWhatPeopleSetByHand(t *testing.T) {
	a := newApp(t)
	a.applied("kubectl-client-side-apply", false, configMaps, theirs("a", "", "key: value"))
	a.plane.Request(t, http.MethodPatch, a.path(configMaps, "a")+"?fieldManager=kubectl-edit", map[string]any{"data": map[string]any{"byhand": "x"}})
	set := a.set(configMap("a"))
	apply.Adopt(t.Context(), a.conn, set.Items(), nil, false, a.options())
	a.mustSync(set)
	if d := data(a.get(configMaps, "a")); d["byhand"] != "x" || d["key"] != "value" {
		t.Errorf("got %v", d)
	}
}

func TestAdoptRefusesWhatBelongsToAnotherApp(t *testing.T) {
	a := newApp(t)
	a.mustSync(a.set(configMap("a")))
	b := a.sibling()
	got := apply.Adopt(t.Context(), b.conn, b.set(configMap("a")).Items(), nil, false, b.options())
	if got[0].Failure == nil || !strings.Contains(got[0].Failure.Sentence, a.owner.Name) {
		t.Errorf("got %+v", got[0])
	}
	if changes := a.plan(a.set(configMap("a"))); changes.Sends() != 0 {
		t.Errorf("got %v", actions(changes))
	}
}
