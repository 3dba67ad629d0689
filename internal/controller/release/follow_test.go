package release

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

var web = keyOf("sengu", "shop", "web")

// pass asks about the Jobs of all Releases of the service.
func (y *yard) pass(releases ...*v1alpha1.Release) {
	y.t.Helper()
	y.r.states(y.t.Context(), &release.Service{Fleet: y.fleet, Name: "web", Releases: releases})
}

// keeps expects what is kept of Jobs: of so many, of which so many are followed by the watcher of the cluster.
func (y *yard) keeps(what string, all int, followed ...*v1alpha1.Release) {
	y.t.Helper()
	j := &y.r.jobs
	if len(j.follows[web]) != all || len(j.specs) > all || len(j.pauses) > all || all == 0 && len(j.follows) > 0 {
		y.t.Errorf("%s, %d Jobs, %d specs and %d pauses are kept, want %d", what, len(j.follows[web]), len(j.specs), len(j.pauses), all)
	}
	w := j.watchers[types.NamespacedName{Namespace: "sengu", Name: "dev"}].watcher
	known := 0
	for name := range y.made() {
		if _, is := w.State(y.namespace, name); is {
			known++
		}
	}
	if known != len(followed) || w.Watching() != (len(followed) > 0) {
		y.t.Errorf("%s, %d Jobs are followed, want %d, and there are watches: %v", what, known, len(followed), w.Watching())
	}
	for _, one := range followed {
		if _, is := w.State(y.namespace, one.Status.Environments[0].Steps[0].Job); !is {
			y.t.Errorf("%s, the Job of %s is not followed any more", what, one.Name)
		}
	}
}

// TestWhatIsKeptOfJobs ends when their outcome is recorded, whatever that was, or their Release is gone, and not with their
// Release.
func TestWhatIsKeptOfJobs(t *testing.T) {
	y := newYard(t)
	first, second, refused, away := y.brings(1, inline), y.brings(2, inline), y.brings(3, inline), y.brings(4, among)
	y.runs(first)
	y.runs(second)
	y.pass(first, second)
	y.keeps("two run", 2, first, second)

	y.fault(answers(http.MethodPost, "/jobs", 422, "Invalid", "no such field"))
	y.pass(first, second, refused)
	refused.Status.Environments[0].Steps[0].Phase = v1alpha1.StepFailed
	y.mend()
	y.pass(first, second, refused, away)
	y.keeps("one was refused and one cannot be rendered", 3, first, second)
	if len(y.r.jobs.pauses) != 1 {
		t.Errorf("%d are to be tried again", len(y.r.jobs.pauses))
	}
	y.pass(first, second, refused)
	y.keeps("that one is gone", 2, first, second)

	at := metav1.NewTime(y.clock.Now())
	first.Status.Environments[0].Stage, first.Status.Ended = v1alpha1.StageFailed, &at
	y.pass(first, second, refused)
	y.keeps("a Release has ended", 2, first, second)
	first.Status.Environments[0].Steps[0].Phase = v1alpha1.StepSucceeded
	y.pass(first, second, refused)
	y.keeps("and its Job", 1, second)
	y.pass(first, second, refused)
	y.keeps("and nothing happens", 1, second)
	y.pass(first, refused)
	y.keeps("the other Release is gone", 0)
}

// TestNothingIsKeptOfAFleetThatIsGone deletes a Fleet while a Job of its runs and a check of its was answered.
func TestNothingIsKeptOfAFleetThatIsGone(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, inline)
	y.runs(one)
	key := release.StepKey{Release: one.Name, Environment: "staging", Step: "ready"}
	y.r.asker.begin(web, key)
	y.r.asker.end(web, key, release.Look{Passed: true})
	y.keeps("it runs", 1, one)
	if _, err := y.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: web}); err != nil {
		t.Fatal(err)
	}
	y.keeps("its Fleet is gone", 0)
	if len(y.r.asker.looks) != 0 {
		t.Errorf("answers are kept: %v", y.r.asker.looks)
	}
}

// TestAnswersAreTakenInOnce gives a service its answers, and those of a Release that is gone to nobody else.
func TestAnswersAreTakenInOnce(t *testing.T) {
	a, other := &asker{}, keyOf("sengu", "shop", "api")
	key, gone := release.StepKey{Release: "web.1", Step: "ready"}, release.StepKey{Release: "web.0", Step: "ready"}
	for _, one := range []release.StepKey{key, gone} {
		if !a.begin(web, one) || a.begin(web, one) {
			t.Fatalf("%v is not asked once", one)
		}
		a.end(web, one, release.Look{Passed: true})
	}
	if a.begin(web, key) {
		t.Error("it is asked again before its answer is taken in")
	}
	if got := a.answers(other); len(got) != 0 {
		t.Errorf("another service is told %v", got)
	}
	if got := a.answers(web); !got[key].Passed {
		t.Errorf("it is told %v", got)
	}
	if got := a.answers(web); len(got) != 0 || len(a.looks) != 0 {
		t.Errorf("it is told twice: %v, and kept is %v", got, a.looks)
	}
	if !a.begin(web, key) {
		t.Error("it is not asked again")
	}
}

// TestNothingIsKeptOfAReleaseThatIsGone deletes one that had not ended.
func TestNothingIsKeptOfAReleaseThatIsGone(t *testing.T) {
	r := &Reconciler{}
	one := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "web.1"}}
	one.Spec.Environments = []v1alpha1.ReleaseEnvironment{{Name: "staging"}}
	name := client.ObjectKeyFromObject(one)
	r.releases.Keep(one)
	r.plans.put(name, 0, r.plans.begin(), map[string]plan{})
	r.desk.begin(release.Place{Release: one.Name, Environment: "staging"}, "", metav1.Now().Time)
	if !r.gone(event.DeleteEvent{Object: one}) {
		t.Error("its service is not looked at")
	}
	if _, kept := r.releases.Kept(name); kept || r.plans.get(name, 0) != nil || len(r.plans.of)+len(r.plans.read)+len(r.desk.papers) != 0 {
		t.Errorf("kept are %v, %v and, of it, %v", r.plans.of, r.desk.papers, kept)
	}
}
