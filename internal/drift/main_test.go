package drift_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/drift"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m, testenv.Options{Nodes: 1}) }

var (
	key        = manifest.Key("0123456789abcdef0123456789abcdef")
	configMaps = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	deploys    = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
)

// soon is how long an event may take to arrive on a busy machine.
const soon = 30 * time.Second

// bench is one Watcher of a test, and one App whose objects it sees.
type bench struct {
	t         *testing.T
	plane     *testenv.Cluster
	conn      *kube.Conn
	watcher   *drift.Watcher
	namespace string
	owner     manifest.Owner

	mu   sync.Mutex
	told map[string]int // by the UID of the owner
}

func newBench(t *testing.T, options ...func(*drift.Options)) *bench {
	t.Helper()
	plane := testenv.Plane(t)
	return newBenchAt(t, plane, plane.Config, options...)
}

// newBenchAt connects by cfg, which may lead over something that breaks.
func newBenchAt(t *testing.T, plane *testenv.Cluster, cfg *rest.Config, options ...func(*drift.Options)) *bench {
	t.Helper()
	b := &bench{t: t, plane: plane, namespace: plane.Namespace(t), told: map[string]int{}}
	b.owner = manifest.Owner{Namespace: "sengu", Name: "app-" + rand.String(6), UID: rand.String(12)}
	before := goleak.IgnoreCurrent()
	conn, err := kube.Connect(cfg, kube.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b.conn = conn
	o := drift.Options{Key: key, Logger: slog.New(slog.DiscardHandler), Notify: func(owner manifest.Owner) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told[owner.UID]++
	}}
	for _, change := range options {
		change(&o)
	}
	b.watcher = drift.New(conn, o)
	t.Cleanup(func() {
		b.watcher.Close()
		conn.Close()
		// What the control plane of the tests needs when it is started again is not the Watcher's.
		goleak.VerifyNone(t, before,
			goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*ClientConn).readLoop"),
			goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/sengu-dev/sengu/internal/testenv.(*Cluster).start.func1"))
	})
	return b
}

// track watches kinds and waits until their state is complete.
func (b *bench) track(kinds ...schema.GroupVersionKind) {
	b.t.Helper()
	b.watcher.Track(kinds...)
	testenv.Eventually(b.t, soon, func() error {
		for _, gvk := range kinds {
			if !b.watcher.Synced(gvk.GroupKind()) {
				return fmt.Errorf("%s is not synced", gvk.Kind)
			}
		}
		return nil
	})
}

// notices says how often the App was told something.
func (b *bench) notices() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[b.owner.UID]
}

// apply applies a document as the App would, and returns the record of the answer.
func (b *bench) apply(document string) manifest.Live {
	b.t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
		b.t.Fatal(err)
	}
	r, err := b.conn.Mapping(b.t.Context(), u.GroupVersionKind())
	if err != nil {
		b.t.Fatal(err)
	}
	if r.Namespaced {
		u.SetNamespace(b.namespace)
	}
	manifest.Stamp(manifest.Object{Unstructured: u}, b.owner)
	body, err := u.MarshalJSON()
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.conn.Do(b.t.Context(), kube.Request{
		Verb: "patch", Path: r.Path(b.namespace, u.GetName()), Body: body, ContentType: kube.ApplyPatch,
		Query: url.Values{"fieldManager": {b.owner.Manager()}, "force": {"true"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	after, err := kube.Decode(answer)
	if err != nil {
		b.t.Fatal(err)
	}
	return key.LiveOf(after)
}

// merge changes an object as somebody else.
func (b *bench) merge(live manifest.Live, patch map[string]any) {
	b.t.Helper()
	b.plane.Request(b.t, http.MethodPatch, b.path(live), patch)
}

func (b *bench) path(live manifest.Live) string {
	b.t.Helper()
	r, err := b.conn.Mapping(b.t.Context(), live.GroupKind().WithVersion(live.Version))
	if err != nil {
		b.t.Fatal(err)
	}
	return r.Path(live.Namespace, live.Name)
}

// settle waits until everything that happened before it has arrived: an object that is made now is seen after it.
func (b *bench) settle() {
	b.t.Helper()
	owner := b.owner
	b.owner.UID = rand.String(12)
	marker := b.apply(configMap("marker-" + rand.String(6)))
	b.owner = owner
	b.eventually(marker.Ref, func(manifest.Live) error { return nil })
}

// eventually waits until the record of ref passes check.
func (b *bench) eventually(ref manifest.Ref, check func(manifest.Live) error) {
	b.t.Helper()
	testenv.Eventually(b.t, soon, func() error {
		live, ok := b.watcher.Live(ref)
		if !ok {
			return fmt.Errorf("%s is not known", ref)
		}
		return check(live)
	})
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: value}"
}

func deployment(name string, pod ...string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n" +
		"  selector: {matchLabels: {app: " + name + "}}\n  template:\n    metadata: {labels: {app: " + name + "}}\n" +
		"    spec: {containers: [{name: app, image: example.com/app:1}]" + strings.Join(pod, "") + "}\n"
}
