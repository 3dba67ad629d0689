package cli

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// diagnose returns the reason that app is not as it should be, and what a person can do. The reason is the App's own,
// unless the controllers have not got to it: then it is what stands before it.
func (s snapshot) diagnose(app *v1alpha1.App) (*v1alpha1.Why, []string) {
	why := app.Status.Why
	if why == nil {
		why = s.before(app)
	}
	if why == nil && !app.Spec.Suspend && app.Spec.Removal == "" {
		if why, next := s.behind(app); why != nil {
			return why, next
		}
	}
	return why, s.next(app, why)
}

// before finds what keeps app from being looked at, in the order of the way of a change.
func (s snapshot) before(app *v1alpha1.App) *v1alpha1.Why {
	if fleet := s.fleet(app.Spec.Fleet); fleet != nil && fleet.Status.Why != nil {
		w := *fleet.Status.Why
		w.Message = fmt.Sprintf("Fleet %s: %s", fleet.Name, w.Message)
		return &w
	}
	settled := app.Status.Sync == v1alpha1.Synced && app.Status.Health == v1alpha1.Healthy
	if settled && app.Status.ObservedGeneration >= app.Generation {
		return nil
	}
	if k := s.cluster(app.Spec.Source.Cluster); k == nil {
		return &v1alpha1.Why{Message: fmt.Sprintf("There is no Cluster %s.", app.Spec.Source.Cluster), Since: app.CreationTimestamp}
	} else if k.Status.Why != nil {
		w := *k.Status.Why
		w.Message = fmt.Sprintf("Cluster %s: %s", k.Name, w.Message)
		return &w
	}
	if app.Status.ObservedGeneration < app.Generation {
		return &v1alpha1.Why{Message: "Sengu has not looked at what was last asked of this app."}
	}
	return &v1alpha1.Why{Message: fmt.Sprintf("It is %s and %s.", syncWord(app.Status.Sync), healthWord(app.Status.Health))}
}

// next says what moves app on, the most specific first.
func (s snapshot) next(app *v1alpha1.App, why *v1alpha1.Why) []string {
	st, name := app.Status, title(app)
	switch {
	case app.Spec.Suspend:
		return []string{fmt.Sprintf("it is suspended; `kubectl -n %s patch app %s --type merge -p '{\"spec\":{\"suspend\":false}}'` lets it go on", app.Namespace, app.Name)}
	case st.PendingRemoval != nil:
		return []string{fmt.Sprintf("`sengu confirm app/%s %s` deletes them; a commit that brings them back keeps them", app.Name, st.PendingRemoval.Token)}
	case app.Spec.Removal == v1alpha1.RemovalPending:
		return s.nextRemoval(app)
	case conditionFalse(st.Conditions, v1alpha1.ConditionRendered):
		return []string{fmt.Sprintf("fix the files and push; `%s` in a checkout shows first whether they render", diffOf(app))}
	case why == nil:
		return nil
	}
	if next := s.nextAround(app); next != nil {
		return next
	}
	switch {
	case conflicted(app):
		return []string{fmt.Sprintf("`sengu adopt %s --dry-run` shows what taking it over would change", name)}
	case len(st.Drift) > 0:
		return []string{fmt.Sprintf("`sengu sync %s` puts it back to what Git says; or commit what was changed", name)}
	case app.Status.ObservedGeneration < app.Generation:
		return []string{"see that the Sengu server runs: `sengu up --status` for a local plane, its Deployment otherwise"}
	case st.Health == v1alpha1.Degraded || st.Health == v1alpha1.Missing:
		return []string{
			fmt.Sprintf("`sengu tree %s` shows its objects and Pods", name),
			"a commit that mends it is applied as soon as it is pushed",
		}
	case st.Health == v1alpha1.Suspended:
		return []string{fmt.Sprintf("`sengu tree %s` shows which object is paused", name)}
	}
	return []string{fmt.Sprintf("wait; `sengu sync %s --wait` follows it", name)}
}

// nextAround says what to do about a fleet or a cluster that holds app up.
func (s snapshot) nextAround(app *v1alpha1.App) []string {
	k := s.cluster(app.Spec.Source.Cluster)
	switch {
	case k == nil:
		return []string{fmt.Sprintf("apply a Cluster %s in namespace %s; `sengu get clusters` lists what there is", app.Spec.Source.Cluster, app.Namespace)}
	case conditionFalse(k.Status.Conditions, v1alpha1.ConditionIdentified):
		return []string{fmt.Sprintf("if cluster %s has really been replaced, set spec.identity of the Cluster to the UID of its kube-system namespace", k.Name)}
	case conditionFalse(k.Status.Conditions, v1alpha1.ConditionReachable):
		return []string{fmt.Sprintf("see that cluster %s is up and that the Secret with its kubeconfig is right: `sengu get clusters`", k.Name)}
	}
	if f := s.fleet(app.Spec.Fleet); f != nil && app.Status.Why == nil && f.Status.Why != nil {
		return []string{fmt.Sprintf("mend the fleet first: `sengu get fleets %s`; what runs stays as it is", f.Name)}
	}
	return nil
}

func (s snapshot) nextRemoval(app *v1alpha1.App) []string {
	if f := s.fleet(app.Spec.Fleet); f != nil && f.Status.PendingRemoval != nil {
		return []string{fmt.Sprintf("`sengu confirm fleet/%s %s` lets it go; a commit that brings its folder back keeps it", f.Name, f.Status.PendingRemoval.Token)}
	}
	return []string{"its folder is gone from the repository; wait until the fleet lets it go, or bring the folder back"}
}

// diffOf is the call of `diff` for app.
func diffOf(app *v1alpha1.App) string {
	if app.Spec.Service == "" {
		return "sengu diff"
	}
	return "sengu diff -e " + app.Spec.Environment + " " + app.Spec.Service
}

// conflicted says whether app waits because something else owns an object that it wants.
func conflicted(app *v1alpha1.App) bool {
	c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionFalse && c.Reason == "Conflict"
}

func conditionFalse(conditions []metav1.Condition, name string) bool {
	return meta.IsStatusConditionFalse(conditions, name)
}

func (s snapshot) fleet(name string) *v1alpha1.Fleet {
	for i := range s.fleets {
		if s.fleets[i].Name == name {
			return &s.fleets[i]
		}
	}
	return nil
}

func (s snapshot) cluster(name string) *v1alpha1.Cluster {
	for i := range s.clusters {
		if s.clusters[i].Name == name {
			return &s.clusters[i]
		}
	}
	return nil
}

// objectName says an id of the inventory for people, and anything else as it is.
func objectName(id string) string {
	ref, err := manifest.ParseID(id)
	if err != nil {
		return id
	}
	return ref.String()
}
