package ociserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What tokens say of who gave them and whom they are for.
const (
	issuer  = "ociserver"
	service = "ociserver"
)

// tokenServer gives tokens to users for whatever they ask. Source: CNCF Distribution, "Token Authentication
// Specification".
type tokenServer struct {
	users  map[string]string
	signer jose.Signer
}

// newTokenServer makes a key, and writes its public half for the registry.
func newTokenServer(users map[string]string, file string) (*tokenServer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for tokens: %w", err)
	}
	const id = "ociserver"
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}}})
	if err != nil {
		return nil, fmt.Errorf("write the key for tokens: %w", err)
	}
	if err := os.WriteFile(file, public, 0o600); err != nil {
		return nil, fmt.Errorf("write the key for tokens: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		return nil, fmt.Errorf("make a key for tokens: %w", err)
	}
	return &tokenServer{users: users, signer: signer}, nil
}

// ServeHTTP gives a token. Who shows no user gets one that allows nothing.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	user, password, shown := q.BasicAuth()
	want, known := s.users[user]
	if shown && (!known || subtle.ConstantTimeCompare([]byte(password), []byte(want)) != 1) {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	now := time.Now()
	claims := token.ClaimSet{
		Issuer: issuer, Subject: user, Audience: token.AudienceList{service}, JWTID: rand.Text(),
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expiration: now.Add(5 * time.Minute).Unix(),
	}
	for _, scope := range q.URL.Query()["scope"] {
		parts := strings.Split(scope, ":")
		if !shown || len(parts) < 3 {
			continue
		}
		claims.Access = append(claims.Access, &token.ResourceActions{
			Type: parts[0], Name: strings.Join(parts[1:len(parts)-1], ":"), Actions: strings.Split(parts[len(parts)-1], ","),
		})
	}
	signed, err := jwt.Signed(s.signer).Claims(claims).Serialize()
	if err != nil {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": signed, "expires_in": 300}) // whoever asked is gone otherwise
}
