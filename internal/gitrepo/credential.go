package gitrepo

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// credential is an Auth made ready for one fetch: what git gets in its environment, which other users cannot read, and
// never in its arguments, which they can.
type credential struct {
	config        [][2]string
	env           []string
	authorization string // header of HTTP
	ca            []byte
	redact        redactor
}

// credential turns an Auth into what a fetch needs, and returns how to remove the files that it made.
func (s *Store) credential(ctx context.Context, rem remote, auth Auth) (credential, func(), error) {
	none := func() {}
	cred := credential{ca: auth.CA}
	user, password := auth.Username, auth.Password
	if auth.App != nil && rem.overHTTP() {
		token, err := s.appToken(ctx, auth)
		if err != nil {
			return cred, none, &FetchError{URL: rem.raw, Reason: reasonOfToken(err), Detail: err.Error()}
		}
		user, password = "x-access-token", token
	}
	switch rem.scheme {
	case "https", "http":
		if cred.authorization = header(user, password); cred.authorization != "" {
			cred.config = append(cred.config, [2]string{"http.extraHeader", "Authorization: " + cred.authorization})
			cred.redact = newRedactor(password, strings.TrimPrefix(cred.authorization, "Basic "))
		} else {
			cred.config = append(cred.config, [2]string{"http.followRedirects", "initial"})
		}
		if len(auth.CA) == 0 {
			return cred, none, nil
		}
		if !x509.NewCertPool().AppendCertsFromPEM(auth.CA) {
			return cred, none, &FetchError{URL: rem.raw, Reason: ErrAuth, Detail: errBadCA.Error()}
		}
		dir, done, err := s.secretFiles(map[string][]byte{"ca.pem": auth.CA})
		cred.config = append(cred.config, [2]string{"http.sslCAInfo", filepath.Join(dir, "ca.pem")})
		return cred, done, err
	case "ssh":
		dir, done, err := s.secretFiles(map[string][]byte{"identity": auth.Identity, "known_hosts": auth.KnownHosts})
		cred.env = []string{"GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND=" + sshCommand(dir)}
		return cred, done, err
	}
	return cred, none, nil
}

// secretFiles writes files that only this user can read, and returns how to remove them.
func (s *Store) secretFiles(files map[string][]byte) (string, func(), error) {
	dir, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "secret-")
	if err != nil {
		return "", func() {}, fmt.Errorf("write credential: %w", err)
	}
	done := func() { _ = os.RemoveAll(dir) }
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			done()
			return "", func() {}, fmt.Errorf("write credential: %w", err)
		}
	}
	return dir, done, nil
}

// sshCommand is the ssh that git starts: one key, one list of hosts, nothing of the person's or the machine's settings,
// and no question that nobody would answer.
func sshCommand(dir string) string {
	options := []string{
		"-F", "/dev/null", "-i", quote(filepath.Join(dir, "identity")),
		"-o", quote("UserKnownHostsFile=\"" + filepath.Join(dir, "known_hosts") + "\""), "-o", "GlobalKnownHostsFile=/dev/null",
		"-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "CheckHostIP=no", "-o", "IdentitiesOnly=yes",
		"-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no",
		"-o", "PermitLocalCommand=no", "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes",
		"-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=2", "-o", "LogLevel=ERROR",
	}
	return "ssh " + strings.Join(options, " ")
}

// quote makes one word for the shell that git starts ssh with.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// client gives the HTTP client for a CA bundle. It follows no redirect, so that no credential follows one.
func (c *clientCache) client(ca []byte) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, ok := c.byCA[string(ca)]; ok {
		return client, nil
	}
	client, err := newClient(ca)
	if err != nil {
		return nil, err
	}
	if c.byCA == nil {
		c.byCA = map[string]*http.Client{}
	}
	c.byCA[string(ca)] = client
	return client, nil
}

func (c *clientCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, client := range c.byCA {
		client.CloseIdleConnections()
	}
}

// reasonOfToken tells a refused App from a forge that does not answer.
func reasonOfToken(err error) error {
	for _, reason := range []error{ErrAuth, ErrUnreachable} {
		if errors.Is(err, reason) {
			return reason
		}
	}
	return ErrAuth
}
