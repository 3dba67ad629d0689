package forge_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sengu-dev/sengu/internal/forge"
)

func TestGuess(t *testing.T) {
	type found struct {
		Kind            forge.Kind
		API, Repository string
		OK              bool
	}
	github := found{forge.GitHub, "https://api.github.com", "shop/manifests", true}
	gitlab := found{forge.GitLab, "https://gitlab.com/api/v4", "shop/platform/manifests", true}
	for url, want := range map[string]found{
		"https://github.com/shop/manifests.git":                       github,
		"https://GitHub.com/shop/manifests/":                          github,
		"https://user:secret@github.com/shop/manifests":               github,
		"git@github.com:shop/manifests.git":                           github,
		"ssh://git@github.com/shop/manifests.git":                     github,
		"ssh://git@ssh.github.com:443/shop/manifests.git":             github,
		"https://gitlab.com/shop/platform/manifests.git":              gitlab,
		"git@gitlab.com:shop/platform/manifests.git":                  gitlab,
		"ssh://git@altssh.gitlab.com:443/shop/platform/manifests.git": gitlab,
		"https://github.com/shop":                                     {},
		"https://github.com/shop/manifests/tree/main":                 {},
		"https://github.com/shop/..":                                  {},
		"https://github.com/":                                         {},
		"https://github.com.example.com/shop/manifests":               {},
		"https://git.example.com/github.com/shop":                     {},
		"file:///github.com/shop/manifests":                           {},
		"/srv/github.com/shop/manifests":                              {},
		"https://gitlab.com/shop/%2e%2e/manifests":                    {},
		"":                                     {},
		"https://github.com/shop/mani%20fests": {},
		"https://github.com/shop/manifests%2Fhooks": {},
	} {
		kind, api, repository, ok := forge.Guess(url)
		if diff := cmp.Diff(want, found{kind, api, repository, ok}); diff != "" {
			t.Errorf("%s: %s", url, diff)
		}
	}
}

func TestLocate(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		kind forge.Kind
		api  string
		want forge.Config
		err  string
	}{
		"known":               {url: "git@github.com:shop/manifests", want: forge.Config{Kind: forge.GitHub, BaseURL: "https://api.github.com", Repository: "shop/manifests"}},
		"known, and said":     {url: "git@gitlab.com:a/b/c", kind: forge.GitLab, want: forge.Config{Kind: forge.GitLab, BaseURL: "https://gitlab.com/api/v4", Repository: "a/b/c"}},
		"by its kind":         {url: "https://git.example.com:8443/shop/manifests.git", kind: forge.Gitea, want: forge.Config{Kind: forge.Gitea, BaseURL: "https://git.example.com:8443/api/v1", Repository: "shop/manifests"}},
		"enterprise":          {url: "https://git.example.com/shop/manifests.git", kind: forge.GitHub, want: forge.Config{Kind: forge.GitHub, BaseURL: "https://git.example.com/api/v3", Repository: "shop/manifests"}},
		"by ssh":              {url: "ssh://git@git.example.com:2222/shop/manifests.git", kind: forge.Gitea, api: "https://git.example.com/api/v1", want: forge.Config{Kind: forge.Gitea, BaseURL: "https://git.example.com/api/v1", Repository: "shop/manifests"}},
		"below a path":        {url: "https://example.com/git/shop/manifests.git", kind: forge.Gitea, api: "https://example.com/git/api/v1", want: forge.Config{Kind: forge.Gitea, BaseURL: "https://example.com/git/api/v1", Repository: "shop/manifests"}},
		"gitlab below a path": {url: "https://example.com/git/shop/platform/manifests.git", kind: forge.GitLab, api: "https://example.com/git/api/v4", want: forge.Config{Kind: forge.GitLab, BaseURL: "https://example.com/git/api/v4", Repository: "shop/platform/manifests"}},
		"unknown":             {url: "https://git.example.com/shop/manifests", err: "set its kind to github, gitlab or gitea"},
		"by ssh, without":     {url: "git@git.example.com:shop/manifests", kind: forge.GitLab, err: "https://git.example.com/api/v4"},
		"plain git":           {url: "/srv/git/manifests", err: "on no forge"},
		"another kind":        {url: "https://git.example.com/shop/manifests", kind: "gogs", api: "https://git.example.com", err: "use github, gitlab or gitea"},
		"no group":            {url: "https://git.example.com/manifests", kind: forge.GitLab, err: "group/name"},
		"no owner":            {url: "https://git.example.com/manifests", kind: forge.Gitea, err: "owner/name"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := forge.Locate(tc.url, tc.kind, tc.api)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want a sentence with %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(forge.Config{}, "Token", "Now")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	token := func(context.Context) (string, error) { return "x", nil }
	for name, tc := range map[string]struct {
		cfg forge.Config
		err string
	}{
		"no token":       {forge.Config{Kind: forge.GitHub, Repository: "a/b"}, "name a Secret"},
		"no API":         {forge.Config{Kind: forge.Gitea, Repository: "a/b", Token: token}, "the URL of its API"},
		"no kind":        {forge.Config{Repository: "a/b", Token: token}, "use github, gitlab or gitea"},
		"no repository":  {forge.Config{Kind: forge.GitHub, Token: token}, "owner/name"},
		"a path":         {forge.Config{Kind: forge.GitHub, Repository: "a/..", Token: token}, "owner/name"},
		"three":          {forge.Config{Kind: forge.GitHub, Repository: "a/b/c", Token: token}, "owner/name"},
		"http":           {forge.Config{Kind: forge.Gitea, BaseURL: "http://git.example.com/api/v1", Repository: "a/b", Token: token}, "use https"},
		"a password":     {forge.Config{Kind: forge.Gitea, BaseURL: "https://u:hunter2@git.example.com/api/v1", Repository: "a/b", Token: token}, "into the Secret"},
		"a query":        {forge.Config{Kind: forge.Gitea, BaseURL: "https://git.example.com/api/v1?x=y", Repository: "a/b", Token: token}, "https://host/path"},
		"another scheme": {forge.Config{Kind: forge.Gitea, BaseURL: "file://git.example.com/api/v1", Repository: "a/b", Token: token}, "not https"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := forge.New(tc.cfg)
			if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want a sentence with %q", err, tc.err)
			}
		})
	}
	for _, cfg := range []forge.Config{
		{Kind: forge.Gitea, BaseURL: "http://gitea.gitea.svc:3000/api/v1/", Repository: "a/b", Token: token, AllowHTTP: true},
		{Kind: forge.Gitea, BaseURL: "http://127.0.0.1:3000/api/v1", Repository: "a/b", Token: token},
		{Kind: forge.GitLab, Repository: "a/b/c", Token: token},
	} {
		if _, err := forge.New(cfg); err != nil {
			t.Error(err)
		}
	}
}
