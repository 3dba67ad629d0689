package registry

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
)

// TestRedirected: whatever the library does, what was shown to one host is not shown to the next.
func TestRedirected(t *testing.T) {
	request := func(method, address, authorization string, after *http.Request) *http.Request {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := &http.Request{Method: method, URL: u, Header: http.Header{}}
		if authorization != "" {
			q.Header.Set("Authorization", authorization)
			q.Header.Set("Cookie", "a=b")
		}
		if after != nil {
			q.Response = &http.Response{Request: after}
		}
		return q
	}
	first := request(http.MethodGet, "https://r.example.com/v2/", "Bearer secret", nil)
	between := request(http.MethodGet, "https://mid.example.com/v2/", "", first)
	cases := map[string]struct {
		q     *http.Request
		shown string
		err   error
	}{
		"NoRedirect":    {q: request(http.MethodPost, "https://r.example.com/v2/", "Bearer secret", nil), shown: "Bearer secret"},
		"SameHost":      {q: request(http.MethodGet, "https://R.example.com/v2/b", "Bearer secret", first), shown: "Bearer secret"},
		"OtherHost":     {q: request(http.MethodGet, "https://b.example.com/", "Bearer secret", first)},
		"OtherPort":     {q: request(http.MethodGet, "https://r.example.com:8443/", "Bearer secret", first)},
		"TwoHosts":      {q: request(http.MethodGet, "https://b.example.com/", "Bearer secret", between)},
		"ItsOwn":        {q: request(http.MethodGet, "https://b.example.com/", "Bearer of b", first), shown: "Bearer of b"},
		"Downgrade":     {q: request(http.MethodGet, "http://r.example.com/", "Bearer secret", first), shown: "Bearer secret", err: errInsecure},
		"Body":          {q: request(http.MethodPost, "https://b.example.com/", "", first), err: errRedirect},
		"BodyOfTheSame": {q: request(http.MethodPost, "https://r.example.com/b", "", first)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := redirected(tc.q); !errors.Is(err, tc.err) {
				t.Fatalf("got %v, want %v", err, tc.err)
			}
			if got := tc.q.Header.Get("Authorization"); got != tc.shown {
				t.Errorf("%s is shown %q, want %q", tc.q.URL, got, tc.shown)
			}
		})
	}
}
