package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

const (
	planted = "s3cr3t-of-the-webhook"
	hash    = "0123456789abcdef0123456789abcdef01234567"
	key     = "a signing key of some length"
)

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	at       = time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)
)

func event() history.Event {
	return history.Event{
		Key: "shop/checkout.1/ü", Time: at, Kind: history.Failed, Fleet: "shop", Service: "checkout", Environment: "staging",
		Release: "checkout-1", Group: "g-1", Revision: hash, Previous: hash, Title: `Say "hello" <b>`, Author: "Somebody",
		Committed: at.Add(-time.Hour), Images: []history.Image{{Name: "registry.example.com/checkout", Tag: "1.2.3", Digest: "sha256:0"}},
		By: "sengu", Why: "the Pods do not start", Loud: true,
	}
}

// tell tells one event and gives the error, whether or not it is refused for good, and how long to wait.
func tell(t *testing.T, opts webhook.Options, e history.Event) error {
	t.Helper()
	if opts.Now == nil {
		opts.Now = func() time.Time { return at }
	}
	sink, err := webhook.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.CloseIdleConnections()
	told, err := sink.Tell(t.Context(), nil, []notify.Notice{{Event: e}, {Event: e}})
	if (err == nil) != (told == 1) {
		t.Errorf("told %d with the error %v", told, err)
	}
	if err != nil && (strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), "\n")) {
		t.Errorf("the error is no sentence without secrets: %v", err)
	}
	return err
}

// request is what a receiver got.
type request struct {
	header http.Header
	body   string
	path   string
}

// receiver is a real server that keeps what it gets.
func receiver(t *testing.T, answer http.HandlerFunc) (*httptest.Server, func() []request) {
	var mu sync.Mutex
	var got []request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, request{r.Header.Clone(), string(body), r.URL.Path})
		mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server, func() []request { mu.Lock(); defer mu.Unlock(); return got }
}

func TestRequest(t *testing.T) {
	server, got := receiver(t, nil)
	err := tell(t, webhook.Options{
		URL: server.URL + "/" + planted, Headers: map[string]string{"authorization": "Bearer " + planted}, SigningKey: []byte(key), Allow: loopback,
	}, event())
	if err != nil {
		t.Fatal(err)
	}
	r := got()[0]
	want := `{"version":1,"type":"sengu.failed","timestamp":"2030-04-01T09:00:00Z","data":{"key":"shop/checkout.1/ü","kind":"failed","fleet":"shop","service":"checkout","environment":"staging","release":"checkout-1","group":"g-1","revision":"` + hash + `","previous":"` + hash + `","title":"Say \"hello\" \u003cb\u003e","author":"Somebody","committed":"2030-04-01T08:00:00Z","images":[{"name":"registry.example.com/checkout","tag":"1.2.3","digest":"sha256:0"}],"by":"sengu","why":"the Pods do not start","loud":true,"untouched":false}}`
	if diff := cmp.Diff(want, r.body); diff != "" {
		t.Error(diff)
	}
	id := "shop/checkout%2E1/%C3%BC"
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(id + ".1901264400." + r.body))
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Idempotency-Key": id, "Webhook-Id": id, "Webhook-Timestamp": "1901264400",
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), "Authorization": "Bearer " + planted, "User-Agent": "sengu",
	} {
		if r.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, r.header.Get(name), want)
		}
	}
}

func TestEmptyFieldsAreThere(t *testing.T) {
	server, got := receiver(t, nil)
	if err := tell(t, webhook.Options{URL: server.URL, Allow: loopback}, history.Event{Key: strings.Repeat("k.", 600), Time: at, Kind: history.Created, By: "sengu"}); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Data map[string]any
	}
	if err := json.Unmarshal([]byte(got()[0].body), &body); err != nil {
		t.Fatal(err)
	}
	if len(body.Data) != 17 || body.Data["committed"] != nil || cmp.Diff([]any{}, body.Data["images"]) != "" || body.Data["environment"] != "" {
		t.Errorf("got %d fields: %v", len(body.Data), body.Data)
	}
	h := got()[0].header
	if h.Get("Webhook-Signature") != "" || !strings.HasPrefix(h.Get("Webhook-Id"), "%sha256:") {
		t.Errorf("got %v", h)
	}
}

func TestSigningKeyInBase64(t *testing.T) {
	server, got := receiver(t, nil)
	encoded := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	if err := tell(t, webhook.Options{URL: server.URL, SigningKey: []byte(encoded), Allow: loopback}, event()); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("shop/checkout%2E1/%C3%BC.1901264400." + got()[0].body))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got()[0].header.Get("Webhook-Signature") != want {
		t.Error("the key is not decoded")
	}
}

func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		status  int
		after   string
		refused bool
		wait    time.Duration
		want    string
	}{
		"no content":       {status: 204},
		"too many":         {status: 429, after: "7", wait: 7 * time.Second, want: "the receiver is busy: it answered 429"},
		"too many, a date": {status: 429, after: "Mon, 01 Apr 2030 09:01:00 GMT", wait: time.Minute, want: "the receiver is busy: it answered 429"},
		"too many, no hint": {
			status: 429, after: "-5", want: "the receiver is busy: it answered 429",
		},
		"unavailable":  {status: 503, after: "3", wait: 3 * time.Second, want: "the receiver is busy: it answered 503"},
		"broken":       {status: 500, want: "the receiver answered 500"},
		"not wanted":   {status: 422, refused: true, want: "the receiver answered 422: it does not take this event"},
		"bad":          {status: 400, refused: true, want: "the receiver answered 400: it does not take this event"},
		"unauthorized": {status: 401, want: "the receiver answered 401: check the credentials in its headers"},
		"gone":         {status: 410, want: "the receiver answered 410: check its url"},
		"conflict":     {status: 409, want: "the receiver answered 409"},
		"redirect":     {status: 302, want: "the receiver answered 302, a redirect that is not followed: write the address that it leads to into the url"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.after != "" {
					w.Header().Set("Retry-After", tc.after)
				}
				w.Header().Set("Location", "http://example.com/"+planted)
				w.WriteHeader(tc.status)
				if tc.status != http.StatusNoContent {
					_, _ = io.WriteString(w, planted+strings.Repeat("x", 1<<20))
				}
			})
			err := tell(t, webhook.Options{URL: server.URL + "/" + planted, Allow: loopback}, event())
			var refused *notify.RefusedError
			var busy *notify.BusyError
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tc.want || errors.As(err, &refused) != tc.refused {
				t.Errorf("got %q, refused %t", got, errors.As(err, &refused))
			}
			if errors.As(err, &busy) && busy.After != tc.wait {
				t.Errorf("wait %s, want %s", busy.After, tc.wait)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	other, strayed := receiver(t, nil)
	var status int
	var target string
	server, got := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, target, status)
		}
	})
	for name, tc := range map[string]struct {
		status int
		target string
		ok     bool
	}{
		"same host":             {307, server.URL + "/next", true},
		"same host, for good":   {308, "/next", true},
		"same host, as GET":     {303, "/next", false},
		"another host":          {307, other.URL + "/next", false},
		"another scheme":        {307, strings.Replace(server.URL, "http:", "https:", 1), false},
		"round and round":       {307, "/", false},
		"metadata of the cloud": {307, "http://169.254.169.254/", false},
	} {
		t.Run(name, func(t *testing.T) {
			status, target = tc.status, tc.target
			err := tell(t, webhook.Options{URL: server.URL + "/", Headers: map[string]string{"X-Token": planted}, SigningKey: []byte(key), Allow: loopback}, event())
			if (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
			last := got()[len(got())-1]
			if tc.ok && (last.path != "/next" || last.body == "" || last.header.Get("Webhook-Signature") == "") {
				t.Errorf("the redirected request lost something: %+v", last)
			}
		})
	}
	if len(strayed()) > 0 {
		t.Errorf("another host got %v", strayed())
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	server, got := receiver(t, nil)
	for _, address := range []string{
		server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/",
		"http://[fe80::1]/", "http://0.0.0.0:80/", "http://2852039166/", "http://[fd00:ec2::254]/",
	} {
		err := tell(t, webhook.Options{URL: address, Timeout: 5 * time.Second}, event())
		if err == nil {
			t.Errorf("%s was reached", address)
			continue
		}
		if !strings.Contains(err.Error(), "allow it by its prefix") && !strings.Contains(err.Error(), "cannot be resolved") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if len(got()) > 0 {
		t.Error("the server was reached")
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	stop := make(chan struct{})
	slow, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	})
	defer close(stop)
	broken, _ := receiver(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for address, want := range map[string]string{
		closed:                        "the receiver cannot be reached, or broke off the connection",
		broken.URL:                    "the receiver cannot be reached, or broke off the connection",
		slow.URL:                      "the receiver did not answer in time",
		secure.URL:                    "the certificate of the receiver is not trusted: give its CA, or check its url",
		"http://no-such-host.invalid": "the name of the receiver cannot be resolved: check its url",
	} {
		timeout := 5 * time.Second
		if address == slow.URL {
			timeout = 50 * time.Millisecond
		}
		err := tell(t, webhook.Options{URL: address + "/" + planted, Allow: loopback, Timeout: timeout}, event())
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", address, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sink, err := webhook.New(webhook.Options{URL: slow.URL, Allow: loopback})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Tell(ctx, nil, []notify.Notice{{Event: event()}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	good := "https://hooks.example.com/" + planted
	tests := map[string]struct {
		opts webhook.Options
		want string
	}{
		"no url":      {webhook.Options{}, "the url of the webhook must begin with https:// or http:// and name a host"},
		"bad url":     {webhook.Options{URL: "https://a b/" + planted}, "the url of the webhook must begin with https:// or http:// and name a host"},
		"scheme":      {webhook.Options{URL: "file:///" + planted}, "the url of the webhook must begin with https:// or http:// and name a host"},
		"user":        {webhook.Options{URL: "https://u:" + planted + "@example.com/"}, "the url of the webhook carries a user or a password: send them in the header Authorization"},
		"header":      {webhook.Options{URL: good, Headers: map[string]string{"A B": "x"}}, `headers of the webhook: "A B" is no name of a header`},
		"reserved":    {webhook.Options{URL: good, Headers: map[string]string{"webhook-id": "x"}}, "headers of the webhook: Webhook-Id is written by Sengu: take it out"},
		"header line": {webhook.Options{URL: good, Headers: map[string]string{"X-A": planted + "\r\nX-B: 1"}}, "headers of the webhook: the value of X-A holds a line break or another character that no header may hold"},
		"short key":   {webhook.Options{URL: good, SigningKey: []byte("short")}, "the signing key of the webhook is shorter than 16 bytes"},
		"bad key":     {webhook.Options{URL: good, SigningKey: []byte("whsec_" + planted)}, "the signing key of the webhook begins with whsec_ and is not base64 after it"},
		"type":        {webhook.Options{URL: good, ContentType: "a b"}, `contentType of the webhook: "a b" is none, such as application/json or text/plain`},
		"ca":          {webhook.Options{URL: good, CA: []byte(planted)}, "the CA bundle of the webhook holds no certificate in PEM"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := webhook.New(tc.opts)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
