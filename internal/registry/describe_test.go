package registry_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

var labels = map[string]string{
	"org.opencontainers.image.source":   "https://git.example.com/shop/checkout",
	"org.opencontainers.image.revision": "8f1c9b",
	"org.opencontainers.image.version":  "1.2.3",
}

func TestDescribe(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	attestation := mutate.IndexAddendum{Add: build(t, time.Time{}, nil, v1.Platform{}), Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}}
	bare := mutate.IndexAddendum{Add: build(t, time.Time{}, nil, v1.Platform{}), Descriptor: v1.Descriptor{
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
	}}
	chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	inner := mutate.AppendManifests(empty.Index, platformed(build(t, built, labels, linuxAMD64), linuxAMD64))

	want := registry.Description{
		MediaType: string(types.DockerManifestSchema2), Created: built, Platform: "linux/amd64", Platforms: []string{"linux/amd64"},
		Source: "https://git.example.com/shop/checkout", Revision: "8f1c9b", Version: "1.2.3",
	}
	index := func(d registry.Description, platforms ...string) registry.Description {
		d.MediaType, d.Platforms = string(types.OCIImageIndex), platforms
		return d
	}
	cases := map[string]struct {
		push func(tag string) string
		want registry.Description
	}{
		"image": {push: func(tag string) string { return s.push("a", tag, build(t, built, labels, linuxAMD64)) }, want: want},
		"created-by-label": {
			push: func(tag string) string {
				return s.push("a", tag, build(t, time.Unix(0, 0), map[string]string{"org.opencontainers.image.created": "2026-03-04T06:06:07+01:00"}, linuxARM64))
			},
			want: registry.Description{MediaType: string(types.DockerManifestSchema2), Created: built, Platform: "linux/arm64/v8", Platforms: []string{"linux/arm64/v8"}},
		},
		"no-time": {
			push: func(tag string) string { return s.push("a", tag, build(t, time.Unix(0, 0), nil, linuxAMD64)) },
			want: registry.Description{MediaType: string(types.DockerManifestSchema2), Platform: "linux/amd64", Platforms: []string{"linux/amd64"}},
		},
		"hostile-labels": {
			push: func(tag string) string {
				return s.push("a", tag, build(t, built, map[string]string{
					"org.opencontainers.image.source": "a\nb", "org.opencontainers.image.revision": strings.Repeat("x", 1000), "org.opencontainers.image.version": "\x1b[31mred",
				}, linuxAMD64))
			},
			want: registry.Description{MediaType: string(types.DockerManifestSchema2), Created: built, Platform: "linux/amd64", Platforms: []string{"linux/amd64"}},
		},
		"index": {
			push: func(tag string) string {
				return s.pushIndex("a", tag, nil, attestation, platformed(build(t, time.Time{}, nil, linuxARM64), linuxARM64), platformed(build(t, built, labels, linuxAMD64), linuxAMD64))
			},
			want: index(want, "linux/arm64/v8", "linux/amd64"),
		},
		"index-without-amd64": {
			push: func(tag string) string {
				return s.pushIndex("a", tag, nil, attestation, bare, platformed(build(t, built, labels, linuxARM64), linuxARM64))
			},
			want: index(registry.Description{Created: built, Platform: "linux/arm64/v8", Source: want.Source, Revision: want.Revision, Version: want.Version}, "linux/arm64/v8"),
		},
		"index-annotations": {
			push: func(tag string) string {
				return s.pushIndex("a", tag, map[string]string{"org.opencontainers.image.revision": "of the index", "org.opencontainers.image.created": "2026-03-04T05:06:07Z"},
					platformed(build(t, time.Unix(0, 0), nil, linuxAMD64), linuxAMD64))
			},
			want: index(registry.Description{Created: built, Platform: "linux/amd64", Revision: "of the index"}, "linux/amd64"),
		},
		"index-in-index": {
			push: func(tag string) string { return s.pushIndex("a", tag, nil, mutate.IndexAddendum{Add: inner}) },
			want: index(want),
		},
		"index-of-nothing": {
			push: func(tag string) string { return s.pushIndex("a", tag, nil, attestation) },
			want: index(registry.Description{}),
		},
		"chart": {
			push: func(tag string) string {
				return s.push("a", tag, mutate.Annotations(chart, map[string]string{"org.opencontainers.image.version": "4.5.6"}).(v1.Image))
			},
			want: registry.Description{MediaType: string(types.OCIManifestSchema1), Version: "4.5.6"},
		},
	}
	for tag, tc := range cases {
		t.Run(tag, func(t *testing.T) {
			tc.want.Digest = tc.push(tag)
			if len(tc.want.Platforms) == 0 && tc.want.Platform != "" {
				tc.want.Platforms = []string{tc.want.Platform}
			}
			got, err := c.Describe(ctx, s.tagged("a", tag), registry.Credentials{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDescribeOnce: an image is read once, and a tag costs one HEAD.
func TestDescribeOnce(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	digest := s.pushRandom("shop/checkout", "1.0.0")
	for range 2 {
		if _, err := c.Describe(ctx, s.tagged("shop/checkout", "1.0.0"), registry.Credentials{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.seen(), "\n"); strings.Count(got, "HEAD") != 2 || strings.Count(got, "/manifests/"+digest) != 1 || strings.Count(got, "/blobs/") != 1 || strings.Count(got, "GET /v2/\n") != 1 {
		t.Errorf("requests:\n%s", got)
	}
	ref := image.Reference{Repository: s.host + "/shop/checkout", Tag: "whatever", Digest: digest}
	if _, err := c.Describe(ctx, ref, registry.Credentials{}); err != nil {
		t.Fatal(err)
	}
	if got := s.seen(); len(got) != 0 {
		t.Errorf("a digest that is known costs %v", got)
	}
	// Another credential sees only what it may see itself.
	other := credentials(t, "pull", map[string][2]string{s.host: {user, password}})
	if _, err := c.Describe(ctx, ref, other); err != nil {
		t.Fatal(err)
	}
	if got := s.seen(); len(got) == 0 {
		t.Error("what one credential saw is told to another")
	}
}

func TestMovedAndDeletedTag(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	look := func(want string) {
		t.Helper()
		got, err := c.Digest(ctx, s.tagged("shop/checkout", "live"), registry.Credentials{})
		if err != nil || got != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
		d, err := c.Describe(ctx, s.tagged("shop/checkout", "live"), registry.Credentials{})
		if err != nil || d.Digest != want {
			t.Fatalf("got %+v, %v, want %s", d, err, want)
		}
	}
	first := s.pushRandom("shop/checkout", "live")
	look(first)
	second := s.pushRandom("shop/checkout", "live")
	if first == second {
		t.Fatal("the tag was not moved")
	}
	look(second)

	if err := remote.Delete(s.ref("shop/checkout", "live")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Digest(ctx, s.tagged("shop/checkout", "live"), registry.Credentials{})
	wantError(t, err, registry.ErrNotFound, "image "+s.host+"/shop/checkout:live: there is no such tag")
	_, err = c.Describe(ctx, s.tagged("shop/checkout", "live"), registry.Credentials{})
	wantError(t, err, registry.ErrNotFound, "there is no such tag")
	_, err = c.Describe(ctx, image.Reference{Repository: s.host + "/shop/checkout", Digest: "sha256:" + strings.Repeat("0", 64)}, registry.Credentials{})
	wantError(t, err, registry.ErrNotFound, "there is no such image any more")
}

func TestReferencesThatCannotBe(t *testing.T) {
	c := newClient(t, registry.Options{})
	for _, ref := range []image.Reference{
		{}, {Repository: "127.0.0.1:1/a", Tag: "../../x"}, {Repository: "127.0.0.1:1/a", Digest: "sha256:x"}, {Repository: "127.0.0.1:1/A?", Tag: "a"},
	} {
		_, err := c.Describe(ctx, ref, registry.Credentials{})
		if err == nil || errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("%+v: got %v", ref, err)
		}
	}
}

func TestHostileImages(t *testing.T) {
	large := strings.Repeat(" ", 5<<20) + "{}"
	zeros := "sha256:" + strings.Repeat("0", 64)
	// manifest answers to everything below manifests with a document, truthfully.
	manifest := func(mediaType, doc string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Docker-Content-Digest", sha(doc))
			w.Header().Set("Content-Length", fmt.Sprint(len(doc)))
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(w, doc)
			}
			return true
		}
	}
	cases := map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool
		reason error
		says   string
	}{
		"GiantManifest": {manifest(string(types.OCIManifestSchema1), large), registry.ErrUnreadable, "more than Sengu reads: 4 MiB for an image"},
		"EndlessManifest": {
			func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") || r.Method == http.MethodHead {
					return manifest(string(types.OCIManifestSchema1), "{}")(w, r)
				}
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
						break
					}
				}
				return true
			}, registry.ErrUnreadable, "more than Sengu reads",
		},
		"OtherManifest": {
			func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead {
					return manifest(string(types.OCIManifestSchema1), "{}")(w, r)
				}
				return manifest(string(types.OCIManifestSchema1), `{"other":1}`)(w, r)
			}, registry.ErrUnreadable, "is not what it promised",
		},
		"ManyEmpty":    {manifest(string(types.OCIManifestSchema1), `{"layers":[{}`+strings.Repeat(",{}", 1_000_000)+`]}`), registry.ErrUnreadable, "more than Sengu reads"},
		"NotJSON":      {manifest(string(types.OCIManifestSchema1), "]"), registry.ErrUnreadable, "cannot be understood"},
		"GiantConfig":  {manifest(string(types.OCIManifestSchema1), `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":9000000000000000000,"digest":"`+zeros+`"}}`), registry.ErrUnreadable, "more than Sengu reads"},
		"NoConfig":     {manifest(string(types.OCIManifestSchema1), `{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"`+zeros+`"}}`), registry.ErrNotFound, "there is no such tag"},
		"ChildUp":      {manifest(string(types.OCIImageIndex), `{"manifests":[{"digest":"../../../secret","size":1}]}`), registry.ErrUnreadable, "cannot be understood"},
		"ChildMissing": {manifestOnce(manifest(string(types.OCIImageIndex), `{"manifests":[{"digest":"`+zeros+`","size":1}]}`), zeros), registry.ErrNotFound, "there is no such tag"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{})
			s.listen(tc.answer)
			c := newClient(t, registry.Options{})
			d, err := c.Describe(ctx, s.tagged("shop/checkout", "a"), registry.Credentials{})
			if diff := cmp.Diff(registry.Description{}, d); diff != "" {
				t.Errorf("it is believed: %s", diff)
			}
			wantError(t, err, tc.reason, tc.says)
			for _, r := range s.seen() {
				if strings.Contains(r, "..") {
					t.Errorf("it was led to ask %s", r)
				}
			}
		})
	}
}

// manifestOnce lets the registry itself answer for one digest.
func manifestOnce(answer func(http.ResponseWriter, *http.Request) bool, but string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return !strings.HasSuffix(r.URL.Path, but) && answer(w, r)
	}
}

// TestIndexesInIndexes: a registry that answers every digest with one more index does not keep us.
func TestIndexesInIndexes(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	idx := mutate.AppendManifests(empty.Index, platformed(build(t, built, labels, linuxAMD64), linuxAMD64))
	for range 4 {
		idx = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: idx})
	}
	if err := remote.WriteIndex(s.ref("a", "deep"), idx); err != nil {
		t.Fatal(err)
	}
	_, err := c.Describe(ctx, s.tagged("a", "deep"), registry.Credentials{})
	wantError(t, err, registry.ErrUnreadable, "cannot be understood")
}

// TestWithoutHead: a registry that does not say the digest, or does not know HEAD, is asked by GET.
func TestWithoutHead(t *testing.T) {
	for name, head := range map[string]func(w http.ResponseWriter){
		"NotAllowed": func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"NoDigest": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			w.Header().Set("Content-Length", "5")
		},
		"Garbage": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Docker-Content-Digest", "sha256:zzz")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{})
			c := newClient(t, registry.Options{})
			want := s.pushRandom("shop/checkout", "1.0.0")
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead {
					head(w)
				}
				return r.Method == http.MethodHead
			})
			got, err := c.Digest(ctx, s.tagged("shop/checkout", "1.0.0"), registry.Credentials{})
			if err != nil || got != want {
				t.Fatalf("got %s, %v, want %s", got, err, want)
			}
		})
	}
}

// TestBlobsElsewhere: registries send us to the store of their blobs, and no credential goes there.
func TestBlobsElsewhere(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		t.Run(fmt.Sprint("Tokens=", tokens), func(t *testing.T) {
			s := serve(t, ociserver.Options{Users: map[string]string{user: password}, Tokens: tokens})
			img := build(t, built, labels, linuxAMD64)
			config, err := img.RawConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			want := s.push("shop/checkout", "1.0.0", img)
			var shown []http.Header
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				shown = append(shown, r.Header)
				_, _ = w.Write(config) // the only blob that is read
			}))
			defer store.Close()
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/blobs/") && r.Header.Get("Authorization") != "" {
					http.Redirect(w, r, strings.Replace(store.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
					return true
				}
				return false
			})
			c := newClient(t, registry.Options{})
			d, err := c.Describe(ctx, s.tagged("shop/checkout", "1.0.0"), credentials(t, "pull", map[string][2]string{s.host: {user, password}}))
			if err != nil || d.Digest != want || d.Revision != "8f1c9b" {
				t.Fatalf("got %+v, %v", d, err)
			}
			if len(shown) == 0 {
				t.Fatal("nobody was sent to the store")
			}
			for _, h := range shown {
				if h.Get("Authorization") != "" || h.Get("Cookie") != "" {
					t.Errorf("a credential went to another host: %v", h)
				}
			}
		})
	}
}

func sha(doc string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(doc)))
}
