package home

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func TestPKI(t *testing.T) {
	h := openHome(t)
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	files, err := h.PKI([]string{"127.0.0.1", "localhost"}, now)
	if err != nil {
		t.Fatalf("PKI: %v", err)
	}
	ca, err := os.ReadFile(files.CACert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the authority is no certificate")
	}
	pair, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatalf("load the certificate of the server: %v", err)
	}
	cases := map[string]struct {
		host string
		at   time.Time
		ok   bool
	}{
		"Address":   {host: "127.0.0.1", at: now, ok: true},
		"Name":      {host: "localhost", at: now, ok: true},
		"NineYears": {host: "localhost", at: now.AddDate(9, 0, 0), ok: true},
		"Stranger":  {host: "example.com", at: now},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tc.host, CurrentTime: tc.at})
			if (err == nil) != tc.ok {
				t.Errorf("Verify for %s at %s: got %v, want success %v", tc.host, tc.at, err, tc.ok)
			}
		})
	}
	for _, path := range []string{files.ServerKey, files.ServiceAccountKey, files.ServiceAccountPub} {
		wantPrivate(t, path)
	}
}

func TestPKIIsKept(t *testing.T) {
	h := openHome(t)
	read := func() string {
		files, err := h.PKI([]string{"localhost"}, time.Now())
		if err != nil {
			t.Fatalf("PKI: %v", err)
		}
		var all strings.Builder
		for _, path := range []string{files.CACert, files.ServerCert, files.ServerKey, files.ServiceAccountKey} {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(b)
		}
		return all.String()
	}
	if first, second := read(), read(); first != second {
		t.Error("PKI made new keys on the second run")
	}
	left, err := filepath.Glob(h.Path(".pki-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("PKI left %v, %v", left, err)
	}
}

func TestTokens(t *testing.T) {
	h := openHome(t)
	admin := User{Name: "admin", Groups: []string{"system:masters"}}
	other := User{Name: "other", Groups: []string{"a", "b"}}
	first, err := h.Tokens([]User{admin})
	if err != nil {
		t.Fatalf("Tokens: %v", err)
	}
	wantPrivate(t, h.TokenFile())
	second, err := h.Tokens([]User{other, admin})
	if err != nil {
		t.Fatalf("Tokens with one more: %v", err)
	}
	if len(first["admin"]) < 20 || first["admin"] != second["admin"] {
		t.Errorf("token of admin: got %q, then %q; want one that is long and stays", first["admin"], second["admin"])
	}
	if second["other"] == "" || second["other"] == second["admin"] {
		t.Errorf("token of other: got %q, want one of its own", second["other"])
	}
	got, err := os.ReadFile(h.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	want := second["admin"] + ",admin,admin,system:masters\n" + second["other"] + ",other,other,\"a,b\"\n"
	if string(got) != want {
		t.Errorf("token file:\n got %q\nwant %q", got, want)
	}
}

func TestTokensRefusesAnOddFile(t *testing.T) {
	h := openHome(t)
	if err := os.WriteFile(h.TokenFile(), []byte("\"half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Tokens(nil); err == nil || !strings.Contains(err.Error(), h.TokenFile()) {
		t.Errorf("Tokens: got %v, want an error that names the file", err)
	}
}

func TestKubeconfig(t *testing.T) {
	want := Kubeconfig{Server: "https://127.0.0.1:6443", CA: []byte("authority"), User: "admin", Token: "secret"}
	b, err := want.Bytes()
	if err != nil {
		t.Fatalf("Bytes: %v", err)
	}
	c, err := clientcmd.RESTConfigFromKubeConfig(b)
	if err != nil {
		t.Fatalf("read it back: %v", err)
	}
	got := Kubeconfig{Server: c.Host, CA: c.CAData, User: "admin", Token: c.BearerToken}
	if got.Server != want.Server || string(got.CA) != string(want.CA) || got.Token != want.Token {
		t.Errorf("kubeconfig: got %+v, want %+v", got, want)
	}
}
