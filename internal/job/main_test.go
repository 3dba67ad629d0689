package job_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{Nodes: 1}) }

// soon is how long an event may take to arrive on a busy machine.
const soon = 30 * time.Second

// hold is the annotation that keeps a simulated Pod from starting.
const hold = "localplane.sengu.dev/hold"

// bench is one Watcher of a test, over something that breaks when it is told to.
type bench struct {
	t         *testing.T
	plane     *testenv.Cluster
	front     *faulty
	conn      *kube.Conn
	watcher   *job.Watcher
	namespace string
	owner     manifest.Owner

	mu   sync.Mutex
	told map[string]int // by namespace/release
}

func newBench(t *testing.T, options ...func(*job.Options)) *bench {
	t.Helper()
	plane := testenv.Plane(t)
	b := &bench{t: t, plane: plane, namespace: plane.Namespace(t), told: map[string]int{}}
	b.owner = manifest.Owner{Namespace: "sengu", Name: "app-" + rand.String(6), UID: rand.String(12)}
	before := goleak.IgnoreCurrent()
	b.front = newFaulty(t, plane)
	conn, err := kube.Connect(&rest.Config{Host: b.front.URL}, kube.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b.conn = conn
	b.watcher = b.newWatcher(options...)
	t.Cleanup(func() {
		b.watcher.Close()
		conn.Close()
		b.front.stop()
		// What the control plane of the tests needs, and the way to it, is not the Watcher's.
		goleak.VerifyNone(t, before,
			goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
			goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/sengu-dev/sengu/internal/testenv.(*Cluster).start.func1"))
	})
	return b
}

func (b *bench) newWatcher(options ...func(*job.Options)) *job.Watcher {
	o := job.Options{Logger: slog.New(slog.DiscardHandler), LookAgain: 200 * time.Millisecond, Changed: func(namespace, release string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told[namespace+"/"+release]++
	}}
	for _, change := range options {
		change(&o)
	}
	return job.NewWatcher(b.conn, o)
}

// notices says how often a Release was told something.
func (b *bench) notices(release string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told["sengu/"+release]
}

// spec is a Job of an image that KWOK completes at once.
func (b *bench) spec(step string) job.Spec {
	return job.Spec{
		Name: job.Name(b.owner.Name, "0123456789abcdef", step), Namespace: b.namespace, Owner: b.owner,
		Release: "release-1", Environment: "staging", Step: step,
		Container: job.Container{Image: "example.com/migrate:1"},
	}
}

// held is a Job whose Pods do not start by themselves.
func (b *bench) held(step string, change ...func(spec map[string]any)) job.Spec {
	s := b.spec(step)
	s.Container = job.Container{}
	spec := map[string]any{
		"backoffLimit": int64(0),
		"template": map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{hold: "true"}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "job", "image": "example.com/migrate:1"}}},
		},
	}
	for _, c := range change {
		c(spec)
	}
	s.Template = object("batch/v1", "Job", step, map[string]any{"spec": spec})
	return s
}

func object(apiVersion, kind, name string, rest map[string]any) manifest.Object {
	rest["apiVersion"], rest["kind"], rest["metadata"] = apiVersion, kind, map[string]any{"name": name}
	return manifest.Object{Unstructured: unstructuredOf(rest), Origin: "apps/checkout/job.yaml:1"}
}

func (b *bench) ensure(s job.Spec) job.State {
	b.t.Helper()
	state, err := b.watcher.Ensure(b.t.Context(), kube.As{}, s)
	if err != nil {
		b.t.Fatal(err)
	}
	return state
}

// eventually waits until the Watcher's state of a Job passes check.
func (b *bench) eventually(s job.Spec, check func(job.State) error) job.State {
	b.t.Helper()
	var last job.State
	testenv.Eventually(b.t, soon, func() error {
		state, ok := b.watcher.State(s.Namespace, s.Name)
		if !ok {
			return fmt.Errorf("%s is not known", s.Name)
		}
		last = state
		return check(state)
	})
	return last
}

func (b *bench) becomes(s job.Spec, phase job.Phase) job.State {
	b.t.Helper()
	return b.eventually(s, func(state job.State) error {
		if state.Phase != phase {
			return fmt.Errorf("it is %s: %s", state.Phase, state.Message)
		}
		return nil
	})
}

func (b *bench) says(s job.Spec, text string) job.State {
	b.t.Helper()
	return b.eventually(s, func(state job.State) error {
		if !strings.Contains(state.Message, text) {
			return fmt.Errorf("it is %s and says %q", state.Phase, state.Message)
		}
		return nil
	})
}

func (b *bench) path(s job.Spec) string {
	return "/apis/batch/v1/namespaces/" + s.Namespace + "/jobs/" + s.Name
}

// get reads the Job as an administrator, nil if it is not there.
func (b *bench) get(s job.Spec) map[string]any {
	b.t.Helper()
	u, err := b.plane.Find(b.path(s))
	if err != nil && strings.Contains(err.Error(), "404") {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// pods waits until the Job has that many Pods and returns their paths.
func (b *bench) pods(s job.Spec, count int) []string {
	b.t.Helper()
	var paths []string
	testenv.Eventually(b.t, soon, func() error {
		base := "/api/v1/namespaces/" + s.Namespace + "/pods"
		list, err := b.plane.Find(base + "?labelSelector=" + url.QueryEscape("batch.kubernetes.io/job-name="+s.Name))
		if err != nil {
			return err
		}
		items, _ := list["items"].([]any)
		paths = nil
		for _, item := range items {
			paths = append(paths, base+"/"+item.(map[string]any)["metadata"].(map[string]any)["name"].(string))
		}
		if len(paths) != count {
			return fmt.Errorf("it has %d Pods, want %d", len(paths), count)
		}
		return nil
	})
	return paths
}

// patch changes the status of a Pod as its kubelet would.
func (b *bench) patch(path string, status map[string]any) {
	b.t.Helper()
	b.plane.Request(b.t, http.MethodPatch, path+"/status", map[string]any{"status": status})
}

// die makes a Pod fail.
func (b *bench) die(path string, code int) {
	b.t.Helper()
	at := time.Now().UTC().Format(time.RFC3339)
	b.patch(path, map[string]any{"phase": "Failed", "containerStatuses": []any{map[string]any{
		"name": "job", "image": "example.com/migrate:1", "imageID": "", "ready": false, "restartCount": 0,
		"state": map[string]any{"terminated": map[string]any{"exitCode": code, "reason": "Error", "startedAt": at, "finishedAt": at}},
	}}})
}

// waits makes the container of a Pod wait for that reason.
func (b *bench) waits(path, reason, message string) {
	b.t.Helper()
	b.patch(path, map[string]any{"containerStatuses": []any{map[string]any{
		"name": "job", "image": "example.com/migrate:1", "imageID": "", "ready": false, "restartCount": 0,
		"state": map[string]any{"waiting": map[string]any{"reason": reason, "message": message}},
	}}})
}

// release lets a Pod that is held run and complete.
func (b *bench) release(path string) {
	b.t.Helper()
	b.plane.Request(b.t, http.MethodPatch, path, map[string]any{"metadata": map[string]any{"annotations": map[string]any{hold: nil}}})
}

// faulty stands before the API server, and answers in its place what the test tells it to.
type faulty struct {
	*httptest.Server
	refuse  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	lists   atomic.Int32
	creates atomic.Int32
}

func newFaulty(t *testing.T, plane *testenv.Cluster) *faulty {
	t.Helper()
	target, err := url.Parse(plane.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	f := &faulty{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse := f.refuse.Load(); refuse != nil && (*refuse)(w, r) {
			return
		}
		switch {
		case watches(r):
		case r.URL.Query().Get("limit") != "" && strings.HasSuffix(r.URL.Path, "/jobs"):
			f.lists.Add(1)
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs"):
			f.creates.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	return f
}

func (f *faulty) stop() {
	f.CloseClientConnections()
	f.Close()
}

func (f *faulty) fault(refuse func(http.ResponseWriter, *http.Request) bool) { f.refuse.Store(&refuse) }

func (f *faulty) mend() { f.refuse.Store(nil) }

func watches(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func status(w http.ResponseWriter, code int, reason string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, reason, code, reason)
	return true
}

// sink takes an answer that never arrives.
type sink struct{ header http.Header }

func newSink() *sink { return &sink{http.Header{}} }

func (s *sink) Header() http.Header       { return s.header }
func (*sink) Write(p []byte) (int, error) { return len(p), nil }
func (*sink) WriteHeader(int)             {}
