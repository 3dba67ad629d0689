package job_test

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
)

// logs answers for the nodes, which simulated ones cannot: by the name of the Pod, as a kubelet would.
func (b *bench) logs(of map[string]string) {
	b.front.fault(func(w http.ResponseWriter, r *http.Request) bool {
		if path.Base(r.URL.Path) != "log" {
			return false
		}
		text, ok := of[path.Base(path.Dir(r.URL.Path))]
		if !ok {
			return status(w, http.StatusBadRequest, "BadRequest")
		}
		lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
		count, _ := strconv.Atoi(r.URL.Query().Get("tailLines"))
		text = strings.Join(lines[max(0, len(lines)-count):], "")
		most, _ := strconv.Atoi(r.URL.Query().Get("limitBytes"))
		_, _ = w.Write([]byte(text[:min(len(text), most)]))
		return true
	})
}

func (b *bench) log(s job.Spec, limit int64, mask job.Mask) string {
	b.t.Helper()
	text, err := job.Logs(b.t.Context(), b.conn, kube.As{}, s.Namespace, s.Name, limit, mask)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func TestLogsOfEveryAttempt(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	s.BackoffLimit = new(int32(1))
	b.ensure(s)
	if got := b.log(s, 1000, job.Mask{}); got != "" && !strings.Contains(got, "it has not started") {
		t.Errorf("got %q", got)
	}
	first := b.pods(s, 1)[0]
	b.die(first, 3)
	second := ""
	for _, pod := range b.pods(s, 2) {
		if pod != first {
			second = pod
		}
	}
	b.die(second, 4)
	b.becomes(s, job.Failed)
	b.logs(map[string]string{path.Base(first): "first try\n", path.Base(second): "second try\x1b[0m\r\n"})
	want := fmt.Sprintf("=== Pod %s, attempt 2 of 2, container job: exited with code 4 ===\nsecond try\n"+
		"=== Pod %s, attempt 1 of 2, container job: exited with code 3 ===\nfirst try\n", path.Base(second), path.Base(first))
	if got := b.log(s, 1000, job.Mask{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// One that cannot be read does not hide the other.
	b.logs(map[string]string{path.Base(first): "first try\n"})
	if got := b.log(s, 1000, job.Mask{}); !strings.Contains(got, "(its log cannot be read: BadRequest)") || !strings.Contains(got, "first try") {
		t.Errorf("got\n%s", got)
	}
}

func TestLogThatHasNotBegun(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	pod := b.pods(s, 1)[0]
	b.waits(pod, "ImagePullBackOff", "no such image")
	want := "=== Pod " + path.Base(pod) + ", container job: has not started: ImagePullBackOff ===\n"
	if got := b.log(s, 1000, job.Mask{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	none := s
	none.Name = "none"
	if got := b.log(none, 1000, job.Mask{}); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestLogIsTheEndOfALargeOne(t *testing.T) {
	b := newBench(t)
	s := b.held("migrate")
	b.ensure(s)
	pod := b.pods(s, 1)[0]
	b.die(pod, 1)
	b.becomes(s, job.Failed)
	const limit = 2000
	wide := strings.Repeat("x", 1000) + "\n"
	cases := map[string]struct {
		reason string
		log    string
		want   string
	}{
		"ManyLines": {"Of many lines the last are told.", strings.Repeat("line\n", 100_000) + "the end\n", "line\nthe end\n"},
		"WideLines": {"Lines that are so wide that not all that were asked for fit do not hide the end.", strings.Repeat(wide, 4096) + "the end\n", "xxx\nthe end\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b.logs(map[string]string{path.Base(pod): tc.log})
			got := b.log(s, limit, job.Mask{})
			if !strings.HasSuffix(got, tc.want) || !strings.Contains(got, "(what was logged before is left out)\n") || len(got) > limit+200 {
				t.Errorf("%s\ngot %d bytes:\n%s", tc.reason, len(got), got)
			}
		})
	}
}

func TestLogHidesSecrets(t *testing.T) {
	b := newBench(t)
	const password, key, file = "hunter22hunter22", "abcdef-0123456789", "from-a-volume"
	for name, value := range map[string]string{"db": password, "api": key, "file": file} {
		b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/secrets", map[string]any{
			"metadata": map[string]any{"name": name}, "stringData": map[string]any{"value": value},
		})
	}
	s := b.held("migrate", func(spec map[string]any) {
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		pod["volumes"] = []any{map[string]any{"name": "v", "projected": map[string]any{"sources": []any{map[string]any{"secret": map[string]any{"name": "file"}}}}}}
		container := pod["containers"].([]any)[0].(map[string]any)
		container["envFrom"] = []any{
			map[string]any{"secretRef": map[string]any{"name": "api"}},
			map[string]any{"secretRef": map[string]any{"name": "absent", "optional": true}},
		}
		container["env"] = []any{map[string]any{"name": "DB", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "db", "key": "value"}}}}
	})
	b.ensure(s)
	pod := b.pods(s, 1)[0]
	b.die(pod, 1)
	b.becomes(s, job.Failed)
	mask, err := job.SecretsOf(t.Context(), b.conn, kube.As{}, s.Namespace, s.Name)
	if err != nil {
		t.Fatal(err)
	}
	head := "=== Pod " + path.Base(pod) + ", container job: exited with code 1 ===\n"
	b.logs(map[string]string{path.Base(pod): "db " + password + " key " + key + " file " + file + "\n"})
	if got, want := b.log(s, 1000, mask), head+"db *** key *** file ***\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Neither a cut by us nor one by the API server leaves a part of a value.
	for cut := 0; cut < 40; cut += 3 {
		b.logs(map[string]string{path.Base(pod): strings.Repeat(password+" ", 20) + "\n"})
		if got := b.log(s, int64(len(head)+60+cut), mask); strings.Contains(strings.TrimPrefix(got, head), "hunter") {
			t.Fatalf("got %q", got)
		}
		b.logs(map[string]string{path.Base(pod): strings.Repeat("-", 256<<10-cut) + password})
		if got := b.log(s, 200, mask); strings.Contains(strings.TrimPrefix(got, head), "hunt") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestLogsOfWhomThatMayNot(t *testing.T) {
	b := newBench(t)
	b.plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+b.namespace+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "deployer"}})
	as := kube.As{Namespace: b.namespace, Name: "deployer"}
	s := b.held("migrate")
	b.ensure(s)
	b.pods(s, 1)
	_, err := job.Logs(t.Context(), b.conn, as, s.Namespace, s.Name, 1000, job.Mask{})
	_, secretErr := job.SecretsOf(t.Context(), b.conn, as, s.Namespace, s.Name)
	for _, err := range []error{err, secretErr} {
		var refusal *job.Refusal
		want := "the log of Job " + s.Namespace + "/" + s.Name + " could not be read: the service account " + b.namespace + "/deployer may not: give it a Role that allows list on pods and get on pods/log and secrets"
		if !errors.As(err, &refusal) || refusal.Sentence != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
