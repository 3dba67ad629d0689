package gitrepo

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"
)

// SigningKey signs commits. Printing one with any verb shows only its kind.
type SigningKey struct {
	ssh ssh.Signer
	pgp *openpgp.Entity
}

// maxKey bounds what is parsed as a key, in bytes.
const maxKey = 256 << 10

// ParseSigningKey reads an ssh private key (PEM, as ssh-keygen writes it) or an OpenPGP one (armored, as gpg --armor
// --export-secret-keys writes it), with its passphrase if it has one. The error matches ErrSigningKey and holds nothing
// of the key.
func ParseSigningKey(key, passphrase []byte) (*SigningKey, error) {
	if len(key) > maxKey {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrSigningKey, maxKey)
	}
	switch {
	case bytes.Contains(key, []byte("BEGIN PGP PRIVATE KEY BLOCK")):
		return parsePGP(key, passphrase)
	case bytes.Contains(key, []byte("BEGIN PGP ")), bytes.HasPrefix(bytes.TrimSpace(key), []byte("ssh-")):
		return nil, fmt.Errorf("%w: it is a public key, and the private one is needed", ErrSigningKey)
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("%w: it is neither an ssh private key in PEM nor an armored OpenPGP private key", ErrSigningKey)
	}
	key = append(bytes.Clone(bytes.TrimSpace(key)), '\n') // Secrets lose the last break easily, and PEM wants it
	signer, err := ssh.ParsePrivateKey(key)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if len(passphrase) == 0 {
			return nil, fmt.Errorf("%w: it is protected by a passphrase, and none was given", ErrSigningKey)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(key, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged, of an unknown kind, or its passphrase is wrong", ErrSigningKey)
	}
	return &SigningKey{ssh: signer}, nil
}

func parsePGP(key, passphrase []byte) (*SigningKey, error) {
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(key))
	if err != nil || len(ring) != 1 || ring[0].PrivateKey == nil {
		return nil, fmt.Errorf("%w: it is not one armored OpenPGP private key", ErrSigningKey)
	}
	entity := ring[0]
	locked := entity.PrivateKey.Encrypted
	for _, sub := range entity.Subkeys {
		locked = locked || (sub.PrivateKey != nil && sub.PrivateKey.Encrypted)
	}
	if locked {
		if len(passphrase) == 0 {
			return nil, fmt.Errorf("%w: it is protected by a passphrase, and none was given", ErrSigningKey)
		}
		if err := entity.DecryptPrivateKeys(passphrase); err != nil {
			return nil, fmt.Errorf("%w: its passphrase is wrong", ErrSigningKey)
		}
	}
	return &SigningKey{pgp: entity}, nil
}

// sign gives the signature that Git keeps with a commit.
func (k *SigningKey) sign(payload []byte, at time.Time) (string, error) {
	if k.ssh != nil {
		return k.signSSH(payload)
	}
	var b bytes.Buffer
	err := openpgp.ArmoredDetachSign(&b, k.pgp, bytes.NewReader(payload), &packet.Config{Time: func() time.Time { return at }})
	if err != nil {
		return "", fmt.Errorf("%w: it has no part that may sign now; it may have expired", ErrSigningKey)
	}
	return b.String(), nil
}

// sshMagic begins what is signed and the signature, sshNamespace says what for (OpenSSH's PROTOCOL.sshsig).
const (
	sshMagic     = "SSHSIG"
	sshNamespace = "git"
	sshHash      = "sha512"
)

func (k *SigningKey) signSSH(payload []byte) (string, error) {
	sum := sha512.Sum512(payload)
	signed := append([]byte(sshMagic), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{sshNamespace, "", sshHash, string(sum[:])})...)
	var signature *ssh.Signature
	var err error
	if algorithms, ok := k.ssh.(ssh.AlgorithmSigner); ok && k.ssh.PublicKey().Type() == ssh.KeyAlgoRSA {
		signature, err = algorithms.SignWithAlgorithm(rand.Reader, signed, ssh.KeyAlgoRSASHA512) // SHA-1 is not accepted
	} else {
		signature, err = k.ssh.Sign(rand.Reader, signed)
	}
	if err != nil {
		return "", fmt.Errorf("%w: it does not sign", ErrSigningKey)
	}
	blob := append([]byte(sshMagic), ssh.Marshal(struct {
		Version                               uint32
		Key, Namespace, Reserved, Hash, Bytes string
	}{1, string(k.ssh.PublicKey().Marshal()), sshNamespace, "", sshHash, string(ssh.Marshal(signature))})...)
	return string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob})), nil
}

// Public is the public half: a line of OpenSSH, or the fingerprint of an OpenPGP key.
func (k *SigningKey) Public() string {
	if k.ssh != nil {
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.ssh.PublicKey())))
	}
	return fmt.Sprintf("%X", k.pgp.PrimaryKey.Fingerprint)
}

// String shows the kind of the key and nothing of it.
func (k *SigningKey) String() string {
	if k == nil {
		return "no key"
	}
	if k.ssh != nil {
		return "ssh signing key"
	}
	return "OpenPGP signing key"
}

// GoString is String, so that %#v shows nothing either.
func (k *SigningKey) GoString() string { return "gitrepo.SigningKey{" + k.String() + "}" }

// LogValue is String, for slog.
func (k *SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
