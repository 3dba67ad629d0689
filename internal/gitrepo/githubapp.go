package gitrepo

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// early is how long before its end a token is no longer used: a fetch that starts with it must also end with it.
const early = 5 * time.Minute

var digits = regexp.MustCompile(`^[0-9]+$`)

// validate says what is wrong with the keys of the Secret.
func (g *GitHubApp) validate() error {
	if !digits.MatchString(g.ID) && !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(g.ID) {
		return fmt.Errorf("the key githubAppID of the Git Secret is neither a number nor a client ID")
	}
	if !digits.MatchString(g.InstallationID) {
		return fmt.Errorf("the key githubAppInstallationID of the Git Secret is not a number")
	}
	if _, err := g.key(); err != nil {
		return err
	}
	_, err := g.base()
	return err
}

func (g *GitHubApp) key() (*rsa.PrivateKey, error) {
	bad := fmt.Errorf("the key githubAppPrivateKey of the Git Secret is not an RSA private key in PEM")
	block, _ := pem.Decode(g.PrivateKey)
	if block == nil {
		return nil, bad
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, bad
	}
	return key, nil
}

func (g *GitHubApp) base() (string, error) {
	if g.BaseURL == "" {
		return "https://api.github.com", nil
	}
	u, err := url.Parse(g.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname()))) {
		return "", fmt.Errorf("the key githubAppBaseURL of the Git Secret is not an https URL")
	}
	return strings.TrimSuffix(g.BaseURL, "/"), nil
}

// assertion is the signed statement, 9 minutes long, that the App is who it says (RFC 7519, RS256).
func (g *GitHubApp) assertion(now time.Time) (string, error) {
	key, err := g.key()
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(), "iss": g.ID})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign claims: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// tokenCache keeps installation tokens until shortly before they end.
type tokenCache struct {
	now    func() time.Time
	mu     sync.Mutex
	tokens map[string]installationToken
}

type installationToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (c *tokenCache) forget(auth Auth) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, auth.fingerprint())
}

// Token gives what the API of a forge takes in the place of this credential: the installation token of a GitHub App, or
// the password. It is kept until shortly before it ends. The error says what the credential is that no API takes.
func (s *Store) Token(ctx context.Context, auth Auth) (string, error) {
	switch {
	case auth.App != nil:
		return s.appToken(ctx, auth)
	case auth.Password != "":
		return auth.Password, nil
	case len(auth.Identity) > 0:
		return "", fmt.Errorf("%w: it is an ssh key, which opens repositories only", ErrAuth)
	}
	return "", fmt.Errorf("%w: there is none", ErrAuth)
}

// appToken gives the installation token of an App, a new one when the cached one is about to end.
func (s *Store) appToken(ctx context.Context, auth Auth) (string, error) {
	id := auth.fingerprint()
	s.tokens.mu.Lock()
	cached, ok := s.tokens.tokens[id]
	s.tokens.mu.Unlock()
	if ok && cached.ExpiresAt.After(s.opts.Now().Add(early)) {
		return cached.Token, nil
	}
	client, err := s.clients.client(auth.CA)
	if err != nil {
		return "", err
	}
	fresh, err := auth.App.exchange(ctx, client, s.opts.Now())
	if err != nil {
		return "", fmt.Errorf("get an installation token: %w", err)
	}
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if s.tokens.tokens == nil {
		s.tokens.tokens = map[string]installationToken{}
	}
	s.tokens.tokens[id] = fresh
	return fresh.Token, nil
}

func (g *GitHubApp) exchange(ctx context.Context, client *http.Client, now time.Time) (installationToken, error) {
	var token installationToken
	base, err := g.base()
	if err != nil {
		return token, err
	}
	jwt, err := g.assertion(now)
	if err != nil {
		return token, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/app/installations/"+g.InstallationID+"/access_tokens", nil)
	if err != nil {
		return token, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+jwt)
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := client.Do(req)
	if err != nil {
		return token, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return token, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case resp.StatusCode >= 500:
		return token, fmt.Errorf("%w: status %d", ErrUnreachable, resp.StatusCode)
	case resp.StatusCode != http.StatusCreated:
		return token, fmt.Errorf("%w: status %d: check githubAppID, githubAppInstallationID and githubAppPrivateKey", ErrAuth, resp.StatusCode)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&token); err != nil || token.Token == "" {
		return token, fmt.Errorf("%w: the answer holds no token", ErrAuth)
	}
	return token, nil
}

// newClient makes an HTTP client that trusts the CA bundle, or the system when there is none.
func newClient(ca []byte) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errBadCA
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
			MaxIdleConnsPerHost: 2, MaxIdleConns: 16, IdleConnTimeout: 90 * time.Second,
		},
	}, nil
}
