package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sengu-dev/sengu/internal/kube"
)

// Target is where a Service is: a namespace of the cluster that the connection leads to, asked as whom the App deploys
// as.
type Target struct {
	Conn      *kube.Conn
	As        kube.As
	Namespace string
	// Flow names the App, as in kube.Request.
	Flow string
}

// service is the address of one.
type service struct {
	scheme, name, port string
	path               string // escaped
	query              url.Values
}

// serviceURL takes an address apart. Names are those of a Service, and ports those of Kubernetes.
var serviceURL = regexp.MustCompile(`^service://(?:(https?):)?([a-z](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9-]{1,15})(/[^?#]*)?(?:\?([^#]*))?$`)

// parseService reads an address of a Service. Its errors do not repeat it.
func parseService(raw string) (service, error) {
	if len(raw) > maxURL {
		return service{}, fmt.Errorf("url must be at most %d bytes long", maxURL)
	}
	part := serviceURL.FindStringSubmatch(raw)
	if part == nil {
		return service{}, errors.New("url must be service://NAME:PORT/path, or service://https:NAME:PORT/path")
	}
	s := service{scheme: part[1], name: part[2], port: part[3]}
	path, err := url.Parse(part[4])
	if err != nil || path.Host != "" || path.Scheme != "" {
		return service{}, errors.New("url: its path cannot be read")
	}
	if !plain(path) {
		// The path stands behind that of the API server, and must not lead to anything else of it.
		return service{}, errors.New("url: its path must not hold dots between slashes, two slashes side by side, or slashes in another spelling")
	}
	s.path = path.EscapedPath()
	if s.query, err = url.ParseQuery(part[5]); err != nil {
		return service{}, errors.New("url: its query cannot be read")
	}
	return s, nil
}

// place names scheme, Service and port as the API server does.
func (s service) place() string {
	if s.scheme == "" {
		return s.name + ":" + s.port
	}
	return s.scheme + ":" + s.name + ":" + s.port
}

// String is how a Service is told.
func (s service) String() string { return cutText("service://"+s.place()+s.path, 200) }

// at returns the path by which the API server of a cluster leads to it.
func (s service) at(namespace string) string {
	return "/api/v1/namespaces/" + namespace + "/services/" + s.place() + "/proxy/" + strings.TrimPrefix(s.path, "/")
}

// Service takes one look at a Service through the API server of its cluster, for what is reached from nowhere else. The
// API server does not verify the certificate of a Service that speaks TLS.
func Service(ctx context.Context, c *Client, t Target, check Check) Result {
	start := c.now()
	s, err := parseService(check.URL)
	if err == nil {
		err = check.validateForService()
	}
	if err == nil && len(validation.IsDNS1123Label(t.Namespace)) > 0 {
		err = errors.New("it has no namespace")
	}
	if err != nil {
		return refused(err)
	}
	ctx, cancel := context.WithTimeout(ctx, check.timeout())
	defer cancel()
	request := kube.Request{Path: s.at(t.Namespace), Query: s.query, Accept: "*/*", As: t.As, Flow: t.Flow}
	for _, value := range check.Headers {
		request.Accept = value
	}
	answer, err := t.Conn.Through(ctx, request, maxBody+1)
	var result Result
	if err != nil {
		result = Result{Sentence: "could not be asked: the API server: " + reason(ctx, err)}
	} else {
		result = t.judge(check, answer)
	}
	result.Took = max(0, c.now().Sub(start))
	result.Sentence = "GET " + s.String() + " " + result.Sentence
	if result.Status != 0 {
		result.Sentence += fmt.Sprintf(" (%s)", result.Took.Round(time.Millisecond))
	}
	return result
}

// judge tells the answer of a Service from that of the API server, which is no evidence of the Service.
func (t Target) judge(check Check, answer kube.Answer) Result {
	if status, ok := ofAPIServer(answer); ok {
		return t.unserved(status)
	}
	if !check.wants(answer.Status) {
		return Result{Evidence: true, Status: answer.Status, Sentence: fmt.Sprintf("answered %d, and not %s", answer.Status, check.wanted())}
	}
	if check.Body == nil {
		return Result{OK: true, Evidence: true, Status: answer.Status, Sentence: fmt.Sprintf("answered %d", answer.Status)}
	}
	return matched(check, answer.Status, answer.Body, "")
}

// ofAPIServer reads a refusal of the API server. A Service that answers in its words is taken for it: that is never a
// pass.
func ofAPIServer(answer kube.Answer) (metav1.Status, bool) {
	var status metav1.Status
	if answer.Status < 300 || json.Unmarshal(answer.Body, &status) != nil {
		return status, false
	}
	return status, status.Kind == "Status" && status.APIVersion == "v1"
}

// unserved says what the API server says. What it was told by others is left out.
func (t Target) unserved(status metav1.Status) Result {
	who := "Sengu"
	if t.As.Name != "" {
		who = "the service account " + t.As.Namespace + "/" + t.As.Name
	}
	why := "the API server answers " + cutText(string(status.Reason), 40)
	switch {
	case status.Code == 403 && strings.Contains(status.Message, "impersonate"):
		why = fmt.Sprintf("Sengu may not act as the service account %s/%s", t.As.Namespace, t.As.Name)
	case status.Code == 403:
		why = fmt.Sprintf("%s may not: give it a Role that allows get on services/proxy in namespace %s", who, t.Namespace)
	case status.Code == 401:
		why = "the API server does not know Sengu"
	case status.Code == 404:
		why = fmt.Sprintf("there is no such Service in namespace %s", t.Namespace)
	case strings.Contains(status.Message, "no endpoints available"):
		why = "it has no Pods that are ready"
	case strings.Contains(status.Message, "no service port"):
		why = "it has no such port"
	case strings.Contains(status.Message, "error trying to reach service"):
		why = "the API server does not reach it"
	}
	return Result{Sentence: "could not be asked: " + why}
}
