package registry

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Credentials are what a caller may show to registries. The zero value shows nothing: only what is public is read.
// They cannot be printed.
type Credentials struct {
	entries []entry
	cloud   bool
}

// entry is one line of a pull secret.
type entry struct {
	secret string // the name of the Secret
	key    string // as it is written there
	host   string // which may have wildcards
	path   string // beginning of the repositories that it is for
	login  Login
}

// Login is what one shows to a registry.
type Login struct {
	Username, Password string
	// Identity is a refresh token for the token server of the registry, in place of a password.
	Identity string
	// Token is shown to the registry as it is.
	Token string
}

// Format prints that there are credentials, and none of them.
func (c Credentials) Format(w fmt.State, _ rune) {
	_, _ = io.WriteString(w, "registry.Credentials") // whoever prints sees the error
}

// MarshalJSON writes nothing.
func (Credentials) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

// Format prints that there is a login, and nothing of it.
func (l Login) Format(w fmt.State, _ rune) {
	_, _ = io.WriteString(w, "registry.Login") // whoever prints sees the error
}

// MarshalJSON writes nothing.
func (Login) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func (l Login) empty() bool { return l == Login{} }

// WithCloud lets the helpers of the Client be asked where no pull secret matches: the registry is then read with the
// identity that this process has in its cloud.
func (c Credentials) WithCloud() Credentials {
	c.cloud = true
	return c
}

// credential is one that is tried for one repository.
type credential struct {
	entry  *entry // nil if it is of no pull secret
	helper Helper // nil if it is of no cloud
}

// match returns the credentials for a repository, in the order in which they are tried: those of pull secrets as
// Kubernetes matches them, exact hosts before wildcards and longer paths before shorter ones, all of them in turn; or
// that of the cloud; or none.
func (c Credentials) match(repo name.Repository, host string, helpers []Helper) []credential {
	var found []*entry
	for i := range c.entries {
		if e := &c.entries[i]; e.matches(host, repo.RepositoryStr()) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b *entry) int {
		return cmp.Or(
			cmp.Compare(strings.Count(a.host, "*"), strings.Count(b.host, "*")),
			cmp.Compare(len(b.path), len(a.path)),
		)
	})
	all := make([]credential, 0, len(found)+1)
	for _, e := range found {
		all = append(all, credential{entry: e})
	}
	if len(all) > 0 {
		return all
	}
	if c.cloud {
		for _, h := range helpers {
			if h.Serves(host) {
				return []credential{{helper: h}}
			}
		}
	}
	return []credential{{}}
}

// matches says whether an entry is for a repository. Source: Kubernetes, "Images", "Interpretation of config.json": the
// parts of the host are globs, of which none spans a dot; the port must be the same; the path is a beginning.
func (e *entry) matches(host, repository string) bool {
	pattern, port := splitPort(e.host)
	name, namePort := splitPort(host)
	globs, parts := strings.Split(pattern, "."), strings.Split(name, ".")
	if port != namePort || len(globs) != len(parts) || !strings.HasPrefix("/"+repository, e.path) {
		return false
	}
	for i, g := range globs {
		// An address of IPv6 has brackets, which would be a pattern.
		if ok, err := path.Match(g, parts[i]); g != parts[i] && (err != nil || !ok) {
			return false
		}
	}
	return true
}

func splitPort(host string) (name, port string) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		return host[:i], host[i+1:]
	}
	return host, ""
}

// authenticator makes of a credential what the library takes.
func (c credential) authenticator(logins *logins, host string) authn.Authenticator {
	switch {
	case c.entry != nil:
		return c.entry.login.auth()
	case c.helper != nil:
		return &loginAuth{logins: logins, helper: c.helper, host: host}
	}
	return authn.Anonymous
}

func (l Login) auth() authn.Authenticator {
	return authn.FromConfig(authn.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.Identity, RegistryToken: l.Token})
}

// fingerprint tells apart what different credentials may see of different repositories. It is keyed, so that it says
// nothing of them.
func (c *Client) fingerprint(repo name.Repository, cred credential) string {
	mac := hmac.New(sha256.New, c.key[:])
	parts := []string{repo.Name()}
	switch {
	case cred.entry != nil:
		l := cred.entry.login
		parts = append(parts, "secret", l.Username, l.Password, l.Identity, l.Token)
	case cred.helper != nil:
		parts = append(parts, "cloud", cred.helper.Name())
	}
	for _, p := range parts {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(p), p) // a hash takes everything
	}
	return string(mac.Sum(nil))
}

// loginAuth gives the login of a cloud at the time at which it is needed, since it ends.
type loginAuth struct {
	logins *logins
	helper Helper
	host   string
}

var _ authn.ContextAuthenticator = (*loginAuth)(nil)

// Authorization is not called, because the library prefers AuthorizationContext.
func (a *loginAuth) Authorization() (*authn.AuthConfig, error) {
	return a.AuthorizationContext(context.Background())
}

// AuthorizationContext returns the login.
func (a *loginAuth) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	login, err := a.logins.get(ctx, a.helper, a.host)
	if err != nil {
		return nil, err
	}
	return login.auth().Authorization()
}
