package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"
)

// Namespace makes a namespace of its own for the test and returns its name. It is deleted at the end, which nobody
// waits for.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	name := "test-" + rand.String(8)
	c.Request(t, http.MethodPost, "/api/v1/namespaces", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	})
	t.Cleanup(func() { _, _ = c.try(http.MethodDelete, "/api/v1/namespaces/"+name, nil) })
	return name
}

// Request sends one request as an administrator, with body as JSON unless it is nil, and returns the answer. A status
// that is not 2xx fails the test. A body of a PATCH is a merge patch.
func (c *Cluster) Request(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	answer, err := c.try(method, path, body)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return answer
}

// Find is a GET that returns an error instead of failing the test.
func (c *Cluster) Find(path string) (map[string]any, error) {
	return c.try(http.MethodGet, path, nil)
}

func (c *Cluster) try(method, path string, body any) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	data := []byte(nil)
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Config.Host, "/")+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{}
	_ = json.Unmarshal(text, &answer)
	if response.StatusCode > 299 {
		return answer, fmt.Errorf("%s %s: %s: %v", method, path, response.Status, answer["message"])
	}
	return answer, nil
}
