package kube

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// ExecFlag is the flag of the server that allows a command in kubeconfigs.
const ExecFlag = "--allow-exec"

// maxKubeconfig bounds a kubeconfig, in bytes; the largest Secret holds 1 MiB.
const maxKubeconfig = 1 << 20

// yamlLine finds in the error of a decoder where the error is. The rest of it may quote the file.
var yamlLine = regexp.MustCompile(`\bline (\d+)`)

// ConfigFromKubeconfig reads the current context of a kubeconfig. Whoever can write the kubeconfig must not gain more
// than the credentials in it, so it may run no command but those in allowedExec, spelled as there, and name no file of
// the machine that Sengu runs on. The errors are sentences for the person who wrote it, and carry none of its values
// but names.
func ConfigFromKubeconfig(data []byte, allowedExec []string) (*rest.Config, error) {
	if len(data) > maxKubeconfig {
		return nil, fmt.Errorf("the kubeconfig has %d bytes, and at most %d are read", len(data), maxKubeconfig)
	}
	file, err := clientcmd.Load(data)
	if err != nil {
		if line := yamlLine.FindStringSubmatch(err.Error()); line != nil {
			return nil, fmt.Errorf("the kubeconfig cannot be read: it is not valid YAML of kind Config at line %s", line[1])
		}
		return nil, errors.New("the kubeconfig cannot be read: it is not valid YAML of kind Config")
	}
	context, ok := file.Contexts[file.CurrentContext]
	if !ok {
		return nil, errors.New("the kubeconfig has no current-context, or one that it does not define")
	}
	cluster, ok := file.Clusters[context.Cluster]
	if !ok {
		return nil, errors.New("the kubeconfig does not define the cluster of its current context")
	}
	if err := checkCluster(cluster); err != nil {
		return nil, err
	}
	user := file.AuthInfos[context.AuthInfo]
	if user == nil {
		return nil, errors.New("the kubeconfig does not define the user of its current context")
	}
	if err := checkUser(user, allowedExec); err != nil {
		return nil, err
	}
	if user.Exec != nil {
		user.Exec.InteractiveMode = api.NeverExecInteractiveMode
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*file, file.CurrentContext, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, errors.New("the kubeconfig's current context is not complete: it needs a server and credentials that do not contradict each other")
	}
	return cfg, nil
}

func checkCluster(cluster *api.Cluster) error {
	server, err := url.Parse(cluster.Server)
	switch {
	case cluster.Server == "":
		return errors.New("the kubeconfig's cluster has no server")
	case err != nil || server.Scheme != "https" || server.Host == "":
		return errors.New("the kubeconfig's server must be an https:// URL")
	case server.User != nil:
		return errors.New("the kubeconfig's server must not carry a user or a password")
	case cluster.CertificateAuthority != "":
		return errors.New("the kubeconfig names a file by certificate-authority: embed it as certificate-authority-data (kubectl config view --flatten does)")
	case cluster.InsecureSkipTLSVerify:
		return errors.New("the kubeconfig has insecure-skip-tls-verify, with which anybody on the way could read the credentials: set certificate-authority-data instead")
	}
	if cluster.ProxyURL == "" {
		return nil
	}
	proxy, err := url.Parse(cluster.ProxyURL)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, proxy.Scheme) || proxy.Host == "" {
		return errors.New("the kubeconfig's proxy-url must be an http, https or socks5 URL")
	}
	return nil
}

func checkUser(user *api.AuthInfo, allowedExec []string) error {
	for _, file := range []struct{ field, path, instead string }{
		{"client-certificate", user.ClientCertificate, "client-certificate-data"},
		{"client-key", user.ClientKey, "client-key-data"},
		{"tokenFile", user.TokenFile, "token"},
	} {
		if file.path != "" {
			return fmt.Errorf("the kubeconfig names a file by %s: embed it as %s (kubectl config view --flatten --raw does)", file.field, file.instead)
		}
	}
	if user.AuthProvider != nil {
		return errors.New("the kubeconfig uses an auth-provider, which Kubernetes has removed: use an exec plugin, a token or a client certificate")
	}
	if user.Impersonate != "" || user.ImpersonateUID != "" || len(user.ImpersonateGroups) > 0 || len(user.ImpersonateUserExtra) > 0 {
		return errors.New("the kubeconfig impersonates (as, as-groups): use the credentials of that user, or name a service account in the Fleet")
	}
	if user.Exec == nil {
		return nil
	}
	if !slices.Contains(allowedExec, user.Exec.Command) {
		return fmt.Errorf("the kubeconfig runs the command %q for its credentials, which the server does not allow: start Sengu with %s=%s if it should",
			user.Exec.Command, ExecFlag, user.Exec.Command)
	}
	for _, env := range user.Exec.Env {
		name := strings.ToUpper(env.Name)
		if name == "PATH" || name == "HOME" || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "DYLD_") || strings.HasPrefix(name, "PYTHON") {
			return fmt.Errorf("the kubeconfig sets %s for the command %q, which could make it run something else: leave it out", env.Name, user.Exec.Command)
		}
	}
	return nil
}
