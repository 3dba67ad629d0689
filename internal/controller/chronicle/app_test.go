package chronicle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

var now = time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)

// desk is a Reconciler at work on an App, with a real store.
type desk struct {
	*Reconciler
	t     *testing.T
	store *sqlstore.Store
	app   *v1alpha1.App
}

// indexes gives a fake client the indexes of a cache.
type indexes struct{ builder *fake.ClientBuilder }

func (i indexes) IndexField(_ context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	i.builder.WithIndex(obj, field, values)
	return nil
}

// newDesk is about an App that was made some days ago, in an environment that a Release failed in.
func newDesk(t *testing.T, age int) *desk {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "history.db"), sqlstore.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	all := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(all), v1alpha1.AddToScheme(all)); err != nil {
		t.Fatal(err)
	}
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "web.dev.shop", UID: "u", CreationTimestamp: daysAgo(age)},
		Spec:       v1alpha1.AppSpec{Fleet: "shop", Service: "web", Environment: "dev"},
	}
	failed := one(1, "web:1", v1alpha1.StageFailed)
	failed.Namespace, failed.Spec.Fleet, failed.Spec.Service = "sengu", "shop", "web"
	builder := fake.NewClientBuilder().WithScheme(all).WithObjects(app, &failed)
	if err := origin.IndexServices(t.Context(), indexes{builder}); err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Client: builder.Build(), Store: store, Told: func() {}, Now: func() time.Time { return now }}
	return &desk{Reconciler: r, t: t, store: store, app: app}
}

func daysAgo(n int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(n) * 24 * time.Hour)) }

// writes has the App, changed, written down twice, and returns what is recorded then.
func (d *desk) writes(change func(*v1alpha1.AppSpec)) []string {
	d.t.Helper()
	change(&d.app.Spec)
	if err := d.Client.Update(d.t.Context(), d.app); err != nil {
		d.t.Fatal(err)
	}
	for range 2 {
		if _, err := d.Reconciler.app(d.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d.app)}); err != nil {
			d.t.Fatal(err)
		}
	}
	var told []string
	err := d.store.Walk(d.t.Context(), history.Filter{}, func(e history.Event) error {
		told = append(told, fmt.Sprintf("%s by %s %v days ago: %s", e.Kind, e.By, now.Sub(e.Time).Hours()/24, e.Why))
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return told
}

func (d *desk) wants(got []string, want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("-want +got:\n%s", diff)
	}
}

func holds(by, why string, days int) func(*v1alpha1.AppSpec) {
	return func(s *v1alpha1.AppSpec) {
		s.Hold = &v1alpha1.Hold{By: by, At: daysAgo(days), Reason: why, Release: "-"}
	}
}

func resumes(by string, days int) func(*v1alpha1.AppSpec) {
	return func(s *v1alpha1.AppSpec) { s.Hold.Ended = &v1alpha1.HoldEnd{By: by, At: daysAgo(days)} }
}

func TestTwoHoldsInOneSecond(t *testing.T) {
	d := newDesk(t, 10)
	d.wants(d.writes(holds("ann", "sale", 1)), "held by ann 1 days ago: sale")
	// It is known by the key that it has always had.
	if got, _, err := d.store.Recorded(t.Context(), fmt.Sprintf("u/web.dev.shop/held/%d", daysAgo(1).Unix())); len(got) != 1 || err != nil {
		t.Errorf("%v: %v", got, err)
	}
	d.writes(func(s *v1alpha1.AppSpec) { s.Source.Revision = "moved meanwhile" })
	d.writes(holds("bob", "incident", 1))
	d.wants(d.writes(resumes("bob", 0)), "held by ann 1 days ago: sale", "held by bob 1 days ago: incident", "resumed by bob 0 days ago: ")
}

func TestTwoPinsInOneSecond(t *testing.T) {
	d := newDesk(t, 10)
	pins := func(image string) func(*v1alpha1.AppSpec) {
		return func(s *v1alpha1.AppSpec) {
			s.Pin = &v1alpha1.Pin{By: "ann", At: daysAgo(2), Until: daysAgo(1), Image: image, Reason: image}
		}
	}
	d.writes(pins("web:a"))
	d.writes(pins("web:b"))
	got := d.writes(func(s *v1alpha1.AppSpec) { s.Pin.Ended = &v1alpha1.HoldEnd{By: "bob", At: daysAgo(1)} })
	// Each has ended in the meantime, and the end of one that is said to be another's is no second end.
	d.wants(got, "pinned by ann 2 days ago: web:a", "pinned by ann 2 days ago: web:b",
		"unpinned by sengu 1 days ago: its time was over", "unpinned by sengu 1 days ago: its time was over")
}

// TestATimeOlderThanWhatIsKept has people write times of long ago into an App, some of which may be true.
func TestATimeOlderThanWhatIsKept(t *testing.T) {
	prunes := func(d *desk, days int) {
		d.t.Helper()
		if _, err := d.store.Prune(d.t.Context(), daysAgo(days).Time); err != nil {
			d.t.Fatal(err)
		}
	}
	t.Run("ItCannotBeTrue", func(t *testing.T) {
		d := newDesk(t, 10)
		prunes(d, 30)
		d.writes(holds("ann", "", 1000))
		d.wants(d.writes(resumes("bob", 1000)), "held by ann 0 days ago: ", "resumed by bob 0 days ago: ")
	})
	t.Run("TheEndOfAYoungHold", func(t *testing.T) {
		d := newDesk(t, 500)
		prunes(d, 30)
		d.writes(holds("ann", "", 20))
		d.wants(d.writes(resumes("bob", 1000)), "held by ann 20 days ago: ", "resumed by bob 0 days ago: ")
	})
	t.Run("ItWasPruned", func(t *testing.T) {
		d := newDesk(t, 500)
		d.wants(d.writes(holds("ann", "", 400)), "held by ann 400 days ago: ")
		prunes(d, 30)
		d.wants(d.writes(func(*v1alpha1.AppSpec) {}))
	})
	t.Run("ItIsKept", func(t *testing.T) {
		d := newDesk(t, 10)
		prunes(d, 30)
		d.wants(d.writes(holds("ann", "", 20)), "held by ann 20 days ago: ")
	})
}

// TestTheEndOfAFailuresHold leaves it to the Release that has failed.
func TestTheEndOfAFailuresHold(t *testing.T) {
	d := newDesk(t, 10)
	d.wants(d.writes(func(s *v1alpha1.AppSpec) {
		s.Hold = &v1alpha1.Hold{At: daysAgo(2), Release: "r1", Ended: &v1alpha1.HoldEnd{By: "ann", At: daysAgo(1)}}
	}))
	d.wants(d.writes(func(s *v1alpha1.AppSpec) { s.Hold.Release = "gone" }), "resumed by ann 1 days ago: ")
}

// TestRetriesAreCapped has the store fail for long.
func TestRetriesAreCapped(t *testing.T) {
	limiter := retries()
	var last time.Duration
	for range 100 {
		last = limiter.When(reconcile.Request{})
	}
	if last != 30*time.Second {
		t.Errorf("after many failures, the next try is %v later", last)
	}
}

// away is a store that cannot be written to.
type away struct{ Store }

func (away) Append(context.Context, ...history.Event) (int, error) {
	return 0, errors.New("the database is away")
}

// TestReplacedWhileTheStoreIsAway holds, resumes and holds again while nothing can be written down, and deletes the App.
func TestReplacedWhileTheStoreIsAway(t *testing.T) {
	d := newDesk(t, 10)
	d.Log = slog.New(slog.DiscardHandler)
	d.replaced.log = d.Log
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	watch := d.replaced.handler()
	req := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d.app)}
	becomes := func(change func(*v1alpha1.AppSpec)) {
		t.Helper()
		old := d.app.DeepCopy()
		change(&d.app.Spec)
		if err := d.Client.Update(t.Context(), d.app); err != nil {
			t.Fatal(err)
		}
		watch.Update(t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: d.app.DeepCopy()}, queue)
	}
	pins := func(tag string, days int) func(*v1alpha1.AppSpec) {
		return func(s *v1alpha1.AppSpec) {
			s.Pin = &v1alpha1.Pin{By: "cyd", At: daysAgo(days), Until: daysAgo(days - 1), Image: "web:" + tag, Reason: "try " + tag}
		}
	}
	d.Store = away{d.store}
	becomes(holds("ann", "sale", 5))
	becomes(resumes("ben", 4))
	becomes(holds("cyd", "stock", 3))
	becomes(pins("a", 3))
	becomes(pins("b", 2))
	becomes(func(s *v1alpha1.AppSpec) { s.Hold = nil })
	for range 2 {
		if _, err := d.Reconciler.app(t.Context(), req); err == nil {
			t.Fatal("it is written down while the store is away")
		}
	}
	if err := d.Client.Delete(t.Context(), d.app); err != nil {
		t.Fatal(err)
	}
	watch.Delete(t.Context(), event.DeleteEvent{Object: d.app.DeepCopy()}, queue)
	if queue.Len() != 1 {
		t.Errorf("%d Apps are asked, want one", queue.Len())
	}
	d.Store = d.store
	if _, err := d.Reconciler.app(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	var told []string
	err := d.store.Walk(t.Context(), history.Filter{}, func(e history.Event) error {
		told = append(told, fmt.Sprintf("%s by %s: %s", e.Kind, e.By, e.Why))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	d.wants(told, "held by ann: sale", "held by cyd: stock", "pinned by cyd: try a", "pinned by cyd: try b", "resumed by ben: ",
		"unpinned by sengu: its time was over", "unpinned by sengu: its time was over")
	if len(d.replaced.apps) != 0 {
		t.Errorf("what is written down is kept: %v", d.replaced.apps)
	}
}
