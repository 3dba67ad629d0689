package registry_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

func TestTags(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	for _, tag := range []string{"1.10.0", "latest", "1.9.0"} {
		s.pushRandom("shop/checkout", tag)
	}
	got, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.10.0", "1.9.0", "latest"}, got); diff != "" {
		t.Error(diff)
	}
	if err := remote.Delete(s.ref("shop/checkout", "latest")); err != nil {
		t.Fatal(err)
	}
	s.pushRandom("shop/checkout", "2.0.0")
	if got, err = c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.10.0", "1.9.0", "2.0.0"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTagsOfNothing(t *testing.T) {
	s := serve(t, ociserver.Options{})
	c := newClient(t, registry.Options{})
	_, err := c.Tags(ctx, s.host+"/shop/nothing", registry.Credentials{})
	wantError(t, err, registry.ErrNotFound, "tags of "+s.host+"/shop/nothing: there is no such repository, or the credential may not see it")
	for _, bad := range []string{"", "Shop/../x", "https://example.com/a", "example.com/a b"} {
		if _, err := c.Tags(ctx, bad, registry.Credentials{}); err == nil {
			t.Errorf("%q is taken for a repository", bad)
		}
	}
}

// manyTags serves a repository of 10,000 tags, of which a page holds at most page.
func manyTags(t *testing.T, page int) (*server, []string) {
	s := serve(t, ociserver.Options{Page: page})
	digest := s.pushRandom("shop/many", "a")
	want := []string{"a"}
	for i := range 9_999 {
		want = append(want, fmt.Sprintf("main-%05d", i))
	}
	if err := s.Tag(ctx, "shop/many", digest, want...); err != nil {
		t.Fatal(err)
	}
	return s, want
}

func TestTagsInPages(t *testing.T) {
	s, want := manyTags(t, 500)
	c := newClient(t, registry.Options{})
	got, err := c.Tags(ctx, s.host+"/shop/many", registry.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d tags, want %d", len(got), len(want))
	}
	pages := 0
	for _, r := range s.seen() {
		if strings.HasSuffix(r, "/tags/list") {
			pages++
		}
	}
	if pages < 20 || pages > 21 {
		t.Errorf("%d pages were read, of 500 tags each", pages)
	}

	few := newClient(t, registry.Options{MaxTags: 2000})
	_, err = few.Tags(ctx, s.host+"/shop/many", registry.Credentials{})
	wantError(t, err, registry.ErrUnreadable, "it has more than 2000 tags, which is what Sengu reads")
}

func TestHostileTags(t *testing.T) {
	cases := map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		reason error
		says   string
	}{
		"Endless": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(`{"tags":["`))
				for r.Context().Err() == nil {
					if _, err := w.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
						return
					}
				}
			},
			reason: registry.ErrUnreadable, says: "answers with more than Sengu reads",
		},
		"ManyEmpty": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"tags":["` + strings.Repeat(`","`, 1_000_000) + `"]}`))
			},
			reason: registry.ErrUnreadable, says: "answers with more than Sengu reads",
		},
		"EndlessPages": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", "<"+r.URL.Path+"?n=1&last=a>; rel=next")
				_, _ = w.Write([]byte(`{"tags":["a"]}`))
			},
			reason: registry.ErrUnreadable, says: "has no end of pages: 1000 were read",
		},
		"NextPageElsewhere": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", "<http://169.254.169.254/latest/meta-data>; rel=next")
				_, _ = w.Write([]byte(`{"tags":["a"]}`))
			},
			reason: registry.ErrUnreadable, says: "cannot be understood",
		},
		"NotJSON": {
			answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>log in</html>")) },
			reason: registry.ErrUnreadable, says: "cannot be understood",
		},
		"CutOff": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write([]byte(`{"tags":["a"`))
			},
			reason: registry.ErrUnreachable, says: "the connection broke off",
		},
		"OutOfOrder": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"errors":[{"code":"UNKNOWN","message":"<script>"}]}`, http.StatusInternalServerError)
			},
			reason: registry.ErrUnreachable, says: "is out of order (500)",
		},
		"Teapot": {
			answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
			reason: registry.ErrUnreadable, says: "answers with status 418",
		},
		"HugeError": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(strings.Repeat("x", 1<<20)))
			},
			reason: registry.ErrUnreadable,
		},
		"HugeHeader": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X", strings.Repeat("x", 1<<20))
				_, _ = w.Write([]byte(`{"tags":[]}`))
			},
			reason: registry.ErrUnreadable,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{})
			s.pushRandom("shop/checkout", "a")
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/tags/list") {
					return false
				}
				tc.answer(w, r)
				return true
			})
			c := newClient(t, registry.Options{})
			tags, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
			if tags != nil {
				t.Errorf("%d tags are believed", len(tags))
			}
			wantError(t, err, tc.reason, tc.says)
			if n := strings.Count(strings.Join(s.seen(), "\n"), "/tags/list"); n != 1 && name != "EndlessPages" {
				t.Errorf("it was asked %d times: whoever calls tries again, and nobody else", n)
			}
			if strings.Contains(err.Error(), "<") || len(err.Error()) > 500 {
				t.Errorf("the error quotes the registry: %.600s", err)
			}
		})
	}
}

func TestTagsThatCannotBeAreLeftOut(t *testing.T) {
	s := serve(t, ociserver.Options{})
	s.listen(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			_, _ = w.Write([]byte(`{"name":"other","tags":["b","a","b","","../x","a b","<script>","` + strings.Repeat("x", 200) + `"]}`))
			return true
		}
		return false
	})
	c := newClient(t, registry.Options{})
	got, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSlowRegistry(t *testing.T) {
	s := serve(t, ociserver.Options{})
	s.listen(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			_, _ = w.Write([]byte(`{"tags":["a"`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}
		return false
	})
	c := newClient(t, registry.Options{Timeout: 50 * time.Millisecond})
	_, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
	wantError(t, err, registry.ErrUnreachable, s.host+" did not answer within 200ms")
}
