package ecr_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ecr"
)

const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

func TestServes(t *testing.T) {
	for host, want := range map[string]bool{
		host: true,
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":           true,
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":      true,
		"123456789012.dkr-ecr.eu-west-1.on.aws":                      true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.org":      false,
		"evil.org/123456789012.dkr.ecr.eu-west-1.amazonaws.com":      false,
		"123456789012.dkr.ecr.eu-west-1.evil.org":                    false,
		"123456789012.dkr.ecr.eu.west.1.amazonaws.com":               false,
		"a.123456789012.dkr.ecr.eu-west-1.amazonaws.com":             false,
		"123456789012xdkr.ecr.eu-west-1.amazonaws.com":               false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com:443":           false,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com\n.example.com": false,
		"public.ecr.aws": false, "": false,
	} {
		if got := ecr.New(ecr.Options{}).Serves(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

// aws is the part of Amazon's API that is needed.
func aws(t *testing.T, answer func(w http.ResponseWriter)) (*ecr.Helper, *[]*http.Request) {
	t.Helper()
	var asked []*http.Request
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked = append(asked, r)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer(w)
	}))
	t.Cleanup(api.Close)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example-secret-key", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CA_BUNDLE": "", "AWS_REGION": "",
	} {
		t.Setenv(k, v)
	}
	return ecr.New(ecr.Options{Endpoint: api.URL}), &asked
}

func TestLogin(t *testing.T) {
	ends := time.Now().Add(12 * time.Hour).Truncate(time.Second)
	h, asked := aws(t, func(w http.ResponseWriter) {
		token := base64.StdEncoding.EncodeToString([]byte("AWS:pass:word"))
		_, _ = fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d,"proxyEndpoint":"https://%s"}]}`, token, ends.Unix(), host)
	})
	login, got, err := h.Login(context.Background(), host)
	if err != nil {
		t.Fatal(err)
	}
	if (login != registry.Login{Username: "AWS", Password: "pass:word"}) || !got.Equal(ends) {
		t.Errorf("got another login than it gave, or one that ends at %s and not at %s", got, ends)
	}
	if len(*asked) != 1 {
		t.Fatalf("asked %d times", len(*asked))
	}
	q := (*asked)[0]
	if target := q.Header.Get("X-Amz-Target"); !strings.HasSuffix(target, ".GetAuthorizationToken") {
		t.Errorf("asked for %s", target)
	}
	if signed := q.Header.Get("Authorization"); !strings.Contains(signed, "/eu-west-1/ecr/aws4_request") {
		t.Errorf("signed for %s, and not for the region of the registry", signed)
	}
	if _, _, err := h.Login(context.Background(), host+".evil.org"); err == nil || len(*asked) != 1 {
		t.Error("a login is asked for a host that only looks like one of Amazon's")
	}
}

func TestLoginFails(t *testing.T) {
	cases := map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"Denied": {func(w http.ResponseWriter) {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::1:role/secret-text"}`)
		}, "it answers AccessDeniedException, and the identity needs ecr:GetAuthorizationToken"},
		"Nothing": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"authorizationData":[]}`) }, "it answers without a login"},
		"BadToken": {func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"authorizationData":[{"authorizationToken":"secret-text","expiresAt":1}]}`)
		}, "it answers without a login"},
		"HTML": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `<html>secret-text`) }, "it cannot be reached"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h, _ := aws(t, tc.answer)
			_, _, err := h.Login(context.Background(), host)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestNoIdentity(t *testing.T) {
	h, asked := aws(t, func(http.ResponseWriter) {})
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, _, err := h.Login(context.Background(), host)
	if err == nil || err.Error() != "this process has no identity at AWS" || len(*asked) != 0 {
		t.Errorf("got %v, after %d requests", err, len(*asked))
	}
}
