package probe

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	const address = "https://example.com/healthz"
	many := map[string]string{}
	for i := range 21 {
		many["X-"+strings.Repeat("a", i+1)] = "v"
	}
	cases := map[string]struct {
		check Check
		want  string
	}{
		"Plain":         {Check{URL: address}, ""},
		"All":           {Check{URL: address, Method: "options", Headers: map[string]string{"Authorization": "planted", "host": "example.com:80"}, Status: []int{200, 404}, Body: regexp.MustCompile("ok"), Timeout: time.Minute}, ""},
		"Service":       {Check{URL: "service://checkout:http/healthz?a=b", Headers: map[string]string{"accept": "text/plain"}}, ""},
		"ServiceTLS":    {Check{URL: "service://https:checkout:8443"}, ""},
		"Nothing":       {Check{}, "url is missing"},
		"Long":          {Check{URL: "https://example.com/" + strings.Repeat("a", 2048)}, "url must be at most 2048 bytes long"},
		"LongService":   {Check{URL: "service://a:1/" + strings.Repeat("a", 2048)}, "url must be at most 2048 bytes long"},
		"Unreadable":    {Check{URL: "https://exa mple.com"}, "url cannot be read as one"},
		"Scheme":        {Check{URL: "file:///etc/passwd"}, "url must begin with http://, https:// or service://"},
		"NoScheme":      {Check{URL: "example.com/healthz"}, "url must begin with http://, https:// or service://"},
		"Opaque":        {Check{URL: "http:example.com"}, "url must begin with http://, https:// or service://"},
		"Credentials":   {Check{URL: "https://me:planted@example.com"}, "url must not carry a user or a password: whoever reads the repository would have them"},
		"NoHost":        {Check{URL: "https:///healthz"}, "url must name a host"},
		"NoHostButPort": {Check{URL: "https://:8080/healthz"}, "url must name a host"},
		"Letters":       {Check{URL: "https://ex\u00e4mple.com/"}, "url must name its host in plain letters, digits, dots and dashes"},
		"Zone":          {Check{URL: "http://[fe80::1%25eth0]/"}, "url must name its host in plain letters, digits, dots and dashes"},
		"Method":        {Check{URL: address, Method: http.MethodPost}, `method must be GET, HEAD or OPTIONS, and is "POST": a check looks and changes nothing; have a Job do more`},
		"HeadBody":      {Check{URL: address, Method: http.MethodHead, Body: regexp.MustCompile("x")}, "body cannot be matched with method HEAD, which gets none"},
		"Timeout":       {Check{URL: address, Timeout: time.Hour}, "timeout must be between 0 and 1m0s"},
		"Negative":      {Check{URL: address, Timeout: -1}, "timeout must be between 0 and 1m0s"},
		"Status":        {Check{URL: address, Status: []int{200, 42}}, "status must list numbers from 200 to 599"},
		"HeaderName":    {Check{URL: address, Headers: map[string]string{"a b": "planted"}}, "headers holds a name that is none"},
		"HeaderValue":   {Check{URL: address, Headers: map[string]string{"X-A": "planted\r\nX-B: c"}}, "headers: the value of X-A must not hold control characters"},
		"Reserved":      {Check{URL: address, Headers: map[string]string{"transfer-encoding": "planted"}}, "headers must not hold Transfer-Encoding"},
		"Host":          {Check{URL: address, Headers: map[string]string{"Host": "planted/../x"}}, "headers: the value of Host must be the name of a host"},
		"ManyHeaders":   {Check{URL: address, Headers: many}, "headers must be at most 20, of at most 8 KiB together"},
		"LargeHeader":   {Check{URL: address, Headers: map[string]string{"X-A": strings.Repeat("planted", 2000)}}, "headers must be at most 20, of at most 8 KiB together"},
		"ServiceMethod": {Check{URL: "service://checkout:80/", Method: http.MethodHead}, "method must be GET for a service:// URL: the API server is asked with nothing else"},
		"ServiceHeader": {Check{URL: "service://checkout:80/", Headers: map[string]string{"Impersonate-User": "planted"}}, "headers must not hold anything but Accept for a service:// URL: the API server would take them for its own"},
		"ServiceForm":   {Check{URL: "service://checkout/healthz"}, "url must be service://NAME:PORT/path, or service://https:NAME:PORT/path"},
		"ServiceCase":   {Check{URL: "SERVICE://Checkout:80/"}, "url must be service://NAME:PORT/path, or service://https:NAME:PORT/path"},
		"ServiceOther":  {Check{URL: "service://checkout.kube-system:80/"}, "url must be service://NAME:PORT/path, or service://https:NAME:PORT/path"},
		"ServiceUp":     {Check{URL: "service://checkout:80/../../../../secrets"}, "url: its path must not hold dots between slashes, two slashes side by side, or slashes in another spelling"},
		"ServiceQuery":  {Check{URL: "service://checkout:80/?a=%zz"}, "url: its query cannot be read"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.check.Validate()
			switch {
			case err == nil && tc.want == "":
			case err == nil || err.Error() != tc.want:
				t.Errorf("got  %v\nwant %s", err, tc.want)
			case strings.Contains(err.Error(), "planted"):
				t.Errorf("it repeats a value: %v", err)
			}
		})
	}
}

// FuzzService holds that no address of a Service leads to anything but that Service, in whatever way a server reads the
// path.
func FuzzService(f *testing.F) {
	for _, seed := range []string{
		"service://checkout:80/healthz?a=b", "service://https:checkout:http", "service://a:1/%2e%2e/x", "service://a:1/..%2f..%2fsecrets",
		"service://a:1/../x", "service://a:1//x", "service://a:1/x/..", "service://a:1/%252e%252e/", "service://a:1/..;/x", "service://a:1/.", "service://a:1/\\..\\x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := parseService(raw)
		if err != nil {
			return
		}
		at := s.at("shop")
		prefix := "/api/v1/namespaces/shop/services/" + s.place() + "/proxy/"
		if !strings.HasPrefix(at, prefix) || strings.ContainsAny(at, "?#\\ \n") {
			t.Fatalf("%q leads to %q", raw, at)
		}
		read := at
		for range 3 {
			if clean := path.Clean(read) + "/"; !strings.HasPrefix(clean, prefix) {
				t.Fatalf("%q leads to %q, which is read as %q", raw, at, clean)
			}
			if read, err = url.PathUnescape(read); err != nil {
				break
			}
		}
	})
}

// FuzzURL holds that what may be asked is what it says it is, and that its name holds no query.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://example.com/a?b=c#d", "http://a@b", "http://[::1]:80/", "http://a\\b/", "https://example.com:99999/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseURL(raw)
		if err != nil {
			return
		}
		if u.User != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Contains(name(u), "?") {
			t.Errorf("%q is read as %q", raw, u)
		}
		again, err := parseURL(u.String())
		if err != nil || origin(again) != origin(u) {
			t.Errorf("%q is read as %q and then as %v, %v", raw, u, again, err)
		}
	})
}

// TestRefuses holds that what is known never to be asked is known before it is: an address that no look leads to.
func TestRefuses(t *testing.T) {
	c, err := New(Options{Allow: []string{"http://127.0.0.1:8080/ready"}})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{
		"https://example.com/": false, "http://10.0.0.1/": false, "http://localhost/": false, "service://checkout:80/": false,
		"http://127.0.0.1:8080/ready": false, "http://127.0.0.1:8080/other": true, "http://127.0.0.1/": true, "http://[::1]/": true,
		"http://169.254.169.254/latest/planted": true, "http://[::ffff:127.0.0.1]/": true, "http://[64:ff9b::a9fe:a9fe]/": true,
	} {
		err := c.Refuses(Check{URL: raw})
		if (err != nil) != want {
			t.Errorf("%s: %v", raw, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "url: ") || strings.Contains(err.Error(), "planted")) {
			t.Errorf("%s: it says %v", raw, err)
		}
	}
	if err := c.Refuses(Check{URL: "file:///etc/passwd"}); err == nil {
		t.Error("what makes no sense is let through")
	}
}
