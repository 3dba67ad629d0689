package manifest

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref identifies an object within one cluster, whatever version of its API it is written in.
type Ref struct {
	Group, Kind, Namespace, Name string
}

// RefOf reads the identity of u.
func RefOf(u *unstructured.Unstructured) Ref {
	gvk := u.GroupVersionKind()
	return Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}

// GroupKind returns the kind that r is of.
func (r Ref) GroupKind() schema.GroupKind { return schema.GroupKind{Group: r.Group, Kind: r.Kind} }

// String returns r for people: "Deployment shop/checkout", and "Namespace shop" for an object without a namespace.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// ID returns r as one string that ParseID reads back: "apps/Deployment/shop/checkout". Group and namespace may
// be empty: "/Namespace//shop".
func (r Ref) ID() string {
	return r.Group + "/" + r.Kind + "/" + r.Namespace + "/" + r.Name
}

// ParseID reads what [Ref.ID] wrote.
func ParseID(id string) (Ref, error) {
	parts := strings.SplitN(id, "/", 4)
	if len(parts) != 4 || parts[1] == "" || parts[3] == "" {
		return Ref{}, fmt.Errorf("object id %q is not of the form group/Kind/namespace/name", id)
	}
	return Ref{Group: parts[0], Kind: parts[1], Namespace: parts[2], Name: parts[3]}, nil
}

// Compare orders refs by kind, namespace, name and group, as people look for them.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Namespace, o.Namespace),
		cmp.Compare(r.Name, o.Name),
		cmp.Compare(r.Group, o.Group),
	)
}

// Object is one object that Git says should exist.
type Object struct {
	*unstructured.Unstructured
	// Origin is the file of the repository that the object comes from, with the line where known
	// ("apps/a/deploy.yaml:12"), or the template of a chart. Empty when the renderer cannot say.
	Origin string
}

// Ref returns the identity of o.
func (o Object) Ref() Ref { return RefOf(o.Unstructured) }
