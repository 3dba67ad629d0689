package probe_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/probe"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func connect(t *testing.T, cfg *rest.Config) *kube.Conn {
	t.Helper()
	conn, err := kube.Connect(cfg, kube.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// What an API server itself says of a Service, asked for real.
func TestServiceOfARealAPIServer(t *testing.T) {
	plane := testenv.Plane(t)
	namespace := plane.Namespace(t)
	conn := connect(t, plane.Config)
	plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/services", map[string]any{
		"metadata": map[string]any{"name": "checkout"},
		"spec":     map[string]any{"selector": map[string]any{"app": "checkout"}, "ports": []any{map[string]any{"name": "http", "port": 80}}},
	})
	plane.Request(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "deployer"}})
	account := kube.As{Namespace: namespace, Name: "deployer"}
	cases := map[string]struct {
		as   kube.As
		url  string
		want string
	}{
		"NoPods":    {url: "service://checkout:80/healthz", want: "it has no Pods that are ready"},
		"ByName":    {url: "service://https:checkout:http/", want: "it has no Pods that are ready"},
		"NoPort":    {url: "service://checkout:81/", want: "it has no such port"},
		"NoService": {url: "service://nowhere:80/?" + planted, want: "there is no such Service in namespace " + namespace},
		"Forbidden": {as: account, url: "service://checkout:80/", want: "the service account " + namespace + "/deployer may not: give it a Role that allows get on services/proxy in namespace " + namespace},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, nil)
			var got probe.Result
			testenv.Eventually(t, 30*time.Second, func() error {
				got = probe.Service(t.Context(), c, probe.Target{Conn: conn, As: tc.as, Namespace: namespace}, probe.Check{
					URL: tc.url, Status: []int{200, 403, 404, 500, 503}, // what the API server answers must not pass for it
				})
				at, _, _ := strings.Cut(tc.url, "?")
				if want := "GET " + at + " could not be asked: " + tc.want; got.Sentence != want {
					return fmt.Errorf("got  %s\nwant %s", got.Sentence, want)
				}
				return nil
			})
			if got.OK || got.Evidence || got.Status != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// proxied is a real API server, but for what it would hand on to a Service: a simulated node runs none.
func proxied(t *testing.T, service http.HandlerFunc) (*kube.Conn, *[]*http.Request) {
	t.Helper()
	plane := testenv.Plane(t)
	target, err := url.Parse(plane.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	asked := &[]*http.Request{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/services/") && strings.Contains(r.URL.Path, "/proxy/") {
			*asked = append(*asked, r)
			service(w, r)
			return
		}
		onward.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	return connect(t, &rest.Config{Host: server.URL}), asked
}

func TestService(t *testing.T) {
	cases := map[string]struct {
		reason string
		answer http.HandlerFunc
		check  probe.Check
		want   probe.Result // its sentence goes on after the address
	}{
		"OK":       {"What a Service answers is judged.", answer(200, planted), probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200"}},
		"Not":      {"Also if it is not well.", answer(503, planted), probe.Check{}, probe.Result{Evidence: true, Status: 503, Sentence: "answered 503, and not 2xx"}},
		"NotThere": {"A page that is not there is the Service's word.", answer(404, planted), probe.Check{}, probe.Result{Evidence: true, Status: 404, Sentence: "answered 404, and not 2xx"}},
		"Wanted":   {"And may be what is wanted.", answer(404, planted), probe.Check{Status: []int{404}}, probe.Result{OK: true, Evidence: true, Status: 404, Sentence: "answered 404"}},
		"Match":    {"A body may have to match.", answer(200, "ok "+planted), probe.Check{Body: regexp.MustCompile("^ok")}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200, with a body that matches"}},
		"NoMatch":  {"And may not.", answer(200, planted), probe.Check{Body: regexp.MustCompile("^ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match"}},
		"Endless":  {"Only its beginning is read.", endless, probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match in its first 64 KiB"}},
		"Redirect": {"Nobody is led away.", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/"+planted, http.StatusFound)
		}, probe.Check{}, probe.Result{Evidence: true, Status: 302, Sentence: "answered 302, and not 2xx"}},
		"Impostor": {"Who speaks like the API server is taken for it, which is no pass.", answer(503, `{"kind":"Status","apiVersion":"v1","code":200,"reason":"OK","message":"`+planted+`"}`), probe.Check{Status: []int{200, 503}}, probe.Result{Sentence: "could not be asked: the API server answers OK"}},
		"Slow":     {"What does not answer in time has not answered.", slow(true), probe.Check{Timeout: 200 * time.Millisecond}, probe.Result{Sentence: "could not be asked: the API server: it did not answer in time"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			conn, asked := proxied(t, tc.answer)
			tc.check.URL = "service://checkout:http/healthz?token=" + planted
			target := probe.Target{Conn: conn, As: kube.As{Namespace: "shop", Name: "deployer"}, Namespace: "shop"}
			got := probe.Service(t.Context(), newClient(t, nil), target, tc.check)
			tc.want.Sentence = "GET service://checkout:http/healthz " + tc.want.Sentence
			if tc.want.Status != 0 {
				tc.want.Sentence += fmt.Sprintf(" (%s)", got.Took.Round(time.Millisecond))
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(probe.Result{}, "Took")); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if strings.Contains(got.Sentence, planted) {
				t.Errorf("the sentence repeats what it must not: %s", got.Sentence)
			}
			if len(*asked) != 1 || (*asked)[0].RequestURI != "/api/v1/namespaces/shop/services/checkout:http/proxy/healthz?token="+planted || (*asked)[0].Header.Get("Impersonate-User") != "system:serviceaccount:shop:deployer" {
				t.Errorf("%d requests: %+v", len(*asked), *asked)
			}
		})
	}
}

// A Service that says it has too many requests is a Service that is not well, and nothing else slows down for it.
func TestServiceSlowsNobodyDown(t *testing.T) {
	conn, _ := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	got := probe.Service(t.Context(), newClient(t, nil), probe.Target{Conn: conn, Namespace: "shop"}, probe.Check{URL: "service://checkout:80/"})
	if got.OK || !got.Evidence || got.Status != 429 {
		t.Errorf("got %+v", got)
	}
	start := time.Now()
	if _, err := conn.Identity(t.Context()); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

func TestServiceRefuses(t *testing.T) {
	conn, asked := proxied(t, answer(200, ""))
	for name, tc := range map[string]struct {
		namespace string
		check     probe.Check
	}{
		"Up":        {"shop", probe.Check{URL: "service://checkout:80/../../../../secrets"}},
		"Encoded":   {"shop", probe.Check{URL: "service://checkout:80/%2e%2e/%2e%2e/secrets"}},
		"Slash":     {"shop", probe.Check{URL: "service://checkout:80/..%2f..%2fsecrets"}},
		"Namespace": {"shop/secrets", probe.Check{URL: "service://checkout:80/"}},
		"Headers":   {"shop", probe.Check{URL: "service://checkout:80/", Headers: map[string]string{"Authorization": planted}}},
		"Direct":    {"shop", probe.Check{URL: "http://checkout/"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := probe.Service(t.Context(), newClient(t, nil), probe.Target{Conn: conn, Namespace: tc.namespace}, tc.check)
			if got.OK || got.Evidence || !got.Refused || strings.Contains(got.Sentence, planted) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if len(*asked) > 0 {
		t.Errorf("%d requests were sent", len(*asked))
	}
}

func TestServiceOfAClusterThatIsGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	conn := connect(t, &rest.Config{Host: server.URL})
	server.Close()
	got := probe.Service(t.Context(), newClient(t, nil), probe.Target{Conn: conn, Namespace: "shop"}, probe.Check{URL: "service://checkout:80/"})
	if want := "GET service://checkout:80/ could not be asked: the API server: it refuses the connection"; got.Evidence || got.OK || got.Sentence != want {
		t.Errorf("got %+v", got)
	}
}
