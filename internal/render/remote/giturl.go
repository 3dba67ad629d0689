package remote

import (
	"net/url"
	"strings"
)

// Git names a folder of a Git repository, as kustomize writes it.
type Git struct {
	URL  string // of the repository
	Path string // of the folder in it; "" for its root
	Ref  string // tag, branch or commit; "" when none is named
}

// ParseGit takes a remote base apart: "https://host/org/repo//path?ref=v1", "git@host:org/repo.git//path?ref=v1",
// "github.com/org/repo/path?ref=v1".
func ParseGit(raw string) Git {
	var g Git
	rest, query, _ := strings.Cut(strings.TrimPrefix(raw, "git::"), "?")
	if v, err := url.ParseQuery(query); err == nil {
		if g.Ref = v.Get("ref"); g.Ref == "" {
			g.Ref = v.Get("version")
		}
	}
	scheme := ""
	if i := strings.Index(rest, "://"); i >= 0 {
		scheme, rest = rest[:i+3], rest[i+3:]
	} else if short, ok := strings.CutPrefix(rest, "gh:"); ok {
		scheme, rest = "https://", "github.com/"+short
	} else if !strings.HasPrefix(rest, "git@") {
		scheme = "https://"
	}
	switch {
	case strings.Contains(rest, "//"):
		rest, g.Path, _ = strings.Cut(rest, "//")
	case strings.Contains(rest, ".git/"):
		i := strings.Index(rest, ".git/") + len(".git")
		rest, g.Path = rest[:i], rest[i+1:]
	case !strings.HasPrefix(rest, "git@"):
		if p := strings.SplitN(rest, "/", 4); len(p) == 4 { // host, organisation, repository
			rest, g.Path = strings.Join(p[:3], "/"), p[3]
		}
	}
	g.URL = scheme + strings.TrimSuffix(rest, "/")
	g.Path = strings.Trim(g.Path, "/")
	return g
}
