package cli

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// objectList is what -o json and -o yaml print: a List, as kubectl prints one.
type objectList struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Items      []client.Object `json:"items"`
}

// objects returns the objects of kind that f means.
func (s snapshot) objects(kind string, f filter) objectList {
	l := objectList{APIVersion: "v1", Kind: "List", Items: []client.Object{}}
	add := func(o client.Object, kind string) {
		o.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		o.SetManagedFields(nil)
		l.Items = append(l.Items, o)
	}
	switch kind {
	case "clusters":
		for i := range s.clusters {
			if f.named(s.clusters[i].Name) {
				add(&s.clusters[i], "Cluster")
			}
		}
	case "fleets":
		for i := range s.fleets {
			if (f.fleet == "" || f.fleet == s.fleets[i].Name) && f.named(s.fleets[i].Name) {
				add(&s.fleets[i], "Fleet")
			}
		}
	default:
		for _, app := range sorted(s, f) {
			add(app, "App")
		}
	}
	return l
}

// encode writes v as format, which is json or yaml.
func encode(v any, format string) (string, error) {
	if format == "yaml" {
		b, err := yaml.Marshal(v)
		if err != nil {
			return "", fmt.Errorf("write yaml: %w", err)
		}
		return string(b), nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write json: %w", err)
	}
	return string(b) + "\n", nil
}
