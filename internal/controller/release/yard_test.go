package release

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/release"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const revision = "0123456789abcdef0123456789abcdef01234567"

// yard is the Jobs of one service in a cluster without nodes, where what was started runs on and on. What Sengu asks of
// the cluster goes through something that breaks when it is told to. The service's repository cannot be read.
type yard struct {
	t         *testing.T
	plane     *testenv.Cluster
	namespace string
	fleet     *v1alpha1.Fleet
	clock     *testenv.Clock
	conn      *kube.Conn
	queue     workqueue.TypedRateLimitingInterface[reconcile.Request]
	r         *Reconciler
	// app is that of the environment, nil if there is none.
	app *v1alpha1.App

	refuse atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	// asked counts the requests, and creates those that make something.
	asked, creates atomic.Int32
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{t: t, plane: testenv.Plane(t), clock: testenv.NewClock()}
	y.namespace = y.plane.Namespace(t)
	y.fleet = &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop", UID: types.UID(y.namespace)}}
	y.fleet.Spec.Git.URL = "/nowhere/at/all.git"
	at, err := url.Parse(y.plane.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(y.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		y.asked.Add(1)
		if r.Method == http.MethodPost {
			y.creates.Add(1)
		}
		if refuse := y.refuse.Load(); refuse != nil && (*refuse)(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	if y.conn, err = kube.Connect(&rest.Config{Host: front.URL}, kube.Options{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		y.conn.Close()
		front.CloseClientConnections()
		front.Close()
	})
	y.queue = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(y.queue.ShutDown)
	y.restart()
	return y
}

// restart puts another process in the place of the one that runs: it knows nothing.
func (y *yard) restart() {
	y.t.Helper()
	all := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(all), v1alpha1.AddToScheme(all)); err != nil {
		y.t.Fatal(err)
	}
	there := fake.NewClientBuilder().WithScheme(all).Build()
	r := &Reconciler{
		Client: there, Targets: target.NewRegistry(there), Log: slog.New(slog.DiscardHandler), Clock: y.clock,
		Repositories: gitrepotest.Open(y.t, y.t.TempDir(), gitrepo.Options{AllowFile: true}),
	}
	r.Targets.Put(&target.Target{Name: types.NamespacedName{Namespace: "sengu", Name: "dev"}, Conn: y.conn}, nil)
	if err := r.waker.Source().Start(y.t.Context(), y.queue); err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(r.Close)
	y.r = r
}

// brings is a Release of the one revision, in staging, whose step has been noted and not begun.
func (y *yard) brings(sequence int64, does plan) *v1alpha1.Release {
	one := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: fmt.Sprintf("web.shop.0123456.%d", sequence)}}
	one.Spec = v1alpha1.ReleaseSpec{
		Fleet: "shop", Service: "web", Revision: revision, Sequence: sequence,
		Environments: []v1alpha1.ReleaseEnvironment{{Name: "staging", Path: "apps/web/staging", Cluster: "dev", Namespace: y.namespace}},
	}
	one.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{
		Name: "staging", Stage: v1alpha1.StageRunning,
		Steps: []v1alpha1.StepStatus{{Name: "migrate", Phase: v1alpha1.StepRunning, Job: "migrate"}},
	}}
	y.plans(one, does)
	return one
}

func (y *yard) plans(one *v1alpha1.Release, does plan) {
	y.r.plans.put(client.ObjectKeyFromObject(one), one.Generation, y.r.plans.begin(), map[string]plan{"staging": does})
}

// inline is a step whose Job is written in sengu.yaml, needsNamespace one whose namespace is made for it, and among one
// whose Job is to be rendered.
var (
	needsNamespace = plan{jobs: map[string]work{"migrate": {inline.jobs["migrate"].Job, true}}}

	inline = plan{jobs: map[string]work{"migrate": {Job: delivery.Job{Work: delivery.Work{Image: "example.com/migrate:1", Timeout: time.Hour}}}}}
	among  = plan{jobs: map[string]work{"migrate": {Job: delivery.Job{Name: "migrate"}}}}
)

// look asks how the step of a Release is, and writes that down as a decision would.
func (y *yard) look(one *v1alpha1.Release) (release.JobState, bool) {
	y.t.Helper()
	world := release.Service{Fleet: y.fleet, Name: "web", Releases: []*v1alpha1.Release{one}, Apps: map[string]*v1alpha1.App{"staging": y.app}}
	y.r.states(y.t.Context(), &world)
	at := &one.Status.Environments[0]
	state, seen := world.Jobs[release.StepKey{Release: one.Name, Environment: "staging", Step: "migrate", Attempt: at.Attempt}]
	if !seen {
		return state, false
	}
	step := &at.Steps[0]
	step.Phase, step.Message = state.Phase, state.Message
	if state.Job != "" {
		step.Job, step.UID = state.Job, state.UID
	}
	if state.Unmade {
		step.Started = nil
	} else if step.Started == nil {
		step.Started = &metav1.Time{Time: y.clock.Now()}
	}
	return state, true
}

// expect expects a step to be as it is told.
func (y *yard) expect(what string, one *v1alpha1.Release, phase v1alpha1.StepPhase, uid, message string) {
	y.t.Helper()
	state, seen := y.look(one)
	step := one.Status.Environments[0].Steps[0]
	if !seen || state.Phase != phase || step.UID != uid || !strings.Contains(state.Message, message) {
		y.t.Errorf("%s: seen %v, %+v, noted as %q with UID %q; want %s with UID %q and %q", what, seen, state, step.Job, step.UID, phase, uid, message)
	}
}

// follows expects the Job of that UID to run, and nothing to be wrong.
func (y *yard) follows(what string, one *v1alpha1.Release, uid string) {
	y.t.Helper()
	y.expect(what, one, v1alpha1.StepRunning, uid, "")
	if is := one.Status.Environments[0].Steps[0].Message; is != "has not started yet" && !strings.HasPrefix(is, "is running") {
		y.t.Errorf("%s: it says %q", what, is)
	}
}

// made lists the Jobs of the namespace, by name with their UID.
func (y *yard) made() map[string]string {
	y.t.Helper()
	list := y.plane.Request(y.t, http.MethodGet, "/apis/batch/v1/namespaces/"+y.namespace+"/jobs", nil)
	found := map[string]string{}
	items, _ := list["items"].([]any)
	for _, item := range items {
		meta := item.(map[string]any)["metadata"].(map[string]any)
		found[meta["name"].(string)] = meta["uid"].(string)
	}
	return found
}

func (y *yard) fault(refuse func(http.ResponseWriter, *http.Request) bool) { y.refuse.Store(&refuse) }

func (y *yard) mend() { y.refuse.Store(nil) }

// answers is a fault: what the API server answers to a request.
func answers(method, path string, code int, reason, message string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, path) || r.URL.Query().Get("watch") != "" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, reason, code, message)
		return true
	}
}

// after is a fault that lets some requests for Jobs through before.
func after(n int32, fault func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	left := atomic.Int32{}
	left.Store(n)
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/jobs/") && left.Add(-1) >= 0 {
			return false
		}
		return fault(w, r)
	}
}

// woken reports whether the service was queued, and empties the queue.
func (y *yard) woken() bool {
	y.t.Helper()
	n := y.queue.Len()
	for range n {
		one, _ := y.queue.Get()
		y.queue.Done(one)
	}
	return n > 0
}
