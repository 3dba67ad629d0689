package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

func TestMain(m *testing.M) {
	// The events of the registry that the tests stand on cannot be ended.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/docker/go-events.(*Broadcaster).run"),
		goleak.IgnoreAnyFunction("github.com/distribution/distribution/v3/notifications.(*eventQueue).run"))
}

const (
	user     = "robot"
	password = "correct-horse-battery"
)

// server is a real registry, with somebody on the line.
type server struct {
	*ociserver.Registry
	t    *testing.T
	url  string
	host string

	mu       sync.Mutex
	requests []string
	// intercept answers in place of the registry if it returns true.
	intercept func(w http.ResponseWriter, r *http.Request) bool
}

// serve starts a registry.
func serve(t *testing.T, opts ociserver.Options) *server {
	t.Helper()
	s := &server{t: t}
	h := httptest.NewUnstartedServer(s)
	s.host = h.Listener.Addr().String()
	s.url = "http://" + s.host
	opts.URL = s.url
	r, err := ociserver.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Registry = r
	h.Start()
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		r.Close()
	})
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	s.Registry.ServeHTTP(w, r)
}

// listen sets who answers in place of the registry.
func (s *server) listen(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// seen returns the requests since it was last called.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

func (s *server) options() []remote.Option {
	return []remote.Option{remote.WithAuth(&authn.Basic{Username: user, Password: password})}
}

func (s *server) ref(repo, tag string) name.Tag {
	r, err := name.NewTag(s.host+"/"+repo+":"+tag, name.StrictValidation)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// build makes an image.
func build(t *testing.T, created time.Time, labels map[string]string, platform v1.Platform) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.Created, cfg.Config.Labels = v1.Time{Time: created}, labels
	cfg.OS, cfg.Architecture, cfg.Variant = platform.OS, platform.Architecture, platform.Variant
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

var (
	linuxAMD64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	linuxARM64 = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	built      = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// push pushes an image and returns its digest.
func (s *server) push(repo, tag string, img v1.Image) string {
	s.t.Helper()
	if err := remote.Write(s.ref(repo, tag), img, s.options()...); err != nil {
		s.t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	s.seen()
	return d.String()
}

// pushRandom pushes an image that is like no other.
func (s *server) pushRandom(repo, tag string) string {
	s.t.Helper()
	return s.push(repo, tag, build(s.t, built, nil, linuxAMD64))
}

// pushIndex pushes an index of images, each with its platform, and returns its digest.
func (s *server) pushIndex(repo, tag string, annotations map[string]string, adds ...mutate.IndexAddendum) string {
	s.t.Helper()
	idx := mutate.AppendManifests(empty.Index, adds...)
	if annotations != nil {
		idx = mutate.Annotations(idx, annotations).(v1.ImageIndex)
	}
	if err := remote.WriteIndex(s.ref(repo, tag), idx, s.options()...); err != nil {
		s.t.Fatal(err)
	}
	d, err := idx.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	s.seen()
	return d.String()
}

func platformed(img v1.Image, p v1.Platform) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}}
}

// newClient makes a Client that asks as often as it likes, unless opts says otherwise.
func newClient(t *testing.T, opts registry.Options) *registry.Client {
	t.Helper()
	if opts.Rate == 0 {
		opts.Rate, opts.Burst = 1e6, 1e6
	}
	c, err := registry.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// tagged is the reference of a tag.
func (s *server) tagged(repo, tag string) image.Reference {
	return image.Reference{Repository: s.host + "/" + repo, Tag: tag}
}

// pullSecret makes the data of a pull secret, of pairs of keys and users with passwords.
func pullSecret(t *testing.T, auths map[string][2]string) map[string][]byte {
	t.Helper()
	entries := map[string]any{}
	for key, a := range auths {
		entries[key] = map[string]string{"username": a[0], "password": a[1]}
	}
	data, err := json.Marshal(map[string]any{"auths": entries})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{".dockerconfigjson": data}
}

func credentials(t *testing.T, secret string, auths map[string][2]string) registry.Credentials {
	t.Helper()
	c, err := registry.Credentials{}.WithPullSecret(registry.PullSecret{Name: secret, Data: pullSecret(t, auths)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantError checks the reason and the sentence of an error, and that no secret is in it.
func wantError(t *testing.T, err, reason error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", reason)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, err); strings.Contains(s, password) || strings.Contains(s, "Basic ") || strings.Contains(s, "Bearer ey") {
			t.Errorf("the error holds a credential: %s", s)
		}
	}
	if !errors.Is(err, reason) {
		t.Errorf("error %q is not %v", err, reason)
	}
}

var ctx = context.Background()

func writeFile(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
