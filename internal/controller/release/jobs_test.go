package release

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/release"
	"github.com/sengu-dev/sengu/internal/render"
)

// runs starts the Job of a Release, and returns its UID.
func (y *yard) runs(one *v1alpha1.Release) string {
	y.t.Helper()
	y.look(one)
	step := one.Status.Environments[0].Steps[0]
	if step.Phase != v1alpha1.StepRunning || step.UID == "" || y.made()[step.Job] != step.UID {
		y.t.Fatalf("the Job was not made: %+v, and there are %v", step, y.made())
	}
	return step.UID
}

// TestJobThatRunsIsFollowed restarts Sengu while a Job runs, when what it was made from cannot be had.
func TestJobThatRunsIsFollowed(t *testing.T) {
	cases := map[string]struct {
		reason string
		// noted is false if a crash has kept the Job from being noted.
		noted bool
		does  plan
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"Unrendered":      {"A Job that is noted needs no render.", true, among, nil, ""},
		"UnrenderedCrash": {"One that is not noted is found by its name.", false, among, nil, ""},
		"NoStep":          {"It runs, also if sengu.yaml is read otherwise now.", true, plan{}, nil, ""},
		"NoStepCrash":     {"So it does if it was not noted.", false, plan{}, nil, ""},
		"NoCheck":         {"A Check that is gone takes nothing back.", true, plan{Plan: release.Plan{Problem: "there is no Check migrate"}}, nil, ""},
		"NoCheckCrash":    {"So it does if it was not noted.", false, plan{Plan: release.Plan{Problem: "there is no Check migrate"}}, nil, ""},
		"Unread":          {"That it cannot be read says nothing about it.", true, inline, answers(http.MethodGet, "/jobs", 500, "InternalError", "etcd is gone"), "etcd is gone"},
		"UnreadCrash":     {"Nor that it cannot be looked for.", false, among, answers(http.MethodGet, "/jobs", 503, "ServiceUnavailable", "later"), "later"},
		"UnreadLater":     {"Nor that it cannot be read once it was found.", true, inline, after(1, answers(http.MethodGet, "/jobs", 500, "InternalError", "etcd is gone")), "etcd is gone"},
		"ForbiddenLater":  {"Nor that its service account may not.", true, inline, after(1, answers(http.MethodGet, "/jobs", 403, "Forbidden", "you cannot get jobs")), "you cannot get jobs"},
		"Unprepared":      {"Nothing is made for one that is noted.", true, needsNamespace, answers(http.MethodPost, "", 403, "Forbidden", "nothing is to be made"), ""},
		"Forbidden":       {"Nor that somebody has taken the right to.", true, inline, answers(http.MethodGet, "/jobs", 403, "Forbidden", "you cannot get jobs"), "you cannot get jobs"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			one := y.brings(1, inline)
			uid := y.runs(one)
			step := &one.Status.Environments[0].Steps[0]
			noted := uid
			if !tc.noted {
				step.Job, step.UID, step.Started, noted = "migrate", "", nil, ""
			}
			y.restart()
			y.plans(one, tc.does)
			if tc.fault == nil {
				y.follows(tc.reason, one, uid)
				return
			}
			y.fault(tc.fault)
			made := y.creates.Load()
			y.expect(tc.reason, one, v1alpha1.StepRunning, noted, tc.want)
			if n := y.creates.Load() - made; n != 0 && tc.noted {
				t.Errorf("%d creates were sent for a Job that is noted", n)
			}
			y.mend()
			y.clock.Step(pauseFirst)
			y.follows("and then it is read", one, uid)
			if all := y.made(); len(all) != 1 {
				t.Errorf("it was made again: %v", all)
			}
		})
	}
}

// TestJobElsewhereIsFollowed finds a Job whose template named another namespace.
func TestJobElsewhereIsFollowed(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, inline)
	uid := y.runs(one)
	one.Spec.Environments[0].Namespace = y.plane.Namespace(t)
	y.restart()
	y.plans(one, among)
	y.follows("in another namespace", one, uid)
}

// TestJobOutlivesItsRelease ends a Release while its Job runs, as when it is degraded for too long meanwhile or somebody rolls
// back: the Job is followed to its end, so that no other begins beside it.
func TestJobOutlivesItsRelease(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, inline)
	uid := y.runs(one)
	at := metav1.NewTime(y.clock.Now())
	one.Status.Environments[0].Stage, one.Status.Ended = v1alpha1.StageFailed, &at
	y.r.plans.forget(client.ObjectKeyFromObject(one))
	for _, when := range []string{"when it has ended", "after a restart"} {
		y.expect(when, one, v1alpha1.StepRunning, uid, "")
		y.restart()
	}
}

// TestJobThatWasDeletedHasFailed looks for a Job that is nowhere: it is not made again.
func TestJobThatWasDeletedHasFailed(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, inline)
	uid := y.runs(one)
	y.plane.Request(t, http.MethodDelete, "/apis/batch/v1/namespaces/"+y.namespace+"/jobs/"+one.Status.Environments[0].Steps[0].Job+"?propagationPolicy=Background", nil)
	y.restart()
	y.plans(one, inline)
	y.expect("it is gone", one, v1alpha1.StepFailed, uid, "it was deleted before its outcome was seen")
	if all := y.made(); len(all) != 0 {
		t.Errorf("it was made again: %v", all)
	}
}

// TestTroubleWithAJobThatWasNotMade tries again what may pass, not at once, and fails at what does not.
func TestTroubleWithAJobThatWasNotMade(t *testing.T) {
	cases := map[string]struct {
		does  plan
		fault func(http.ResponseWriter, *http.Request) bool
		want  string
		lasts bool
	}{
		"Namespace500":     {needsNamespace, answers(http.MethodPost, "/namespaces", 500, "InternalError", "etcd is gone"), "etcd is gone", false},
		"Namespace429":     {needsNamespace, answers(http.MethodPost, "/namespaces", 429, "TooManyRequests", "too much"), "too much", false},
		"NamespaceQuota":   {needsNamespace, answers(http.MethodPost, "/namespaces", 403, "Forbidden", "exceeded quota: names"), "exceeded quota", false},
		"NamespaceRefused": {needsNamespace, answers(http.MethodPost, "/namespaces", 422, "Invalid", "no such name"), "no such name", true},
		"Job500":           {inline, answers(http.MethodPost, "/jobs", 500, "InternalError", "etcd is gone"), "etcd is gone", false},
		"JobRefused":       {inline, answers(http.MethodPost, "/jobs", 422, "Invalid", "no such field"), "no such field", true},
		"JobUnread":        {inline, answers(http.MethodGet, "/jobs", 500, "InternalError", "etcd is gone"), "etcd is gone", false},
		"NoStep":           {plan{}, answers("", "", 0, "", ""), "sengu.yaml has no step migrate any more", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			one := y.brings(1, tc.does)
			y.fault(tc.fault)
			if tc.lasts {
				y.expect("it lasts", one, v1alpha1.StepFailed, "", tc.want)
				return
			}
			y.expect("it may pass", one, v1alpha1.StepRunning, "", tc.want)
			before := y.asked.Load()
			y.expect("and again at once", one, v1alpha1.StepRunning, "", tc.want)
			if n := y.asked.Load() - before; n != 0 {
				t.Errorf("%d requests were sent before the next try was due", n)
			}
			y.woken()
			y.clock.Step(pauseFirst)
			if !y.woken() {
				t.Error("nobody is woken to try again")
			}
			y.expect("tried again", one, v1alpha1.StepRunning, "", tc.want)
			y.clock.Step(pauseFirst)
			if y.woken() {
				t.Error("the pause does not grow")
			}
			y.mend()
			y.clock.Step(pauseFirst)
			y.runs(one)
			if len(y.r.jobs.pauses) != 0 {
				t.Errorf("pauses are kept: %v", y.r.jobs.pauses)
			}
		})
	}
}

// TestAJobIsNotPreparedForEver fails one whose repository cannot be read for long: nobody could abort its Release.
func TestAJobIsNotPreparedForEver(t *testing.T) {
	y := newYard(t)
	does := among
	does.Deadline = 15 * time.Minute
	one := y.brings(1, does)
	for range 14 {
		y.expect("the repository is not there", one, v1alpha1.StepRunning, "", "all.git")
		y.clock.Step(time.Minute)
	}
	y.clock.Step(time.Minute)
	y.expect("for long", one, v1alpha1.StepFailed, "", "it could not be prepared within 15m0s: ")
}

// TestAJobIsNotRefusedForEver fails one that the API server refuses for now, again and again.
func TestAJobIsNotRefusedForEver(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, inline)
	y.fault(answers(http.MethodPost, "/jobs", 403, "Forbidden", "exceeded quota: jobs"))
	for range 10 {
		y.expect("there is no room", one, v1alpha1.StepRunning, "", "exceeded quota: jobs")
		y.clock.Step(time.Minute)
	}
	y.expect("for long", one, v1alpha1.StepFailed, "", "it could not be prepared within 10m0s: ")
}

// TestWhatHoldsUp says when it is known that there is no Job: only then may its Release be ended.
func TestWhatHoldsUp(t *testing.T) {
	for name, tc := range map[string]struct {
		does  plan
		fault func(http.ResponseWriter, *http.Request) bool
		want  bool
	}{
		"NotPrepared":         {needsNamespace, answers(http.MethodPost, "/namespaces", 500, "InternalError", "etcd is gone"), true},
		"NotRendered":         {among, answers("", "", 0, "", ""), true},
		"NotPreparedNorFound": {among, answers(http.MethodGet, "/jobs", 500, "InternalError", "etcd is gone"), false},
		"NoAnswer":            {inline, answers(http.MethodPost, "/jobs", 504, "Timeout", "it took too long"), false},
		"Quota":               {inline, answers(http.MethodPost, "/jobs", 403, "Forbidden", "exceeded quota: jobs"), true},
		"TooMany":             {inline, answers(http.MethodPost, "/jobs", 429, "TooManyRequests", "too much"), true},
	} {
		y := newYard(t)
		one := y.brings(1, tc.does)
		y.fault(tc.fault)
		for _, when := range []string{"at once", "while it rests"} {
			if state, _ := y.look(one); state.Phase != v1alpha1.StepRunning || state.Unmade != tc.want {
				t.Errorf("%s, %s: it is told to be %+v, want unmade %v", name, when, state, tc.want)
			}
		}
	}
}

// TestNothingIsBegunAnyMore has people ask for something else, or a Release stop, before its Job was seen to be made: one that
// was made all the same is followed, and else none is made, and the step holds nothing up.
func TestNothingIsBegunAnyMore(t *testing.T) {
	held := &v1alpha1.App{Spec: v1alpha1.AppSpec{Hold: &v1alpha1.Hold{By: "ann"}}}
	for name, tc := range map[string]struct {
		change func(one *v1alpha1.Release, at *v1alpha1.ReleaseEnvironmentStatus) *v1alpha1.App
		want   string
	}{
		"Stopped": {func(_ *v1alpha1.Release, at *v1alpha1.ReleaseEnvironmentStatus) *v1alpha1.App {
			at.Stage = v1alpha1.StageRolledBack
			return nil
		}, "it was not made before its Release had stopped here"},
		"Aborted": {func(one *v1alpha1.Release, _ *v1alpha1.ReleaseEnvironmentStatus) *v1alpha1.App {
			one.Spec.Actions = []v1alpha1.ReleaseAction{{Verb: v1alpha1.VerbApprove, Environment: "staging"}, {Verb: v1alpha1.VerbAbort, Environment: "staging"}}
			one.Status.HandledActions = 1
			return nil
		}, "it was not made before its Release was aborted"},
		"Held": {func(*v1alpha1.Release, *v1alpha1.ReleaseEnvironmentStatus) *v1alpha1.App { return held }, "it was not made before ann held the environment"},
	} {
		for _, made := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/made %v", name, made), func(t *testing.T) {
				y := newYard(t)
				one := y.brings(1, inline)
				uid, at := "", &one.Status.Environments[0]
				if made {
					uid = y.runs(one)
					at.Steps[0].Job, at.Steps[0].UID = "migrate", ""
					y.restart()
					y.plans(one, inline)
				} else {
					y.fault(answers(http.MethodPost, "/jobs", 504, "Timeout", "it took too long"))
					y.expect("no answer", one, v1alpha1.StepRunning, "", "it took too long")
					y.mend()
					y.clock.Step(pauseFirst)
				}
				y.app = tc.change(one, at)
				if made {
					y.follows("it runs", one, uid)
				} else if state, seen := y.look(one); !seen || !state.Unmade || state.Message != tc.want {
					t.Errorf("it is told to be %+v, want unmade: %s", state, tc.want)
				}
				if n := len(y.made()); n != map[bool]int{true: 1}[made] {
					t.Errorf("there are %d Jobs", n)
				}
			})
		}
	}
}

// TestNotWithoutItsCluster has a Release whose first Job runs in a cluster that is not there: it says so, and nothing is begun.
func TestNotWithoutItsCluster(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(one *v1alpha1.Release)
		before []string
		want   string
	}{
		"Away":  {func(one *v1alpha1.Release) { one.Spec.Environments[0].Cluster = "gone" }, []string{"migrate"}, "cluster gone: it has not been reached yet"},
		"There": {func(*v1alpha1.Release) {}, []string{"migrate"}, ""},
		"NoJob": {func(one *v1alpha1.Release) { one.Spec.Environments[0].Cluster = "gone" }, nil, ""},
		"Applied": {func(one *v1alpha1.Release) {
			one.Spec.Environments[0].Cluster = "gone"
			one.Status.Environments[0].Moved = &metav1.Time{}
		}, []string{"migrate"}, ""},
		"Made": {func(one *v1alpha1.Release) {
			one.Spec.Environments[0].Cluster = "gone"
			one.Status.Environments[0].Steps[0].UID = "u"
		}, []string{"migrate"}, ""},
	} {
		y := newYard(t)
		one := y.brings(1, inline)
		tc.change(one)
		place := release.Place{Release: one.Name, Environment: "staging"}
		world := release.Service{Fleet: y.fleet, Releases: []*v1alpha1.Release{one}, Plans: map[release.Place]release.Plan{place: {Before: tc.before}}}
		if y.r.unreached(&world); world.Plans[place].Problem != tc.want {
			t.Errorf("%s: it says %q, want %q", name, world.Plans[place].Problem, tc.want)
		}
	}
}

// TestAStepThatIsNotPlannedIsNotBegun says nothing of a step that was noted, so that it is forgotten.
func TestAStepThatIsNotPlannedIsNotBegun(t *testing.T) {
	y := newYard(t)
	one := y.brings(1, plan{Plan: release.Plan{Problem: "there is no Check migrate"}})
	if state, seen := y.look(one); seen {
		t.Errorf("it is told to be %+v", state)
	}
}

// TestEveryReleaseHasItsOwnJob brings a revision a second time, as when a branch goes back to it.
func TestEveryReleaseHasItsOwnJob(t *testing.T) {
	y := newYard(t)
	first, second := y.brings(1, inline), y.brings(2, inline)
	uids := []string{y.runs(first), y.runs(second)}
	again := y.brings(2, inline)
	again.Status.Environments[0].Attempt = 1
	uids = append(uids, y.runs(again))
	slices.Sort(uids)
	if n := len(slices.Compact(uids)); n != 3 {
		t.Errorf("%d Jobs were made for two Releases and one more try", n)
	}
	y.restart()
	for _, one := range []*v1alpha1.Release{first, second, again} {
		step := &one.Status.Environments[0].Steps[0]
		uid, name := step.UID, step.Job
		y.plans(one, inline)
		step.Job, step.UID, step.Started = "migrate", "", nil
		y.follows("after a crash", one, uid)
		if step.Job != name {
			t.Errorf("it was called %s and is called %s", name, step.Job)
		}
	}
	if all := y.made(); len(all) != 3 {
		t.Errorf("Jobs were made again: %v", all)
	}
}

// formerly makes the Job of a Release as Sengu did before it told Releases of one revision apart.
func (y *yard) formerly(one *v1alpha1.Release, run string) (name, uid string) {
	y.t.Helper()
	app := appOf(y.fleet, one, one.Spec.Environments[0]).Name
	s := job.Spec{
		Name: job.Name(app, run, "migrate"), Namespace: y.namespace, Owner: manifest.Owner{Namespace: "sengu", Name: app, UID: string(y.fleet.UID)},
		Release: one.Name, Environment: "staging", Step: "migrate", Container: job.Container{Image: "example.com/migrate:1"},
	}
	state, err := job.Ensure(y.t.Context(), y.conn, kube.As{}, s)
	if err != nil {
		y.t.Fatal(err)
	}
	return s.Name, state.UID
}

// TestJobsOfAnEarlierVersion holds that an upgrade runs no Job a second time, and that an earlier Release's Job under the
// former name is in nobody's way.
func TestJobsOfAnEarlierVersion(t *testing.T) {
	cases := map[string]struct {
		attempt int32
		run     string
		noted   func(step *v1alpha1.StepStatus, name, uid string)
		does    plan
	}{
		"Noted":        {0, revision, func(s *v1alpha1.StepStatus, name, uid string) { s.Job, s.UID = name, uid }, inline},
		"OtherRule":    {0, "by a rule that nobody knows any more", func(s *v1alpha1.StepStatus, name, uid string) { s.Job, s.UID = name, uid }, among},
		"NotNoted":     {0, revision, func(*v1alpha1.StepStatus, string, string) {}, inline},
		"NotRendered":  {0, revision, func(*v1alpha1.StepStatus, string, string) {}, among},
		"NamedOnly":    {0, revision, func(s *v1alpha1.StepStatus, name, _ string) { s.Job = name }, inline},
		"AnotherTry":   {2, revision + ".2", func(*v1alpha1.StepStatus, string, string) {}, inline},
		"TryNamedOnly": {2, revision + ".2", func(s *v1alpha1.StepStatus, name, _ string) { s.Job = name }, among},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			one := y.brings(7, tc.does)
			at := &one.Status.Environments[0]
			at.Attempt = tc.attempt
			job, uid := y.formerly(one, tc.run)
			tc.noted(&at.Steps[0], job, uid)
			y.follows("it is followed", one, uid)
			if all := y.made(); len(all) != 1 {
				t.Errorf("a second one was made: %v", all)
			}
			next := y.brings(8, inline)
			next.Status.Environments[0].Attempt = tc.attempt
			y.runs(next)
			if all := y.made(); len(all) != 2 {
				t.Errorf("the next Release has made %v", slices.Collect(maps.Keys(all)))
			}
		})
	}
}

func TestPasses(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	cases := map[string]struct {
		err  error
		want bool
	}{
		"RenderTemporary": {&render.Error{Sentence: "it is down", Temporary: true}, true},
		"Render":          {&render.Error{Sentence: "line 3"}, false},
		"Network":         {errors.New("connection refused"), true},
		"Internal":        {apierrors.NewInternalError(errors.New("x")), true},
		"Timeout":         {apierrors.NewServerTimeout(jobs, "create", 1), true},
		"NotFound":        {apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "chart"), true},
		"Unauthorized":    {apierrors.NewUnauthorized("x"), true},
		"Forbidden":       {apierrors.NewForbidden(jobs, "a", errors.New("no")), false},
		"Quota":           {apierrors.NewForbidden(jobs, "a", errors.New("exceeded quota: b")), true},
		"Invalid":         {apierrors.NewInvalid(schema.GroupKind{Kind: "Namespace"}, "a", nil), false},
		"BadRequest":      {apierrors.NewBadRequest("x"), false},
		"Refused":         {&job.Refusal{Sentence: "x"}, false},
		"RefusedForNow":   {&job.Refusal{Sentence: "x", Temporary: true}, true},
		"Lasting":         {&trouble{"x", errLasting}, false},
		"Unplanned":       {&trouble{"x", errUnplanned}, true},
	}
	for name, tc := range cases {
		for _, err := range []error{tc.err, fmt.Errorf("prepare: %w", tc.err)} {
			if got := passes(err); got != tc.want {
				t.Errorf("%s: passes(%v) = %v", name, err, got)
			}
		}
	}
}
