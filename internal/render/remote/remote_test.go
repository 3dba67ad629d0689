package remote

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	tests := map[string]struct{ stranger, named, linkLocal bool }{
		"93.184.216.34": {true, true, true}, "2606:2800:220:1::1": {true, true, true},
		"10.0.0.1": {false, true, true}, "192.168.1.1": {false, true, true}, "100.64.0.1": {false, true, true}, "fd12::1": {false, true, true},
		"127.0.0.1": {false, true, true}, "::1": {false, true, true}, "::ffff:127.0.0.1": {false, true, true},
		"169.254.169.254": {false, false, true}, "fe80::1": {false, false, true}, "fd00:ec2::254": {false, false, true}, "::ffff:169.254.169.254": {false, false, true},
		"0.0.0.0": {false, false, false}, "224.0.0.1": {false, false, false},
	}
	for address, want := range tests {
		a := netip.MustParseAddr(address)
		got := struct{ stranger, named, linkLocal bool }{addressAllowed(a, false, false), addressAllowed(a, true, false), addressAllowed(a, true, true)}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", address, got, want)
		}
		if addressAllowed(a, false, true) && !want.stranger {
			t.Errorf("%s: allowed by another source's word", address)
		}
	}
}

func TestUnder(t *testing.T) {
	tests := map[string]struct {
		u, prefix string
		want      bool
	}{
		"itself":         {"https://a.example.com/charts", "https://a.example.com/charts", true},
		"below":          {"https://a.example.com/charts/x.tgz?y=z", "https://a.example.com/charts/", true},
		"a host":         {"https://a.example.com/any", "https://a.example.com", true},
		"case":           {"https://A.example.com/any", "https://a.example.com", true},
		"beside":         {"https://a.example.com/charts-b", "https://a.example.com/charts", false},
		"longer host":    {"https://a.example.com.evil.org/", "https://a.example.com", false},
		"user":           {"https://a.example.com@evil.org/", "https://a.example.com", false},
		"another scheme": {"http://a.example.com/", "https://a.example.com", false},
		"another port":   {"https://a.example.com:8443/", "https://a.example.com", false},
		"dots":           {"https://a.example.com/charts/../x", "https://a.example.com/charts", false},
		"escaped":        {"https://a.example.com/charts/%2e%2e%2fx", "https://a.example.com/charts", false},
		"oci":            {"oci://r.example.com/charts/a", "oci://r.example.com/charts", true},
		"ssh":            {"git@github.com:org/repo", "git@github.com:org", true},
		"ssh beside":     {"git@github.com:organisation/repo", "git@github.com:org", false},
		"nothing":        {"", "", false},
	}
	for name, test := range tests {
		if got := under(test.u, test.prefix); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
}

func TestParseGit(t *testing.T) {
	tests := map[string]Git{
		"https://github.com/org/repo//deploy/base?ref=v1":    {"https://github.com/org/repo", "deploy/base", "v1"},
		"https://github.com/org/repo/deploy?ref=v1":          {"https://github.com/org/repo", "deploy", "v1"},
		"https://github.com/org/repo.git/deploy?version=abc": {"https://github.com/org/repo.git", "deploy", "abc"},
		"github.com/org/repo?ref=v1":                         {"https://github.com/org/repo", "", "v1"},
		"git@github.com:org/repo.git//a?ref=v1":              {"git@github.com:org/repo.git", "a", "v1"},
		"ssh://git@host/org/repo//a":                         {"ssh://git@host/org/repo", "a", ""},
		"git::https://host/org/repo//a?ref=x":                {"https://host/org/repo", "a", "x"},
	}
	for raw, want := range tests {
		if got := ParseGit(raw); got != want {
			t.Errorf("%s: got %+v, want %+v", raw, got, want)
		}
	}
}

func TestNewest(t *testing.T) {
	versions := []string{"1.0.0", "1.2.0", "2.0.0-rc.1", "v1.10.0", "not a version", "1.3.0+build"}
	tests := []struct {
		want  string
		devel bool
		got   string
	}{
		{"", false, "v1.10.0"}, {"", true, "2.0.0-rc.1"}, {"~1.2", false, "1.2.0"}, {"1.3.0+build", false, "1.3.0+build"}, {"^3", false, ""}, {"not a range", false, ""},
	}
	for _, test := range tests {
		got, err := Newest(versions, test.want, test.devel)
		if got != test.got || (err != nil) != (test.got == "") {
			t.Errorf("%q: got %q, %v, want %q", test.want, got, err, test.got)
		}
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	p := Policy{Allow: []Source{{Prefix: "https://a.example.com", Username: "u", Password: "planted", Token: "planted"}}}
	j, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p), fmt.Sprintf("%#v", p), string(j), p.Allows("https://x:planted@b.example.com/").Error()} {
		if strings.Contains(s, "planted") {
			t.Errorf("%s shows a credential", s)
		}
	}
}

func TestStoreIsBoundedAndChecked(t *testing.T) {
	c := New(t.TempDir(), 4096, nil)
	for i := range 20 {
		data := []byte(strings.Repeat(string(rune('a'+i)), 1000))
		c.store(Ref{Repository: "https://a", Name: "b", Version: fmt.Sprintf("1.0.%d", i)}, digestOf(data), data)
	}
	var size int64
	files, err := filepath.Glob(filepath.Join(c.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 4096 {
		t.Errorf("%d bytes kept, 4096 allowed", size)
	}
	last := Ref{Repository: "https://a", Name: "b", Version: "1.0.19"}
	data, digest, ok := c.known(last)
	if !ok || len(data) != 1000 {
		t.Fatalf("the last one is not kept: %d bytes, %t", len(data), ok)
	}
	if err := os.WriteFile(c.blobFile(last, digest), []byte("replaced"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := c.known(last); ok {
		t.Error("a damaged archive is used")
	}
	locked := last
	locked.Digest = "sha256:" + strings.Repeat("0", 64)
	if _, _, ok := c.known(locked); ok {
		t.Error("an archive is used for another digest")
	}
}
