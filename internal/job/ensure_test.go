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
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestJobRunsAndIsKept(t *testing.T) {
	b := newBench(t)
	s := b.spec("migrate")
	first := b.ensure(s)
	if first.Phase != job.Running || first.UID == "" {
		t.Fatalf("got %+v", first)
	}
	done := b.becomes(s, job.Succeeded)
	if done.Message != "has succeeded" || done.Started.IsZero() || done.Finished.Before(done.Started) || done.UID != first.UID {
		t.Errorf("got %+v", done)
	}
	testenv.Eventually(t, soon, func() error {
		if b.notices("release-1") == 0 {
			return errors.New("the Release is not told")
		}
		return nil
	})
	testenv.Eventually(t, soon, func() error {
		if b.watcher.Watching() {
			return errors.New("nothing runs, and there are watches")
		}
		return nil
	})
	// Anybody else finds the same.
	again, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
	if err != nil || again.UID != first.UID || again.Phase != job.Succeeded {
		t.Errorf("got %+v, %v", again, err)
	}
	if n := b.front.creates.Load(); n != 2 {
		t.Errorf("%d creates were sent, want one that made it and one that found it", n)
	}
	b.watcher.Forget(s.Namespace, s.Name)
	if _, known := b.watcher.State(s.Namespace, s.Name); known {
		t.Error("it is still known")
	}
}

func TestJobIsMadeOnceUnderCrashes(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	first := b.ensure(s)
	// A crash before the Job was recorded: a new process asks for the same.
	for range 3 {
		next := b.newWatcher()
		state, err := next.Ensure(t.Context(), kube.As{}, s)
		next.Close()
		if err != nil || state.UID != first.UID || state.Phase != job.Running {
			t.Fatalf("got %+v, %v", state, err)
		}
	}
	b.pods(s, 1)
	// An answer that got lost on its way is one more crash.
	lost := b.held("lost")
	b.front.fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		b.front.mend()
		b.front.Config.Handler.ServeHTTP(newSink(), r)
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	if _, err := b.watcher.Ensure(t.Context(), kube.As{}, lost); err == nil {
		t.Fatal("the answer should have been lost")
	}
	made := b.get(lost)
	if made == nil {
		t.Fatal("the Job should have been made")
	}
	state := b.ensure(lost)
	if uid := made["metadata"].(map[string]any)["uid"]; state.UID != uid {
		t.Errorf("got %s, want %s", state.UID, uid)
	}
	b.pods(lost, 1)
}

func TestAJobThatIsKnownCostsNoRequest(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	first := b.ensure(s)
	s.UID = first.UID
	before := b.conn.Requests()
	for range 10 {
		b.ensure(s)
	}
	after := b.conn.Requests()
	if after["create"] != before["create"] || after["get"] != before["get"] {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestForeignJobIsRefused(t *testing.T) {
	b := newBench(t)
	other := b.owner
	other.UID = "another"
	sibling := b.owner
	sibling.Name = "other"
	cases := map[string]struct {
		reason string
		make   func(s job.Spec)
		want   string
	}{
		"ByHand": {
			"A Job that somebody made is theirs.",
			func(s job.Spec) {
				b.plane.Request(t, http.MethodPost, "/apis/batch/v1/namespaces/"+s.Namespace+"/jobs", map[string]any{
					"metadata": map[string]any{"name": s.Name},
					"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "a", "image": "b"}}}}},
				})
			},
			"was not made by Sengu",
		},
		"OtherUID": {
			"An App that was made again does not take the outcome of the one before.",
			func(s job.Spec) { s.Owner = other; b.mustMake(s) },
			"was made for another App (or an earlier one of the same name)",
		},
		"OtherApp": {
			"Two Apps cannot share a Job.",
			func(s job.Spec) { s.Owner = sibling; b.mustMake(s) },
			"was made for another App",
		},
		"OtherRelease": {
			"What another Release ran is not what this one would.",
			func(s job.Spec) { s.Release = "release-0"; b.mustMake(s) },
			`was made for Release "release-0", not for "release-1"`,
		},
		"OtherStep": {
			"Nor is another step.",
			func(s job.Spec) { s.Step = "seed"; b.mustMake(s) },
			`was made for step "seed" in environment "staging"`,
		},
		"Copy": {
			"A copy of a Job of ours is not ours.",
			func(s job.Spec) {
				original := s
				original.Name += "o"
				b.mustMake(original)
				u := b.get(original)
				b.plane.Request(t, http.MethodPost, "/apis/batch/v1/namespaces/"+s.Namespace+"/jobs", map[string]any{
					"metadata": map[string]any{"name": s.Name, "annotations": u["metadata"].(map[string]any)["annotations"]},
					"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "a", "image": "b"}}}}},
				})
			},
			"is a copy of such a Job",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := b.spec(strings.ToLower(name))
			tc.make(s)
			before := b.get(s)
			_, err := b.watcher.Ensure(t.Context(), kube.As{}, s)
			var refusal *job.Refusal
			if !errors.Is(err, job.ErrForeign) || !errors.As(err, &refusal) || refusal.Temporary {
				t.Fatalf("%s got %v", tc.reason, err)
			}
			if text := err.Error(); !strings.Contains(text, tc.want) || !strings.Contains(text, "Job "+s.Namespace+"/"+s.Name) || !strings.Contains(text, "delete it") {
				t.Errorf("got %s", text)
			}
			if _, known := b.watcher.State(s.Namespace, s.Name); known {
				t.Error("its state is told as if it were ours")
			}
			if _, err := job.Stop(t.Context(), b.conn, kube.As{}, s); !errors.Is(err, job.ErrForeign) {
				t.Errorf("it may not be stopped: %v", err)
			}
			after := b.get(s)
			if after == nil || after["metadata"].(map[string]any)["uid"] != before["metadata"].(map[string]any)["uid"] {
				t.Error("it was touched")
			}
		})
	}
}

// mustMake makes a Job beside the Watcher.
func (b *bench) mustMake(s job.Spec) job.State {
	b.t.Helper()
	state, err := job.Ensure(b.t.Context(), b.conn, kube.As{}, s)
	if err != nil {
		b.t.Fatal(err)
	}
	return state
}

func TestWhatTheClusterRefuses(t *testing.T) {
	b := newBench(t)
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "deployer"}})
	deployer := kube.As{Namespace: b.namespace, Name: "deployer"}
	cases := map[string]struct {
		as        kube.As
		change    func(*job.Spec)
		want      string
		temporary bool
	}{
		"NoNamespace": {
			change: func(s *job.Spec) { s.Namespace = "test-nowhere" },
			want:   "could not be made: there is no namespace test-nowhere: put it into Git, or set createNamespace in sengu.yaml", temporary: true,
		},
		"Forbidden": {
			as:   deployer,
			want: "could not be made: the service account " + b.namespace + "/deployer may not create Jobs in namespace " + b.namespace + ": give it a Role that allows create on jobs of the group batch",
		},
		"ForbiddenToRead": {
			as: deployer, change: func(s *job.Spec) { s.UID = "recorded" },
			want: "could not be read: the service account " + b.namespace + "/deployer may not get Jobs in namespace " + b.namespace + ": give it a Role that allows get on jobs of the group batch",
		},
		"Invalid": {
			change: func(s *job.Spec) { s.Container.ServiceAccountName = "not a name" },
			want:   "spec.template.spec.serviceAccountName: Invalid value",
		},
		"UnknownField": {
			change: func(s *job.Spec) {
				*s = b.held("migrate", func(spec map[string]any) { spec["backofLimit"] = int64(1) })
			},
			want: `unknown field "spec.backofLimit"`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := b.spec("migrate")
			if tc.change != nil {
				tc.change(&s)
			}
			_, err := b.watcher.Ensure(t.Context(), tc.as, s)
			var refusal *job.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(refusal.Sentence, tc.want) || !strings.HasPrefix(refusal.Sentence, "Job "+s.Namespace+"/"+s.Name+" ") || refusal.Temporary != tc.temporary {
				t.Errorf("got  %s (temporary %v)\nwant %s", refusal.Sentence, refusal.Temporary, tc.want)
			}
			if _, known := b.watcher.State(s.Namespace, s.Name); known || b.watcher.Watching() {
				t.Error("what was not made is followed")
			}
		})
	}
}

func TestQuotaAndTerminatingNamespace(t *testing.T) {
	b := newBench(t)
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/resourcequotas", map[string]any{
		"metadata": map[string]any{"name": "few"}, "spec": map[string]any{"hard": map[string]any{"count/jobs.batch": "0"}},
	})
	s := b.spec("migrate")
	var refusal *job.Refusal
	testenv.Eventually(t, soon, func() error {
		_, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	if !refusal.Temporary {
		t.Error("there may be room later")
	}
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/configmaps", map[string]any{
		"metadata": map[string]any{"name": "stays", "finalizers": []any{"example.com/stays"}},
	})
	t.Cleanup(func() {
		b.plane.Request(t, http.MethodPatch, "/api/v1/namespaces/"+b.namespace+"/configmaps/stays", map[string]any{"metadata": map[string]any{"finalizers": nil}})
	})
	b.plane.Request(t, http.MethodDelete, "/api/v1/namespaces/"+b.namespace, nil)
	testenv.Eventually(t, soon, func() error {
		_, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "its namespace is being deleted") || !refusal.Temporary {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}

func TestARecordedJobIsNeverMadeAgain(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	first := b.mustMake(s)
	s.UID = first.UID
	b.plane.Request(t, http.MethodDelete, b.path(s)+"?propagationPolicy=Background", nil)
	for range 2 {
		state, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
		if err != nil || state.Phase != job.Failed || !state.Gone || !strings.Contains(state.Message, "nobody knows whether it succeeded") {
			t.Fatalf("got %+v, %v", state, err)
		}
	}
	if b.get(s) != nil {
		t.Fatal("it was made again")
	}
	// Another one of its name does not pass for it.
	unrecorded := s
	unrecorded.UID = ""
	unrecorded.Template, unrecorded.Container = manifest.Object{}, job.Container{Image: "example.com/migrate:1"}
	b.ensure(unrecorded)
	b.becomes(unrecorded, job.Succeeded)
	state, err := job.Ensure(t.Context(), b.conn, kube.As{}, s)
	if err != nil || state.Phase != job.Failed || !state.Gone {
		t.Errorf("got %+v, %v", state, err)
	}
}

func TestOutcomeOutlivesTheJob(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate", func(spec map[string]any) { spec["ttlSecondsAfterFinished"] = int64(0) })
	first := b.ensure(s)
	b.release(b.pods(s, 1)[0])
	b.becomes(s, job.Succeeded)
	testenv.Eventually(t, soon, func() error {
		if b.get(s) != nil {
			return errors.New("it is still there")
		}
		return nil
	})
	s.UID = first.UID
	if state := b.ensure(s); state.Phase != job.Succeeded || state.Gone {
		t.Errorf("got %+v", state)
	}
	testenv.During(t, 300*time.Millisecond, func() error {
		if state, _ := b.watcher.State(s.Namespace, s.Name); state.Phase != job.Succeeded {
			return fmt.Errorf("got %+v", state)
		}
		return nil
	})
}

func TestStop(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	first := b.ensure(s)
	b.pods(s, 1)
	wrong := s
	wrong.UID = "another"
	if _, err := job.Stop(t.Context(), b.conn, kube.As{}, wrong); !errors.Is(err, job.ErrForeign) {
		t.Errorf("got %v", err)
	}
	s.UID = first.UID
	state, err := job.Stop(t.Context(), b.conn, kube.As{}, s)
	if err != nil || state.Phase != job.Running {
		t.Fatalf("got %+v, %v", state, err)
	}
	if state := b.becomes(s, job.Failed); !state.Gone {
		t.Errorf("got %+v", state)
	}
	b.pods(s, 0)
	if state, err = job.Stop(t.Context(), b.conn, kube.As{}, s); err != nil || !state.Gone {
		t.Errorf("once more: %+v, %v", state, err)
	}

	over := b.spec("over")
	b.ensure(over)
	b.becomes(over, job.Succeeded)
	if state, err = job.Stop(t.Context(), b.conn, kube.As{}, over); err != nil || state.Phase != job.Succeeded || b.get(over) == nil {
		t.Errorf("a Job that is over is left: %+v, %v", state, err)
	}
}
