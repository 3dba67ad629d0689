package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

func until(t *testing.T, err error) time.Time {
	t.Helper()
	var e *registry.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e.Until
}

func TestRegistryAsksForAPause(t *testing.T) {
	now := built
	cases := map[string]struct {
		code   int
		header map[string]string
		want   time.Duration
	}{
		"Seconds":             {code: 429, header: map[string]string{"Retry-After": "7"}, want: 7 * time.Second},
		"Date":                {code: 429, header: map[string]string{"Retry-After": now.Add(42 * time.Second).Format(http.TimeFormat)}, want: 42 * time.Second},
		"DockerHub":           {code: 429, header: map[string]string{"X-Retry-After": fmt.Sprint(now.Add(90 * time.Second).Unix())}, want: 90 * time.Second},
		"OutOfOrderForAWhile": {code: 503, header: map[string]string{"Retry-After": "30"}, want: 30 * time.Second},
		"TooLong":             {code: 429, header: map[string]string{"Retry-After": "99999999999"}, want: time.Hour},
		"TooLongDate":         {code: 429, header: map[string]string{"Retry-After": now.AddDate(9, 0, 0).Format(http.TimeFormat)}, want: time.Hour},
		"TooShort":            {code: 429, header: map[string]string{"Retry-After": "0"}, want: time.Second},
		"Negative":            {code: 429, header: map[string]string{"Retry-After": "-5"}, want: time.Second},
		"Overflow":            {code: 429, header: map[string]string{"Retry-After": "9223372036854775807"}, want: time.Hour},
		"Garbage":             {code: 429, header: map[string]string{"Retry-After": "soon"}, want: 5 * time.Second},
		"Nothing":             {code: 429, want: 5 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := serve(t, ociserver.Options{})
			s.pushRandom("shop/checkout", "1.0.0")
			var busy atomic.Bool
			busy.Store(true)
			s.listen(func(w http.ResponseWriter, r *http.Request) bool {
				if !busy.Load() || !strings.HasSuffix(r.URL.Path, "/tags/list") {
					return false
				}
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.code)
				return true
			})
			clk := clocktesting.NewFakeClock(now)
			c := newClient(t, registry.Options{Clock: clk})
			_, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
			wantError(t, err, registry.ErrRateLimited, s.host+" says that it was asked too often, and is left alone until "+now.Add(tc.want).Format(time.RFC3339))
			if got := until(t, err).Sub(now); got != tc.want {
				t.Errorf("left alone for %s, want %s", got, tc.want)
			}
			// Until then nobody asks it, for any repository.
			s.seen()
			clk.Step(tc.want - time.Millisecond)
			_, err = c.Digest(ctx, s.tagged("shop/other", "a"), registry.Credentials{})
			wantError(t, err, registry.ErrRateLimited)
			if seen := s.seen(); len(seen) != 0 {
				t.Errorf("it was asked in its pause: %v", seen)
			}
			clk.Step(2 * time.Millisecond)
			busy.Store(false)
			if _, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPausesGrow: a registry that does not say for how long is asked less and less often, until it has a rest.
func TestPausesGrow(t *testing.T) {
	s := serve(t, ociserver.Options{})
	s.pushRandom("shop/checkout", "1.0.0")
	var busy atomic.Bool
	busy.Store(true)
	s.listen(func(w http.ResponseWriter, _ *http.Request) bool {
		if busy.Load() {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return busy.Load()
	})
	clk := clocktesting.NewFakeClock(built)
	c := newClient(t, registry.Options{Clock: clk})
	ask := func() error {
		_, err := c.Tags(ctx, s.host+"/shop/checkout", registry.Credentials{})
		return err
	}
	for _, want := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
		err := ask()
		wantError(t, err, registry.ErrRateLimited)
		if got := until(t, err).Sub(clk.Now()); got != time.Duration(want)*time.Second {
			t.Fatalf("left alone for %s, want %d s", got, want)
		}
		clk.SetTime(until(t, err))
	}
	busy.Store(false)
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	// One answer is no sign of rest: Docker Hub answers HEAD while it refuses GET.
	busy.Store(true)
	err := ask()
	if got := until(t, err).Sub(clk.Now()); got != 5*time.Minute {
		t.Errorf("after one answer it is left alone for %s", got)
	}
	clk.SetTime(until(t, err).Add(11 * time.Minute))
	if got := until(t, ask()).Sub(clk.Now()); got != 5*time.Second {
		t.Errorf("after a rest it is left alone for %s", got)
	}
}

// TestRate: one registry is asked at its rate; a request that is due within two seconds waits, another is told when.
func TestRate(t *testing.T) {
	s := serve(t, ociserver.Options{})
	s.pushRandom("shop/checkout", "1.0.0")
	clk := clocktesting.NewFakeClock(built)
	c := newClient(t, registry.Options{Clock: clk, Rate: 0.5, Burst: 4})
	ask := func() error {
		_, err := c.Digest(ctx, s.tagged("shop/checkout", "1.0.0"), registry.Credentials{})
		return err
	}
	// To this machine the library asks by https and by http which of them it is: two requests, once. Then one each.
	for range 2 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	s.seen()
	done := make(chan error, 1)
	go func() { done <- ask() }()
	deadline := time.After(10 * time.Second)
	for !clk.HasWaiters() {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		case <-deadline:
			t.Fatal("it does not wait")
		default:
		}
	}
	err := ask2(c, s)
	wantError(t, err, registry.ErrRateLimited, s.host+" is asked as often as it may be; next at "+built.Add(4*time.Second).Format(time.RFC3339))
	if seen := s.seen(); len(seen) != 0 {
		t.Errorf("it was asked: %v", seen)
	}
	clk.Step(2 * time.Second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if seen := s.seen(); len(seen) != 1 {
		t.Errorf("requests: %v", seen)
	}
}

// ask2 asks for another repository, which does not wait for the first.
func ask2(c *registry.Client, s *server) error {
	_, err := c.Tags(ctx, s.host+"/shop/other", registry.Credentials{})
	return err
}

func TestCancelledWhileItWaits(t *testing.T) {
	s := serve(t, ociserver.Options{})
	clk := clocktesting.NewFakeClock(built)
	c := newClient(t, registry.Options{Clock: clk, Rate: 0.6, Burst: 2})
	mine, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := c.Tags(mine, s.host+"/shop/checkout", registry.Credentials{})
		done <- err
	}()
	for !clk.HasWaiters() {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestManyAtOnce: calls for one repository and for several, with one credential and with several, at the same time.
func TestManyAtOnce(t *testing.T) {
	s := serve(t, ociserver.Options{Users: map[string]string{user: password, "other": "another"}, Tokens: true})
	want := map[string]string{}
	for _, repo := range []string{"a", "b", "c"} {
		want[repo] = s.pushRandom(repo, "1.0.0")
	}
	c := newClient(t, registry.Options{})
	var wg sync.WaitGroup
	for i := range 24 {
		creds := credentials(t, "pull", map[string][2]string{s.host: {user, password}})
		if i%2 == 0 {
			creds = credentials(t, "pull", map[string][2]string{s.host: {"other", "another"}})
		}
		repo := string(rune('a' + i%3))
		wg.Go(func() {
			d, err := c.Describe(ctx, s.tagged(repo, "1.0.0"), creds)
			if err != nil || d.Digest != want[repo] {
				t.Errorf("got %+v, %v", d, err)
			}
			if _, err := c.Tags(ctx, s.host+"/"+repo, creds); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(strings.Join(s.seen(), "\n"), "GET /token"); n > 6 {
		t.Errorf("%d tokens for 3 repositories and 2 credentials", n)
	}
}
