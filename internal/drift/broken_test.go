package drift_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// faulty stands between a Watcher and the API server, and breaks what the test tells it to.
type faulty struct {
	*httptest.Server
	// refuse answers a request in place of the API server if it returns true.
	refuse atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	lists  atomic.Int32
	gets   atomic.Int32
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
	}
	f := &faulty{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("watch") != "":
		case r.URL.Query().Get("limit") != "":
			f.lists.Add(1)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/configmaps/"):
			f.gets.Add(1)
		}
		if refuse := f.refuse.Load(); refuse != nil && (*refuse)(w, r) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *faulty) fault(refuse func(http.ResponseWriter, *http.Request) bool) { f.refuse.Store(&refuse) }

func (f *faulty) mend() { f.refuse.Store(nil) }

func status(w http.ResponseWriter, code int, reason string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, reason, code, reason)
	return true
}

func watches(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func newFaultyBench(t *testing.T) (*bench, *faulty) {
	t.Helper()
	plane := testenv.Plane(t)
	f := newFaulty(t, plane)
	return newBenchAt(t, plane, &rest.Config{Host: f.URL}), f
}

func TestHalfAListMakesNothingMissing(t *testing.T) {
	b, f := newFaultyBench(t)
	b.track(configMaps)
	const count = 300 // more than one page
	for i := range count {
		b.watcher.Observe(b.apply(configMap(fmt.Sprintf("cm-%d", i))))
	}
	b.settle()
	before := b.notices()
	// The watch is too old, and every list ends after its first page.
	f.fault(func(w http.ResponseWriter, r *http.Request) bool {
		return (watches(r) && status(w, http.StatusGone, "Expired")) ||
			(r.URL.Query().Get("continue") != "" && status(w, http.StatusInternalServerError, "InternalError"))
	})
	f.CloseClientConnections()
	lists := f.lists.Load()
	testenv.Eventually(t, soon, func() error {
		if f.lists.Load() < lists+4 {
			return errors.New("it does not list again")
		}
		return nil
	})
	if owned := b.watcher.OwnedBy(b.owner.UID); len(owned) != count || b.notices() != before {
		t.Errorf("%d of %d objects are left, %d notices", len(owned), count, b.notices()-before)
	}
	if !b.watcher.Synced(configMaps.GroupKind()) {
		t.Error("the state that there was should be kept")
	}
	f.mend()
	gone := b.apply(configMap("cm-7"))
	b.plane.Request(t, http.MethodDelete, b.path(gone), nil)
	testenv.Eventually(t, soon, func() error {
		if owned := b.watcher.OwnedBy(b.owner.UID); len(owned) != count-1 {
			return fmt.Errorf("%d objects, want %d", len(owned), count-1)
		}
		return nil
	})
}

func TestWhatHappensWhileTheWatchIsBrokenIsSeenAfter(t *testing.T) {
	b, f := newFaultyBench(t)
	b.track(configMaps)
	deleted, changed, stripped := b.apply(configMap("deleted")), b.apply(configMap("changed")), b.apply(configMap("stripped"))
	b.watcher.Observe(deleted, changed, stripped)
	b.settle()
	f.fault(func(w http.ResponseWriter, _ *http.Request) bool {
		return status(w, http.StatusServiceUnavailable, "ServiceUnavailable")
	})
	f.CloseClientConnections()
	b.plane.Request(t, http.MethodDelete, "/api/v1/namespaces/"+b.namespace+"/configmaps/deleted", nil)
	b.plane.Request(t, http.MethodPatch, "/api/v1/namespaces/"+b.namespace+"/configmaps/changed", map[string]any{"data": map[string]any{"key": "x"}})
	b.plane.Request(t, http.MethodPatch, "/api/v1/namespaces/"+b.namespace+"/configmaps/stripped", map[string]any{"metadata": map[string]any{"labels": map[string]any{manifest.LabelApp: nil}}})
	testenv.During(t, 500*time.Millisecond, func() error {
		if len(b.watcher.OwnedBy(b.owner.UID)) != 3 {
			return errors.New("an object is missing because the API server does not answer")
		}
		return nil
	})
	// The watch cannot go on from where it was: everything is listed again.
	expired := false
	f.fault(func(w http.ResponseWriter, r *http.Request) bool {
		if watches(r) && !expired {
			expired = true
			return status(w, http.StatusGone, "Expired")
		}
		return false
	})
	testenv.Eventually(t, soon, func() error {
		_, there := b.watcher.Live(deleted.Ref)
		now, _ := b.watcher.Live(changed.Ref)
		bare, still := b.watcher.Live(stripped.Ref)
		if there || now.Baseline == changed.Baseline || !still || bare.Owned {
			return fmt.Errorf("deleted is there: %v; changed: %v; stripped: %v %+v", there, now.Baseline != changed.Baseline, still, bare)
		}
		return nil
	})
}

func TestAnAnswerToIsItGoneIsWaitedFor(t *testing.T) {
	b, f := newFaultyBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.watcher.Observe(live)
	b.settle()
	f.fault(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/configmaps/a") && status(w, http.StatusInternalServerError, "InternalError")
	})
	b.plane.Request(t, http.MethodDelete, "/api/v1/namespaces/"+b.namespace+"/configmaps/a", nil)
	testenv.Eventually(t, soon, func() error {
		if f.gets.Load() < 2 {
			return errors.New("it does not ask again")
		}
		if _, there := b.watcher.Live(live.Ref); !there {
			t.Fatal("an error was taken for a deletion")
		}
		return nil
	})
	f.mend()
	testenv.Eventually(t, soon, func() error {
		if _, there := b.watcher.Live(live.Ref); there {
			return errors.New("it is still there")
		}
		return nil
	})
}

func TestAPIServerGoneAndBack(t *testing.T) {
	b := newBench(t)
	b.track(configMaps)
	live := b.apply(configMap("a"))
	b.watcher.Observe(live)
	b.settle()
	before := b.notices()
	b.plane.Stop(t)
	testenv.During(t, 3*time.Second, func() error {
		if now, there := b.watcher.Live(live.Ref); !there || now.Baseline != live.Baseline || !b.watcher.Synced(configMaps.GroupKind()) || b.notices() != before {
			return fmt.Errorf("the state is not kept while the API server is gone: %v %+v", there, now)
		}
		return nil
	})
	b.plane.Start(t)
	b.merge(live, map[string]any{"data": map[string]any{"key": "changed"}})
	b.eventually(live.Ref, func(now manifest.Live) error {
		if now.Baseline == live.Baseline {
			return errors.New("drift after the API server came back is not seen")
		}
		return nil
	})
}

func TestKindWhoseDefinitionIsDeleted(t *testing.T) {
	b := newBench(t)
	group := b.namespace + ".example.com"
	gvk := schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Widget"}
	definition := map[string]any{
		"metadata": map[string]any{"name": "widgets." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Widget", "plural": "widgets"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		},
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	define := func() {
		b.plane.Request(t, http.MethodPost, path, definition)
		testenv.Eventually(t, soon, func() error {
			r, err := b.conn.Mapping(t.Context(), gvk)
			if err == nil {
				_, err = b.conn.Do(t.Context(), kube.Request{Verb: "list", Path: r.Path("", "")})
			}
			return err
		})
	}
	define()
	b.track(gvk) // and nothing of which other tests leave something to be deleted
	widget := b.apply("apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}")
	b.eventually(widget.Ref, func(manifest.Live) error { return nil })
	b.plane.Request(t, http.MethodDelete, path+"/widgets."+group, nil)
	testenv.Eventually(t, soon, func() error {
		if _, there := b.watcher.Live(widget.Ref); there || !b.watcher.Synced(gvk.GroupKind()) {
			return errors.New("the object is still there")
		}
		return nil
	})
	requests := func() (n int64) {
		for _, count := range b.conn.Requests() {
			n += count
		}
		return n
	}
	before := requests()
	was := b.conn.Requests()
	testenv.During(t, 3*time.Second, func() error {
		if n := requests() - before; n > 20 {
			return fmt.Errorf("%d requests for a kind that is gone: there were %v and are %v", n, was, b.conn.Requests())
		}
		return nil
	})
	define()
	again := b.apply("apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}")
	b.watcher.Observe(again)
	b.merge(again, map[string]any{"metadata": map[string]any{"annotations": map[string]any{manifest.AnnotationPrune: "never"}}})
	b.eventually(again.Ref, func(now manifest.Live) error {
		if !now.Never {
			return errors.New("the kind is back, and not watched")
		}
		return nil
	})
}
