package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/apply"
	"github.com/sengu-dev/sengu/internal/manifest"
)

var (
	me    = manifest.Owner{Namespace: "sengu", Name: "checkout-production", UID: "uid-me"}
	other = manifest.Owner{Namespace: "sengu", Name: "other-production", UID: "uid-other"}
)

// world is the input of a plan in the making.
type world struct {
	objects []manifest.Object
	in      apply.Input
	live    map[manifest.Ref]manifest.Live
}

func newWorld() *world {
	return &world{in: apply.Input{Owner: me, Key: key}, live: map[manifest.Ref]manifest.Live{}}
}

func ref(kind, name string) manifest.Ref {
	r := manifest.Ref{Kind: kind, Namespace: "shop", Name: name}
	switch kind {
	case "Namespace", "PersistentVolume":
		r.Namespace = ""
	case "CustomResourceDefinition":
		r.Group, r.Namespace = "apiextensions.k8s.io", ""
	case "Widget":
		r.Group = "example.com"
	}
	return r
}

// git adds an object that Git has.
func (w *world) git(kind, name string, annotations ...string) *world {
	r := ref(kind, name)
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(r.GroupKind().WithVersion("v1"))
	u.SetNamespace(r.Namespace)
	u.SetName(name)
	if len(annotations) > 0 {
		m := map[string]string{}
		for _, a := range annotations {
			k, v, _ := strings.Cut(a, "=")
			m[k] = v
		}
		u.SetAnnotations(m)
	}
	w.objects = append(w.objects, manifest.Object{Unstructured: u})
	return w
}

// listed adds an object to the inventory, with the hash of what Git has, and a baseline.
func (w *world) listed(kind, name string) *world {
	r := ref(kind, name)
	w.in.Inventory = append(w.in.Inventory, v1alpha1.InventoryEntry{ID: r.ID(), V: "v1", UID: "uid-" + name, Desired: "?", Baseline: "base"})
	return w
}

// runs adds a live object of owner.
func (w *world) runs(owner manifest.Owner, kind, name string, change ...func(*manifest.Live)) *world {
	r := ref(kind, name)
	l := manifest.Live{Ref: r, Version: "v1", UID: "uid-" + name, ResourceVersion: "7", Owner: owner, Owned: owner.UID != "", Baseline: "base"}
	for _, c := range change {
		c(&l)
	}
	w.live[r] = l
	return w
}

// has is listed and runs.
func (w *world) has(kind string, names ...string) *world {
	for _, name := range names {
		w.listed(kind, name).runs(me, kind, name)
	}
	return w
}

func (w *world) with(change func(*apply.Input)) *world {
	change(&w.in)
	return w
}

func namespacedKinds(gk schema.GroupKind) (bool, bool) {
	return !slices.Contains([]string{"Namespace", "PersistentVolume", "CustomResourceDefinition"}, gk.Kind), true
}

func (w *world) plan(t testing.TB) apply.ChangeSet {
	t.Helper()
	set, err := manifest.NewSet(w.objects, "shop", me, namespacedKinds)
	if err != nil {
		t.Fatal(err)
	}
	w.in.Set = set
	for i, e := range w.in.Inventory {
		r, _ := manifest.ParseID(e.ID)
		if item, ok := set.ByRef(r); ok && e.Desired == "?" {
			w.in.Inventory[i].Desired = key.Hash(item.Unstructured)
		}
	}
	w.in.Live = func(r manifest.Ref) (manifest.Live, bool) { l, ok := w.live[r]; return l, ok }
	if w.in.Synced == nil {
		w.in.Synced = func(schema.GroupKind) bool { return true }
	}
	for _, l := range w.live {
		if l.Owner.UID == me.UID {
			w.in.OwnedLive = append(w.in.OwnedLive, l)
		}
	}
	changes, err := apply.Plan(w.in)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func unsynced(in *apply.Input) { in.Synced = func(schema.GroupKind) bool { return false } }

func TestPlan(t *testing.T) {
	changed := func(l *manifest.Live) { l.Baseline = "changed" }
	reborn := manifest.Owner{Namespace: me.Namespace, Name: me.Name, UID: "uid-before"}
	tests := map[string]struct {
		reason string
		w      *world
		want   []string
	}{
		"new":                         {"nothing is known of it", newWorld().git("ConfigMap", "a"), []string{"Create ConfigMap a"}},
		"unchanged":                   {"hash and baseline are equal", newWorld().git("ConfigMap", "a").has("ConfigMap", "a"), []string{"Unchanged ConfigMap a"}},
		"drifted":                     {"the baseline differs", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a").runs(me, "ConfigMap", "a", changed), []string{"Update ConfigMap a"}},
		"made anew by us":             {"the UID differs", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a").runs(me, "ConfigMap", "a", func(l *manifest.Live) { l.UID = "new" }), []string{"Update ConfigMap a"}},
		"sent again":                  {"a sync was asked for", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").with(func(in *apply.Input) { in.Resend = true }), []string{"Update ConfigMap a"}},
		"gone":                        {"the watch is complete and does not have it", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a"), []string{"Create ConfigMap a"}},
		"not known yet":               {"the watch is not complete: nothing is missing", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a").with(unsynced), []string{"Unchanged ConfigMap a"}},
		"marked and not noted":        {"a crash between write and status", newWorld().git("ConfigMap", "a").runs(me, "ConfigMap", "a"), []string{"Update ConfigMap a"}},
		"of an earlier App":           {"same name, older UID", newWorld().git("ConfigMap", "a").runs(reborn, "ConfigMap", "a"), []string{"Update ConfigMap a"}},
		"of another App":              {"nobody can say that it is given away", newWorld().git("ConfigMap", "a").runs(other, "ConfigMap", "a"), []string{"Conflict ConfigMap a"}},
		"of nobody":                   {"it carries a copy of the label", newWorld().git("ConfigMap", "a").runs(manifest.Owner{}, "ConfigMap", "a"), []string{"Conflict ConfigMap a"}},
		"lost its mark":               {"the inventory knows its UID", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a").runs(manifest.Owner{}, "ConfigMap", "a"), []string{"Update ConfigMap a"}},
		"on its way out":              {"a write would be lost", newWorld().git("ConfigMap", "a").listed("ConfigMap", "a").runs(me, "ConfigMap", "a", func(l *manifest.Live) { l.Deleting = true }), []string{"Wait ConfigMap a"}},
		"unwanted":                    {"proven and allowed", newWorld().git("ConfigMap", "a").has("ConfigMap", "a", "b"), []string{"Unchanged ConfigMap a", "Delete ConfigMap b"}},
		"unwanted, watch incomplete":  {"no proof without the whole picture", newWorld().git("ConfigMap", "a").has("ConfigMap", "a", "b").with(unsynced), []string{"Unchanged ConfigMap a", "Wait ConfigMap b"}},
		"unwanted, gone":              {"there is nothing to delete", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").listed("ConfigMap", "b"), []string{"Unchanged ConfigMap a", "Gone ConfigMap b"}},
		"unwanted, never pruned":      {"the object says so", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").listed("ConfigMap", "b").runs(me, "ConfigMap", "b", func(l *manifest.Live) { l.Never = true }), []string{"Unchanged ConfigMap a", "Orphan ConfigMap b"}},
		"unwanted, of an earlier App": {"the UID proves nothing", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").listed("ConfigMap", "b").runs(reborn, "ConfigMap", "b"), []string{"Unchanged ConfigMap a", "Orphan ConfigMap b"}},
		"unwanted, mark gone":         {"no proof", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").listed("ConfigMap", "b").runs(manifest.Owner{}, "ConfigMap", "b"), []string{"Unchanged ConfigMap a", "Orphan ConfigMap b"}},
		"empty render":                {"a mistake until the Fleet says otherwise", newWorld().has("ConfigMap", "a"), []string{"Wait ConfigMap a"}},
		"empty render, removal":       {"the Fleet has answered for it", newWorld().has("ConfigMap", "a").with(func(in *apply.Input) { in.Removal = v1alpha1.RemovalApproved }), []string{"Delete ConfigMap a"}},
		"unwanted, sengu.yaml prunes nothing": {
			"the Delivery says so", newWorld().git("ConfigMap", "a").has("ConfigMap", "a", "b").with(func(in *apply.Input) { in.Prune = apply.PruneNever }),
			[]string{"Unchanged ConfigMap a", "Orphan ConfigMap b"},
		},
		"unwanted, sengu.yaml asks first": {
			"the Delivery says so", newWorld().git("ConfigMap", "a").has("ConfigMap", "a", "b").with(func(in *apply.Input) { in.Prune = apply.PruneConfirm }),
			[]string{"Unchanged ConfigMap a", "Wait ConfigMap b"},
		},
		"reverse order": {
			"what needs others goes before what it needs", newWorld().git("ConfigMap", "a").has("ConfigMap", "a", "b").has("Service", "b").has("Widget", "b").has("Pod", "b"),
			[]string{"Unchanged ConfigMap a", "Delete Widget b", "Delete Pod b", "Delete ConfigMap b", "Delete Service b"},
		},
		"namespace": {"always needs a person", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").has("Namespace", "old"), []string{"Unchanged ConfigMap a", "Wait Namespace old"}},
		"definition whose resource stays": {
			"deleting it would delete the resource", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").has("CustomResourceDefinition", "widgets.example.com").
				listed("Widget", "b").runs(me, "Widget", "b", func(l *manifest.Live) { l.Never = true }).
				with(func(in *apply.Input) { in.Confirmed = tokenOf("CustomResourceDefinition", "widgets.example.com") }),
			[]string{"Unchanged ConfigMap a", "Orphan Widget b", "Wait CustomResourceDefinition widgets.example.com"},
		},
		"namespace with something wanted in it": {
			"deleting it would delete that", newWorld().git("ConfigMap", "a").has("ConfigMap", "a").has("Namespace", "shop").
				with(func(in *apply.Input) { in.Confirmed = tokenOf("Namespace", "shop") }),
			[]string{"Unchanged ConfigMap a", "Wait Namespace shop"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes := test.w.plan(t)
			if got := actions(changes); !slices.Equal(got, test.want) {
				t.Errorf("%s\ngot  %v\nwant %v", test.reason, got, test.want)
			}
			for _, c := range changes.Changes {
				if c.Action != apply.Unchanged && c.Reason == "" {
					t.Errorf("%s %s does not say why", c.Action, c.Ref)
				}
			}
		})
	}
}

// tokenOf is what confirms the deletion of one object alone.
func tokenOf(kind, name string) string {
	w := newWorld().git("ConfigMap", "a").has("ConfigMap", "a").has(kind, name)
	set, _ := manifest.NewSet(w.objects, "elsewhere", me, namespacedKinds)
	w.in.Set = set
	w.in.Live = func(r manifest.Ref) (manifest.Live, bool) { l, ok := w.live[r]; return l, ok }
	w.in.Synced = func(schema.GroupKind) bool { return true }
	for _, l := range w.live {
		w.in.OwnedLive = append(w.in.OwnedLive, l)
	}
	changes, _ := apply.Plan(w.in)
	if changes.Pending == nil {
		return ""
	}
	return changes.Pending.Token
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("cm-%02d", i)
	}
	return list
}

func TestBudgetOfDeletions(t *testing.T) {
	keep := func(total, kept int) *world {
		w := newWorld().has("ConfigMap", names(total)...)
		for _, name := range names(kept) {
			w.git("ConfigMap", name)
		}
		return w
	}
	tests := map[string]struct {
		total, kept     int
		deletes, waits  int
		removal         v1alpha1.Removal
		wantConfirmable bool
	}{
		"nine of ten that remain four":  {9, 4, 5, 0, "", false},
		"half of ten":                   {10, 5, 5, 0, "", false},
		"more than half of ten":         {10, 4, 0, 6, "", true},
		"a removal that the Fleet owns": {12, 0, 12, 0, v1alpha1.RemovalApproved, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := keep(test.total, test.kept)
			w.in.Removal = test.removal
			changes := w.plan(t)
			if d, n := len(changes.Of(apply.Delete)), len(changes.Of(apply.Wait)); d != test.deletes || n != test.waits {
				t.Errorf("%d deletes and %d waits, want %d and %d", d, n, test.deletes, test.waits)
			}
			if (changes.Pending != nil) != test.wantConfirmable {
				t.Fatalf("pending: %+v", changes.Pending)
			}
			if changes.Pending == nil {
				return
			}
			if int(changes.Pending.Count) != test.waits || len(changes.Pending.Examples) == 0 || len(changes.Pending.Examples) > 10 {
				t.Errorf("pending: %+v", changes.Pending)
			}
			again := keep(test.total, test.kept)
			again.in.Confirmed = changes.Pending.Token
			if d := len(again.plan(t).Of(apply.Delete)); d != test.waits {
				t.Errorf("confirmed, %d are deleted, want %d", d, test.waits)
			}
			other := keep(test.total, test.kept-1)
			other.in.Confirmed = changes.Pending.Token
			if d := len(other.plan(t).Of(apply.Delete)); d != 0 {
				t.Errorf("the token of another deletion confirmed this one: %d deletes", d)
			}
		})
	}
}

func TestPreciousObjectsAlwaysNeedAPerson(t *testing.T) {
	for _, kind := range []string{"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume"} {
		for _, removal := range []v1alpha1.Removal{"", v1alpha1.RemovalApproved} {
			w := newWorld().has(kind, "old").has("ConfigMap", "a")
			if removal == "" {
				w.git("ConfigMap", "a")
			}
			w.in.Removal = removal
			changes := w.plan(t)
			if changes.Pending == nil || changes.Pending.Count != 1 || slices.Contains(actions(changes), "Delete "+kind+" old") {
				t.Errorf("%s (removal %q): %v", kind, removal, actions(changes))
			}
		}
	}
}

func TestWaves(t *testing.T) {
	w := newWorld().git("ConfigMap", "late", "sengu.dev/wave=2").git("ConfigMap", "early", "argocd.argoproj.io/sync-wave=-1").
		git("ConfigMap", "a").git("Service", "a").has("Service", "old")
	changes := w.plan(t)
	var got []string
	for _, wave := range changes.Waves() {
		for _, c := range wave.Changes {
			got = append(got, fmt.Sprintf("%d %s %s", wave.Number, c.Ref.Kind, c.Ref.Name))
		}
	}
	want := []string{"-1 ConfigMap early", "0 ConfigMap a", "0 Service a", "2 ConfigMap late"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if removals := changes.Removals(); len(removals) != 1 || removals[0].Ref.Name != "old" {
		t.Errorf("removals: %+v", removals)
	}
}

func TestInventoryIsNeverLost(t *testing.T) {
	old := newWorld().listed("ConfigMap", "a").listed("ConfigMap", "b").listed("ConfigMap", "c").in.Inventory
	r := apply.Result{
		Entries: []v1alpha1.InventoryEntry{{ID: ref("ConfigMap", "b").ID(), UID: "new"}, {ID: ref("ConfigMap", "d").ID()}},
		Dropped: []manifest.Ref{ref("ConfigMap", "c"), ref("ConfigMap", "never-there")},
	}
	var ids []string
	for _, e := range r.Inventory(old) {
		ids = append(ids, e.ID+"="+e.UID)
	}
	want := []string{"/ConfigMap/shop/a=uid-a", "/ConfigMap/shop/b=new", "/ConfigMap/shop/d="}
	if !slices.Equal(ids, want) {
		t.Errorf("got  %v\nwant %v", ids, want)
	}
	if _, err := apply.Plan(apply.Input{Owner: me, Inventory: []v1alpha1.InventoryEntry{{ID: "broken"}}}); err == nil {
		t.Error("an inventory that cannot be read is an error, and nothing may be done with it")
	}
}

func TestPlanOfFiveThousandObjects(t *testing.T) {
	w := newWorld()
	for i := range manifest.MaxObjects {
		w.git("ConfigMap", fmt.Sprintf("cm-%d", i)).has("ConfigMap", fmt.Sprintf("cm-%d", i))
	}
	w.plan(t) // fills in what a plan is made from
	start := time.Now()
	changes, err := apply.Plan(w.in)
	took := time.Since(start)
	if err != nil || len(changes.Of(apply.Unchanged)) != manifest.MaxObjects {
		t.Fatalf("%d unchanged: %v", len(changes.Of(apply.Unchanged)), err)
	}
	t.Logf("a plan of %d objects took %s", manifest.MaxObjects, took)
	if took > 5*time.Second {
		t.Errorf("a plan of %d objects took %s", manifest.MaxObjects, took)
	}
}

func BenchmarkPlanOfFiveThousandObjects(b *testing.B) {
	w := newWorld()
	for i := range manifest.MaxObjects {
		w.git("ConfigMap", fmt.Sprintf("cm-%d", i)).has("ConfigMap", fmt.Sprintf("cm-%d", i))
	}
	w.plan(b)
	for b.Loop() {
		if _, err := apply.Plan(w.in); err != nil {
			b.Fatal(err)
		}
	}
}
