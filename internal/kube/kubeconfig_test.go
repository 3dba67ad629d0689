package kube_test

import (
	"strings"
	"testing"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const secret = "hunter2hunter2"

func kubeconfig(cluster, user string) string {
	return `apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {` + cluster + `}}]
users: [{name: a, user: {` + user + `}}]
`
}

func TestConfigFromKubeconfigRefuses(t *testing.T) {
	server := "server: https://k8s.example.com"
	exec := "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: "
	tests := map[string]struct{ file, want string }{
		"not YAML":             {"a: [" + secret, "not valid YAML"},
		"another kind":         {"- " + secret, "not valid YAML of kind Config"},
		"no context":           {"apiVersion: v1\nkind: Config\n", "no current-context"},
		"no server":            {kubeconfig("", "token: "+secret), "no server"},
		"http":                 {kubeconfig("server: http://k8s.example.com", "token: "+secret), "https://"},
		"password in server":   {kubeconfig("server: https://a:"+secret+"@k8s.example.com", ""), "must not carry"},
		"authority by file":    {kubeconfig(server+", certificate-authority: /etc/ca.pem", "token: "+secret), "certificate-authority-data"},
		"insecure":             {kubeconfig(server+", insecure-skip-tls-verify: true", "token: "+secret), "insecure-skip-tls-verify"},
		"key by file":          {kubeconfig(server, "client-key: /etc/"+secret), "client-key-data"},
		"certificate by file":  {kubeconfig(server, "client-certificate: /etc/"+secret), "client-certificate-data"},
		"token by file":        {kubeconfig(server, "tokenFile: /etc/"+secret), "embed it as token"},
		"auth-provider":        {kubeconfig(server, "auth-provider: {name: gcp, config: {a: "+secret+"}}"), "auth-provider"},
		"impersonation":        {kubeconfig(server, "as: admin, token: "+secret), "impersonates"},
		"exec":                 {kubeconfig(server, exec+"/tmp/evil, args: ["+secret+"]}"), `"/tmp/evil"`},
		"exec by its own path": {kubeconfig(server, exec+"./aws}"), kube.ExecFlag + "=./aws"},
		"exec with LD_PRELOAD": {kubeconfig(server, exec+"aws, env: [{name: LD_PRELOAD, value: "+secret+"}]}"), "LD_PRELOAD"},
		"proxy":                {kubeconfig(server+", proxy-url: 'file:///"+secret+"'", "token: a"), "proxy-url"},
		"too large":            {strings.Repeat("#", 2<<20), "bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := kube.ConfigFromKubeconfig([]byte(test.file), []string{"aws"})
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error carries a value: %q", err)
			}
		})
	}
}

func TestConfigFromKubeconfigAccepts(t *testing.T) {
	file := kubeconfig("server: https://k8s.example.com", "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token], env: [{name: AWS_PROFILE, value: a}]}")
	cfg, err := kube.ConfigFromKubeconfig([]byte(file), []string{"aws"})
	if err != nil || cfg.ExecProvider == nil || cfg.ExecProvider.Command != "aws" {
		t.Fatalf("an allowed command: %v", err)
	}
	cfg, err = kube.ConfigFromKubeconfig([]byte(kubeconfig("server: https://k8s.example.com", "token: "+secret)), nil)
	if err != nil || cfg.BearerToken != secret || cfg.Host != "https://k8s.example.com" {
		t.Fatalf("a token: %v", err)
	}
}

func TestConfigFromKubeconfigOfAPlaneConnects(t *testing.T) {
	plane := testenv.Plane(t)
	cfg, err := kube.ConfigFromKubeconfig(plane.Kubeconfig, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := kube.Connect(cfg, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if version, err := conn.Version(t.Context()); err != nil || !strings.HasPrefix(version, "v1.") {
		t.Fatalf("version %q, %v", version, err)
	}
}
