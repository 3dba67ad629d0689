package gitrepo_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

func newPrivate(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigningKey(t testing.TB, kind string) (*gitrepo.SigningKey, []byte) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(newPrivate(t, kind), "")
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(block)
	key, err := gitrepo.ParseSigningKey(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

// TestSignedBySSH lets git and ssh-keygen verify what was signed here.
func TestSignedBySSH(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Fatal("ssh-keygen is needed: install openssh-client")
	}
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		t.Run(kind, func(t *testing.T) {
			s := serve(t, gitserver.Options{}, gitrepo.Options{})
			s.commit("main", "", map[string]string{"a": "1"})
			key, _ := newSigningKey(t, kind)
			other, _ := newSigningKey(t, kind)
			d := draft("signed\n\nwith a body", "a", "2")
			d.Key, d.Trailers = key, []gitrepo.Trailer{{Key: "Sengu-Release", Value: "x"}}
			written := mustWrite(t, s.repo, gitrepo.Auth{}, d)
			verify := func(allowed *gitrepo.SigningKey) (string, error) {
				signers := filepath.Join(t.TempDir(), "signers")
				if err := os.WriteFile(signers, []byte(bot.Email+" "+allowed.Public()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command("git", "-c", "gpg.ssh.allowedSignersFile="+signers, "verify-commit", written.Head)
				cmd.Dir = s.dir
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := verify(key); err != nil || !strings.Contains(out, `Good "git" signature for `+bot.Email) {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := verify(other); err == nil {
				t.Errorf("another key is taken for this one: %s", out)
			}
		})
	}
}

func newPGP(t testing.TB, passphrase string, config *packet.Config) (*openpgp.Entity, []byte) {
	t.Helper()
	entity, err := openpgp.NewEntity("Sengu", "", bot.Email, config)
	if err != nil {
		t.Fatal(err)
	}
	if passphrase != "" {
		if err := entity.EncryptPrivateKeys([]byte(passphrase), nil); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(entity.SerializePrivateWithoutSigning(w, nil), w.Close()); err != nil {
		t.Fatal(err)
	}
	return entity, b.Bytes()
}

func TestSignedByOpenPGP(t *testing.T) {
	for _, passphrase := range []string{"", "a passphrase"} {
		entity, text := newPGP(t, passphrase, nil)
		key, err := gitrepo.ParseSigningKey(text, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t, gitserver.Options{}, gitrepo.Options{})
		s.commit("main", "", map[string]string{"a": "1"})
		d := draft("signed", "a", "2")
		d.Key = key
		written := mustWrite(t, s.repo, gitrepo.Auth{}, d)
		payload, signature := unsigned(s.git("cat-file", "commit", written.Head) + "\n")
		by, err := openpgp.CheckArmoredDetachedSignature(openpgp.EntityList{entity}, strings.NewReader(payload), strings.NewReader(signature), nil)
		if err != nil || by.PrimaryKey.KeyId != entity.PrimaryKey.KeyId {
			t.Errorf("%v\n%s", err, signature)
		}
		if key.Public() != fmt.Sprintf("%X", entity.PrimaryKey.Fingerprint) {
			t.Errorf("Public is %s", key.Public())
		}
	}
}

// unsigned takes the signature out of a commit, as git does to verify it.
func unsigned(commit string) (payload, signature string) {
	within := false
	for line := range strings.Lines(commit) {
		rest, begins := strings.CutPrefix(line, "gpgsig ")
		more, goesOn := strings.CutPrefix(line, " ")
		switch {
		case begins:
			within, signature = true, rest
		case within && goesOn:
			signature += more
		default:
			within = false
			payload += line
		}
	}
	return payload, signature
}

func TestParseSigningKey(t *testing.T) {
	_, plain := newSigningKey(t, "ed25519")
	block, err := ssh.MarshalPrivateKeyWithPassphrase(newPrivate(t, "ed25519"), "", []byte("secret words"))
	if err != nil {
		t.Fatal(err)
	}
	locked := pem.EncodeToMemory(block)
	_, pgp := newPGP(t, "", nil)
	_, lockedPGP := newPGP(t, "secret words", nil)
	tests := map[string]struct{ key, passphrase, want string }{
		"ssh":                    {key: strings.TrimSpace(string(plain))},
		"ssh, locked":            {key: string(locked), passphrase: "secret words"},
		"OpenPGP":                {key: string(pgp)},
		"OpenPGP, locked":        {key: string(lockedPGP), passphrase: "secret words"},
		"ssh, no passphrase":     {string(locked), "", "none was given"},
		"ssh, wrong passphrase":  {string(locked), "other words", "passphrase is wrong"},
		"OpenPGP, no passphrase": {string(lockedPGP), "", "none was given"},
		"OpenPGP, wrong":         {string(lockedPGP), "other words", "passphrase is wrong"},
		"empty":                  {"", "", "neither an ssh private key"},
		"a public key":           {"ssh-ed25519 AAAA x", "", "public key"},
		"a public OpenPGP key":   {"-----BEGIN PGP PUBLIC KEY BLOCK-----", "", "public key"},
		"damaged":                {strings.Replace(string(plain), "b3BlbnNzaC", "aaaaaaaaaa", 1), "", "damaged"},
		"damaged OpenPGP":        {string(pgp[:len(pgp)/2]), "", "not one armored"},
		"too large":              {strings.Repeat("x", 300_000), "", "larger than"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			key, err := gitrepo.ParseSigningKey([]byte(tc.key), []byte(tc.passphrase))
			switch {
			case tc.want == "" && (err != nil || key.Public() == ""):
				t.Error(err)
			case tc.want != "" && (!errors.Is(err, gitrepo.ErrSigningKey) || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "words") || strings.Contains(err.Error(), "AAAA")) {
				t.Errorf("it says too much: %v", err)
			}
		})
	}
}

// TestKeyThatCannotSign has expired since it was read: nothing is written.
func TestKeyThatCannotSign(t *testing.T) {
	created := time.Now().Add(-48 * time.Hour)
	_, text := newPGP(t, "", &packet.Config{KeyLifetimeSecs: 3600, Time: func() time.Time { return created }})
	key, err := gitrepo.ParseSigningKey(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, gitserver.Options{}, gitrepo.Options{})
	head := s.commit("main", "", map[string]string{"a": "1"})
	d := draft("signed", "a", "2")
	d.Key = key
	if _, err := s.repo.Write(t.Context(), "main", gitrepo.Auth{}, d); !errors.Is(err, gitrepo.ErrSigningKey) || s.head("main") != head {
		t.Errorf("got %v", err)
	}
	checkClean(t, s)
}
