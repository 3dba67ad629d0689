package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// pageSize is how many objects one answer to a list holds: few enough that a page of large objects is a few MiB.
const pageSize = 250

// Decode reads one object. Whole numbers stay whole.
func Decode(data []byte) (*unstructured.Unstructured, error) {
	object := map[string]any{}
	if err := utiljson.Unmarshal(data, &object); err != nil {
		// The error of the decoder may quote what it read, which may be a Secret.
		return nil, fmt.Errorf("the API server's answer of %d bytes is not a JSON object", len(data))
	}
	return &unstructured.Unstructured{Object: object}, nil
}

// Get reads one object as the given service account.
func (c *Conn) Get(ctx context.Context, r Resource, namespace, name string, as As) (*unstructured.Unstructured, error) {
	body, err := c.Do(ctx, Request{Verb: "get", Path: r.Path(namespace, name), As: as})
	if err != nil {
		return nil, err
	}
	return Decode(body)
}

// page is one answer to a list.
type page struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// List calls each with every object of r that selector chooses, page by page, decoded one at a time, and returns the
// resource version from which a watch goes on. An empty selector chooses all. If it returns an error, each has seen
// only part of the objects, and nothing may be concluded from those it has not seen.
func (c *Conn) List(ctx context.Context, r Resource, namespace string, selector Selector, each func(*unstructured.Unstructured) error) (string, error) {
	query := selector.query()
	query.Set("limit", strconv.Itoa(pageSize))
	for {
		body, err := c.Do(ctx, Request{Verb: "list", Path: r.Path(namespace, ""), Query: query})
		if err != nil {
			return "", err
		}
		var p page
		if err := json.Unmarshal(body, &p); err != nil {
			return "", fmt.Errorf("list %s: the answer cannot be read", r.Name)
		}
		for i, item := range p.Items {
			p.Items[i] = nil
			u, err := Decode(item)
			if err != nil {
				return "", err
			}
			// The items of a list of a built-in kind do not say what they are.
			u.SetGroupVersionKind(r.Kind)
			if err := each(u); err != nil {
				return "", err
			}
		}
		if p.Metadata.Continue == "" {
			return p.Metadata.ResourceVersion, nil
		}
		query.Set("continue", p.Metadata.Continue)
	}
}

// Selector chooses objects of a list or a watch. The zero value chooses all.
type Selector struct {
	// Labels and Fields are selectors as kubectl takes them.
	Labels, Fields string
}

func (s Selector) query() url.Values {
	query := url.Values{}
	if s.Labels != "" {
		query.Set("labelSelector", s.Labels)
	}
	if s.Fields != "" {
		query.Set("fieldSelector", s.Fields)
	}
	return query
}
