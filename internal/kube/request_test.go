package kube_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func connectHTTP(t *testing.T, handler http.HandlerFunc, o kube.Options) *kube.Conn {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	conn, err := kube.Connect(&rest.Config{Host: server.URL}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func tooMany(w http.ResponseWriter, seconds string) {
	w.Header().Set("Retry-After", seconds)
	http.Error(w, `{"kind":"Status","reason":"TooManyRequests","code":429,"message":"slow down"}`, http.StatusTooManyRequests)
}

func TestRequestIsSentAgainAfterA429(t *testing.T) {
	var calls atomic.Int32
	conn := connectHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			tooMany(w, "1")
			return
		}
		_, _ = fmt.Fprint(w, `{"ok":true}`)
	}, kube.Options{})
	start := time.Now()
	body, err := conn.Do(t.Context(), kube.Request{Verb: "patch", Path: "/x", Body: []byte("{}")})
	if err != nil || string(body) != `{"ok":true}` {
		t.Fatalf("got %q, %v", body, err)
	}
	if waited := time.Since(start); waited < time.Second {
		t.Errorf("Retry-After: 1 was not honoured: sent again after %s", waited)
	}
	if n := conn.Requests()["patch"]; n != 2 {
		t.Errorf("2 requests were sent, %d counted", n)
	}
}

func TestRequestThatIsRefusedForLongIsTold(t *testing.T) {
	var calls atomic.Int32
	conn := connectHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		tooMany(w, "120")
	}, kube.Options{})
	_, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"})
	if seconds, ok := apierrors.SuggestsClientDelay(err); !ok || seconds != 120 {
		t.Fatalf("want an error that says to come back in 120 s, got %v", err)
	}
	_, err = conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"})
	if !apierrors.IsTooManyRequests(err) || calls.Load() != 1 {
		t.Fatalf("during the pause nothing is sent: %d calls, %v", calls.Load(), err)
	}
}

func TestRequestHeaders(t *testing.T) {
	conn := connectHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.UserAgent(), r.Header.Get("Impersonate-User"), r.Header.Get("Content-Type"))
	}, kube.Options{Version: "1.2.3"})
	body, err := conn.Do(t.Context(), kube.Request{
		Verb: "patch", Path: "/x", Body: []byte("{}"), ContentType: kube.ApplyPatch, As: kube.As{Namespace: "shop", Name: "deployer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "PATCH sengu/1.2.3 system:serviceaccount:shop:deployer application/apply-patch+yaml"
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
}

func TestRequestErrors(t *testing.T) {
	tests := map[string]struct {
		code   int
		body   string
		reason string
		check  func(error) bool
	}{
		"a status":       {404, `{"kind":"Status","reason":"NotFound","code":404,"message":"no x"}`, "no x", apierrors.IsNotFound},
		"no such path":   {404, "404 page not found", "does not serve", kube.IsNotServed},
		"a proxy speaks": {502, "<html>token=hunter2</html>", "Bad Gateway", func(err error) bool { return !strings.Contains(err.Error(), "hunter2") }},
		"unauthorized":   {401, "", "", apierrors.IsUnauthorized},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conn := connectHTTP(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, test.body, test.code) }, kube.Options{})
			_, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"})
			if err == nil || !test.check(err) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	conn := connectHTTP(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, kube.Options{})
	if _, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"}); err == nil || elsewhere.Load() != 0 {
		t.Errorf("the redirect was followed: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	conn := connectHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, kube.Options{Timeout: 50 * time.Millisecond})
	t.Cleanup(func() { close(release) })
	if _, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"}); err == nil {
		t.Error("a server that does not answer should be an error")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	conn := connectHTTP(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, kube.Options{})
	defer close(release)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"})
		done <- err
	}()
	testenv.Eventually(t, 10*time.Second, func() error {
		if conn.Requests()["get"] == 0 {
			return fmt.Errorf("nothing was sent yet")
		}
		return nil
	})
	conn.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a request under way should fail")
		}
	case <-time.After(10 * time.Second):
		t.Error("a request outlives its connection")
	}
	if _, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"}); err == nil {
		t.Error("a request after the end should fail")
	}
}
