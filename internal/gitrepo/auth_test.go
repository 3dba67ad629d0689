package gitrepo_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crypto"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func TestAuthFromSecret(t *testing.T) {
	_, identity := newKey(t)
	key := string(identity)
	tests := map[string]struct {
		data map[string]string
		kind string
		err  string
	}{
		"token":            {data: map[string]string{"token": token}, kind: "password"},
		"token and user":   {data: map[string]string{"token": token, "username": "deploy"}, kind: "password"},
		"password":         {data: map[string]string{"username": "u", "password": token}, kind: "password"},
		"ssh":              {data: map[string]string{"identity": key, "known_hosts": "h ssh-ed25519 AAAA"}, kind: "ssh key"},
		"ssh and public":   {data: map[string]string{"identity": key, "known_hosts": "h ssh-ed25519 AAAA", "identity.pub": "x"}, kind: "ssh key"},
		"only a CA":        {data: map[string]string{"caFile": "x"}, kind: "anonymous"},
		"nothing":          {data: map[string]string{}, err: "no credential"},
		"empty":            {data: map[string]string{"token": " \n"}, err: "no credential"},
		"no user":          {data: map[string]string{"password": token}, err: "no username"},
		"no password":      {data: map[string]string{"username": "u"}, err: "no password"},
		"no known_hosts":   {data: map[string]string{"identity": key}, err: "key known_hosts"},
		"no identity":      {data: map[string]string{"known_hosts": "x"}, err: "no identity"},
		"no private key":   {data: map[string]string{"identity": "ssh-ed25519 AAAA", "known_hosts": "x"}, err: "not a private key"},
		"two":              {data: map[string]string{"token": token, "identity": key, "known_hosts": "x"}, err: "more than one"},
		"unknown key":      {data: map[string]string{"tokn": token}, err: `"tokn"`},
		"app, no id":       {data: map[string]string{"githubAppPrivateKey": "x", "githubAppInstallationID": "1"}, err: "no githubAppID"},
		"app, no install":  {data: map[string]string{"githubAppID": "1", "githubAppPrivateKey": "x"}, err: "no githubAppInstallationID"},
		"app, bad key":     {data: map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": token}, err: "githubAppPrivateKey"},
		"app, bad install": {data: map[string]string{"githubAppID": "1", "githubAppInstallationID": "../x", "githubAppPrivateKey": token}, err: "githubAppInstallationID"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tc.data {
				data[k] = []byte(v)
			}
			auth, err := gitrepo.AuthFromSecret(data)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), token) {
					t.Fatalf("got %v, want an error with %q", err, tc.err)
				}
				return
			}
			if err != nil || auth.String() != tc.kind {
				t.Fatalf("got %v, %v, want %s", auth, err, tc.kind)
			}
			var log strings.Builder
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "auth", auth, "pointer", &auth)
			js, _ := json.Marshal(auth)
			for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", auth, auth, auth, &auth), log.String(), string(js)} {
				if strings.Contains(text, token) || strings.Contains(text, "PRIVATE") {
					t.Errorf("the credential shows: %s", text)
				}
			}
		})
	}
}

func TestGitHubApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	var now atomic.Int64
	now.Store(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC).Unix())
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	var asked, status atomic.Int32
	status.Store(http.StatusCreated)
	// The answer has the form that GitHub documents for this request.
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodPost || r.URL.Path != "/app/installations/42/access_tokens" || !validAssertion(key, r, clock()) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(int(status.Load()))
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_at":%q,"permissions":{"contents":"read"}}`, token, clock().Add(time.Hour).Format(time.RFC3339))
	}))
	defer api.Close()
	s := serve(t, gitserver.Options{Token: token}, gitrepo.Options{Now: clock})
	s.commit("main", "", map[string]string{"a": "1"})
	data := map[string][]byte{
		"githubAppID": []byte("7"), "githubAppInstallationID": []byte("42"), "githubAppPrivateKey": private, "githubAppBaseURL": []byte(api.URL),
	}
	auth, err := gitrepo.AuthFromSecret(data)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustFetch(t, s.repo, "main", auth)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for a token, want 1", n)
	}
	now.Add(54 * 60)
	mustFetch(t, s.repo, "main", auth)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times after 54 minutes, want 1", n)
	}
	now.Add(2 * 60)
	mustFetch(t, s.repo, "main", auth)
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times after 56 minutes, want 2", n)
	}
	now.Add(3600)
	for code, want := range map[int32]error{http.StatusForbidden: gitrepo.ErrAuth, http.StatusBadGateway: gitrepo.ErrUnreachable} {
		status.Store(code)
		if _, err := s.repo.Fetch(t.Context(), "main", auth); !errors.Is(err, want) || strings.Contains(err.Error(), token) {
			t.Errorf("%d: %v, want %v", code, err, want)
		}
	}
}

// validAssertion checks the statement as GitHub does.
func validAssertion(key *rsa.PrivateKey, r *http.Request, now time.Time) bool {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	if err != nil || json.Unmarshal(body, &claims) != nil {
		return false
	}
	return claims.Iss == "7" && claims.Iat <= now.Unix() && claims.Exp > now.Unix() && claims.Exp <= now.Unix()+600
}

// TestCA fetches over TLS from a server that only its own bundle vouches for.
func TestCA(t *testing.T) {
	root := t.TempDir()
	remote := newRemote(t, root, "x.git")
	head := remote.commit("main", "", map[string]string{"a": "1"})
	for _, older := range []bool{false, true} {
		inner := gitserver.New(root, gitserver.Options{Token: token})
		web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if older {
				r.Header.Del("Git-Protocol")
			}
			inner.ServeHTTP(w, r)
		}))
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
		repo := repository(t, gitrepotest.Open(t, t.TempDir(), gitrepo.Options{}), web.URL+"/x.git")
		auth, err := gitrepo.AuthFromSecret(map[string][]byte{"token": []byte(token), "caFile": ca})
		if err != nil {
			t.Fatal(err)
		}
		if rev := mustFetch(t, repo, "main", auth); rev.Hash != head {
			t.Errorf("%+v", rev)
		}
		if _, err := repo.Fetch(t.Context(), "main", tokenAuth(t, token)); !errors.Is(err, gitrepo.ErrUnreachable) {
			t.Errorf("without the bundle: %v", err)
		}
		bad := auth
		bad.CA = []byte("x")
		if _, err := repo.Fetch(t.Context(), "main", bad); err == nil || !strings.Contains(err.Error(), "caFile") {
			t.Errorf("a bad bundle: %v", err)
		}
		web.Close()
	}
}
