package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/cli/local"
)

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
)

// plane is a control plane of its own: a cluster.
type plane struct {
	client.WithWatch
	name, binary, dir string
	nodes             int
	config            *rest.Config
	// kubeconfig is the file that leads an administrator to it.
	kubeconfig string
	// token is a kubeconfig with a bearer token, as a Cluster gets it.
	token []byte

	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
}

// start starts it, or starts it again with the state that it had.
func (p *plane) start() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(p.dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }() // the process has its own
	cmd := exec.Command(p.binary, "--dir", p.dir, "--nodes", strconv.Itoa(p.nodes), "--stop-on-stdin-eof")
	cmd.SysProcAttr = childAttributes()
	cmd.Stderr = output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start plane %s: %w", p.name, err)
	}
	p.cmd, p.stdin, p.ended = cmd, stdin, make(chan struct{})
	ready := make(chan bool, 1)
	go func(ended chan struct{}) {
		defer close(ended)
		lines := bufio.NewScanner(stdout)
		ready <- lines.Scan()
		for lines.Scan() { // until it ends
		}
		_ = cmd.Wait()
	}(p.ended)
	select {
	case ok := <-ready:
		if !ok {
			return errors.Join(fmt.Errorf("plane %s ended before it was ready: see %s", p.name, output.Name()), p.stop())
		}
	case <-time.After(startTimeout):
		return errors.Join(fmt.Errorf("plane %s was not ready within %s", p.name, startTimeout), p.stop())
	}
	return p.connect()
}

func (p *plane) connect() error {
	p.kubeconfig = filepath.Join(p.dir, "kubeconfig")
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	p.config = config
	p.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	return err
}

// stop ends it, as if its machine were gone.
func (p *plane) stop() error {
	if p.cmd == nil {
		return nil
	}
	cmd := p.cmd
	p.cmd = nil
	defer func() { _ = p.stdin.Close() }() // it has ended
	_ = cmd.Process.Signal(os.Interrupt)   // it may have ended meanwhile
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
		_ = cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("plane %s did not stop within %s and was killed", p.name, stopTimeout)
	}
}

// outfit installs Sengu's kinds, and makes a token that may do everything, which no log may ever show.
func (p *plane) outfit(e *evidence) error {
	if p.config == nil {
		return nil // it did not start
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := local.Install(ctx, p.kubeconfig); err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "sengu-e2e"}}
	if err := p.Create(ctx, account); err != nil {
		return err
	}
	err := p.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "sengu-e2e"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	})
	if err != nil {
		return err
	}
	token, err := p.tokenOf(account.Namespace, account.Name)
	if err != nil {
		return err
	}
	e.plant("the token in the kubeconfig of "+p.name, token)
	for what, value := range map[string]string{
		"the administrator's token of " + p.name: p.config.BearerToken, "the administrator's key of " + p.name: string(p.config.KeyData),
	} {
		if value != "" {
			e.plant(what, value)
		}
	}
	p.token, err = p.configWith(token)
	return err
}
