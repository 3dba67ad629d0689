package apply

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// deleteTries is how often an object is looked at again because it changed since the plan.
const deleteTries = 3

// definitions is the kind whose objects define kinds.
var definitions = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// delete deletes an object that is proven to be the App's. What proves it is part of the request: the UID, and the
// resource version of the object that carried the mark. If the object has changed since, it is read again, and deleted
// only if it still carries label and mark. An object that stays for a finalizer stays in the inventory until it is gone.
func (w *writer) delete(ctx context.Context, c Change) (outcome, error) {
	if c.Stage == manifest.StageFoundation && w.kept {
		return outcome{failure: &Failure{
			Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, "stays until everything else that is no longer in Git is deleted"),
		}}, nil
	}
	target := &unstructured.Unstructured{}
	target.SetGroupVersionKind(c.Ref.GroupKind().WithVersion(c.Live.Version))
	target.SetNamespace(c.Ref.Namespace)
	target.SetName(c.Ref.Name)
	live := c.Live
	for try := 1; ; try++ {
		stays, err := w.deleteOnce(ctx, target, live)
		switch {
		case apierrors.IsNotFound(err):
			return outcome{dropped: true}, nil
		case err == nil && stays != nil:
			after := w.Key.LiveOf(stays)
			return outcome{live: &after}, nil
		case err == nil:
			return outcome{dropped: true}, nil
		case !apierrors.IsConflict(err) || try == deleteTries:
			return outcome{}, err
		}
		u, err := w.get(ctx, target)
		if apierrors.IsNotFound(err) {
			return outcome{dropped: true}, nil
		}
		if err != nil {
			return outcome{}, err
		}
		if reason := w.unproven(u, c); reason != "" {
			return outcome{failure: &Failure{Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, reason)}}, nil
		}
		live = w.Key.LiveOf(u)
	}
}

// unproven says why u, which is there now, may not be deleted in place of what the plan saw. Empty if it may.
func (w *writer) unproven(u *unstructured.Unstructured, c Change) string {
	owner, owned := manifest.OwnerOf(u)
	switch {
	case string(u.GetUID()) != c.Live.UID:
		return "was deleted and made again by somebody else while it was to be deleted, and stays"
	case !owned || owner.UID != w.Owner.UID || u.GetLabels()[manifest.LabelApp] != owner.Label():
		return "lost the mark of this App while it was to be deleted, and stays"
	case manifest.NeverPruned(u):
		return "says that it is never pruned, and stays"
	default:
		return ""
	}
}

// deleteOnce sends one delete and returns the object if it stays for a while.
func (w *writer) deleteOnce(ctx context.Context, target *unstructured.Unstructured, live manifest.Live) (*unstructured.Unstructured, error) {
	r, err := w.resource(ctx, target)
	if err != nil {
		return nil, err
	}
	uid, background := types.UID(live.UID), metav1.DeletePropagationBackground
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &live.ResourceVersion},
	})
	if err != nil {
		return nil, err
	}
	answer, err := w.send(ctx, kube.Request{Verb: "delete", Path: r.Path(target.GetNamespace(), target.GetName()), Body: body})
	if err != nil {
		return nil, err
	}
	u, err := kube.Decode(answer)
	if err != nil || u.GetDeletionTimestamp() == nil {
		return nil, err
	}
	return u, nil
}
