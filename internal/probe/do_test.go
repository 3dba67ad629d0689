package probe_test

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sengu-dev/sengu/internal/probe"
)

var quiet = log.New(io.Discard, "", 0)

// planted stands for what no sentence may repeat.
const planted = "planted-s3cret"

func TestDo(t *testing.T) {
	checkLeaks(t)
	large := strings.Repeat("x", 64<<10)
	cases := map[string]struct {
		reason string
		answer http.HandlerFunc
		check  probe.Check
		want   probe.Result // its sentence goes on after the address
	}{
		"OK":         {"Any 2xx is good.", answer(204, ""), probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 204, Sentence: "answered 204"}},
		"Not":        {"Anything else is not.", answer(503, planted), probe.Check{}, probe.Result{Evidence: true, Status: 503, Sentence: "answered 503, and not 2xx"}},
		"Wanted":     {"Unless it is what is wanted.", answer(503, planted), probe.Check{Status: []int{401, 503}}, probe.Result{OK: true, Evidence: true, Status: 503, Sentence: "answered 503"}},
		"NotWanted":  {"Then 200 is not.", answer(200, planted), probe.Check{Status: []int{401, 503}}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, and not 401 or 503"}},
		"Match":      {"A body may have to match.", answer(200, `{"status":"ok","`+planted), probe.Check{Body: regexp.MustCompile(`"status":"ok"`)}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200, with a body that matches"}},
		"NoMatch":    {"And may not.", answer(200, planted), probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match"}},
		"StatusNot":  {"A body does not make up for a status.", answer(500, "ok"), probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 500, Sentence: "answered 500, and not 2xx"}},
		"Empty":      {"Nothing does not match something.", answer(200, ""), probe.Check{Body: regexp.MustCompile("^ok$")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match"}},
		"LargeMatch": {"Of a large body, the beginning counts.", answer(200, "ok"+large), probe.Check{Body: regexp.MustCompile("^ok")}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200, with a body that matches"}},
		"LargeNot":   {"And nothing behind it.", answer(200, large+"ok"), probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match in its first 64 KiB"}},
		"Endless":    {"A body without an end is not read to it.", endless, probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match in its first 64 KiB"}},
		"Unread":     {"Nor is one that nobody asked for.", endless, probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200"}},
		"Bomb":       {"Nor one that grows when it is unpacked.", bomb, probe.Check{Body: regexp.MustCompile("ok")}, probe.Result{Evidence: true, Status: 200, Sentence: "answered 200, with a body that does not match in its first 64 KiB"}},
		"Header": {"A header without an end is no answer.", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 200 {
				w.Header().Set(fmt.Sprintf("X-%d", i), large[:1000])
			}
		}, probe.Check{}, probe.Result{Sentence: "could not be asked: its answer could not be read, or the connection broke"}},
		"Slow":       {"What does not answer in time has not answered.", slow(false), probe.Check{Timeout: 100 * time.Millisecond}, probe.Result{Sentence: "could not be asked: it did not answer in time"}},
		"SlowBody":   {"Half a body is no evidence, though the status was good.", slow(true), probe.Check{Timeout: 300 * time.Millisecond, Body: regexp.MustCompile("never")}, probe.Result{Sentence: "could not be judged: it did not finish its answer in time"}},
		"SlowUnread": {"If the status is all that is asked, the body is not waited for.", slow(true), probe.Check{Timeout: 10 * time.Second}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200"}},
		"Broken":     {"Nor is a body that breaks off.", broken, probe.Check{Body: regexp.MustCompile("x")}, probe.Result{Sentence: "could not be judged: its answer broke off"}},
		"Hangup":     {"Nor is an end without an answer.", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, probe.Check{}, probe.Result{Sentence: "could not be asked: its answer could not be read, or the connection broke"}},
		"Head": {"HEAD is asked as HEAD.", func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}, probe.Check{Method: "head"}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "answered 200"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, tc.answer)
			tc.check.URL = s.URL + "/healthz?token=" + planted
			tc.check.Headers = map[string]string{"Authorization": "Bearer " + planted}
			got := probe.Do(t.Context(), newClient(t, nil, s.URL), tc.check)
			method := "GET"
			if tc.check.Method != "" {
				method = strings.ToUpper(tc.check.Method)
			}
			tc.want.Sentence = method + " " + s.URL + "/healthz " + tc.want.Sentence
			if tc.want.Status != 0 {
				tc.want.Sentence += fmt.Sprintf(" (%s)", got.Took.Round(time.Millisecond))
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(probe.Result{}, "Took")); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if got.Took <= 0 || got.Took > 20*time.Second {
				t.Errorf("it took %s", got.Took)
			}
			if strings.Contains(got.Sentence, planted) {
				t.Errorf("the sentence repeats what it must not: %s", got.Sentence)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := fmt.Fprint(w, strings.Repeat(planted, 1000)); err != nil {
			return
		}
	}
}

func bomb(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	packed := gzip.NewWriter(w)
	for r.Context().Err() == nil {
		if _, err := packed.Write(make([]byte, 1<<20)); err != nil {
			return
		}
	}
}

func slow(begun bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if begun {
			_, _ = fmt.Fprint(w, planted)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = fmt.Fprint(w, "x")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestRequest(t *testing.T) {
	s := newSite(t, answer(200, ""))
	result := probe.Do(t.Context(), newClient(t, nil, s.URL), probe.Check{
		URL: s.URL + "/a%20b?x=y#z", Headers: map[string]string{"X-Tenant": "one", "Host": "shop.example.com"},
	})
	if !result.OK || len(s.asked()) != 1 {
		t.Fatalf("got %+v", result)
	}
	r := s.asked()[0]
	if r.RequestURI != "/a%20b?x=y" || r.Host != "shop.example.com" || r.Header.Get("X-Tenant") != "one" || r.UserAgent() != "sengu/test" {
		t.Errorf("got %s %s %v", r.Host, r.RequestURI, r.Header)
	}
}

func TestWhatIsNotAllowedIsNotDialed(t *testing.T) {
	checkLeaks(t)
	s := newSite(t, answer(200, ""))
	port := s.Listener.Addr().(*net.TCPAddr).Port
	names := resolver(t, func(int32) []netip.Addr { return nil })
	for name, host := range map[string]string{
		"Loopback": "127.0.0.1", "OtherLoopback": "127.7.7.7", "IPv6": "[::1]", "Mapped": "[::ffff:127.0.0.1]", "Unspecified": "0.0.0.0",
		"Localhost": "localhost", "Metadata": "169.254.169.254", "LinkLocal": "[fe80::1]", "AWS": "[fd00:ec2::254]", "Multicast": "224.0.0.1",
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(o *probe.Options) { o.Resolver = names })
			got := probe.Do(t.Context(), c, probe.Check{URL: fmt.Sprintf("http://%s:%d/", host, port)})
			if got.OK || got.Evidence || !got.Refused || !strings.Contains(got.Sentence, "is not asked: its address is this machine's own, a link-local one, or one of a cloud's metadata") {
				t.Errorf("got %+v", got)
			}
		})
	}
	if n := s.dials.Load(); n != 0 {
		t.Errorf("there were %d connections", n)
	}
}

func TestNamesThatLeadHere(t *testing.T) {
	s := newSite(t, answer(200, ""))
	port := s.Listener.Addr().(*net.TCPAddr).Port
	for name, answers := range map[string][]netip.Addr{
		"IPv4":     {netip.MustParseAddr("127.0.0.1")},
		"IPv6":     {netip.MustParseAddr("::1")},
		"Metadata": {netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")},
		"Several":  {netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(o *probe.Options) {
				o.Resolver = resolver(t, func(int32) []netip.Addr { return answers })
			})
			got := probe.Do(t.Context(), c, probe.Check{URL: fmt.Sprintf("http://shop.example.com:%d/", port)})
			if got.OK || got.Evidence || !got.Refused {
				t.Errorf("got %+v", got)
			}
		})
	}
	if n := s.dials.Load(); n != 0 {
		t.Errorf("there were %d connections", n)
	}
}

// A name that is allowed for one path, and whose connection leads here, gives nothing to another path of the same name:
// not by a connection that is still open, and not by an answer of DNS that is remembered.
func TestRebinding(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz/away" {
			http.Redirect(w, r, "/admin", http.StatusFound)
		}
	})
	port := s.Listener.Addr().(*net.TCPAddr).Port
	base := fmt.Sprintf("http://shop.example.com:%d", port)
	c := newClient(t, func(o *probe.Options) {
		o.Resolver = resolver(t, func(int32) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	}, base+"/healthz")
	for range 3 {
		if got := probe.Do(t.Context(), c, probe.Check{URL: base + "/healthz"}); !got.OK {
			t.Fatalf("got %+v", got)
		}
		for _, path := range []string{"/admin", "/healthz/away", "/healthz/../admin", "/healthz/%2e%2e/admin"} {
			if got := probe.Do(t.Context(), c, probe.Check{URL: base + path}); got.OK || got.Evidence || !got.Refused {
				t.Fatalf("%s: got %+v", path, got)
			}
		}
	}
	for _, r := range s.asked() {
		if !strings.HasPrefix(r.URL.Path, "/healthz") || strings.Contains(r.URL.Path, "admin") {
			t.Errorf("%s was asked", r.URL.Path)
		}
	}
}

func TestRedirects(t *testing.T) {
	checkLeaks(t)
	other := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if back := r.URL.Query().Get("back"); back != "" {
			http.Redirect(w, r, back, http.StatusFound)
		}
	})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch to := r.URL.Query().Get("to"); {
		case strings.HasPrefix(r.URL.Path, "/loop"):
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		case r.URL.Path == "/hops":
			if n := len(to); n > 0 {
				http.Redirect(w, r, "/hops?to="+to[1:], http.StatusMovedPermanently)
			}
		case to != "":
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	})
	cases := map[string]struct {
		reason string
		path   string
		check  probe.Check
		want   probe.Result
	}{
		"Followed":  {"A redirect is followed.", "/?to=/there", probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "redirects to " + s.URL + ", which answered 200"}},
		"Elsewhere": {"Also to another server.", "/?to=" + other.URL + "/a", probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "redirects to " + other.URL + ", which answered 200"}},
		"Five":      {"Five times.", "/hops?to=12345", probe.Check{}, probe.Result{OK: true, Evidence: true, Status: 200, Sentence: "redirects to " + s.URL + ", which answered 200"}},
		"Six":       {"Not six times.", "/hops?to=123456", probe.Check{}, probe.Result{Evidence: true, Status: 301, Sentence: "redirects more than 5 times"}},
		"Endless":   {"Nor without end.", "/loop", probe.Check{}, probe.Result{Evidence: true, Status: 302, Sentence: "redirects more than 5 times"}},
		"Wanted":    {"A redirect that is wanted is the answer.", "/?to=http://169.254.169.254/" + planted, probe.Check{Status: []int{302}}, probe.Result{OK: true, Evidence: true, Status: 302, Sentence: "answered 302"}},
		"Metadata":  {"Nobody is led to the metadata of a cloud.", "/?to=http://169.254.169.254/latest/meta-data/?" + planted, probe.Check{}, probe.Result{Refused: true, Sentence: "redirects to http://169.254.169.254, which is not asked: its address is this machine's own, a link-local one, or one of a cloud's metadata: the operator of Sengu can allow the URL"}},
		"Here":      {"Nor to this machine by a way that is not allowed.", "/?to=http://localhost:1/", probe.Check{}, probe.Result{Refused: true, Sentence: "redirects to http://localhost:1, which is not asked: its address is this machine's own, a link-local one, or one of a cloud's metadata: the operator of Sengu can allow the URL"}},
		"File":      {"Nor to another protocol.", "/?to=file:///etc/" + planted, probe.Check{}, probe.Result{Evidence: true, Status: 302, Sentence: "answered 302, a redirect to where no check goes"}},
		"Password":  {"Nor with credentials.", "/?to=http://me:" + planted + "@example.com/", probe.Check{}, probe.Result{Evidence: true, Status: 302, Sentence: "answered 302, a redirect to where no check goes"}},
		"Nonsense":  {"Nor to nowhere.", "/?to=http://[", probe.Check{}, probe.Result{Evidence: true, Status: 302, Sentence: "answered 302, a redirect to where no check goes"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.check.URL = s.URL + tc.path
			got := probe.Do(t.Context(), newClient(t, nil, s.URL, other.URL), tc.check)
			at, _, _ := strings.Cut(tc.check.URL, "?")
			tc.want.Sentence = "GET " + at + " " + tc.want.Sentence
			if tc.want.Status != 0 {
				tc.want.Sentence += fmt.Sprintf(" (%s)", got.Took.Round(time.Millisecond))
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(probe.Result{}, "Took")); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if strings.Contains(got.Sentence, planted) {
				t.Errorf("the sentence repeats what it must not: %s", got.Sentence)
			}
		})
	}
}

func TestCredentialsStayWhereTheyBelong(t *testing.T) {
	var s *site
	other := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.URL+"/back", http.StatusTemporaryRedirect)
	})
	s = newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, "/within", http.StatusFound)
		case "/within":
			w.Header().Set("Set-Cookie", "a="+planted)
			http.Redirect(w, r, other.URL+"/away", http.StatusTemporaryRedirect)
		}
	})
	got := probe.Do(t.Context(), newClient(t, nil, s.URL, other.URL), probe.Check{
		URL: s.URL, Headers: map[string]string{"Authorization": "Bearer " + planted, "X-Api-Key": planted, "Cookie": planted, "Host": "shop.example.com"},
	})
	if !got.OK {
		t.Fatalf("got %+v", got)
	}
	carried := map[string]bool{}
	for _, r := range append(s.asked(), other.asked()...) {
		carried[r.URL.Path] = strings.Contains(fmt.Sprint(r.Header), planted) || r.Host == "shop.example.com"
	}
	want := map[string]bool{"/": true, "/within": true, "/away": false, "/back": false}
	if diff := cmp.Diff(want, carried); diff != "" {
		t.Errorf("who got the headers of the check, -want +got:\n%s", diff)
	}
}

func TestTLS(t *testing.T) {
	checkLeaks(t)
	secure := func(s *httptest.Server) { s.StartTLS() }
	good := newSite(t, answer(200, ""), secure)
	plain := newSite(t, answer(200, ""))
	toPlain := newSite(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }, secure)
	wantsClient := newSite(t, answer(200, ""), func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		s.StartTLS()
	})
	expired, expiredRoots := newExpired(t)
	_, port, _ := net.SplitHostPort(good.Listener.Addr().String())
	trust := func(s *site) *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate())
		return pool
	}
	cases := map[string]struct {
		reason string
		url    string
		roots  *x509.CertPool
		want   string
		ok     bool
	}{
		"Trusted":    {"One that is signed by whom the operator believes is good.", good.URL, trust(good), "answered 200", true},
		"Unknown":    {"One that nobody signed says nothing.", good.URL, x509.NewCertPool(), "could not be asked: its certificate is signed by nobody that is known", false},
		"System":     {"The system does not know it either.", good.URL, nil, "could not be asked: its certificate is signed by nobody that is known", false},
		"OtherName":  {"Nor does one for another name.", "https://localhost.localdomain.test:" + port, trust(good), "could not be asked: its certificate is for another name", false},
		"Expired":    {"Nor does an old one.", expired.URL, expiredRoots, "could not be asked: its certificate has expired, or is not valid yet", false},
		"NoTLS":      {"Nor does one who does not speak TLS.", strings.Replace(plain.URL, "http:", "https:", 1), nil, "could not be asked: it does not speak TLS", false},
		"ClientCert": {"Who wants to know us first is not asked.", wantsClient.URL, trust(wantsClient), "could not be asked: ", false},
		"Downgrade":  {"Nobody is led from https to http.", toPlain.URL, trust(toPlain), "answered 302, a redirect from https to http, which is not followed", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(o *probe.Options) {
				o.RootCAs = tc.roots
				o.Resolver = resolver(t, func(int32) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
			}, tc.url, plain.URL)
			got := probe.Do(t.Context(), c, probe.Check{URL: tc.url})
			if got.OK != tc.ok || !strings.Contains(got.Sentence, tc.want) || (strings.Contains(tc.want, "could not") && got.Evidence) {
				t.Errorf("%s\ngot  %+v\nwant %s", tc.reason, got, tc.want)
			}
		})
	}
	if len(plain.asked()) > 0 {
		t.Error("the plain one was asked")
	}
}

// newExpired returns a server whose certificate was good once.
func newExpired(t *testing.T) (*site, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return newSite(t, answer(200, ""), func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		s.StartTLS()
	}), pool
}

func TestWhatCouldNotBeAsked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + listener.Addr().String()
	_ = listener.Close()
	nobody := resolver(t, func(int32) []netip.Addr { return nil })
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	var d net.Dialer
	mute := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "udp", silent.LocalAddr().String())
	}}
	cases := map[string]struct {
		stopped  bool
		url      string
		resolver *net.Resolver
		want     string
	}{
		"Refused":     {false, gone, nil, "GET " + gone + " could not be asked: it refuses the connection"},
		"NoName":      {false, "http://nowhere.example.com/?" + planted, nobody, "GET http://nowhere.example.com/ could not be asked: its name is not known"},
		"NoDNS":       {false, "http://nowhere.example.com/", mute, "GET http://nowhere.example.com/ could not be asked: it did not answer in time"},
		"Interrupted": {true, gone, nil, "GET " + gone + " could not be asked: it was interrupted"},
		"NoCheck":     {false, "http://me:" + planted + "@example.com", nil, "the check is not asked: url must not carry a user or a password: whoever reads the repository would have them"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, func(o *probe.Options) { o.Resolver = tc.resolver }, gone)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.stopped {
				cancel()
			}
			got := probe.Do(ctx, c, probe.Check{URL: tc.url, Timeout: 500 * time.Millisecond})
			if got.OK || got.Evidence || got.Status != 0 || got.Sentence != tc.want {
				t.Errorf("got  %+v\nwant %s", got, tc.want)
			}
		})
	}
}
