package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	clusterName   = "home"
	fleetName     = "bench"
	senguObjects  = "/apis/sengu.dev/v1alpha1/namespaces/" + senguHome + "/"
	secretObjects = "/api/v1/namespaces/" + senguHome + "/secrets"
	// readyInterval is how often /readyz is asked: the error of what F6 measures.
	readyInterval = 10 * time.Millisecond
	readyTimeout  = 2 * time.Minute
)

// webhookKey signs the webhooks of the benchmark's repository.
var webhookKey = []byte("bench")

// sengu is the program that is measured: one server process and its render workers.
type sengu struct {
	binary, kubeconfig, dataDir, log string
	// address of webhooks and probes; metrics are served as in production, and not read.
	address, metrics string
	process          *child
}

func newSengu(ctx context.Context, binary, dir, kubeconfig string) (*sengu, error) {
	s := &sengu{binary: binary, kubeconfig: kubeconfig, dataDir: filepath.Join(dir, "data"), log: filepath.Join(dir, "sengu.log")}
	var err error
	if s.address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	s.metrics, err = freeAddress(ctx)
	return s, err
}

// freeAddress finds a free port on loopback.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	socket, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return socket.Addr().String(), socket.Close()
}

// start starts the process.
func (s *sengu) start() error {
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return err
	}
	var err error
	s.process, err = launch("sengu", s.log, s.binary, "server",
		"--kubeconfig", s.kubeconfig, "--namespace", senguHome, "--data-dir", s.dataDir, "--listen", s.address, "--metrics-listen", s.metrics)
	return err
}

// awaitReady waits until /readyz says that it is ready.
func (s *sengu) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("after %s", readyTimeout))
	defer cancel()
	return s.process.until(ctx, readyInterval, s.ready)
}

func (s *sengu) stop() error {
	if s.process == nil {
		return nil
	}
	process := s.process
	s.process = nil
	return process.stop()
}

// ready asks /readyz. A process that stands by for another one answers too, and is not ready.
func (s *sengu) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || strings.HasPrefix(string(text), "standing by") {
		return fmt.Errorf("/readyz answers %s: %s", resp.Status, text)
	}
	return nil
}

func (s *sengu) webhook() string { return "http://" + s.address + "/webhooks/" + fleetName }

// createCluster makes the Secrets and the Cluster, and waits until Sengu says that the Cluster is ready.
func (s *sengu) createCluster(ctx context.Context, p *plane) error {
	kubeconfig, err := os.ReadFile(s.kubeconfig)
	if err != nil {
		return err
	}
	for name, data := range map[string]fields{
		"home":    {"kubeconfig": base64.StdEncoding.EncodeToString(kubeconfig)},
		"webhook": {"secret": base64.StdEncoding.EncodeToString(webhookKey)},
	} {
		secret := fields{"apiVersion": "v1", "kind": "Secret", "metadata": fields{"name": name}, "data": data}
		if err := p.create(ctx, secretObjects, secret); err != nil {
			return err
		}
	}
	cluster := v1alpha1.Cluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Cluster"},
		ObjectMeta: metav1.ObjectMeta{Name: clusterName},
		Spec:       v1alpha1.ClusterSpec{KubeconfigSecretRef: &v1alpha1.SecretReference{Name: "home"}},
	}
	if err := p.create(ctx, senguObjects+"clusters", cluster); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("after %s", readyTimeout))
	defer cancel()
	return s.process.until(ctx, pollInterval, func(ctx context.Context) error {
		var o object
		p.count("get")
		if err := p.get(ctx, senguObjects+"clusters/"+clusterName, &o); err != nil {
			return err
		}
		if status, message := o.condition(v1alpha1.ConditionReady); status != string(metav1.ConditionTrue) {
			return fmt.Errorf("cluster %s: %s", clusterName, message)
		}
		return nil
	})
}

// createFleet makes the Fleet. Its one environment is called apps, so that the folders are those of the workload.
func createFleet(ctx context.Context, p *plane, url string) error {
	return createFleetOf(ctx, p, url, "{environment}/{service}", v1alpha1.Environment{Name: "apps", Cluster: clusterName, Namespace: targetNamespace})
}

func createFleetOf(ctx context.Context, p *plane, url, layout string, environments ...v1alpha1.Environment) error {
	return p.create(ctx, senguObjects+"fleets", v1alpha1.Fleet{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Fleet"},
		ObjectMeta: metav1.ObjectMeta{Name: fleetName},
		Spec: v1alpha1.FleetSpec{
			Git: v1alpha1.GitSource{
				URL: url, Branch: branch, Interval: metav1.Duration{Duration: time.Minute},
				WebhookSecretRef: &v1alpha1.SecretReference{Name: "webhook"},
			},
			Layout:       layout,
			Environments: environments,
		},
	})
}

// syncedAt is true of an App that runs a commit.
func syncedAt(commit string) func(*object) bool {
	return func(o *object) bool {
		return o.Spec.Source.Revision == commit && o.Status.Revision == commit && o.Status.Sync == string(v1alpha1.Synced)
	}
}

// apps lists the Apps, by service.
func (p *plane) apps(ctx context.Context) (map[string]object, error) {
	all, err := p.list(ctx, senguObjects+"apps")
	byService := make(map[string]object, len(all))
	for i := range all {
		byService[all[i].key()] = all[i]
	}
	return byService, err
}
