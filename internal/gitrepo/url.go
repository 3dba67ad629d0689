package gitrepo

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// remote is a validated URL of a repository, taken apart.
type remote struct {
	raw    string // as git gets it
	scheme string // https, http, ssh or file
	user   string // ssh only
	host   string // lower case, with the port when one is given; "" for file
	path   string // begins with / except in the scp form
	scp    bool
}

// ErrURL is what every refusal of a repository URL wraps.
var ErrURL = errors.New("repository URL refused")

var (
	transport = regexp.MustCompile(`^[A-Za-z0-9+.-]*::`)
	scheme    = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
	scpForm   = regexp.MustCompile(`^(?:([A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*):([^:].*)$`)
	hostName  = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(:[0-9]{1,5})?$`)
	sshUser   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
)

// maxURL bounds the length of a URL in bytes.
const maxURL = 2048

// parseURL validates what a person wrote. The messages never repeat a URL that holds a password.
func parseURL(raw string, opts Options) (remote, error) {
	refuse := func(why string) (remote, error) { return remote{}, fmt.Errorf("%w: %s", ErrURL, why) }
	switch {
	case raw == "":
		return refuse("it is empty")
	case len(raw) > maxURL:
		return refuse("it is longer than 2048 bytes")
	case strings.HasPrefix(raw, "-"):
		return refuse("it begins with a dash, which git would take for an option")
	case strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }):
		return refuse("it contains a blank, a backslash or a control character")
	case transport.MatchString(raw):
		return refuse("transports of the form name:: can run programs; use https, ssh or file")
	}
	if m := scheme.FindStringSubmatch(raw); m != nil {
		return parseFull(raw, strings.ToLower(m[1]), opts)
	}
	if strings.HasPrefix(raw, "/") {
		return parseLocal(raw, raw, opts)
	}
	m := scpForm.FindStringSubmatch(raw)
	if m == nil {
		return refuse("it is neither https://host/path, ssh://user@host/path nor user@host:path")
	}
	if strings.HasPrefix(m[3], "-") {
		return refuse("its path begins with a dash")
	}
	return remote{raw: raw, scheme: "ssh", user: m[1], host: strings.ToLower(m[2]), path: m[3], scp: true}, nil
}

func parseFull(raw, scheme string, opts Options) (remote, error) {
	refuse := func(why string) (remote, error) { return remote{}, fmt.Errorf("%w: %s", ErrURL, why) }
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("it cannot be parsed") // the parser's own error would repeat the URL
	}
	if scheme == "file" {
		if u.Host != "" && u.Host != "localhost" {
			return refuse("a file URL has no host: write file:///path")
		}
		return parseLocal(raw, u.Path, opts)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || strings.HasSuffix(raw, "#") {
		return refuse("it has a query or a fragment")
	}
	if !hostName.MatchString(u.Host) {
		return refuse("its host is not a host name")
	}
	if strings.Trim(u.Path, "/") == "" {
		return refuse("it names no repository after the host")
	}
	rem := remote{raw: raw, scheme: scheme, host: strings.ToLower(u.Host), path: u.Path}
	switch scheme {
	case "https", "http":
		if u.User != nil {
			return refuse("credentials belong into the Secret (keys username and password, or token), not into the URL")
		}
		if scheme == "http" && !opts.AllowHTTP && !loopback(u.Hostname()) {
			return refuse("http is neither secret nor authentic: use https, or allow http explicitly")
		}
	case "ssh":
		if _, has := u.User.Password(); has {
			return refuse("a password belongs into no ssh URL: use the key identity of the Secret")
		}
		rem.user = u.User.Username()
		if rem.user != "" && !sshUser.MatchString(rem.user) {
			return refuse("its user is not a user name")
		}
		if strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "-") {
			return refuse("its path begins with a dash")
		}
	default:
		return refuse("only https, http, ssh and file are spoken")
	}
	return rem, nil
}

func parseLocal(raw, p string, opts Options) (remote, error) {
	if !opts.AllowFile {
		return remote{}, fmt.Errorf("%w: repositories on this machine's disk are not allowed here", ErrURL)
	}
	if !path.IsAbs(p) {
		return remote{}, fmt.Errorf("%w: a local repository needs an absolute path", ErrURL)
	}
	return remote{raw: raw, scheme: "file", path: p}, nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// overHTTP says whether it is reached by https or http.
func (r remote) overHTTP() bool { return r.scheme == "https" || r.scheme == "http" }

// sameHost says whether a credential for a may be sent to b.
func sameHost(a, b remote) bool { return a.scheme == b.scheme && a.host == b.host && a.host != "" }

// ValidateURL says with a sentence why a Store with these options would refuse the URL.
func ValidateURL(raw string, opts Options) error {
	_, err := parseURL(raw, opts)
	return err
}

// NormalizeURL turns every way to write one repository's address into the same string: scheme, user, port, a trailing
// slash and ".git" go, host and path are folded to lower case (forges do not tell paths apart by case). It is for
// comparing what a webhook says with what a Fleet says, never for connecting. What cannot be understood yields "".
func NormalizeURL(raw string) string {
	raw = strings.TrimSpace(raw)
	var host, p string
	if m := scheme.FindStringSubmatch(raw); m != nil {
		u, err := url.Parse(raw)
		if err != nil {
			return ""
		}
		host, p = u.Hostname(), u.Path
		if strings.EqualFold(m[1], "file") {
			host = ""
		}
	} else if strings.HasPrefix(raw, "/") {
		p = raw
	} else if m := scpForm.FindStringSubmatch(raw); m != nil {
		host, p = strings.Trim(m[2], "[]"), m[3]
	} else {
		return ""
	}
	p = strings.Trim(path.Clean("/"+p), "/")
	p = strings.TrimSuffix(p, ".git")
	if p == "" {
		return ""
	}
	return strings.ToLower(host + "/" + p)
}
