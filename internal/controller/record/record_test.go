package record_test

import (
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/crds"
	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/record"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{}) }

const soon = 30 * time.Second

// desk is a Writer, and a client that looks at what it has written.
type desk struct {
	*record.Writer
	client    client.Client
	namespace string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	plane := testenv.Plane(t)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(plane.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(crds.Files, "sengu.dev_apps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &definition.Object); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), definition); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, func() error { return c.List(t.Context(), &v1alpha1.AppList{}) })
	conn, err := kube.Connect(plane.Config, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &desk{record.New(conn), c, plane.Namespace(t)}
}

// made creates an App, and checks that it is as the API server has it.
func (d *desk) made(t *testing.T) *v1alpha1.App {
	t.Helper()
	heals := true
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: "cart.develop.shop"},
		Spec: v1alpha1.AppSpec{
			Fleet: "shop", Service: "cart", Environment: "develop", SelfHeal: &heals,
			Source: v1alpha1.AppSource{Revision: "0123456789012345678901234567890123456789", Path: "apps/cart", Cluster: "dev", Namespace: "cart"},
		},
	}
	if err := d.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	d.same(t, app)
	return app
}

// same checks that an App is as the API server has it.
func (d *desk) same(t *testing.T, app *v1alpha1.App) {
	t.Helper()
	is := &v1alpha1.App{}
	if err := d.client.Get(t.Context(), client.ObjectKeyFromObject(app), is); err != nil {
		t.Fatal(err)
	}
	is.ManagedFields, is.TypeMeta = nil, app.TypeMeta
	if diff := cmp.Diff(is, app); diff != "" {
		t.Errorf("what was returned is not what the API server has: -is, +returned:\n%s", diff)
	}
}

func TestCreate(t *testing.T) {
	d := newDesk(t)
	app := d.made(t)
	if app.UID == "" || app.Generation != 1 || app.ResourceVersion == "" {
		t.Errorf("metadata are not filled in: %+v", app.ObjectMeta)
	}
	again := app.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
	if err := d.Create(t.Context(), again); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a second of the same name: got %v, want that it exists", err)
	}
}

func TestUpdate(t *testing.T) {
	d := newDesk(t)
	before := d.made(t)
	after := before.DeepCopy()
	after.Status.Sync = v1alpha1.Synced
	read, err := record.Status(t.Context(), d.Writer, after)
	if err != nil {
		t.Fatal(err)
	}
	next := read.DeepCopy()
	next.Spec.Source.Path = "apps/basket"
	meta, err := d.Update(t.Context(), next)
	if err != nil || meta.Generation != 2 {
		t.Fatalf("got generation %d, %v; want 2", meta.Generation, err)
	}
	next.ObjectMeta = meta
	next.ManagedFields = nil
	d.same(t, next) // with its status
	if _, err := d.Update(t.Context(), read); !apierrors.IsConflict(err) {
		t.Errorf("from what was read before: got %v, want a conflict", err)
	}
}

func TestPatch(t *testing.T) {
	d := newDesk(t)
	app := d.made(t)
	meta, err := d.Patch(t.Context(), client.ObjectKeyFromObject(app), []byte(`{"spec":{"source":{"path":"apps/basket"}}}`))
	if err != nil || meta.Generation != 2 || meta.UID != app.UID {
		t.Errorf("got generation %d of %s, %v; want 2 of %s", meta.Generation, meta.UID, err, app.UID)
	}
	if _, err := d.Patch(t.Context(), types.NamespacedName{Namespace: d.namespace, Name: "none"}, []byte(`{}`)); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want that there is none", err)
	}
}

func TestStatus(t *testing.T) {
	synced := func(app *v1alpha1.App) *v1alpha1.App {
		after := app.DeepCopy()
		after.Status.Sync, after.Status.Inputs = v1alpha1.Synced, []string{"apps/cart"}
		return after
	}
	t.Run("is written, and the spec stays whose it was", func(t *testing.T) {
		d := newDesk(t)
		before := d.made(t)
		owners := d.owners(t, before)
		written, err := record.Status(t.Context(), d.Writer, synced(before))
		if err != nil {
			t.Fatal(err)
		}
		d.same(t, written)
		if written.Status.Sync != v1alpha1.Synced {
			t.Error("the status is not written")
		}
		if after := d.owners(t, before); after[""] != owners[""] || after["status"] == "" {
			t.Errorf("managed fields were %v and are %v", owners, after)
		}
	})
	t.Run("is written beside what somebody else has written meanwhile", func(t *testing.T) {
		d := newDesk(t)
		before := d.made(t)
		if _, err := d.Patch(t.Context(), client.ObjectKeyFromObject(before), []byte(`{"spec":{"suspend":true}}`)); err != nil {
			t.Fatal(err)
		}
		written, err := record.Status(t.Context(), d.Writer, synced(before))
		if err != nil {
			t.Fatal(err)
		}
		d.same(t, written)
		if !written.Spec.Suspend || written.Status.Sync != v1alpha1.Synced {
			t.Errorf("suspend %v, sync %q: want both", written.Spec.Suspend, written.Status.Sync)
		}
	})
	t.Run("is never written to another App of the same name", func(t *testing.T) {
		d := newDesk(t)
		before := d.made(t)
		if err := d.client.Delete(t.Context(), before.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		again := d.made(t)
		if _, err := record.Status(t.Context(), d.Writer, synced(before)); !apierrors.IsConflict(err) {
			t.Errorf("got %v, want a conflict", err)
		}
		d.same(t, again)
	})
	t.Run("of an App that is gone is not written", func(t *testing.T) {
		d := newDesk(t)
		before := d.made(t)
		if err := d.client.Delete(t.Context(), before.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		if _, err := record.Status(t.Context(), d.Writer, synced(before)); !apierrors.IsNotFound(err) {
			t.Errorf("got %v, want that there is none", err)
		}
	})
}

// owners says which fields are owned through which subresource.
func (d *desk) owners(t *testing.T, app *v1alpha1.App) map[string]string {
	t.Helper()
	is := &v1alpha1.App{}
	if err := d.client.Get(t.Context(), client.ObjectKeyFromObject(app), is); err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	for _, entry := range is.ManagedFields {
		owners[entry.Subresource] += entry.FieldsV1.GetRawString()
	}
	return owners
}
