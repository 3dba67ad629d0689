package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/transport/spdy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/internal/cli/local"
)

// serverVariable names the Sengu server, if --server does not.
const serverVariable = "SENGU_SERVER"

// serverUsage is what --server is. The Ingress of the chart does not lead to what people ask.
const serverUsage = "address of the Sengu server, if one leads to its /api, such as http://127.0.0.1:8080"

// serverHelp says how a verb comes to the history, and what that takes.
const serverHelp = `The history is with the Sengu server, which is found on a local plane, by --server or
$SENGU_SERVER, or else by a port-forward to its Pod; the Ingress of the chart leads to webhooks
and Slack only. The server answers whoever may list Releases and shows a token. The port-forward
takes a Role in Sengu's namespace with the verb list on pods and create on pods/portforward.`

// maxAnswer bounds what the server answers, in bytes.
const maxAnswer = 16 << 20

// inquire asks the Sengu server, as whom the kubeconfig knows the person.
func (p *program) inquire(ctx context.Context, server, path string, query url.Values) ([]byte, error) {
	pl, err := p.plane()
	if err != nil {
		return nil, err
	}
	address, done, err := p.reach(ctx, pl, server)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--server is %q: it must be an address such as http://127.0.0.1:8080", address)}
	}
	carrier, err := bearer(pl.config)
	if err != nil {
		return nil, err
	}
	response, err := carrier.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("the Sengu server at %s does not answer: name it with --server", address)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of the Sengu server: %w", err)
	}
	if response.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("the Sengu server does not know you: %s (a kubeconfig with a client certificate has no token to show: use one with a token, as of `kubectl create token`)", strings.TrimSpace(string(body)))
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the Sengu server answers: %s", strings.TrimSpace(string(body)))
	}
	return body, nil
}

// bearer adds to requests the token by which the kubeconfig's cluster knows the person, and nothing else of it: not its
// certificates, and not its CA.
func bearer(config *rest.Config) (http.RoundTripper, error) {
	known, err := config.TransportConfig()
	if err != nil {
		return nil, fmt.Errorf("read how the kubeconfig authenticates: %w", err)
	}
	known.Impersonate = transport.ImpersonationConfig{}
	return transport.HTTPWrappersForConfig(known, http.DefaultTransport)
}

// reach finds the Sengu server. Done ends what was started for it.
func (p *program) reach(ctx context.Context, pl *plane, named string) (address string, done func(), err error) {
	nothing := func() {}
	if named == "" {
		named = p.env(serverVariable)
	}
	if named != "" {
		return named, nothing, nil
	}
	if address := localServer(pl.origin); address != "" {
		return "http://" + address, nothing, nil
	}
	return pl.forward(ctx)
}

// localServer is the address of the server of the local plane that a kubeconfig belongs to, "" if it belongs to none.
func localServer(kubeconfig string) string {
	folder, err := local.Abs(filepath.Dir(filepath.Dir(kubeconfig)))
	if err != nil {
		return ""
	}
	state, err := folder.Read()
	if err != nil || state.Phase != local.Running {
		return ""
	}
	return state.Server
}

// serverPort is the port of Sengu's Pod that people are answered on.
const serverPort = "8080"

// forward leads a port of this machine to the Pod of the Sengu server.
func (pl *plane) forward(ctx context.Context) (address string, done func(), err error) {
	var pods corev1.PodList
	err = pl.List(ctx, &pods, client.InNamespace(pl.namespace), client.MatchingLabels{"app.kubernetes.io/name": "sengu"})
	if err != nil {
		return "", nil, pl.explain("find the Sengu server", err)
	}
	name := ""
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodRunning {
			name = pod.Name
		}
	}
	if name == "" {
		return "", nil, fmt.Errorf("no Pod of Sengu runs in namespace %s: name the server with --server or $%s", pl.namespace, serverVariable)
	}
	carrier, upgrader, err := spdy.RoundTripperFor(pl.config)
	if err != nil {
		return "", nil, fmt.Errorf("connect to Pod %s: %w", name, err)
	}
	target, err := url.Parse(strings.TrimSuffix(pl.config.Host, "/") + "/api/v1/namespaces/" + pl.namespace + "/pods/" + name + "/portforward")
	if err != nil {
		return "", nil, fmt.Errorf("connect to Pod %s: %w", name, err)
	}
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: carrier}, http.MethodPost, target), []string{"0:" + serverPort}, stop, ready, io.Discard, os.Stderr)
	if err != nil {
		return "", nil, fmt.Errorf("connect to Pod %s: %w", name, err)
	}
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		return "", nil, pl.explain("connect to Pod "+name, errors.Join(err))
	case <-ctx.Done():
		close(stop)
		return "", nil, ctx.Err()
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(stop)
		return "", nil, fmt.Errorf("connect to Pod %s: %w", name, err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local), func() { close(stop); <-ended }, nil
}
