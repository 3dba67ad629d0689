package job_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestJobThatFails(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	b.die(b.pods(s, 1)[0], 3)
	state := b.becomes(s, job.Failed)
	if !strings.HasPrefix(state.Message, "has failed: its Pod failed; Pod "+s.Name) || !strings.Contains(state.Message, "container job has exited with code 3") || state.Gone || state.Finished.IsZero() {
		t.Errorf("got %+v", state)
	}
	again, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
	if err != nil || again.Message != state.Message || again.Phase != job.Failed {
		t.Errorf("a failed Job is not run again: %+v, %v", again, err)
	}
	b.pods(s, 1)
}

func TestJobThatTriesAgain(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	s.BackoffLimit = new(int32(1))
	b.ensure(s)
	first := b.pods(s, 1)[0]
	b.die(first, 3)
	b.says(s, "is running, after 1 Pod failed; Pod "+s.Name)
	b.says(s, "exited with code 3")
	for _, path := range b.pods(s, 2) {
		if path != first {
			b.die(path, 4)
		}
	}
	state := b.becomes(s, job.Failed)
	if !strings.HasPrefix(state.Message, "has failed: 2 of its Pods failed, which is more than its backoffLimit allows; Pod ") || !strings.Contains(state.Message, "exited with code 4") {
		t.Errorf("got %s", state.Message)
	}
}

func TestJobThatCannotStart(t *testing.T) {
	b := newBench(t)
	cases := map[string]struct {
		change  func(spec map[string]any)
		reason  string
		message string
		want    string
	}{
		"Image":  {nil, "ImagePullBackOff", "no such image", "ImagePullBackOff: image example.com/migrate:1 of container job: no such image"},
		"Secret": {nil, "CreateContainerConfigError", `secret "db" not found`, `CreateContainerConfigError: container job: secret "db" not found`},
		"Unscheduled": {func(spec map[string]any) {
			spec["template"].(map[string]any)["spec"].(map[string]any)["nodeSelector"] = map[string]any{"no": "such"}
		}, "", "", "Unschedulable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var change []func(map[string]any)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			s := b.held(strings.ToLower(name), change...)
			s.Release = "release-" + name
			b.ensure(s)
			if tc.reason != "" {
				b.waits(b.pods(s, 1)[0], tc.reason, tc.message)
			}
			b.says(s, "is running; Pod "+s.Name)
			if state := b.says(s, tc.want); state.Phase != job.Running {
				t.Errorf("got %+v", state)
			}
			testenv.Eventually(t, soon, func() error {
				if b.notices(s.Release) == 0 {
					return errors.New("the Release is not told")
				}
				return nil
			})
			// A Watcher that comes later finds out as well, though nothing happens any more.
			next := b.newWatcher()
			defer next.Close()
			testenv.Eventually(t, soon, func() error {
				state, err := next.Ensure(t.Context(), kube.As{}, s)
				if err == nil && !strings.Contains(state.Message, tc.want) {
					err = fmt.Errorf("got %+v", state)
				}
				return err
			})
		})
	}
}

func TestAdoptedJobIsJudgedWhileWatchesAreHeld(t *testing.T) {
	b := newBench(t, func(o *job.Options) { o.LookAgain = time.Hour })
	other := b.held("other")
	b.ensure(other)
	s := b.held("migrate")
	b.mustMake(s)
	b.waits(b.pods(s, 1)[0], "ImagePullBackOff", "no such image")
	marker := b.held("marker")
	b.ensure(marker)
	b.waits(b.pods(marker, 1)[0], "ImagePullBackOff", "no such image")
	b.says(marker, "ImagePullBackOff") // the watch has told of the Pod of s before
	b.ensure(s)
	b.says(s, "ImagePullBackOff")
}

func TestJobThatCannotMakeItsPods(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/resourcequotas", map[string]any{
		"metadata": map[string]any{"name": "none"}, "spec": map[string]any{"hard": map[string]any{"pods": "0"}},
	})
	testenv.Eventually(t, soon, func() error {
		quota, err := b.plane.Find("/api/v1/namespaces/" + b.namespace + "/resourcequotas/none")
		if err == nil && quota["status"].(map[string]any)["hard"] == nil {
			err = errors.New("the quota is not in force")
		}
		return err
	})
	b.ensure(s)
	b.says(s, "it cannot make its Pods: ")
	b.says(s, "exceeded quota")
}

func TestDeadline(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	s.Timeout = 2 * time.Second
	b.ensure(s)
	b.waits(b.pods(s, 1)[0], "ImagePullBackOff", "no such image")
	b.says(s, "ImagePullBackOff")
	state := b.becomes(s, job.Failed)
	if !strings.HasPrefix(state.Message, "has failed: it did not end within its timeout of 2s; before that, Pod "+s.Name) || !strings.Contains(state.Message, "ImagePullBackOff") {
		t.Errorf("got %s", state.Message)
	}
}

func TestDeletedJobHasFailed(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	b.plane.Request(t, http.MethodDelete, b.path(s)+"?propagationPolicy=Background", nil)
	if state := b.becomes(s, job.Failed); !state.Gone || !strings.Contains(state.Message, "was deleted before its outcome was seen") {
		t.Errorf("got %+v", state)
	}
	if n := b.front.creates.Load(); n != 1 {
		t.Errorf("%d were made", n)
	}
	if state := b.ensure(s); !state.Gone || b.get(s) != nil {
		t.Errorf("it was made again: %+v", state)
	}
}

func TestJobThatLosesItsLabelIsFollowed(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	path := b.pods(s, 1)[0]
	b.plane.Request(t, http.MethodPatch, b.path(s), map[string]any{"metadata": map[string]any{"labels": map[string]any{job.Label: nil}}})
	testenv.During(t, 500*time.Millisecond, func() error {
		if state, _ := b.watcher.State(s.Namespace, s.Name); state.Phase != job.Running {
			return fmt.Errorf("a Job without its label is taken for one that was deleted: %+v", state)
		}
		return nil
	})
	b.release(path)
	b.front.CloseClientConnections() // as the server does every few minutes
	b.becomes(s, job.Succeeded)
}

func TestWhatHappensWhileTheWatchIsBrokenIsSeenAfter(t *testing.T) {
	cases := map[string]struct {
		reason string
		// fault is what goes on once the API server answers again.
		fault func(*faulty) func(http.ResponseWriter, *http.Request) bool
	}{
		"GoesOn": {"The watch goes on from where it was.", func(*faulty) func(http.ResponseWriter, *http.Request) bool {
			return func(http.ResponseWriter, *http.Request) bool { return false }
		}},
		"Expired": {"The watch cannot go on, and everything is listed.", func(*faulty) func(http.ResponseWriter, *http.Request) bool {
			expired := make(chan struct{}, 2)
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !watches(r) {
					return false
				}
				select {
				case expired <- struct{}{}:
					return status(w, http.StatusGone, "Expired")
				default:
					return false
				}
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			completes, fails, deleted, stays := b.held("completes"), b.held("fails"), b.held("deleted"), b.held("stays")
			paths := map[string]string{}
			for _, s := range []job.Spec{completes, fails, deleted, stays} {
				b.ensure(s)
				paths[s.Name] = b.pods(s, 1)[0]
			}
			b.front.fault(func(w http.ResponseWriter, _ *http.Request) bool {
				return status(w, http.StatusServiceUnavailable, "ServiceUnavailable")
			})
			b.front.CloseClientConnections()
			b.release(paths[completes.Name])
			b.die(paths[fails.Name], 1)
			b.plane.Request(t, http.MethodDelete, b.path(deleted)+"?propagationPolicy=Background", nil)
			testenv.Eventually(t, soon, func() error {
				conditions, _ := b.get(completes)["status"].(map[string]any)["conditions"].([]any)
				if len(conditions) == 0 {
					return errors.New("it is not complete")
				}
				return nil
			})
			for _, s := range []job.Spec{completes, fails, deleted, stays} {
				if state, _ := b.watcher.State(s.Namespace, s.Name); state.Phase != job.Running {
					t.Errorf("%s is %s: %s, and nobody can know", s.Step, state.Phase, state.Message)
				}
			}
			b.front.fault(tc.fault(b.front))
			b.becomes(completes, job.Succeeded)
			b.becomes(fails, job.Failed)
			if state := b.becomes(deleted, job.Failed); !state.Gone {
				t.Errorf("got %+v", state)
			}
			b.becomes(stays, job.Running)
		})
	}
}

func TestAPIServerGoneAndBack(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	path := b.pods(s, 1)[0]
	b.plane.Stop(t)
	testenv.During(t, time.Second, func() error {
		if state, _ := b.watcher.State(s.Namespace, s.Name); state.Phase != job.Running {
			return fmt.Errorf("got %+v", state)
		}
		return nil
	})
	if _, err := b.watcher.Ensure(t.Context(), kube.As{}, b.spec("other")); err == nil {
		t.Error("nothing can be made")
	}
	b.plane.Start(t)
	b.release(path)
	b.becomes(s, job.Succeeded)
}

func TestManyJobsAtOnce(t *testing.T) {
	const count = 200
	b := newBench(t, func(o *job.Options) { o.LookAgain = time.Minute })
	before := b.conn.Requests()
	specs := make([]job.Spec, count)
	errs := make(chan error, count)
	for i := range specs {
		specs[i] = b.spec(fmt.Sprintf("step-%d", i))
		go func() {
			_, err := b.watcher.Ensure(t.Context(), kube.As{}, specs[i])
			errs <- err
		}()
	}
	for range specs {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range specs {
		testenv.Eventually(t, 2*time.Minute, func() error {
			if state, _ := b.watcher.State(s.Namespace, s.Name); state.Phase != job.Succeeded {
				return fmt.Errorf("%s is %s: %s", s.Name, state.Phase, state.Message)
			}
			return nil
		})
	}
	after := b.conn.Requests()
	if n := after["create"] - before["create"]; n != count {
		t.Errorf("%d creates, want %d", n, count)
	}
	// Two watches may be ended and begun again where the last Job of a moment is over before the next is made.
	if gets, lists, watches := after["get"]-before["get"], after["list"]-before["list"], after["watch"]-before["watch"]; gets > 0 || lists > 20 || watches > 20 {
		t.Errorf("%d gets, %d lists and %d watches: Jobs are asked for one by one", gets, lists, watches)
	}
	if b.watcher.Watching() {
		t.Error("nothing runs, and there are watches")
	}
}

func TestForgettingTheLastJobEndsTheWatches(t *testing.T) {
	b := newBench(t)
	one, two := b.held("one"), b.held("two")
	b.ensure(one)
	b.ensure(two)
	b.watcher.Forget(one.Namespace, one.Name)
	if !b.watcher.Watching() {
		t.Error("one still runs")
	}
	b.watcher.Forget(two.Namespace, two.Name)
	if b.watcher.Watching() {
		t.Error("none is left")
	}
	b.ensure(two)
	if !b.watcher.Watching() {
		t.Error("one runs again")
	}
}
