package registry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

// leadingTo is a transport for which every name leads to one listener.
func leadingTo(t *testing.T, address string, roots *x509.CertPool) *http.Transport {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// TestPlainHTTP: nothing is spoken by http to a registry that is not on this machine, wherever it is.
func TestPlainHTTP(t *testing.T) {
	asked := 0
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer plain.Close()
	for _, host := range []string{"registry.example.com", "10.1.2.3:5000", "192.168.1.1", "registry.example.com:5000"} {
		t.Run(host, func(t *testing.T) {
			c := newClient(t, registry.Options{Transport: leadingTo(t, plain.Listener.Addr().String(), nil)})
			_, err := c.Tags(ctx, host+"/a", credentials(t, "pull", map[string][2]string{host: {user, password}}))
			wantError(t, err, registry.ErrRefused, host+" speaks http, and Sengu speaks https to every registry that is not on this machine")
		})
	}
	if asked != 0 {
		t.Errorf("%d requests were sent by http", asked)
	}
}

// TestDowngrade: a registry that is spoken to by https does not bring us to http.
func TestDowngrade(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked by http for %s, with %q", r.Host, r.URL, r.Header.Get("Authorization"))
	}))
	defer plain.Close()
	for name, path := range map[string]string{"Ping": "/v2/", "Tags": "/v2/a/tags/list", "Token": "/token"} {
		t.Run(name, func(t *testing.T) {
			secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasPrefix(r.URL.Path, path) && (path != "/v2/" || r.URL.Path == path):
					http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
				case r.URL.Path == "/v2/" && name == "Token":
					w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example.com/token",service="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer secure.Close()
			roots := x509.NewCertPool()
			roots.AddCert(secure.Certificate())
			c := newClient(t, registry.Options{Transport: leadingTo(t, secure.Listener.Addr().String(), roots)})
			_, err := c.Tags(ctx, "registry.example.com/a", credentials(t, "pull", map[string][2]string{"registry.example.com": {user, password}}))
			if err == nil {
				t.Error("it succeeds")
			}
		})
	}
}

// TestNetwork: what is said of the network is in our words.
func TestNetwork(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	nameless := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "registry.example.com", IsNotFound: true}}
	}}
	closed := httptest.NewServer(nil)
	closed.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	cases := map[string]struct {
		opts registry.Options
		repo string
		says string
	}{
		"Authority":   {registry.Options{Transport: leadingTo(t, secure.Listener.Addr().String(), nil)}, "registry.example.com/a", "its certificate is of an authority that is not trusted"},
		"Refused":     {registry.Options{}, closed.Listener.Addr().String() + "/a", "the connection is refused"},
		"NotRegistry": {registry.Options{RootCAs: roots}, secure.Listener.Addr().String() + "/a", "does not answer as a registry does (404)"},
		"NoName":      {registry.Options{Transport: nameless}, "registry.example.com/a", "its name cannot be resolved"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := newClient(t, tc.opts).Tags(ctx, tc.repo, registry.Credentials{})
			reason := registry.ErrUnreachable
			if name == "NotRegistry" {
				reason = registry.ErrUnreadable
			}
			wantError(t, err, reason, tc.says)
		})
	}
}

// TestNothingOfTheMachine: neither the configuration of docker nor that of podman is read.
func TestNothingOfTheMachine(t *testing.T) {
	s := serve(t, ociserver.Options{Users: map[string]string{user: password}})
	s.pushRandom("a", "1")
	home := t.TempDir()
	writeFile(t, home+"/.docker/config.json", pullSecret(t, map[string][2]string{s.host: {user, password}})[".dockerconfigjson"])
	writeFile(t, home+"/containers/auth.json", pullSecret(t, map[string][2]string{s.host: {user, password}})[".dockerconfigjson"])
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home+"/.docker")
	t.Setenv("XDG_RUNTIME_DIR", home)
	t.Setenv("REGISTRY_AUTH_FILE", home+"/.docker/config.json")
	_, err := newClient(t, registry.Options{}).Tags(ctx, s.host+"/a", registry.Credentials{}.WithCloud())
	wantError(t, err, registry.ErrAuth, "there is none")
}
