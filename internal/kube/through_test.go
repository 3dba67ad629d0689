package kube_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/kube"
)

func TestThroughIsTheAnswerWhateverItIs(t *testing.T) {
	cases := map[string]struct {
		reason string
		answer http.HandlerFunc
		want   kube.Answer
	}{
		"OK": {
			"A yes is an answer.",
			func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/x")
				_, _ = fmt.Fprint(w, r.Method, " ", r.URL.String(), " ", r.Header.Get("Impersonate-User"), " ", r.Header.Get("Accept"))
			},
			kube.Answer{Status: 200, ContentType: "text/x", Body: []byte("GET /x?a=b system:serviceaccount:shop:deployer text/y")},
		},
		"No": {
			"A no too, and one that looks like the API server's as well.",
			func(w http.ResponseWriter, _ *http.Request) { tooMany(w, "60") },
			kube.Answer{Status: 429, ContentType: "text/plain; charset=utf-8", Body: []byte(`{"kind":"Status","reason":"TooManyRequests","code":429,"message":"slow down"}` + "\n")},
		},
		"Redirect": {
			"Nobody is sent elsewhere.",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://169.254.169.254/")
				w.WriteHeader(http.StatusFound)
			},
			kube.Answer{Status: 302, Body: []byte{}},
		},
		"Large": {
			"Of a large answer the beginning is read.",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/x")
				_, _ = fmt.Fprint(w, strings.Repeat("x", 1<<20))
			},
			kube.Answer{Status: 200, ContentType: "text/x", Body: []byte(strings.Repeat("x", 100)), Cut: true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			conn := connectHTTP(t, tc.answer, kube.Options{})
			got, err := conn.Through(t.Context(), kube.Request{
				Path: "/x", Query: url.Values{"a": {"b"}}, Accept: "text/y", As: kube.As{Namespace: "shop", Name: "deployer"},
			}, 100)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestThroughSlowsNobodyDown(t *testing.T) {
	hang := make(chan struct{})
	conn := connectHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/many":
			tooMany(w, "60")
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		default:
			_, _ = fmt.Fprint(w, "{}")
		}
	}, kube.Options{Concurrency: 1, MaxConcurrency: 1})
	if _, err := conn.Through(t.Context(), kube.Request{Path: "/many"}, 100); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() {
			_, err := conn.Through(t.Context(), kube.Request{Path: "/hang"}, 100)
			ended <- err
		}()
	}
	start := time.Now()
	if _, err := conn.Do(t.Context(), kube.Request{Verb: "get", Path: "/x"}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a request waited %s for a server behind the API server", took)
	}
	close(hang)
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestThroughEnds(t *testing.T) {
	conn := connectHTTP(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, kube.Options{Timeout: 50 * time.Millisecond})
	if _, err := conn.Through(t.Context(), kube.Request{Path: "/x"}, 100); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("got %v", err)
	}
}
