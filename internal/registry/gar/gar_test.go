package gar_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/gar"
)

const host = "europe-west1-docker.pkg.dev"

func TestServes(t *testing.T) {
	for host, want := range map[string]bool{
		host: true, "gcr.io": true, "eu.gcr.io": true, "europe-docker.pkg.dev": true,
		"evilgcr.io": false, "gcr.io.evil.org": false, "docker.pkg.dev.evil.org": false, "europe-npm.pkg.dev": false, "gcr.io:443": false, "": false,
	} {
		if got := gar.New().Serves(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

// identity sets up a service account whose tokens are given by answer.
func identity(t *testing.T, answer http.HandlerFunc) {
	t.Helper()
	tokens := httptest.NewServer(answer)
	t.Cleanup(tokens.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "sengu@shop.iam.gserviceaccount.com", "private_key_id": "1", "token_uri": tokens.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
}

func TestLogin(t *testing.T) {
	identity(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("assertion") == "" {
			t.Error("the identity is not shown")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"ya29.example","token_type":"Bearer","expires_in":3600}`)
	})
	login, ends, err := gar.New().Login(context.Background(), host)
	if err != nil {
		t.Fatal(err)
	}
	if (login != registry.Login{Username: "oauth2accesstoken", Password: "ya29.example"}) {
		t.Error("got another login than it gave")
	}
	if left := time.Until(ends); left < 50*time.Minute || left > time.Hour {
		t.Errorf("it ends in %s", left)
	}
	if _, _, err := gar.New().Login(context.Background(), host+".evil.org"); err == nil {
		t.Error("a token is given for a host that only looks like one of Google's")
	}
}

func TestLoginFails(t *testing.T) {
	identity(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":"invalid_grant","error_description":"secret-text"}`, http.StatusBadRequest)
	})
	if _, _, err := gar.New().Login(context.Background(), host); err == nil || err.Error() != "it answers with status 400" {
		t.Errorf("got %v", err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none"))
	if _, _, err := gar.New().Login(context.Background(), host); err == nil || err.Error() != "this process has no identity at Google Cloud" {
		t.Errorf("got %v", err)
	}
}
