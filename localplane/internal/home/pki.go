package home

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is how long certificates last; nobody renews them, so it is longer
// than any test cluster lives.
const validity = 10 * 365 * 24 * time.Hour

// PKI names the files that say who the cluster is.
type PKI struct {
	// CACert signs ServerCert; clients trust it.
	CACert string
	// ServerCert and ServerKey are what the API serves with.
	ServerCert, ServerKey string
	// ServiceAccountKey signs, and ServiceAccountPub checks, the tokens of
	// service accounts.
	ServiceAccountKey, ServiceAccountPub string
}

// PKI returns the certificates and keys of the folder and makes them on the
// first run. hosts are the names and addresses that the API answers to. The
// authority's own key is thrown away once it has signed: nothing else may ever
// speak for this cluster.
func (h *Home) PKI(hosts []string, now time.Time) (PKI, error) {
	dir := h.Path("pki")
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = makePKI(dir, hosts, now)
	}
	if err != nil {
		return PKI{}, fmt.Errorf("make certificates: %w", err)
	}
	return pkiIn(dir), nil
}

// pkiIn names the files of a PKI in dir.
func pkiIn(dir string) PKI {
	return PKI{
		CACert:            filepath.Join(dir, "ca.crt"),
		ServerCert:        filepath.Join(dir, "server.crt"),
		ServerKey:         filepath.Join(dir, "server.key"),
		ServiceAccountKey: filepath.Join(dir, "sa.key"),
		ServiceAccountPub: filepath.Join(dir, "sa.pub"),
	}
}

// makePKI fills a folder beside dir and then renames it, so that a crash never
// leaves half an identity behind.
func makePKI(dir string, hosts []string, now time.Time) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".pki-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone already when all went well
	files := pkiIn(tmp)
	if err := writeServing(files, hosts, now); err != nil {
		return err
	}
	if err := writeServiceAccount(files); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// writeServing makes an authority and the certificate of the API.
func writeServing(files PKI, hosts []string, now time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "localplane-ca"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, host)
		}
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(files.CACert, "CERTIFICATE", caDER),
		writePEM(files.ServerCert, "CERTIFICATE", serverDER),
		writeKey(files.ServerKey, key),
	)
}

// writeServiceAccount makes the key pair of service account tokens.
func writeServiceAccount(files PKI) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		writeKey(files.ServiceAccountKey, key),
		writePEM(files.ServiceAccountPub, "PUBLIC KEY", pub),
	)
}

// writeKey writes a private key.
func writeKey(path string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der)
}

// writePEM writes one PEM block.
func writePEM(path, kind string, der []byte) error {
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
