package probe

import (
	"net/netip"
	"net/url"
	"testing"
)

func TestForbidden(t *testing.T) {
	cases := map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "::127.0.0.1": true,
		"0.0.0.0": true, "0.1.2.3": true, "::": true,
		"169.254.169.254": true, "169.254.170.2": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true,
		"64:ff9b::169.254.169.254": true, "64:ff9b::127.0.0.1": true, "64:ff9b:1::a9fe:a9fe": true,
		"2002:a9fe:a9fe::1": true, "2002:7f00:1::": true, "2001:0:1::5601:5601": true,
		"fd00:ec2::254": true, "fd00:ec2::23": true, "fd20:ce::254": true,
		"100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true,
		"224.0.0.1": true, "239.1.1.1": true, "ff02::1": true, "255.255.255.255": true, "240.0.0.1": true,

		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "fd12::1": false,
		"1.1.1.1": false, "2606:4700::1111": false, "64:ff9b::1.1.1.1": false, "2002:101:101::1": false, "::ffff:10.0.0.1": false,
		"169.253.255.255": false, "100.100.100.201": false,
	}
	for text, want := range cases {
		if got := forbidden(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is forbidden: %v, want %v", text, got, want)
		}
	}
	if !forbidden(netip.Addr{}) {
		t.Error("no address at all is no address to go to")
	}
}

func TestCovers(t *testing.T) {
	cases := map[string]struct {
		allow string
		url   string
		want  bool
	}{
		"Same":           {"http://localhost:8080/health", "http://localhost:8080/health", true},
		"Below":          {"http://localhost:8080/health/", "http://localhost:8080/health/live?x=y", true},
		"Origin":         {"http://localhost:8080", "http://localhost:8080/any", true},
		"OriginBare":     {"http://localhost:8080/", "http://localhost:8080", true},
		"UsualPort":      {"https://localhost", "https://LOCALHOST:443/x", true},
		"OtherPort":      {"http://localhost:80", "http://localhost:8080/", false},
		"PortPrefix":     {"http://localhost:80", "http://localhost:808", false},
		"OtherScheme":    {"http://localhost:443", "https://localhost:443/", false},
		"HostPrefix":     {"http://localhost", "http://localhost.evil.example/", false},
		"PathPrefix":     {"http://localhost/health", "http://localhost/healthy", false},
		"Up":             {"http://localhost/health", "http://localhost/health/../admin", false},
		"EncodedUp":      {"http://localhost/health", "http://localhost/health/%2e%2e/admin", false},
		"EncodedSlash":   {"http://localhost/health", "http://localhost/health/..%2fadmin", false},
		"Backslash":      {"http://localhost/health", "http://localhost/health/..%5cadmin", false},
		"TwiceEncoded":   {"http://localhost/health", "http://localhost/health/%252e%252e/admin", false},
		"Parameter":      {"http://localhost/health", "http://localhost/health/..;/admin", false},
		"DoubleSlash":    {"http://localhost/health", "http://localhost//health", false},
		"OutOfUserInfo":  {"http://localhost", "http://localhost@evil.example/", false},
		"NotInTheOrigin": {"http://localhost/health", "http://localhost/", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := parseAllowed(tc.allow)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(tc.url)
			if err != nil {
				t.Fatal(err)
			}
			if got := a.covers(u); got != tc.want {
				t.Errorf("%s covers %s: %v, want %v", tc.allow, tc.url, got, tc.want)
			}
		})
	}
}

func TestAllowRefuses(t *testing.T) {
	for _, raw := range []string{"", "localhost", "ftp://localhost", "http://", "http://me:planted@localhost", "http://localhost/?a=b", "http://localhost/a/../b"} {
		if _, err := New(Options{Allow: []string{raw}}); err == nil {
			t.Errorf("%q should be refused", raw)
		}
	}
}
