package delivery

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// What a check may ask over HTTP is what the probe asks, and no more: a check that is never asked would be taken for a
// change that is bad.
const (
	maxURL        = 2048    // in bytes
	maxHeaders    = 20      //
	maxHeaderSize = 8 << 10 // of all of them, in bytes
)

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$`)
	// reserved are headers that are not the author's to set: they frame the request.
	reserved = []string{"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)

func (d *decoder) http(h *HTTP, at string) {
	// An environment has a name that may be part of a host.
	u, err := url.Parse(strings.ReplaceAll(h.URL, "{environment}", "environment"))
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		d.refuse(at, "url", "must be the address that is asked: https://… or http://…")
	case u.User != nil:
		d.refuse(at, "url", "must not carry a user or a password")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`\@%"<>`, r) }):
		d.refuse(at, "url", "must name its host in plain letters, digits, dots and dashes")
	case len(h.URL) > maxURL:
		d.refuse(at, "url", "is longer than 2048 letters")
	}
	d.headers(h.Headers, at)
	d.pattern(h.Body, at, "body")
	if h.Body != "" && h.Verb() == "HEAD" {
		d.refuse(at, "body", "does not go with method HEAD, which is answered without one")
	}
}

func (d *decoder) headers(headers map[string]string, at string) {
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
		where := join(join(at, "headers"), name)
		switch {
		case !headerName.MatchString(name):
			d.fail(d.line(where), "%s: %q cannot be the name of a header", join(at, "headers"), name)
		case isSecretHeader(name):
			d.fail(d.line(where), "%s would be a secret in Git: use a Job, which can take it from a Secret", where)
		case slices.Contains(reserved, strings.ToLower(name)):
			d.fail(d.line(where), "%s is not for a check to set: it says how the request is sent", where)
		case strings.ContainsFunc(value, unicode.IsControl):
			d.fail(d.line(where), "%s must be one line of text", where)
		case strings.EqualFold(name, "host") && !hostName.MatchString(value):
			d.fail(d.line(where), "%s must be the name of a host", where)
		}
	}
	if len(headers) > maxHeaders || size > maxHeaderSize {
		d.refuse(at, "headers", "must be at most 20, of at most 8 KiB together")
	}
}

// isSecretHeader reports whether a header proves who asks.
func isSecretHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token":
		return true
	}
	return false
}
