package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// chartFolder is the Helm chart that people install Sengu with.
const chartFolder = "../../charts/sengu"

// tokenLife is how long the tokens of the tests are good, in seconds: a day.
const tokenLife = 24 * 60 * 60

// restrict gives the installation the rights that the Helm chart gives it in its own namespace, and no others, and
// makes the server use them: so that every test notices when one is missing.
func (s *sengu) restrict() {
	s.Helper()
	var complaints bytes.Buffer
	cmd := exec.Command(s.binary, "render", chartFolder, "--namespace", s.namespace, "--helm-release", "sengu")
	cmd.Stderr = &complaints
	rendered, err := cmd.Output()
	if err != nil {
		s.Fatalf("render the chart: %v: %s", err, complaints.String())
	}
	granted := map[string]*unstructured.Unstructured{}
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := documents.Decode(u); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			s.Fatalf("read the chart: %v", err)
		}
		switch u.GetKind() {
		case "ServiceAccount", "Role", "RoleBinding":
			u.SetNamespace(s.namespace)
			s.create(s.home, u)
			granted[u.GetKind()] = u
		}
	}
	if len(granted) != 3 {
		s.Fatalf("the chart has no account with rights: %v", granted)
	}
	token, err := s.home.tokenOf(s.namespace, granted["ServiceAccount"].GetName())
	if err != nil {
		s.Fatal(err)
	}
	s.evidence.plant("the token of Sengu's own account", token)
	config, err := s.home.configWith(token)
	if err != nil {
		s.Fatal(err)
	}
	s.own = filepath.Join(s.TempDir(), "kubeconfig")
	if err := os.WriteFile(s.own, config, 0o600); err != nil {
		s.Fatal(err)
	}
}

// tokenOf makes a token of a service account.
func (p *plane) tokenOf(namespace, name string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	life := int64(tokenLife)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := p.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("make a token of %s for plane %s: %w", name, p.name, err)
	}
	return request.Status.Token, nil
}

// configWith returns a kubeconfig that leads to p with a token.
func (p *plane) configWith(token string) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{p.name: {Server: p.config.Host, CertificateAuthorityData: p.config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{p.name: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{p.name: {Cluster: p.name, AuthInfo: p.name}},
		CurrentContext: p.name,
	})
}
