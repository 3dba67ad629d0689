package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Content types of what the client sends.
const (
	applyPatch = "application/apply-patch+yaml"
	mergePatch = "application/merge-patch+json"
	plainJSON  = "application/json"
)

// fieldManager is who the floor applies as.
const fieldManager = "bench"

// requestTimeout bounds one request that is not a watch.
const requestTimeout = time.Minute

// client is a bare client of one API server: one HTTP/2 connection, no throttle, no cache, no types.
type client struct {
	base  string
	token string
	http  *http.Client

	mu sync.Mutex
	// sent counts requests by verb, so that they can be told from Sengu's.
	sent map[string]int64
}

func newClient(kubeconfig string) (*client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	transport := &http.Transport{
		TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true, DisableCompression: true,
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		HTTP2: &http.HTTP2Config{MaxReadFrameSize: 256 << 10, MaxReceiveBufferPerConnection: 16 << 20, MaxReceiveBufferPerStream: 4 << 20},
	}
	return &client{
		base: strings.TrimSuffix(config.Host, "/"), token: config.BearerToken, sent: map[string]int64{},
		http: &http.Client{Transport: transport},
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

func (c *client) count(verb string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[verb]++
}

// counted returns how many requests were sent, by verb.
func (c *client) counted() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.sent)
}

// refusal is an answer of the API server that is not a success.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

// open sends a request and returns the body of the answer if it is a success. The caller closes it.
func (c *client) open(ctx context.Context, method, path, contentType string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if method == http.MethodGet && contentType == "" {
		req.Header.Set("Accept", plainJSON)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()               // only read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 2048)) // as much as there is
	return nil, &refusal{resp.StatusCode, string(bytes.TrimSpace(text))}
}

// do sends a request and throws the answer away.
func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.open(ctx, method, path, contentType, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = answer.Close() }() // only read
	if _, err := io.Copy(io.Discard, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// apply sends one object of the workload by server-side apply.
func (c *client) apply(ctx context.Context, s service, k kind) error {
	return c.applyBody(ctx, s.id(), k, s.object(k))
}

func (c *client) applyBody(ctx context.Context, name string, k kind, body []byte) error {
	c.count("apply")
	return c.do(ctx, http.MethodPatch, k.collection()+"/"+name+"?force=true&fieldManager="+fieldManager, applyPatch, body)
}

// create makes one object; one that exists already is an error.
func (c *client) create(ctx context.Context, collection string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", collection, err)
	}
	c.count("create")
	return c.do(ctx, http.MethodPost, collection, plainJSON, body)
}

// patch changes some fields of one object.
func (c *client) patch(ctx context.Context, path string, body []byte) error {
	c.count("patch")
	return c.do(ctx, http.MethodPatch, path+"?fieldManager=somebody", mergePatch, body)
}

// get reads one object, or a list.
func (c *client) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.open(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	defer func() { _ = answer.Close() }() // only read
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// list reads all objects of a collection.
func (c *client) list(ctx context.Context, collection string) ([]object, error) {
	c.count("list")
	var l struct{ Items []object }
	err := c.get(ctx, collection, &l)
	return l.Items, err
}

// object is what the benchmark looks at of any object.
type object struct {
	Metadata struct {
		Name            string
		UID             string
		Generation      int64
		ResourceVersion string
		Annotations     map[string]string
	}
	Spec struct {
		// of an App
		Service string
		Source  struct{ Revision string }
		// of a Service
		ExternalName string
		// of a Deployment
		Template struct {
			Metadata struct{ Annotations map[string]string }
		}
	}
	Status struct {
		Revision   string
		Sync       string
		Why        *struct{ Message string }
		Conditions []struct{ Type, Status, Message string }
		// of a Release
		Environments []struct {
			Name, Stage string
			Gates       []struct {
				Name string
				Open bool
			}
		}
	}
}

// key is the name of the workload's service that the object is of.
func (o *object) key() string {
	if o.Spec.Service != "" {
		return o.Spec.Service
	}
	return o.Metadata.Name
}

// condition returns the status of a condition and its message.
func (o *object) condition(kind string) (status, message string) {
	for _, c := range o.Status.Conditions {
		if c.Type == kind {
			return c.Status, c.Message
		}
	}
	return "", "nothing has been reported yet"
}
