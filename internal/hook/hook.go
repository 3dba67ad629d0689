// Package hook checks whether a webhook comes from whoever knows a secret, and makes the signatures of those that are sent.
//
// It is responsible for the ways in which forges, registries and others sign, and for comparisons whose time tells nothing
// of the secret. It refuses to read what a webhook says, which is for whoever takes it, and to accept an empty secret.
package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/url"
	"strings"
)

// Header gives a header of a request by its name, "" if it has none.
type Header func(name string) string

// Check reports whether a request bears a proof that its sender knows a secret.
type Check func(h Header, body, secret []byte) bool

// Any reports whether a request bears a proof for one of several secrets. All are tried, however early one fits.
func (c Check) Any(h Header, body []byte, secrets [][]byte) bool {
	authentic := false
	for _, secret := range secrets {
		authentic = len(secret) > 0 && c(h, body, secret) || authentic
	}
	return authentic
}

// Signed checks a hexadecimal HMAC-SHA256 of the body in a header, behind a prefix.
func Signed(name, prefix string) Check {
	return func(h Header, body, secret []byte) bool {
		text, ok := strings.CutPrefix(h(name), prefix)
		got, err := hex.DecodeString(text)
		return ok && err == nil && hmac.Equal(got, Sum(secret, body))
	}
}

// GitLab accepts the secret itself in X-Gitlab-Token, which is all that most versions send, or a signature of Standard
// Webhooks.
func GitLab(h Header, body, secret []byte) bool {
	return Standard(h, body, secret) || Same(h("X-Gitlab-Token"), secret)
}

// Standard checks the signatures of a Standard Webhook, of which there may be several (standardwebhooks.com).
func Standard(h Header, body, secret []byte) bool {
	key, err := Key(secret)
	if err != nil || len(key) == 0 {
		return false
	}
	want := sumStandard(key, h("Webhook-Id"), h("Webhook-Timestamp"), body)
	authentic := false
	for signature := range strings.FieldsSeq(h("Webhook-Signature")) {
		text, v1 := strings.CutPrefix(signature, version)
		got, err := base64.StdEncoding.DecodeString(text)
		authentic = (v1 && err == nil && hmac.Equal(got, want)) || authentic
	}
	return authentic
}

// version is that of the signatures of Standard Webhooks.
const version = "v1,"

// Sign returns the header Webhook-Signature of a Standard Webhook, by a key as Key returns it.
func Sign(key []byte, id, timestamp string, body []byte) string {
	return version + base64.StdEncoding.EncodeToString(sumStandard(key, id, timestamp, body))
}

func sumStandard(key []byte, id, timestamp string, body []byte) []byte {
	return Sum(key, []byte(id+"."+timestamp+"."), body)
}

// Key returns the key that a secret of a Standard Webhook stands for: what it says, or behind whsec_ what that is the
// base64 of. The error is that of the base64.
func Key(secret []byte) ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(secret), "whsec_")
	if !ok {
		return secret, nil
	}
	return base64.StdEncoding.DecodeString(encoded)
}

// Same reports whether what was shown is the secret. Both are hashed first, so that the comparison tells nothing of the
// length either.
func Same(shown string, secret []byte) bool {
	got, want := sha256.Sum256([]byte(shown)), sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && shown != ""
}

// Sum is the HMAC-SHA256 of parts, one after the other.
func Sum(secret []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		_, _ = mac.Write(p) // a hash takes everything
	}
	return mac.Sum(nil)
}

// Payload unpacks the form that GitHub and Gitea send unless told otherwise. It is false for a form without a payload.
func Payload(contentType string, body []byte) ([]byte, bool) {
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind != "application/x-www-form-urlencoded" {
		return body, true
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("payload") == "" {
		return nil, false
	}
	return []byte(form.Get("payload")), true
}
