package cli

import (
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// appTable lists Apps, one a line.
func appTable(now time.Time, snap snapshot, o getOptions) *table {
	t := &table{}
	head := []string{"app", "fleet", "cluster", "namespace", "revision", "sync", "health", "age"}
	wide := o.output == "wide"
	if wide {
		head = append(head, "objects", "name", "why")
	}
	t.head(head...)
	for _, app := range sorted(snap, o.filter) {
		st := app.Status
		row := []cell{
			{text: title(app)}, {text: app.Spec.Fleet}, {text: app.Spec.Source.Cluster}, {text: app.Spec.Source.Namespace},
			{text: revisions(app)}, {text: syncWord(st.Sync), style: syncStyle(st.Sync)},
			{text: healthWord(st.Health), style: healthStyle(st.Health)},
			{text: age(now, lastSynced(app))},
		}
		if wide {
			row = append(row, cell{text: strconv.Itoa(len(st.Inventory))}, cell{text: app.Name}, cell{text: snap.remark(now, app)})
		}
		t.add(row...)
	}
	return t
}

// remark is the why of an App, or else that it is held or that a change waits before it.
func (s snapshot) remark(now time.Time, app *v1alpha1.App) string {
	if app.Status.Why != nil {
		return app.Status.Why.Message
	}
	if by := heldBy(now, app); by != "" {
		return "held " + by
	}
	if r, is := s.coming(app); r != nil {
		return r.Name + " is not here: " + waitsFor(r, is)
	}
	return ""
}

// revisions says what an App runs, and what it should run if that is something else.
func revisions(app *v1alpha1.App) string {
	runs, should := app.Status.Revision, app.Spec.Source.Revision
	if runs == should {
		return short(runs)
	}
	return short(runs) + "→" + short(should)
}

// clusterTable lists Clusters.
func clusterTable(now time.Time, snap snapshot, o getOptions) *table {
	t := &table{}
	t.head("cluster", "ready", "version", "apps", "age", "why")
	count := map[string]int{}
	for i := range snap.apps {
		count[snap.apps[i].Spec.Source.Cluster]++
	}
	for i := range snap.clusters {
		k := &snap.clusters[i]
		if !o.filter.named(k.Name) {
			continue
		}
		t.add(cell{text: k.Name}, ready(k.Status.Conditions), cell{text: dash(k.Status.Version)},
			cell{text: strconv.Itoa(count[k.Name])}, cell{text: age(now, k.CreationTimestamp.Time)}, cell{text: message(k.Status.Why)})
	}
	return t
}

// fleetTable lists Fleets.
func fleetTable(now time.Time, snap snapshot, o getOptions) *table {
	t := &table{}
	t.head("fleet", "ready", "revision", "branch", "services", "apps", "environments", "age", "why")
	for i := range snap.fleets {
		f := &snap.fleets[i]
		if (o.filter.fleet != "" && o.filter.fleet != f.Name) || !o.filter.named(f.Name) {
			continue
		}
		t.add(cell{text: f.Name}, ready(f.Status.Conditions), cell{text: short(f.Status.Revision)}, cell{text: f.Spec.Git.Branch},
			cell{text: strconv.Itoa(int(f.Status.Services))}, cell{text: strconv.Itoa(int(f.Status.Apps))},
			cell{text: environmentList(f)}, cell{text: age(now, f.CreationTimestamp.Time)}, cell{text: message(f.Status.Why)})
	}
	return t
}

// named says whether the arguments of `get` mean an object of this name.
func (f filter) named(name string) bool {
	if len(f.services) == 0 {
		return true
	}
	for _, s := range f.services {
		if s == name {
			return true
		}
	}
	return false
}

func environmentList(f *v1alpha1.Fleet) string {
	text := ""
	for i, e := range f.Spec.Environments {
		if i > 0 {
			text += " "
		}
		text += e.Name
	}
	return text
}

// ready says the condition Ready in a word.
func ready(conditions []metav1.Condition) cell {
	c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown:
		return cell{text: "unknown", style: dim}
	case c.Status == metav1.ConditionTrue:
		return cell{text: "yes", style: green}
	}
	return cell{text: "no", style: red}
}

func message(w *v1alpha1.Why) string {
	if w == nil {
		return ""
	}
	return w.Message
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
