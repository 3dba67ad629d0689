package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

// protected are the two ways in which registries protect themselves.
func protected(t *testing.T, f func(t *testing.T, s *server)) {
	for name, tokens := range map[string]bool{"Basic": false, "Token": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{Users: map[string]string{user: password, "other": "another"}, Tokens: tokens})
			s.pushRandom("shop/checkout", "1.0.0")
			f(t, s)
		})
	}
}

func TestCredentialIsShown(t *testing.T) {
	protected(t, func(t *testing.T, s *server) {
		c := newClient(t, registry.Options{})
		creds := credentials(t, "pull", map[string][2]string{s.host: {user, password}})
		for range 3 {
			if tags, err := c.Tags(ctx, s.host+"/shop/checkout", creds); err != nil || len(tags) != 1 {
				t.Fatalf("got %v, %v", tags, err)
			}
			if _, err := c.Describe(ctx, s.tagged("shop/checkout", "1.0.0"), creds); err != nil {
				t.Fatal(err)
			}
		}
		seen := strings.Join(s.seen(), "\n") + "\n"
		if strings.Count(seen, "GET /v2/\n") != 1 || strings.Count(seen, "/token") > 1 {
			t.Errorf("the way in is asked for again and again:\n%s", seen)
		}
	})
}

func TestCredentialIsRefused(t *testing.T) {
	protected(t, func(t *testing.T, s *server) {
		c := newClient(t, registry.Options{})
		_, err := c.Tags(ctx, s.host+"/shop/checkout", credentials(t, "shop-pull", map[string][2]string{"https://" + s.host + "/v2/": {user, "wrong-" + password}}))
		wantError(t, err, registry.ErrAuth, s.host+" refuses the credential of the pull secret shop-pull under", `"https://`+s.host+`/v2/" (401): renew it, or let it pull this repository`)
		_, err = c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
		wantError(t, err, registry.ErrAuth, "wants a credential (401), and there is none: add a pull secret for "+s.host)
		_, err = c.Describe(ctx, s.tagged("shop/checkout", "1.0.0"), credentials(t, "pull", map[string][2]string{"ghcr.io": {user, password}}))
		wantError(t, err, registry.ErrAuth, `wants a credential (401), and the pull secrets have none for it, only for "ghcr.io": add one for `+s.host)
	})
}

// TestEachCredentialIsTried: as Kubernetes does, so that a secret that was renewed may lie beside the old one.
func TestEachCredentialIsTried(t *testing.T) {
	protected(t, func(t *testing.T, s *server) {
		c := newClient(t, registry.Options{})
		creds := credentials(t, "old", map[string][2]string{s.host: {user, "expired"}})
		creds, err := creds.WithPullSecret(registry.PullSecret{Name: "new", Data: pullSecret(t, map[string][2]string{s.host: {user, password}})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Tags(ctx, s.host+"/shop/checkout", creds); err != nil {
			t.Fatal(err)
		}
		// And when none helps, the first is named, and not more than four are tried.
		creds = registry.Credentials{}
		for i := range 10 {
			bad := registry.PullSecret{Name: fmt.Sprint("bad", i), Data: pullSecret(t, map[string][2]string{s.host: {user, fmt.Sprint("bad", i)}})}
			if creds, err = creds.WithPullSecret(bad); err != nil {
				t.Fatal(err)
			}
		}
		s.seen()
		_, err = c.Tags(ctx, s.host+"/shop/checkout", creds)
		wantError(t, err, registry.ErrAuth, "pull secret bad0")
		if n := strings.Count(strings.Join(s.seen(), "\n")+"\n", "GET /v2/\n"); n != 4 {
			t.Errorf("%d credentials were tried", n)
		}
	})
}

// TestTokenIsRenewed: a token ends, and the next call gets another one.
func TestTokenIsRenewed(t *testing.T) {
	s := serve(t, ociserver.Options{Users: map[string]string{user: password}, Tokens: true})
	s.pushRandom("shop/checkout", "1.0.0")
	c := newClient(t, registry.Options{})
	creds := credentials(t, "pull", map[string][2]string{s.host: {user, password}})
	if _, err := c.Tags(ctx, s.host+"/shop/checkout", creds); err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	s.listen(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") && ended.CompareAndSwap(false, true) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.url+`/token",service="ociserver",scope="repository:shop/checkout:pull",error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	})
	s.seen()
	if _, err := c.Tags(ctx, s.host+"/shop/checkout", creds); err != nil {
		t.Fatal(err)
	}
	if seen := strings.Join(s.seen(), " "); seen != "GET /v2/shop/checkout/tags/list GET /token GET /v2/shop/checkout/tags/list" {
		t.Errorf("requests: %s", seen)
	}
}

// TestTokenServerRefuses: what a token server answers is about the credential, whatever its status is.
func TestTokenServerRefuses(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s := serve(t, ociserver.Options{Users: map[string]string{user: password}, Tokens: true})
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					// Some echo what they were sent.
					http.Error(w, `{"errors":[{"code":"DENIED","message":"`+r.Header.Get("Authorization")+`"}]}`, code)
				}
				return r.URL.Path == "/token"
			})
			c := newClient(t, registry.Options{})
			_, err := c.Tags(ctx, s.host+"/shop/checkout", credentials(t, "pull", map[string][2]string{s.host: {user, password}}))
			wantError(t, err, registry.ErrAuth, "refuses the credential of the pull secret pull")
			if strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte(user+":"+password))) {
				t.Errorf("the error holds the credential: %v", err)
			}
		})
	}
}

func TestHostileTokenServer(t *testing.T) {
	cases := map[string]struct {
		token  func(w http.ResponseWriter, r *http.Request)
		reason error
	}{
		"Endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
					return
				}
			}
		}, registry.ErrUnreadable},
		"NoToken":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"secret":"` + password + `"}`)) }, registry.ErrUnreadable},
		"NotJSON":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(password)) }, registry.ErrUnreadable},
		"BrokenOff": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, registry.ErrUnreachable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{Users: map[string]string{user: password}, Tokens: true})
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					tc.token(w, r)
				}
				return r.URL.Path == "/token"
			})
			_, err := newClient(t, registry.Options{}).Tags(ctx, s.host+"/a", credentials(t, "pull", map[string][2]string{s.host: {user, password}}))
			wantError(t, err, tc.reason)
		})
	}
}

// TestRedirectsTakeNoCredentialAlong: neither the password, nor the token, nor a refresh token in a body.
func TestRedirectsTakeNoCredentialAlong(t *testing.T) {
	config := func(entry string) registry.Credentials {
		c, err := registry.Credentials{}.WithPullSecret(registry.PullSecret{Name: "pull", Data: map[string][]byte{".dockerconfigjson": []byte(entry)}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	cases := map[string]struct {
		tokens bool
		creds  string // with %s for the host
		path   string // what is redirected
		code   int
	}{
		"Manifest":      {creds: `{"auths":{%q:{"username":"robot","password":"correct-horse-battery"}}}`, path: "/v2/shop/checkout/manifests/1.0.0", code: 307},
		"ManifestToken": {tokens: true, creds: `{"auths":{%q:{"username":"robot","password":"correct-horse-battery"}}}`, path: "/v2/shop/checkout/manifests/1.0.0", code: 302},
		"GivenToken":    {tokens: true, creds: `{"auths":{%q:{"registrytoken":"correct-horse-battery"}}}`, path: "/v2/shop/checkout/manifests/1.0.0", code: 302},
		"TokenServer":   {tokens: true, creds: `{"auths":{%q:{"username":"robot","password":"correct-horse-battery"}}}`, path: "/token", code: 307},
		"RefreshToken":  {tokens: true, creds: `{"auths":{%q:{"identitytoken":"correct-horse-battery"}}}`, path: "/token", code: 307},
		"RefreshToken8": {tokens: true, creds: `{"auths":{%q:{"identitytoken":"correct-horse-battery"}}}`, path: "/token", code: 308},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{Users: map[string]string{user: password}, Tokens: tc.tokens})
			s.pushRandom("shop/checkout", "1.0.0")
			var reached atomic.Int32
			thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				body := make([]byte, 1000)
				n, _ := r.Body.Read(body)
				if a := r.Header.Get("Authorization"); a != "" || strings.Contains(string(body[:n]), password) {
					t.Errorf("another host was shown %q and %q", a, body[:n])
				}
				w.WriteHeader(http.StatusNotFound)
			}))
			defer thief.Close()
			elsewhere := strings.Replace(thief.URL, "127.0.0.1", "localhost", 1)
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == tc.path {
					http.Redirect(w, r, elsewhere+r.URL.Path, tc.code)
				}
				return r.URL.Path == tc.path
			})
			c := newClient(t, registry.Options{})
			_, err := c.Describe(ctx, s.tagged("shop/checkout", "1.0.0"), config(fmt.Sprintf(tc.creds, s.host)))
			if err == nil {
				t.Error("it succeeds by what another host says")
			}
			if strings.HasPrefix(name, "RefreshToken") {
				wantError(t, err, registry.ErrRefused, "sends us to another host, and no credential follows there")
				if reached.Load() != 0 {
					t.Error("another host was asked for a token")
				}
			}
		})
	}
}

// cloud is a Helper whose logins hold for an hour.
type cloud struct {
	host  string
	clock *clocktesting.FakeClock
	asked atomic.Int32
	login func(n int32) (registry.Login, error)
}

func (c *cloud) Name() string            { return "Example Cloud" }
func (c *cloud) Serves(host string) bool { return host == c.host }
func (c *cloud) Login(context.Context, string) (registry.Login, time.Time, error) {
	l, err := c.login(c.asked.Add(1))
	return l, c.clock.Now().Add(time.Hour), err
}

func TestCloud(t *testing.T) {
	protected(t, func(t *testing.T, s *server) {
		clk := clocktesting.NewFakeClock(built)
		right := registry.Login{Username: user, Password: password}
		helper := &cloud{host: s.host, clock: clk, login: func(int32) (registry.Login, error) { return right, nil }}
		c := newClient(t, registry.Options{Helpers: []registry.Helper{helper}, Clock: clk})
		repo := s.host + "/shop/checkout"

		_, err := c.Tags(ctx, repo, registry.Credentials{})
		wantError(t, err, registry.ErrAuth, "there is none")
		if helper.asked.Load() != 0 {
			t.Fatal("the cloud was asked though nobody allows it")
		}
		creds := registry.Credentials{}.WithCloud()
		for range 3 {
			if _, err := c.Tags(ctx, repo, creds); err != nil {
				t.Fatal(err)
			}
		}
		if n := helper.asked.Load(); n != 1 {
			t.Errorf("the cloud was asked %d times within an hour", n)
		}
		clk.Step(56 * time.Minute)
		// A new Client of the repository, so that the token of the registry does not hide it.
		if _, err := c.Tags(ctx, s.host+"/shop/another", creds); !errors.Is(err, registry.ErrNotFound) {
			t.Fatal(err)
		}
		if n := helper.asked.Load(); n != 2 {
			t.Errorf("the cloud was asked %d times, for a login that ends within five minutes", n)
		}
		// A pull secret wins.
		if _, err := c.Tags(ctx, repo, credentials(t, "pull", map[string][2]string{s.host: {"other", "another"}}).WithCloud()); err != nil {
			t.Fatal(err)
		}
		if n := helper.asked.Load(); n != 2 {
			t.Error("the cloud was asked where a pull secret has the credential")
		}
	})
}

func TestCloudRefuses(t *testing.T) {
	protected(t, func(t *testing.T, s *server) {
		clk := clocktesting.NewFakeClock(built)
		helper := &cloud{host: s.host, clock: clk, login: func(int32) (registry.Login, error) {
			return registry.Login{}, errors.New("this process has no identity")
		}}
		c := newClient(t, registry.Options{Helpers: []registry.Helper{helper}, Clock: clk})
		creds := registry.Credentials{}.WithCloud()
		for range 3 {
			_, err := c.Tags(ctx, s.host+"/shop/checkout", creds)
			wantError(t, err, registry.ErrAuth, "there is no credential from Example Cloud: this process has no identity: check the identity that sengu has in the cloud, or add a pull secret")
		}
		if n := helper.asked.Load(); n != 1 {
			t.Errorf("a cloud that gives nothing is asked %d times at once", n)
		}
		clk.Step(time.Minute)
		helper.login = func(n int32) (registry.Login, error) {
			if n == 2 {
				return registry.Login{Username: user, Password: "ended early"}, nil
			}
			return registry.Login{Username: user, Password: password}, nil
		}
		_, err := c.Tags(ctx, s.host+"/shop/checkout", creds)
		wantError(t, err, registry.ErrAuth, "refuses the identity that sengu has at Example Cloud (401)")
		if _, err := c.Tags(ctx, s.host+"/shop/checkout", creds); err != nil {
			t.Errorf("a login that was refused is not replaced: %v", err)
		}
	})
}
