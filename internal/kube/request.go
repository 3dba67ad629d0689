package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Content types of patches.
const (
	ApplyPatch = "application/apply-patch+yaml"
	MergePatch = "application/merge-patch+json"
	JSONPatch  = "application/json-patch+json"
)

const (
	// attempts is how often a request is sent that the server has refused for having too many.
	attempts = 4
	// maxAnswer bounds an answer, in bytes. The API server itself takes objects of up to 3 MiB.
	maxAnswer = 256 << 20
	// maxRefusal bounds the answer that says no, in bytes.
	maxRefusal = 1 << 20
)

// As is the service account that a request is made as. The zero value is the connection's own credentials.
type As struct {
	// Namespace and Name of the service account in the target cluster.
	Namespace, Name string
}

// User returns the name by which the API server knows the service account, empty for the zero value.
func (a As) User() string {
	if a.Name == "" {
		return ""
	}
	return "system:serviceaccount:" + a.Namespace + ":" + a.Name
}

// Request is one request to the API server.
type Request struct {
	// Verb names the request for Requests, and chooses the HTTP method: get, list, create, update, patch or delete.
	Verb string
	// Path from the root of the server: /api/v1/namespaces/shop/services/checkout.
	Path  string
	Query url.Values
	// Body, and its ContentType: JSON if empty.
	Body        []byte
	ContentType string
	// Accept is the type of the answer: JSON if empty.
	Accept string
	// As is whom the request is made as.
	As As
	// Flow shares turns fairly: requests of one App carry the same name.
	Flow string
}

var methods = map[string]string{
	"get": http.MethodGet, "list": http.MethodGet, "watch": http.MethodGet, "discover": http.MethodGet,
	"create": http.MethodPost, "update": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete,
}

// errNotServed is the cause of an answer that came from no resource: the path itself is not served.
var errNotServed = errors.New("the API server does not serve this path")

// Do sends one request and returns the answer's body. It waits for its turn, and sends a request again, a few times,
// that the server has refused with 429 for a short while. An answer that says no is an *apierrors.StatusError; the
// functions of apierrors and [IsNotServed] tell them apart.
func (c *Conn) Do(ctx context.Context, r Request) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		round, err := c.limiter.acquire(ctx, r.Flow)
		if err != nil {
			return nil, err
		}
		body, err := c.once(ctx, r)
		pause, refused := refusal(err)
		c.limiter.release(round, refused, pause)
		if !refused || attempt == attempts || pause > maxHold {
			return body, err
		}
	}
}

// refusal says whether err means that the server has too many requests, and for how long it wants none.
func refusal(err error) (time.Duration, bool) {
	if err == nil || !apierrors.IsTooManyRequests(err) {
		return 0, false
	}
	seconds, _ := apierrors.SuggestsClientDelay(err)
	return time.Duration(seconds) * time.Second, true
}

func (c *Conn) once(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := read(response)
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", r.Verb, r.Path, err)
	}
	return body, nil
}

// send sends r and returns an answer that says yes. Its body is the caller's to close.
func (c *Conn) send(ctx context.Context, r Request) (*http.Response, error) {
	target := c.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, methods[r.Verb], target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Verb, r.Path, err)
	}
	request.Header.Set("Accept", "application/json")
	if r.Accept != "" {
		request.Header.Set("Accept", r.Accept)
	}
	if r.Body != nil {
		request.Header.Set("Content-Type", "application/json")
		if r.ContentType != "" {
			request.Header.Set("Content-Type", r.ContentType)
		}
	}
	if user := r.As.User(); user != "" {
		request.Header.Set("Impersonate-User", user)
	}
	c.counts.add(r.Verb)
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Verb, r.Path, unreachable(err))
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		defer func() { _ = response.Body.Close() }()
		return nil, statusError(r, response)
	}
	return response, nil
}

// unreachable takes the URL out of the error of a request that got no answer.
func unreachable(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

func read(response *http.Response) ([]byte, error) {
	limited := io.LimitReader(response.Body, maxAnswer+1)
	var buf bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= maxAnswer {
		buf.Grow(int(n) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(limited); err != nil {
		return nil, err
	}
	if buf.Len() > maxAnswer {
		return nil, fmt.Errorf("it is larger than %d bytes", maxAnswer)
	}
	return buf.Bytes(), nil
}

// statusError turns an answer that says no into an error of apimachinery.
func statusError(r Request, response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	retryAfter, _ := strconv.ParseInt(response.Header.Get("Retry-After"), 10, 32)
	status := metav1.Status{}
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		if status.Code == 0 {
			status.Code = int32(response.StatusCode) //nolint:gosec // it has three digits
		}
		if retryAfter > 0 {
			if status.Details == nil {
				status.Details = &metav1.StatusDetails{}
			}
			status.Details.RetryAfterSeconds = int32(retryAfter)
		}
		return &apierrors.StatusError{ErrStatus: status}
	}
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w", r.Verb, r.Path, errNotServed)
	}
	return apierrors.NewGenericServerResponse(response.StatusCode, methods[r.Verb], schema.GroupResource{}, "",
		http.StatusText(response.StatusCode), int(retryAfter), true)
}

// IsNotServed says whether err is the answer of an API server that has no such resource (any more), as opposed to no
// such object.
func IsNotServed(err error) bool { return errors.Is(err, errNotServed) }
