package forge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const secretToken = "ghs_0123456789abcdef"

// against makes a Forge of GitHub whose requests a handler answers.
func against(t *testing.T, h http.HandlerFunc, with func(*forge.Config)) forge.Forge {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg := forge.Config{
		Kind: forge.GitHub, BaseURL: server.URL, Repository: "shop/manifests",
		Token: func(context.Context) (string, error) { return secretToken, nil },
	}
	if with != nil {
		with(&cfg)
	}
	f, err := forge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRateLimits(t *testing.T) {
	now := testenv.NewClock().Now()
	in := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		body   string
		pause  time.Duration // 0: it is no limit
	}{
		"primary":           {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(10 * time.Minute)}, `{}`, 10 * time.Minute},
		"secondary":         {403, map[string]string{"Retry-After": "30"}, `{}`, 30 * time.Second},
		"secondary, unsaid": {403, nil, `{"message":"You have exceeded a secondary rate limit."}`, time.Minute},
		"a date":            {429, map[string]string{"Retry-After": now.Add(45 * time.Second).UTC().Format(http.TimeFormat)}, ``, 45 * time.Second},
		"gitlab":            {429, map[string]string{"RateLimit-Reset": in(20 * time.Second)}, `Retry later`, 20 * time.Second},
		"unsaid":            {429, nil, ``, time.Minute},
		"nonsense":          {429, map[string]string{"Retry-After": "soon"}, ``, time.Minute},
		"too long":          {429, map[string]string{"Retry-After": "99999999999"}, ``, 2 * time.Hour},
		"in the past":       {429, map[string]string{"RateLimit-Reset": in(-time.Hour)}, ``, time.Second},
		"negative":          {429, map[string]string{"Retry-After": "-5"}, ``, time.Second},
		"a permission":      {403, map[string]string{"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": in(time.Hour)}, `{"message":"Resource not accessible"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testenv.NewClock()
			asked := atomic.Int32{}
			limit := atomic.Bool{}
			limit.Store(true)
			f := against(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if !limit.Load() {
					_, _ = io.WriteString(w, `{"number":1,"state":"open"}`)
					return
				}
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}, func(c *forge.Config) { c.Now = clock.Now })
			_, err := f.PullRequest(t.Context(), 1)
			var limited *forge.RateLimited
			if tc.pause == 0 {
				if errors.As(err, &limited) || !errors.Is(err, forge.ErrForbidden) {
					t.Fatalf("got %v, want %v", err, forge.ErrForbidden)
				}
				return
			}
			if !errors.As(err, &limited) {
				t.Fatalf("got %v, want a limit", err)
			}
			if got := limited.Until.Sub(clock.Now()); got != tc.pause {
				t.Errorf("it lasts %s, want %s", got, tc.pause)
			}
			limit.Store(false)
			// Until then nothing is sent at all: who goes on asking is shut out for longer.
			clock.Step(tc.pause - time.Millisecond)
			if _, err := f.PullRequest(t.Context(), 1); !errors.As(err, &limited) || asked.Load() != 1 {
				t.Errorf("before its end: %v after %d requests", err, asked.Load())
			}
			clock.Step(time.Millisecond)
			if _, err := f.PullRequest(t.Context(), 1); err != nil || asked.Load() != 2 {
				t.Errorf("after its end: %v after %d requests", err, asked.Load())
			}
		})
	}
}

// TestRedirects looks that a token goes nowhere but to the host that it is for.
func TestRedirects(t *testing.T) {
	var leaked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer other.Close()
	var moved string
	var methods []string
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		switch {
		case r.URL.Path == "/new":
			if r.Header.Get("Authorization") != "Bearer "+secretToken {
				t.Error("the token is gone after a redirect that stays")
			}
			_, _ = io.WriteString(w, `{"number":1,"state":"open","head":{"ref":"x"},"title":"t"}`)
		case strings.HasSuffix(r.URL.Path, "/comments") && r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `[]`)
		default:
			http.Redirect(w, r, moved, http.StatusMovedPermanently)
		}
	}, nil)
	moved = "/new"
	if pr, err := f.PullRequest(t.Context(), 1); err != nil || pr.Number != 1 {
		t.Errorf("on the same host: %+v, %v", pr, err)
	}
	moved = "/loop"
	if _, err := f.PullRequest(t.Context(), 1); !errors.Is(err, forge.ErrMoved) {
		t.Errorf("in a circle: %v", err)
	}
	moved = other.URL
	if _, err := f.PullRequest(t.Context(), 1); !errors.Is(err, forge.ErrMoved) {
		t.Errorf("to another host: %v", err)
	}
	// A POST must not become a GET that then looks like a success.
	moved, methods = "/new", nil
	if _, err := f.EnsureComment(t.Context(), 1, "plan", "text"); !errors.Is(err, forge.ErrMoved) {
		t.Errorf("a write: %v", err)
	}
	if got := strings.Join(methods, " "); got != "GET POST" {
		t.Errorf("the requests were %s", got)
	}
	if leaked.Load() > 0 {
		t.Error("the other host was asked")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
		says   string
	}{
		"a page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>sign in</html>") }, forge.ErrUnavailable, "is the URL of the API right?"},
		"a proxy": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>oops</html>")
		}, forge.ErrUnavailable, "status 502"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"number":`)
		}, forge.ErrUnavailable, ""},
		"gone": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, forge.ErrUnavailable, ""},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"body":"`)
			for line := strings.Repeat("x", 1<<20); ; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, forge.ErrTooLarge, "48 MiB"},
		"an endless complaint": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			for line := strings.Repeat("x", 1<<20); ; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, forge.ErrConflict, "status 409"},
		"a token in it": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprintf(w, `{"message":"%s no %s","errors":[{"field":"head","code":"invalid"},"x\u0000\ny"]}`, strings.Repeat("-", 280), r.Header.Get("Authorization"))
		}, forge.ErrInvalid, "no Bearer ***"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := against(t, tc.answer, nil).PullRequest(t.Context(), 1)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want %v with %q", err, tc.want, tc.says)
			}
			if text := err.Error(); strings.Contains(text, secretToken[:6]) || strings.ContainsAny(text, "\n\x00") || len(text) > 700 {
				t.Errorf("unfit to be shown: %q", text)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	var seen []string
	token, failure := "first", error(nil)
	var logs strings.Builder
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"number":1,"state":"open"}`)
	}, func(c *forge.Config) {
		c.Token = func(context.Context) (string, error) { return token, failure }
		c.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	get := func() error { _, err := f.PullRequest(t.Context(), 1); return err }
	if err := get(); err != nil {
		t.Fatal(err)
	}
	token = "second"
	if err := get(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "tok en", "tok\r\nX-Evil: 1", "naïve"} {
		token = bad
		if err := get(); !errors.Is(err, forge.ErrUnauthorized) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	if failure = errors.New("the App is not installed"); !errors.Is(get(), failure) {
		t.Error("the reason for which there is no token is lost")
	}
	if got := strings.Join(seen, ", "); got != "Bearer first, Bearer second" {
		t.Errorf("the requests bore %s", got)
	}
	if text := logs.String(); !strings.Contains(text, "/repos/shop/manifests/pulls/1") || strings.Contains(text, "first") || strings.Contains(text, "second") {
		t.Errorf("the log is %s", text)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the replica is no longer the active one")
	f := against(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(stop)
		<-r.Context().Done()
	}, nil)
	if _, err := f.PullRequest(ctx, 1); !errors.Is(err, stop) || errors.Is(err, forge.ErrUnavailable) {
		t.Errorf("got %v, want the cause", err)
	}
}

// TestBounds looks that lists end somewhere: that of pull requests with a word, and others with an error.
func TestBounds(t *testing.T) {
	var asked atomic.Int32
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		w.Header().Set("Link", `<https://evil.example.com/steal>; rel="next"`)
		if strings.HasSuffix(r.URL.Path, "/pulls") {
			_, _ = fmt.Fprintf(w, `[{"number":%d,"state":"open"}]`, 1000-n)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	}, nil)
	list, err := f.OpenPullRequests(t.Context(), "main")
	if err != nil || !list.Truncated || len(list.PullRequests) != 20 || asked.Swap(0) != 20 {
		t.Errorf("%d pull requests, truncated %t: %v", len(list.PullRequests), list.Truncated, err)
	}
	if _, err := f.EnsureComment(t.Context(), 1, "plan", "text"); !errors.Is(err, forge.ErrTooLarge) || asked.Load() != 20 {
		t.Errorf("comments without end: %v after %d requests", err, asked.Load())
	}
	if _, err := f.Approvals(t.Context(), 1); !errors.Is(err, forge.ErrTooLarge) {
		t.Errorf("reviews without end: %v", err)
	}
}

func TestLoginIsNotAskedForWhenItIsSaid(t *testing.T) {
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, `[{"id":5,"html_url":"https://x","body":"<!-- sengu:plan -->\ntext","user":{"login":"Sengu[bot]"}}]`)
	}, func(c *forge.Config) { c.Login = "sengu[bot]" })
	got, err := f.EnsureComment(t.Context(), 1, "plan", "text")
	if want := (forge.Comment{URL: "https://x"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestEnterprise looks where GitHub Enterprise has its other API.
func TestEnterprise(t *testing.T) {
	var paths []string
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "graphql") {
			_, _ = io.WriteString(w, `{"data":{"viewer":{"login":"sengu"}}}`)
			return
		}
		_, _ = io.WriteString(w, `[{"id":5,"body":"<!-- sengu:plan -->\ntext","user":{"login":"sengu"}}]`)
	}, func(c *forge.Config) { c.BaseURL += "/api/v3" })
	if _, err := f.EnsureComment(t.Context(), 1, "plan", "text"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(paths, " "); got != "/api/v3/repos/shop/manifests/issues/1/comments /api/graphql" {
		t.Error(got)
	}
}
