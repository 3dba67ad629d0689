package image

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// dockerHub is the registry that is meant when a reference names none, and officialNamespace is where Docker Hub keeps
// the images that have no owner in their name.
const (
	dockerHub         = "docker.io"
	officialNamespace = "library/"
)

// maxRepository bounds the length of a repository's name, in bytes, without its registry.
const maxRepository = 255

// The grammar is that of the OCI distribution specification, v1.1, "Pulling manifests".
var (
	pathPattern   = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	hostPattern   = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$`)
	tagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestPattern = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
)

// Reference names an image.
type Reference struct {
	// Repository is the registry and the name in it, written out: "docker.io/library/nginx" for "nginx".
	Repository string
	// Tag is "" when the reference has none.
	Tag string
	// Digest is "sha256:…" or "sha512:…", "" when the reference has none. With both, the digest decides.
	Digest string
}

// String writes the reference in full.
func (r Reference) String() string {
	s := r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Parse reads "registry.example.com/shop/checkout:1.2.3@sha256:…", of which only the name must be there. Where no
// registry is named, Docker Hub is meant, as for Kubernetes.
func Parse(s string) (Reference, error) {
	var r Reference
	rest := s
	if name, digest, ok := strings.Cut(rest, "@"); ok {
		if !ValidDigest(digest) {
			return Reference{}, fmt.Errorf("image %s: the digest must be sha256: and 64 hexadecimal digits, or sha512: and 128", shown(s))
		}
		rest, r.Digest = name, digest
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		if !ValidTag(rest[i+1:]) {
			return Reference{}, fmt.Errorf("image %s: the tag must be at most 128 letters, digits, dots, dashes and underscores", shown(s))
		}
		rest, r.Tag = rest[:i], rest[i+1:]
	}
	repository, err := ParseRepository(rest)
	if err != nil {
		return Reference{}, fmt.Errorf("image %s: %w", shown(s), errors.Unwrap(err))
	}
	r.Repository = repository
	return r, nil
}

// ParseRepository reads the name of a repository and writes it out, so that two names of one repository are equal.
func ParseRepository(s string) (string, error) {
	host, path, ok := strings.Cut(s, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && !strings.EqualFold(host, "localhost")) {
		host, path = dockerHub, s
	}
	host = strings.ToLower(host)
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = dockerHub
	}
	if host == dockerHub && !strings.Contains(path, "/") {
		path = officialNamespace + path
	}
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("repository %s: %w", shown(s), errors.New(why))
	}
	switch {
	case s == "":
		return refuse("it is empty")
	case strings.Contains(s, "://"):
		return refuse("leave out the scheme: a registry is named by its host alone")
	case !validHost(host):
		return refuse("the part before the first / must be the host of a registry")
	case len(path) > maxRepository:
		return refuse("the name is longer than 255 bytes")
	case !pathPattern.MatchString(path):
		return refuse("the name must be lower-case letters and digits, with single dots, dashes and underscores between them, in parts divided by /")
	}
	return host + "/" + path, nil
}

// validHost says whether s is a name or an address, with or without a port.
func validHost(s string) bool {
	if !hostPattern.MatchString(s) {
		return false
	}
	inner, bracketed := strings.CutPrefix(s, "[")
	if !bracketed {
		return true
	}
	address, _, _ := strings.Cut(inner, "]")
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is6()
}

// Host returns the registry of a repository that is written out, with its port.
func Host(repository string) string {
	host, _, _ := strings.Cut(repository, "/")
	return host
}

// ValidTag says whether a registry may have a tag of this name.
func ValidTag(tag string) bool { return tagPattern.MatchString(tag) }

// ValidDigest says whether s is a digest of a kind that registries use.
func ValidDigest(s string) bool { return digestPattern.MatchString(s) }

// shown quotes what somebody wrote, and not more of it than a sentence bears.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// short is a digest as people recognise it.
func short(digest string) string {
	const most = len("sha256:") + 12
	if len(digest) > most {
		return digest[:most]
	}
	return digest
}
