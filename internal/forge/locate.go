package forge

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Kind is the program that a forge runs.
type Kind string

// The kinds.
const (
	GitHub Kind = "github" // github.com and GitHub Enterprise
	GitLab Kind = "gitlab"
	Gitea  Kind = "gitea" // and Forgejo
)

// publicAPI is where the API of a kind is when nothing is said.
var publicAPI = map[Kind]string{GitHub: "https://api.github.com", GitLab: "https://gitlab.com/api/v4"}

// publicHosts are the hosts whose kind is known without a setting, the names for ssh by port 443 among them.
var publicHosts = map[string]Kind{
	"github.com": GitHub, "www.github.com": GitHub, "ssh.github.com": GitHub,
	"gitlab.com": GitLab, "www.gitlab.com": GitLab, "altssh.gitlab.com": GitLab,
}

// apiPath is where a forge of one's own has its API below its host.
var apiPath = map[Kind]string{GitHub: "/api/v3", GitLab: "/api/v4", Gitea: "/api/v1"}

// Guess finds the forge that a Git URL is on from the URL alone. It knows github.com and gitlab.com; for every other host
// ok is false, and Locate takes what a person says.
func Guess(gitURL string) (kind Kind, api, repository string, ok bool) {
	host, _, p, parsed := splitGitURL(gitURL)
	if kind, ok = publicHosts[host]; !parsed || !ok || checkRepository(kind, p) != nil {
		return "", "", "", false
	}
	return kind, publicAPI[kind], p, true
}

// Locate finds the API and the repository that a Git URL is on, as New takes them. Kind and api are what a person says, or
// empty; they go before what the URL tells. The error is a sentence that says what to set.
func Locate(gitURL string, kind Kind, api string) (Config, error) {
	host, scheme, p, ok := splitGitURL(gitURL)
	if !ok {
		return Config{}, errors.New("the Git URL names no host and repository, so that it is on no forge")
	}
	known, public := publicHosts[host]
	if kind == "" {
		kind = known
	}
	if kind == "" {
		return Config{}, fmt.Errorf("which forge runs at %s is not known: set its kind to github, gitlab or gitea", host)
	}
	switch {
	case api != "":
	case public && kind == known:
		api = publicAPI[kind]
	case scheme == "https":
		api = "https://" + host + apiPath[kind]
	default:
		return Config{}, fmt.Errorf("where the API of %s is cannot be told from a Git URL that is not https: set its URL, such as https://%s%s", host, host, apiPath[kind])
	}
	repository := below(p, api)
	if parts := strings.Split(repository, "/"); kind != GitLab && len(parts) > 2 {
		repository = strings.Join(parts[len(parts)-2:], "/")
	}
	if err := checkRepository(kind, repository); err != nil {
		return Config{}, err
	}
	return Config{Kind: kind, BaseURL: api, Repository: repository}, nil
}

// below takes off the path that a forge has itself, when it is not at the root of its host.
func below(p, api string) string {
	u, err := url.Parse(api)
	if err != nil {
		return p
	}
	if root, _, ok := strings.Cut(u.Path, "/api/"); ok && root != "" {
		return strings.TrimPrefix(p, strings.TrimPrefix(root, "/")+"/")
	}
	return p
}

var scpForm = regexp.MustCompile(`^(?:[A-Za-z0-9_.+-]+@)?([A-Za-z0-9_][A-Za-z0-9._-]*):([^/].*|/[^/].*)$`)

// splitGitURL takes a Git URL apart: host in lower case, with its port for https only, and the path without ".git".
func splitGitURL(raw string) (host, scheme, p string, ok bool) {
	if strings.Contains(raw, "://") {
		u, err := url.Parse(raw)
		if err != nil {
			return "", "", "", false
		}
		if scheme = strings.ToLower(u.Scheme); !slices.Contains([]string{"https", "http", "ssh"}, scheme) {
			return "", "", "", false
		}
		host, p = u.Hostname(), u.Path
		if scheme != "ssh" {
			host = u.Host
		}
	} else if m := scpForm.FindStringSubmatch(raw); m != nil {
		host, scheme, p = m[1], "ssh", m[2]
	}
	p = strings.TrimSuffix(strings.Trim(path.Clean("/"+p), "/"), ".git")
	return strings.ToLower(host), scheme, p, host != "" && p != ""
}

// word is what an owner, a group or a repository may be called.
var word = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func checkRepository(kind Kind, repository string) error {
	parts := strings.Split(repository, "/")
	for _, part := range parts {
		if !word.MatchString(part) || strings.Trim(part, ".") == "" {
			return fmt.Errorf("%q is no repository of a forge: write owner/name", clip(repository, 100))
		}
	}
	switch {
	case !slices.Contains([]Kind{GitHub, GitLab, Gitea}, kind):
		return fmt.Errorf("%q is no kind of forge: use github, gitlab or gitea", clip(string(kind), 20))
	case kind == GitLab && (len(parts) < 2 || len(parts) > 21):
		return fmt.Errorf("%q is no project of GitLab: write group/name, with the groups between", clip(repository, 100))
	case kind != GitLab && len(parts) != 2:
		return fmt.Errorf("%q is no repository of a forge: write owner/name", clip(repository, 100))
	}
	return nil
}

// checkBase validates the URL of an API. The message never repeats one that holds a password.
func checkBase(raw string, allowHTTP bool) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("the forge needs the URL of its API, such as https://git.example.com/api/v1")
	}
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errors.New("the URL of the forge's API is not of the form https://host/path")
	}
	if u.User != nil {
		return nil, errors.New("the URL of the forge's API holds a credential: put it into the Secret")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && (allowHTTP || loopback(u.Hostname())):
	case u.Scheme == "http":
		return nil, fmt.Errorf("the URL of the forge's API at %s is http, which is neither secret nor authentic: use https, or allow http explicitly", u.Host)
	default:
		return nil, errors.New("the URL of the forge's API is not https")
	}
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

var fullHash = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

func checkSHA(sha string) error {
	if !fullHash.MatchString(sha) {
		return fmt.Errorf("%q is no full commit hash", clip(sha, 70))
	}
	return nil
}

// checkPage validates a link that the forge is to show.
func checkPage(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") || len(raw) > 2000 {
		return errors.New("a link on a forge is an absolute http or https URL of at most 2000 bytes, without a credential")
	}
	return nil
}
