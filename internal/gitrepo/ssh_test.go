package gitrepo_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
)

// sshServer serves repositories over ssh, running git upload-pack and receive-pack for whoever has the key.
type sshServer struct {
	t       testing.TB
	refusal string // what a push is told instead
	addr    string
	config  *ssh.ServerConfig
	hostKey ssh.PublicKey
	wg      sync.WaitGroup
}

func newKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func startSSH(t testing.TB, client ssh.PublicKey) *sshServer {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Fatal("the ssh client is needed: install openssh-client")
	}
	host, _ := newKey(t)
	s := &sshServer{t: t, hostKey: host.PublicKey(), config: &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(client.Marshal()) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}}
	s.config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.wg.Wait()
	})
	return s
}

func (s *sshServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.wg.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.session(channel, requests) })
	}
}

func (s *sshServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	env := []string{"PATH=/usr/bin:/bin", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	for r := range requests {
		switch r.Type {
		case "env":
			var kv struct{ Name, Value string }
			if ssh.Unmarshal(r.Payload, &kv) == nil && kv.Name == "GIT_PROTOCOL" {
				env = append(env, kv.Name+"="+kv.Value)
			}
			_ = r.Reply(true, nil)
		case "exec":
			var command struct{ Line string }
			ok := ssh.Unmarshal(r.Payload, &command) == nil
			service, path, _ := strings.Cut(strings.TrimPrefix(command.Line, "git-"), " ")
			ok = ok && (service == "upload-pack" || service == "receive-pack")
			_ = r.Reply(ok, nil)
			if !ok {
				return
			}
			if service == "receive-pack" && s.refusal != "" {
				_, _ = io.WriteString(channel.Stderr(), s.refusal+"\n")
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{1}))
				return
			}
			cmd := exec.Command("git", service, strings.Trim(path, "'"))
			cmd.Env, cmd.Stdout, cmd.Stderr = env, channel, channel.Stderr()
			stdin, err := cmd.StdinPipe() // Run must not wait for the client to close its end
			if err != nil {
				return
			}
			s.wg.Go(func() {
				_, _ = io.Copy(stdin, channel)
				_ = stdin.Close()
			})
			status := struct{ Code uint32 }{}
			if err := cmd.Run(); err != nil {
				status.Code = 128
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
			return
		default:
			_ = r.Reply(false, nil)
		}
	}
}

func (s *sshServer) knownHosts(key ssh.PublicKey) string {
	return knownhosts.Line([]string{s.addr}, key) + "\n"
}

func sshAuth(t testing.TB, identity []byte, known string) gitrepo.Auth {
	t.Helper()
	auth, err := gitrepo.AuthFromSecret(map[string][]byte{"identity": identity, "known_hosts": []byte(known)})
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

func TestSSH(t *testing.T) {
	signer, identity := newKey(t)
	_, other := newKey(t)
	server := startSSH(t, signer.PublicKey())
	remote := newRemote(t, t.TempDir(), "x.git")
	head := remote.commit("main", "", map[string]string{"a": "1"})
	dir := t.TempDir()
	store := gitrepotest.Open(t, dir, gitrepo.Options{})
	repo := repository(t, store, "ssh://git@"+server.addr+remote.dir)
	good := sshAuth(t, identity, server.knownHosts(server.hostKey))
	if rev := mustFetch(t, repo, "main", good); rev.Hash != head {
		t.Errorf("%+v", rev)
	}
	stranger, _ := newKey(t)
	tests := map[string]struct {
		auth gitrepo.Auth
		want error
	}{
		"another host key":        {sshAuth(t, identity, server.knownHosts(stranger.PublicKey())), gitrepo.ErrHostKey},
		"a host that is not in":   {sshAuth(t, identity, knownhosts.Line([]string{"elsewhere"}, server.hostKey)), gitrepo.ErrHostKey},
		"no known_hosts":          {gitrepo.Auth{Identity: identity}, gitrepo.ErrAuth},
		"no key":                  {gitrepo.Auth{}, gitrepo.ErrAuth},
		"a key that nobody knows": {sshAuth(t, other, server.knownHosts(server.hostKey)), gitrepo.ErrAuth},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := repo.Fetch(t.Context(), "main", tc.auth)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if name == "no known_hosts" && !strings.Contains(fmt.Sprint(err), "the key known_hosts of the Secret") {
				t.Errorf("the error does not say what to do: %v", err)
			}
			if got, _ := repo.Head("main"); got != head {
				t.Error("the head is lost")
			}
		})
	}
	if _, err := repo.Fetch(t.Context(), "develop", good); !errors.Is(err, gitrepo.ErrBranchMissing) {
		t.Errorf("no such branch: %v", err)
	}
	gone := repository(t, store, "ssh://git@"+server.addr+remote.dir+"x")
	if _, err := gone.Fetch(t.Context(), "main", good); !errors.Is(err, gitrepo.ErrRemoteMissing) {
		t.Errorf("no such repository: %v", err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("files of credentials are left: %v", left)
	}
}
