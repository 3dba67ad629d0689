package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is how one user reaches the API.
type Kubeconfig struct {
	// Server is the address of the API, for example https://127.0.0.1:6443.
	Server string
	// CA is the authority to trust, PEM.
	CA []byte
	// User is the name the entry gets; the API knows the user by Token.
	User string
	// Token is the bearer token.
	Token string
}

// Bytes is the file: it holds all it needs, so it can be copied anywhere.
func (k Kubeconfig) Bytes() ([]byte, error) {
	const name = "localplane"
	c := clientcmdapi.NewConfig()
	c.Clusters[name] = &clientcmdapi.Cluster{Server: k.Server, CertificateAuthorityData: k.CA}
	c.AuthInfos[k.User] = &clientcmdapi.AuthInfo{Token: k.Token}
	c.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: k.User}
	c.CurrentContext = name
	b, err := clientcmd.Write(*c)
	if err != nil {
		return nil, fmt.Errorf("format kubeconfig of %s: %w", k.User, err)
	}
	return b, nil
}

// KubeconfigFile is where the administrator's kubeconfig is while the API can
// be used.
func (h *Home) KubeconfigFile() string { return h.Path("kubeconfig") }

// WriteKubeconfig writes k to path in one step, readable by its owner only.
func WriteKubeconfig(path string, k Kubeconfig) error {
	b, err := k.Bytes()
	if err != nil {
		return err
	}
	return writeFile(path, b)
}

// RemoveKubeconfig takes the administrator's kubeconfig away, so that nobody
// waits on, or uses, an API that is not there.
func (h *Home) RemoveKubeconfig() error {
	if err := os.Remove(h.KubeconfigFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove kubeconfig: %w", err)
	}
	return nil
}
