package remote

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Policy says what may be fetched: nothing when empty.
type Policy struct {
	Allow []Source
}

// Source is a place from which one may fetch, with the credential for it.
type Source struct {
	// Prefix is the beginning of the URLs allowed, up to a slash: "https://charts.example.com",
	// "oci://registry.example.com/charts", "https://github.com/example/deploy". Plain "http://" must be said.
	Prefix string
	// Username and Password are sent to the host of Prefix by basic authentication.
	Username, Password string
	// Token is sent to the host of Prefix as a bearer token.
	Token string
	// CA holds PEM certificates to trust for the host of Prefix, in addition to those of the system.
	CA []byte
	// PlainHTTP lets an oci:// prefix speak http.
	PlainHTTP bool
	// LinkLocal lets the host of Prefix have a link-local address.
	LinkLocal bool
}

// String returns the prefix; credentials are never printed.
func (s Source) String() string { return s.Prefix }

// GoString keeps credentials out of %#v.
func (s Source) GoString() string { return fmt.Sprintf("remote.Source{Prefix: %q}", s.Prefix) }

// MarshalJSON keeps credentials out of JSON.
func (s Source) MarshalJSON() ([]byte, error) { return json.Marshal(s.Prefix) }

// Fingerprint identifies what the policy allows, credentials left out: [Policy.Reader] is for these.
func (p Policy) Fingerprint() string {
	if len(p.Allow) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, s := range p.Allow {
		_, _ = fmt.Fprintf(sum, "%q\n", s.Prefix) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Reader identifies the credentials of the policy by a hash under a key, "" if it has none. What was fetched with some is
// only for whoever has the same.
func (p Policy) Reader(key []byte) string {
	sum, some := hmac.New(sha256.New, key), false
	for _, s := range p.Allow {
		if s.Username != "" || s.Password != "" || s.Token != "" {
			some = true
			_, _ = fmt.Fprintf(sum, "%q %q %q %q\n", s.Prefix, s.Username, s.Password, s.Token) // a hash takes everything
		}
	}
	if !some {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// find returns the source for u: the longest prefix that fits.
func (p Policy) find(u string) (Source, bool) {
	var best Source
	found := false
	for _, s := range p.Allow {
		if under(u, s.Prefix) && (!found || len(s.Prefix) > len(best.Prefix)) {
			best, found = s, true
		}
	}
	return best, found
}

// Allows refuses u with a sentence unless the policy names it.
func (p Policy) Allows(u string) error {
	if _, ok := p.find(u); ok {
		return nil
	}
	return notAllowed(u)
}

func notAllowed(u string) error {
	return &Refusal{Sentence: fmt.Sprintf("%s is not allowed as a remote input: add it to spec.remotes of the Fleet, or commit what it holds", hide(u))}
}

// under tells whether u is prefix or below it. The path is compared as written: one with dots or escapes in it, which
// a server may read otherwise, is below nothing.
func under(u, prefix string) bool {
	a, errA := url.Parse(u)
	b, errB := url.Parse(prefix)
	if errA != nil || errB != nil || a.Scheme != b.Scheme || !strings.EqualFold(a.Host, b.Host) || a.Host == "" {
		return strings.HasPrefix(prefix, "git@") && (u == prefix || strings.HasPrefix(u, strings.TrimSuffix(prefix, "/")+"/"))
	}
	if a.Opaque != "" || a.RawPath != "" || strings.Contains(a.Path, "/..") || strings.Contains(a.Path, "/./") {
		return false
	}
	want := strings.TrimSuffix(b.Path, "/")
	return want == "" || a.Path == want || strings.HasPrefix(a.Path, want+"/")
}

// hide takes a password out of a URL.
func hide(u string) string {
	if p, err := url.Parse(u); err == nil && p.User != nil {
		return p.Redacted()
	}
	return u
}

// Refusal is why something is not fetched, as a sentence.
type Refusal struct {
	Sentence  string
	Temporary bool // another try may succeed
}

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Sentence }
