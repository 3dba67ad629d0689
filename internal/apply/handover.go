package apply

import (
	"context"
	"encoding/json"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// operation is one step of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// handOver takes over an object that another App of the Fleet no longer wants, in one write: its field manager is
// renamed and its mark replaced, on the condition that it has not changed since it was read. Until that write the object
// is the other App's, and after it this App's; a crash on either side loses nothing. Then it is applied as any object
// of this App is, which also removes the fields that only the other App wanted.
func (w *writer) handOver(ctx context.Context, c Change) (outcome, error) {
	u, err := w.get(ctx, c.Item.Unstructured)
	if apierrors.IsNotFound(err) {
		return w.create(ctx, c)
	}
	if err != nil {
		return outcome{}, err
	}
	owner, owned := manifest.OwnerOf(u)
	if string(u.GetUID()) != c.Live.UID || !owned || owner != c.Live.Owner {
		return outcome{failure: &Failure{
			Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, "changed while it was being handed over"),
		}}, nil
	}
	if err := w.rename(ctx, c, u, []string{owner.Manager()}); err != nil {
		return outcome{}, err
	}
	c.Known, c.Proven = true, true
	c.Live = manifest.Live{Ref: c.Ref, UID: string(u.GetUID())}
	return w.update(ctx, c)
}

// rename makes what from have applied to u this App's, with this App's mark. Every other field of the metadata stays.
func (w *writer) rename(ctx context.Context, c Change, u *unstructured.Unstructured, from []string) error {
	next := u.DeepCopy()
	fold(next, w.manager, func(e entry) bool {
		for _, manager := range from {
			if e.manager == manager && e.operation == "Apply" && e.subresource == "" {
				return true
			}
		}
		return false
	})
	manifest.Stamp(manifest.Object{Unstructured: next}, w.Owner)
	return w.rewrite(ctx, c.Item.GetAPIVersion(), u, next)
}

// rewrite replaces labels, annotations and managedFields of u by those of next, on the condition that u is unchanged.
func (w *writer) rewrite(ctx context.Context, apiVersion string, u, next *unstructured.Unstructured) error {
	body, err := json.Marshal(rewriting(u, next))
	if err != nil {
		return err
	}
	target := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": u.GetKind()}}
	r, err := w.resource(ctx, target)
	if err != nil {
		return err
	}
	_, err = w.send(ctx, kube.Request{
		Verb: "patch", Path: r.Path(u.GetNamespace(), u.GetName()), Body: body, ContentType: kube.JSONPatch,
		Query: url.Values{"fieldManager": {w.manager}},
	})
	return err
}

// rewriting is the JSON patch from the metadata of u to that of next.
func rewriting(u, next *unstructured.Unstructured) []operation {
	// Written into the object, the version makes the server refuse with a conflict if there is a newer one.
	steps := []operation{{Op: "replace", Path: "/metadata/resourceVersion", Value: u.GetResourceVersion()}}
	meta, _ := next.Object["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations", "managedFields"} {
		if value, ok := meta[field]; ok {
			steps = append(steps, operation{Op: "add", Path: "/metadata/" + field, Value: value})
		}
	}
	return steps
}
