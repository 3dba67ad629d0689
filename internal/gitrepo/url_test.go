package gitrepo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
)

func TestValidateURL(t *testing.T) {
	good := []string{
		"https://git.example.com/shop/manifests.git", "https://git.example.com:8443/shop/manifests", "http://127.0.0.1:8080/x.git",
		"http://localhost/x", "ssh://git@git.example.com/shop/x.git", "ssh://git@git.example.com:7999/~me/x", "git@git.example.com:shop/x.git",
		"git.example.com:shop/x.git", "https://[::1]:8443/x", "HTTPS://git.example.com/x", "org-12@github.com:shop/x",
	}
	for _, u := range good {
		if err := gitrepo.ValidateURL(u, gitrepo.Options{}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	bad := map[string]string{
		"":                                    "empty",
		"ext::sh -c touch% /tmp/x":            "blank",
		"ext::sh":                             "name::",
		"fd::17/x":                            "name::",
		"git@host::x":                         "neither",
		"--upload-pack=touch /tmp/x":          "dash",
		"-oProxyCommand=x":                    "dash",
		"ssh://-oProxyCommand=x/y":            "host name",
		"ssh://git@-oProxyCommand=x/y":        "host name",
		"git@-oProxyCommand=x:y":              "neither",
		"git@host:-x":                         "dash",
		"ssh://host/-x":                       "dash",
		"ssh://host/--upload-pack=x":          "dash",
		"https://user:hunter2@host/x":         "credentials",
		"https://hunter2@host/x":              "credentials",
		"ssh://git:hunter2@host/x":            "password",
		"http://git.example.com/x":            "https",
		"git://git.example.com/x":             "only https",
		"ftp://git.example.com/x":             "only https",
		"file:///srv/x.git":                   "not allowed",
		"/srv/x.git":                          "not allowed",
		"./x":                                 "neither",
		"https://host/x?y=z":                  "query",
		"https://host/x#y":                    "fragment",
		"https://host":                        "names no repository",
		"https://ho st/x":                     "blank",
		"https://host/x\nHost: y":             "control",
		"https://host\\@evil/x":               "backslash",
		"https:///x":                          "host name",
		"https://" + strings.Repeat("a", 4e3): "longer",
	}
	for u, want := range bad {
		err := gitrepo.ValidateURL(u, gitrepo.Options{})
		if !errors.Is(err, gitrepo.ErrURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", u, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password", u)
		}
	}
	for _, u := range []string{"file:///srv/x.git", "/srv/x.git", "http://git.example.com/x"} {
		if err := gitrepo.ValidateURL(u, gitrepo.Options{AllowFile: true, AllowHTTP: true}); err != nil {
			t.Errorf("%s, allowed: %v", u, err)
		}
	}
}

func TestNormalizeURL(t *testing.T) {
	same := []string{
		"https://Git.Example.com/Shop/manifests.git", "https://git.example.com/shop/manifests", "https://git.example.com/shop/manifests/",
		"ssh://git@git.example.com/shop/manifests.git", "ssh://git@git.example.com:7999/shop/manifests.git",
		"git@git.example.com:shop/manifests.git", "git@git.example.com:/shop/manifests", "http://user@git.example.com/shop//manifests",
	}
	for _, u := range same {
		if got := gitrepo.NormalizeURL(u); got != "git.example.com/shop/manifests" {
			t.Errorf("%s: %q", u, got)
		}
	}
	for _, u := range []string{"", "nothing", "https://", "https://host", "::"} {
		if got := gitrepo.NormalizeURL(u); got != "" {
			t.Errorf("%q: %q", u, got)
		}
	}
	if a, b := gitrepo.NormalizeURL("file:///srv/x.git"), gitrepo.NormalizeURL("/srv/x"); a != b || a == "" {
		t.Errorf("local: %q and %q", a, b)
	}
}

func FuzzURL(f *testing.F) {
	for _, u := range []string{"https://a/b", "git@a:b", "ssh://a@b:22/c", "ext::x", "-x", "/a", "file:///a", "a:b:c", "https://a:b@c/d", "[::1]:x"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, u string) {
		n := gitrepo.NormalizeURL(u)
		if strings.Contains(n, "://") && !strings.Contains(u, "://") {
			t.Fatalf("%q became %q", u, n)
		}
		if gitrepo.ValidateURL(u, gitrepo.Options{AllowFile: true, AllowHTTP: true}) != nil {
			return
		}
		if strings.HasPrefix(u, "-") || strings.Contains(u, "::") && !strings.Contains(u, "[") && !strings.Contains(u, "/") {
			t.Fatalf("%q is allowed", u)
		}
	})
}
