package hook_test

import (
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/sengu-dev/sengu/internal/hook"
)

var body = []byte(`{"a": "b"}`)

// headers are a request's.
type headers map[string]string

func (h headers) get(name string) string { return h[name] }

func standard(key []byte) headers {
	return headers{"Webhook-Id": "1", "Webhook-Timestamp": "2", "Webhook-Signature": "v1a,x " + hook.Sign(key, "1", "2", body)}
}

func TestChecks(t *testing.T) {
	secret, other := []byte("a secret of ours"), []byte("another secret")
	encoded := []byte("whsec_" + base64.StdEncoding.EncodeToString(secret))
	signed := hook.Signed("X-Signature", "sha256=")
	ours := hex.EncodeToString(hook.Sum(secret, body))
	for name, tt := range map[string]struct {
		check  hook.Check
		h      headers
		secret []byte
		want   bool
	}{
		"Signed":              {signed, headers{"X-Signature": "sha256=" + ours}, secret, true},
		"SignedByAnother":     {signed, headers{"X-Signature": "sha256=" + ours}, other, false},
		"WithoutPrefix":       {signed, headers{"X-Signature": ours}, secret, false},
		"NotHexadecimal":      {signed, headers{"X-Signature": "sha256=xyz"}, secret, false},
		"Unsigned":            {signed, nil, secret, false},
		"Token":               {hook.GitLab, headers{"X-Gitlab-Token": string(secret)}, secret, true},
		"WrongToken":          {hook.GitLab, headers{"X-Gitlab-Token": string(other)}, secret, false},
		"NoToken":             {hook.GitLab, nil, secret, false},
		"Standard":            {hook.Standard, standard(secret), secret, true},
		"StandardEncoded":     {hook.GitLab, standard(secret), encoded, true},
		"StandardByAnother":   {hook.Standard, standard(other), secret, false},
		"StandardNotBase64":   {hook.Standard, standard(nil), []byte("whsec_%"), false},
		"StandardEmptyKey":    {hook.GitLab, standard(nil), []byte("whsec_"), false},
		"StandardOtherMoment": {hook.Standard, headers{"Webhook-Id": "1", "Webhook-Timestamp": "3", "Webhook-Signature": hook.Sign(secret, "1", "2", body)}, secret, false},
	} {
		if got := tt.check(tt.h.get, body, tt.secret); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	h := headers{"X-Signature": "sha256=" + ours}
	if !signed.Any(h.get, body, [][]byte{other, secret}) || !signed.Any(h.get, body, [][]byte{secret, other}) {
		t.Error("one of two secrets does not count")
	}
	empty := headers{"X-Signature": "sha256=" + hex.EncodeToString(hook.Sum(nil, body))}
	if signed.Any(h.get, body, nil) || signed.Any(empty.get, body, [][]byte{nil}) {
		t.Error("it is believed without a secret")
	}
	if hook.Same("", nil) || hook.Same("", secret) || !hook.Same(string(secret), secret) {
		t.Error("Same")
	}
}

func TestPayload(t *testing.T) {
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	for _, tt := range []struct {
		kind, body, want string
		ok               bool
	}{
		{"application/json", "{}", "{}", true},
		{"", "{}", "{}", true},
		{form, "payload=%7B%7D", "{}", true},
		{form, "other=1", "", false},
		{form, "%", "", false},
	} {
		got, ok := hook.Payload(tt.kind, []byte(tt.body))
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("%s of %s: %q, %t", tt.body, tt.kind, got, ok)
		}
	}
}
