package tracker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// TestMessage says what a commit changes, in its first line and below.
func TestMessage(t *testing.T) {
	ref := func(tag, digest string) image.Reference { return image.Reference{Tag: tag, Digest: digest} }
	move := func(name, env string, from, to image.Reference) change {
		return change{
			place: scribe.Place{File: "apps/shop/" + env + "/kustomization.yaml"}, environments: []string{env}, image: delivery.Image{Name: name},
			repository: "registry.example.com/" + name, from: from, to: to, choice: image.Candidate{Tag: to.Tag, Digest: digestA}, why: "because",
		}
	}
	one, two, none := ref("1.0.0", ""), ref("2.0.0", ""), image.Reference{}
	cases := map[string]struct {
		changes []change
		want    string
	}{
		"One":          {[]change{move("web", "dev", one, two), move("web", "prod", one, two)}, "shop: 1.0.0 → 2.0.0"},
		"First":        {[]change{move("web", "dev", none, two)}, "shop: to 2.0.0"},
		"Different":    {[]change{move("web", "dev", one, two), move("web", "prod", none, two)}, "shop: to 2.0.0"},
		"Several":      {[]change{move("job", "dev", one, two), move("web", "dev", none, one)}, "shop: job 1.0.0 → 2.0.0, web to 1.0.0"},
		"Many":         {[]change{move("a", "dev", one, two), move("b", "dev", one, two), move("c", "dev", one, two), move("d", "dev", one, two)}, "shop: 4 images"},
		"Digest":       {[]change{move("web", "dev", ref("live", digestA), ref("live", digestB))}, "shop: live sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb"},
		"TagAndDigest": {[]change{move("web", "dev", ref("a", digestA), ref("b", digestB))}, "shop: a sha256:aaaaaaaaaaaa → b sha256:bbbbbbbbbbbb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := commit{service: "shop", changes: tc.changes}
			if diff := cmp.Diff(tc.want, c.subject()); diff != "" {
				t.Error(diff)
			}
			text, trailers := c.text()
			if !strings.HasPrefix(text, tc.want+"\n\nregistry.example.com/") || !strings.Contains(text, "\nbecause.\nIn apps/shop/dev/kustomization.yaml, for dev.\n") {
				t.Errorf("the message is\n%s", text)
			}
			seen := map[string]bool{}
			for _, is := range trailers {
				if is.Key != scribe.TrailerImage || !strings.HasSuffix(is.Value, "@"+digestA) || seen[is.Value] {
					t.Errorf("the trailers are %v", trailers)
				}
				seen[is.Value] = true
			}
		})
	}
}

// TestSays compares what is written with what is wanted.
func TestSays(t *testing.T) {
	ref := func(tag, digest string) image.Reference { return image.Reference{Tag: tag, Digest: digest} }
	for name, tc := range map[string]struct {
		is, want image.Reference
		says     bool
	}{
		"Same":          {ref("1", ""), ref("1", ""), true},
		"Otherwise":     {ref("1", ""), ref("2", ""), false},
		"DigestAlone":   {ref("", digestA), ref("live", digestA), true},
		"OtherDigest":   {ref("live", digestA), ref("live", digestB), false},
		"WithoutDigest": {ref("live", ""), ref("live", digestA), false},
		"OtherTag":      {ref("old", digestA), ref("new", digestA), false},
		"Nothing":       {ref("", ""), ref("1", ""), false},
	} {
		if got := says(tc.is, tc.want); got != tc.says {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestRetryAt leaves a registry alone for longer each time, never for ever, and for as long as it asks.
func TestRetryAt(t *testing.T) {
	now, every := time.Unix(0, 0), 5*time.Minute
	until := now.Add(time.Hour)
	for name, tc := range map[string]struct {
		failures    int
		err         error
		least, most time.Duration
	}{
		"First":     {1, registry.ErrUnreachable, 12 * time.Second, 15 * time.Second},
		"Third":     {3, registry.ErrUnreachable, 48 * time.Second, time.Minute},
		"Hundredth": {100, registry.ErrUnreachable, 24 * time.Minute, 30 * time.Minute},
		"Refused":   {1, registry.ErrAuth, 4 * time.Minute, 5 * time.Minute},
		"Asked":     {1, &registry.Error{Reason: registry.ErrRateLimited, Until: until}, time.Hour, time.Hour + 5*time.Second},
		"Unknown":   {1, errors.New("else"), 4 * time.Minute, 5 * time.Minute},
	} {
		for range 100 {
			if got := retryAt(now, every, tc.failures, tc.err).Sub(now); got < tc.least || got > tc.most {
				t.Fatalf("%s: after %s, not between %s and %s", name, got, tc.least, tc.most)
			}
		}
	}
}

// TestNewest looks at each tag once, and then at few: those that are new, that were announced, or were looked at longest
// ago. A tag that has gone between the list and the look is left out.
func TestNewest(t *testing.T) {
	h := newHub(t)
	for i, tag := range []string{"a", "b", "c"} {
		h.push("shop/web", tag, i)
	}
	clock := testenv.NewClock()
	client, err := registry.New(registry.Options{Rate: 1e6, Burst: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	policy, err := image.Compile(image.Track{Strategy: image.Newest})
	if err != nil {
		t.Fatal(err)
	}
	visitOf := func(before outcome) *visit {
		return &visit{client: client, repository: h.host + "/shop/web", now: clock.Now, before: before}
	}
	asks := []question{{policy: policy, newest: true, now: image.Reference{Tag: "c"}}}
	first := visitOf(outcome{})
	if err := first.ask(t.Context(), asks); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"a", "b", "c"} {
		if is := first.out.known[tag]; is.digest == "" || is.created.IsZero() {
			t.Errorf("%s was not looked at: %+v", tag, is)
		}
	}
	clock.Step(time.Minute)
	moved := h.push("shop/web", "a", 9)
	second := visitOf(first.out)
	if err := second.ask(t.Context(), asks); err != nil {
		t.Fatal(err)
	}
	if is := second.out.known["a"]; is.digest != moved {
		t.Errorf("that a was moved is not noticed: %+v", is)
	}
	if n := h.asked(http.MethodHead, "/manifests/a"); n != 1 {
		t.Errorf("a was looked at %d times", n)
	}
	// What is known stays when the next look fails.
	h.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	third := visitOf(second.out)
	if err := third.ask(t.Context(), asks); !errors.Is(err, registry.ErrUnreachable) || len(third.out.known) != 3 {
		t.Errorf("%v, and known is %v", err, third.out.known)
	}
}

// TestCrew bounds what is done at once, and waits at the end.
func TestCrew(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	c := newCrew(2)
	began, go1 := make(chan int, 10), make(chan struct{})
	for i := range 5 {
		c.look(func(ctx context.Context) {
			began <- i
			select {
			case <-go1:
			case <-ctx.Done():
			}
		})
	}
	<-began
	<-began
	if len(began) > 0 {
		t.Error("more than two look at once")
	}
	go1 <- struct{}{}
	<-began
	c.close()
	c.do(func(context.Context) { t.Error("something is done after the end") })
}
