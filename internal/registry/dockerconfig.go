package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Keys of the data of a pull secret.
const (
	dockerConfigJSON = ".dockerconfigjson" // of type kubernetes.io/dockerconfigjson
	dockerCfg        = ".dockercfg"        // of type kubernetes.io/dockercfg
)

// PullSecret is a Secret of Kubernetes that holds credentials for registries.
type PullSecret struct {
	Name string // for sentences
	Data map[string][]byte
}

// authEntry is one registry in a configuration of docker.
type authEntry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// WithPullSecret adds the credentials of a pull secret. What such a secret says of programs that give credentials is not
// followed. The error names the secret and what is wrong with it, and no value; c is then returned as it is.
func (c Credentials) WithPullSecret(s PullSecret) (Credentials, error) {
	entries, err := s.entries()
	if err != nil {
		return c, fmt.Errorf("pull secret %s: %w", s.Name, err)
	}
	c.entries = slices.Concat(c.entries, entries)
	return c, nil
}

func (s PullSecret) entries() ([]entry, error) {
	var auths map[string]authEntry
	switch {
	case s.Data[dockerConfigJSON] != nil:
		var config struct {
			Auths map[string]authEntry `json:"auths"`
		}
		if err := json.Unmarshal(s.Data[dockerConfigJSON], &config); err != nil {
			return nil, fmt.Errorf("%s is not the JSON of a docker configuration: make it by kubectl create secret docker-registry", dockerConfigJSON)
		}
		auths = config.Auths
	case s.Data[dockerCfg] != nil:
		if err := json.Unmarshal(s.Data[dockerCfg], &auths); err != nil {
			return nil, fmt.Errorf("%s is not the JSON of a docker configuration: make it by kubectl create secret docker-registry", dockerCfg)
		}
	default:
		return nil, fmt.Errorf("it has neither %s nor %s: make it by kubectl create secret docker-registry", dockerConfigJSON, dockerCfg)
	}
	entries := make([]entry, 0, len(auths))
	for key, a := range auths {
		e, err := a.entry(key)
		if err != nil {
			return nil, fmt.Errorf("the entry %q: %w", key, err)
		}
		if !e.login.empty() {
			e.secret = s.Name
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func (a authEntry) entry(key string) (entry, error) {
	host, below, err := splitKey(key)
	if err != nil {
		return entry{}, err
	}
	e := entry{key: key, host: host, path: below, login: Login{Username: a.Username, Password: a.Password, Identity: a.IdentityToken, Token: a.RegistryToken}}
	if a.Auth != "" {
		if e.login.Username, e.login.Password, err = decodeAuth(a.Auth); err != nil {
			return entry{}, err
		}
	}
	return e, nil
}

// splitKey reads the key of an entry: a host, or a host and a path, with or without the scheme and the version of the
// API that docker once wrote there.
func splitKey(key string) (host, below string, err error) {
	if !strings.HasPrefix(key, "https://") && !strings.HasPrefix(key, "http://") {
		key = "https://" + key
	}
	u, err := url.Parse(key)
	if err != nil || u.Host == "" || u.User != nil {
		return "", "", errors.New("it is not the host of a registry, nor a host and a path")
	}
	below = u.Path
	for _, version := range []string{"/v1", "/v2"} {
		if rest, ok := strings.CutPrefix(below, version); ok && (rest == "" || rest[0] == '/') {
			below = rest
			break
		}
	}
	host = strings.ToLower(u.Host)
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	return host, strings.TrimSuffix(below, "/"), nil
}

// decodeAuth reads the base64 of user:password.
func decodeAuth(auth string) (user, password string, err error) {
	plain, err := base64.StdEncoding.DecodeString(auth)
	if err != nil {
		plain, err = base64.RawStdEncoding.DecodeString(auth)
	}
	user, password, ok := strings.Cut(string(plain), ":")
	if err != nil || !ok {
		return "", "", errors.New("auth is not the base64 of user:password")
	}
	return user, strings.TrimRight(password, "\x00"), nil
}
