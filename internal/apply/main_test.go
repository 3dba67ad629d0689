package apply_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{Nodes: 1}) }

var key = manifest.Key("0123456789abcdef0123456789abcdef")

// app is one App of a test, with the inventory that its status would hold.
type app struct {
	t         *testing.T
	plane     *testenv.Cluster
	conn      *kube.Conn
	namespace string
	owner     manifest.Owner
	inventory []v1alpha1.InventoryEntry
	claims    apply.Claims
	confirmed string
	removal   v1alpha1.Removal
	ignored   map[manifest.Ref][]manifest.FieldPath
	as        kube.As
	// kinds are those whose live state is looked up.
	kinds []schema.GroupVersionKind
}

// newApp returns an App that delivers to a namespace of its own.
func newApp(t *testing.T) *app {
	t.Helper()
	plane := testenv.Plane(t)
	conn, err := kube.Connect(plane.Config, kube.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	a := &app{t: t, plane: plane, conn: conn, namespace: plane.Namespace(t)}
	a.owner = manifest.Owner{Namespace: "sengu", Name: "app-" + rand.String(6), UID: rand.String(12)}
	return a
}

// sibling returns another App of the same namespace.
func (a *app) sibling() *app {
	b := *a
	b.inventory = nil
	b.owner = manifest.Owner{Namespace: "sengu", Name: "app-" + rand.String(6), UID: rand.String(12)}
	return &b
}

func (a *app) options() apply.Options {
	return apply.Options{Owner: a.owner, Key: key, As: a.as}
}

// set makes what the App wants of YAML.
func (a *app) set(documents ...string) manifest.Set {
	a.t.Helper()
	var objects []manifest.Object
	var kinds []schema.GroupKind
	for _, document := range documents {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			a.t.Fatal(err)
		}
		// As a decoder of JSON does, whole numbers become int64.
		data, err := u.MarshalJSON()
		if err != nil {
			a.t.Fatal(err)
		}
		if u, err = kube.Decode(data); err != nil {
			a.t.Fatal(err)
		}
		objects = append(objects, manifest.Object{Unstructured: u})
		kinds = append(kinds, u.GroupVersionKind().GroupKind())
		if gvk := u.GroupVersionKind(); !slices.Contains(a.kinds, gvk) {
			a.kinds = append(a.kinds, gvk)
		}
	}
	scopes, err := a.conn.Scopes(a.t.Context(), kinds...)
	if err != nil {
		a.t.Fatal(err)
	}
	set, err := manifest.NewSet(objects, a.namespace, a.owner, scopes)
	if err != nil {
		a.t.Fatal(err)
	}
	return set
}

// input gathers what is live, as the watches would.
func (a *app) input(set manifest.Set) apply.Input {
	a.t.Helper()
	live := map[manifest.Ref]manifest.Live{}
	var owned []manifest.Live
	for _, gvk := range a.kinds {
		r, err := a.conn.Mapping(a.t.Context(), gvk)
		if err != nil {
			continue // defined by the App itself
		}
		_, err = a.conn.List(a.t.Context(), r, "", kube.Selector{Labels: manifest.LabelApp}, func(u *unstructured.Unstructured) error {
			l := key.LiveOf(u)
			live[l.Ref] = l
			if l.Owner.UID == a.owner.UID {
				owned = append(owned, l)
			}
			return nil
		})
		if err != nil && !kube.IsNotServed(err) {
			a.t.Fatal(err)
		}
	}
	return apply.Input{
		Owner: a.owner, Set: set, Inventory: a.inventory, Key: key,
		Live:      func(ref manifest.Ref) (manifest.Live, bool) { l, ok := live[ref]; return l, ok },
		Synced:    func(schema.GroupKind) bool { return true },
		OwnedLive: owned, Claims: a.claims, Confirmed: a.confirmed, Removal: a.removal, Ignored: a.ignored,
	}
}

func (a *app) plan(set manifest.Set) apply.ChangeSet {
	a.t.Helper()
	changes, err := apply.Plan(a.input(set))
	if err != nil {
		a.t.Fatal(err)
	}
	return changes
}

// do carries out a whole plan and keeps the inventory.
func (a *app) do(changes apply.ChangeSet) apply.Result {
	a.t.Helper()
	all := apply.Do(a.t.Context(), a.conn, changes.Changes, a.options())
	a.inventory = all.Inventory(a.inventory)
	return all
}

// sync plans and does.
func (a *app) sync(set manifest.Set) (apply.ChangeSet, apply.Result) {
	a.t.Helper()
	changes := a.plan(set)
	return changes, a.do(changes)
}

// mustSync fails the test unless everything goes right.
func (a *app) mustSync(set manifest.Set) (apply.ChangeSet, apply.Result) {
	a.t.Helper()
	changes, result := a.sync(set)
	if len(result.Failed) > 0 || result.Skipped > 0 {
		a.t.Fatalf("sync failed, %d skipped: %+v", result.Skipped, result.Failed)
	}
	return changes, result
}

// path returns where an object of the App's namespace lives.
func (a *app) path(resource, name string) string {
	return strings.ReplaceAll(resource, "NS", "namespaces/"+a.namespace) + "/" + name
}

const (
	configMaps  = "/api/v1/NS/configmaps"
	secretsPath = "/api/v1/NS/secrets"
	deployments = "/apis/apps/v1/NS/deployments"
	jobs        = "/apis/batch/v1/NS/jobs"
)

// get reads an object of the App's namespace, nil if it is not there.
func (a *app) get(resource, name string) *unstructured.Unstructured {
	a.t.Helper()
	object, err := a.plane.Find(a.path(resource, name))
	if err != nil {
		if strings.Contains(err.Error(), "404") {
			return nil
		}
		a.t.Fatal(err)
	}
	data, err := json.Marshal(object)
	if err != nil {
		a.t.Fatal(err)
	}
	u, err := kube.Decode(data)
	if err != nil {
		a.t.Fatal(err)
	}
	return u
}

// actions lists what a plan does: "Create ConfigMap a".
func actions(changes apply.ChangeSet) []string {
	var list []string
	for _, c := range changes.Changes {
		list = append(list, fmt.Sprintf("%s %s %s", c.Action, c.Ref.Kind, c.Ref.Name))
	}
	return list
}

func configMap(name string, data ...string) string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata:\n"
	if len(data) == 0 {
		data = []string{"key: value"}
	}
	for _, d := range data {
		text += "  " + d + "\n"
	}
	return text
}

func deployment(name string, spec ...string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata: {name: ` + name + `}
spec:
  selector: {matchLabels: {app: ` + name + `}}
  template:
    metadata: {labels: {app: ` + name + `}}
    spec: {containers: [{name: app, image: example.com/app:1}]}
  ` + strings.Join(spec, "\n  ") + "\n"
}
