package forge_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/forge"
)

func FuzzLocate(f *testing.F) {
	for _, url := range []string{
		"https://github.com/shop/manifests.git", "git@gitlab.com:a/b/c.git", "ssh://git@git.example.com:22/a/b", "https://[::1]:3000/a/b",
		"https://a/../b", "x:y:z", "https://example.com/git/a/b.git.git", "https://example.com/%2e%2e/a",
	} {
		f.Add(url, "gitea", "https://example.com/git/api/v1")
		f.Add(url, "", "")
	}
	f.Fuzz(func(t *testing.T, url, kind, api string) {
		cfg, err := forge.Locate(url, forge.Kind(kind), api)
		if err != nil {
			return
		}
		if strings.Contains("/"+cfg.Repository+"/", "/../") || strings.ContainsAny(cfg.Repository, "?#%\\ ") {
			t.Errorf("%q names the repository %q", url, cfg.Repository)
		}
		cfg.Token = func(context.Context) (string, error) { return "x", nil }
		// What is found can be used, unless the API was said and is none.
		if _, err := forge.New(cfg); err != nil && api == "" {
			t.Errorf("%q: %v", url, err)
		}
	})
}

func FuzzComplaint(f *testing.F) {
	for _, body := range []string{
		`{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"},"x"]}`,
		`{"message":{"base":["is invalid"],"title":[]}}`, `{"error":"insufficient_scope","error_description":"x","scope":"api"}`,
		`{"message":["a",["b",{"c":1}]]}`, `<html>`, `"x"`, `{"message":"\u0000\n\u2028"}`, strings.Repeat(`{"message":`, 50) + "1" + strings.Repeat("}", 50),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		says := forge.Complaint(body)
		if utf8.RuneCountInString(says) > 300 || !utf8.ValidString(says) || strings.ContainsAny(says, "\n\r\x00\u2028") {
			t.Errorf("unfit to be shown: %q", says)
		}
	})
}

func TestComplaints(t *testing.T) {
	for body, want := range map[string]string{
		`{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"},"x"]}`: "Validation Failed; code invalid; field head; resource PullRequest; x",
		`{"message":"Validation Failed","errors":[{"code":"custom","message":"A pull request already exists"}]}`:    "Validation Failed; A pull request already exists",
		`{"message":{"base":["is invalid","is short"]}}`:                                                            "base is invalid, is short",
		`{"error":"insufficient_scope","error_description":"more is needed"}`:                                       "insufficient_scope; more is needed",
		`<html>`: "", `[]`: "", `{"message":null}`: "",
	} {
		if got := forge.Complaint([]byte(body)); got != want {
			t.Errorf("%s says %q, want %q", body, got, want)
		}
	}
}
