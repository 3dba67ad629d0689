package gitrepo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Auth is a credential for one remote. The zero value is anonymous. Its fields are secret: printing an Auth with any
// verb shows only its kind.
type Auth struct {
	// Username and Password are for http and https; a bare token goes with the user
	// name x-access-token, since the usual forges look at the token alone.
	Username, Password string
	// Identity is an ssh private key without a passphrase, in PEM; KnownHosts lists the hosts it may be used with, in the
	// format of OpenSSH's known_hosts. Neither works without the other.
	Identity, KnownHosts []byte
	// App, when not nil, is a GitHub App whose installation token is used as the password.
	App *GitHubApp
	// CA is a bundle of PEM certificates trusted beside none other for this remote; the system's when empty.
	CA []byte
}

// GitHubApp is an installed GitHub App.
type GitHubApp struct {
	ID, InstallationID string
	PrivateKey         []byte // RSA, PEM
	BaseURL            string // of the API; https://api.github.com when empty
}

// The keys of a Secret that AuthFromSecret understands.
const (
	keyToken        = "token"
	keyUsername     = "username"
	keyPassword     = "password"
	keyIdentity     = "identity"
	keyKnownHosts   = "known_hosts"
	keyApp          = "githubAppID"
	keyInstallation = "githubAppInstallationID"
	keyAppKey       = "githubAppPrivateKey"
	keyAppBase      = "githubAppBaseURL"
	keyCA           = "caFile"
)

// ignoredKeys are what common tools put beside the credential.
var ignoredKeys = []string{"identity.pub", "type", "url", "name"}

// AuthFromSecret reads a credential from the data of a Secret: token; or username and password; or identity (an ssh
// private key) and known_hosts; or githubAppID, githubAppInstallationID, githubAppPrivateKey and, for GitHub Enterprise,
// githubAppBaseURL. caFile may stand beside each or alone. The error is a sentence that names the key to add or remove,
// and never a value.
func AuthFromSecret(data map[string][]byte) (Auth, error) {
	known := []string{
		keyToken, keyUsername, keyPassword, keyIdentity, keyKnownHosts, keyApp, keyInstallation, keyAppKey, keyAppBase, keyCA,
	}
	for _, k := range sortedKeys(data) {
		if !slices.Contains(known, k) && !slices.Contains(ignoredKeys, k) {
			return Auth{}, fmt.Errorf("the Git Secret has the unknown key %q; known are %s", k, strings.Join(known, ", "))
		}
	}
	get := func(k string) string { return strings.TrimSpace(string(data[k])) }
	kinds := []string{}
	for _, group := range [][]string{{keyToken}, {keyUsername, keyPassword}, {keyIdentity, keyKnownHosts}, {keyApp, keyInstallation, keyAppKey, keyAppBase}} {
		if i := slices.IndexFunc(group, func(k string) bool { return get(k) != "" }); i >= 0 {
			kinds = append(kinds, group[i])
		}
	}
	// A user name beside a token is how some forges name deploy tokens.
	if slices.Equal(kinds, []string{keyToken, keyUsername}) && get(keyPassword) == "" {
		kinds = kinds[:1]
	}
	if len(kinds) > 1 {
		return Auth{}, fmt.Errorf("the Git Secret holds more than one credential (%s): keep one", strings.Join(kinds, ", "))
	}
	auth := Auth{}
	if ca := get(keyCA); ca != "" {
		auth.CA = []byte(ca + "\n")
	}
	if len(kinds) == 0 {
		if len(auth.CA) == 0 {
			return Auth{}, fmt.Errorf("the Git Secret holds no credential: put token, or username and password, or identity and known_hosts, or githubAppID, githubAppInstallationID and githubAppPrivateKey into it")
		}
		return auth, nil
	}
	if err := auth.fill(kinds[0], get); err != nil {
		return Auth{}, err
	}
	return auth, nil
}

func (a *Auth) fill(kind string, get func(string) string) error {
	need := func(have string, keys ...string) error {
		for _, k := range keys {
			if get(k) == "" {
				return fmt.Errorf("the Git Secret has %s but no %s", have, k)
			}
		}
		return nil
	}
	switch kind {
	case keyToken:
		a.Username, a.Password = get(keyUsername), get(keyToken)
		if a.Username == "" {
			a.Username = "x-access-token"
		}
	case keyUsername, keyPassword:
		a.Username, a.Password = get(keyUsername), get(keyPassword)
		if strings.Contains(a.Username, ":") {
			return fmt.Errorf("the key username of the Git Secret contains a colon, which basic authentication cannot carry")
		}
		return need(kind, keyUsername, keyPassword)
	case keyIdentity, keyKnownHosts:
		if err := need(kind, keyIdentity); err != nil {
			return err
		}
		if get(keyKnownHosts) == "" {
			return fmt.Errorf("the Git Secret has identity but no known_hosts: put the output of `ssh-keyscan HOST`, compared with what the host's operator publishes, into the key known_hosts")
		}
		if !strings.Contains(get(keyIdentity), "PRIVATE KEY-----") {
			return fmt.Errorf("the key identity of the Git Secret is not a private key in PEM")
		}
		a.Identity, a.KnownHosts = []byte(get(keyIdentity)+"\n"), []byte(get(keyKnownHosts)+"\n")
	default:
		a.App = &GitHubApp{ID: get(keyApp), InstallationID: get(keyInstallation), PrivateKey: []byte(get(keyAppKey)), BaseURL: get(keyAppBase)}
		if err := need(kind, keyApp, keyInstallation, keyAppKey); err != nil {
			return err
		}
		return a.App.validate()
	}
	return nil
}

func sortedKeys(data map[string][]byte) []string {
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// check says whether the credential fits the URL.
func (a Auth) check(rem remote) error {
	switch rem.scheme {
	case "ssh":
		if len(a.Identity) == 0 {
			return fmt.Errorf("an ssh URL needs a Secret with the keys identity and known_hosts")
		}
		if len(a.KnownHosts) == 0 {
			return fmt.Errorf("an ssh URL needs known_hosts: put the host's keys, as ssh-keyscan prints them, into the key known_hosts of the Secret")
		}
	case "https", "http":
		if len(a.Identity) > 0 {
			return fmt.Errorf("the Secret holds an ssh key, and the URL is %s: use an ssh URL, or a token", rem.scheme)
		}
	}
	return nil
}

// header is the value of the Authorization header, or "".
func header(user, password string) string {
	if password == "" && user == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// String shows the kind of the credential and nothing of it.
func (a Auth) String() string {
	switch {
	case a.App != nil:
		return "GitHub App"
	case len(a.Identity) > 0:
		return "ssh key"
	case a.Password != "":
		return "password"
	}
	return "anonymous"
}

// GoString is String, so that %#v shows nothing either.
func (a Auth) GoString() string { return "gitrepo.Auth{" + a.String() + "}" }

// LogValue is String, for slog.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON is String, so that no encoder shows more.
func (a Auth) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, a.String()), nil }

// fingerprint tells credentials apart in caches without keeping them.
func (a Auth) fingerprint() string {
	h := sha256.New()
	part := func(b []byte) { _, _ = fmt.Fprintf(h, "%d:", len(b)); h.Write(b) }
	part([]byte(a.Username))
	part([]byte(a.Password))
	part(a.Identity)
	part(a.CA)
	if a.App != nil {
		part([]byte(a.App.ID))
		part([]byte(a.App.InstallationID))
		part(a.App.PrivateKey)
		part([]byte(a.App.BaseURL))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// urlPassword matches credentials inside a URL.
var urlPassword = regexp.MustCompile(`://[^/@\s]+@`)

// redactor removes what must not be shown from text of git, ssh and servers.
type redactor []string

func newRedactor(secrets ...string) redactor {
	var r redactor
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		r = append(r, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	return r
}

func (r redactor) clean(text string) string {
	for _, s := range r {
		text = strings.ReplaceAll(text, s, "***")
	}
	return urlPassword.ReplaceAllString(text, "://***@")
}
