package apply

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// replace writes an object as a whole: what others have set and Git does not name is removed. If the API server refuses
// because a field cannot be changed, the object is deleted and made again. Both are bound to the UID and the version of
// the object that carried the App's mark.
func (w *writer) replace(ctx context.Context, c Change) (outcome, error) {
	u, err := w.get(ctx, c.Item.Unstructured)
	if apierrors.IsNotFound(err) {
		return w.create(ctx, c)
	}
	if err != nil {
		return outcome{}, err
	}
	if uid := c.uid(); uid != "" && uid != string(u.GetUID()) {
		return w.create(ctx, c) // which refuses if it is somebody else's
	}
	err = w.overwrite(ctx, c, u)
	switch {
	case unchangeable(err):
		return w.remake(ctx, c, u)
	case err != nil:
		return outcome{}, err
	}
	// What was put is owned by the manager's Update entry; applying it makes it the manager's Apply entry as well,
	// which is what the baseline is taken from.
	applied, err := w.apply(ctx, patch{object: reduced(c), manager: w.manager, force: true, uid: string(u.GetUID())})
	if err != nil {
		return outcome{}, err
	}
	return w.done(c, applied), nil
}

// overwrite puts the object of c in place of u. Fields that are left to others keep their live values.
func (w *writer) overwrite(ctx context.Context, c Change, u *unstructured.Unstructured) error {
	object := maps.Clone(reduced(c).Object)
	meta := maps.Clone(object["metadata"].(map[string]any))
	object["metadata"] = meta
	meta["uid"], meta["resourceVersion"] = string(u.GetUID()), u.GetResourceVersion()
	if finalizers := u.GetFinalizers(); len(finalizers) > 0 && meta["finalizers"] == nil {
		meta["finalizers"] = finalizers
	}
	whole := &unstructured.Unstructured{Object: object}
	if kept, ok := manifest.Extract(u, c.Fields); ok {
		merge(whole.Object, kept.Object)
	}
	r, err := w.resource(ctx, whole)
	if err != nil {
		return err
	}
	body, err := json.Marshal(whole.Object)
	if err != nil {
		return err
	}
	_, err = w.send(ctx, kube.Request{
		Verb: "update", Path: r.Path(whole.GetNamespace(), whole.GetName()), Body: body,
		Query: url.Values{"fieldManager": {w.manager}},
	})
	return err
}

// merge adds to into what from has and it lacks. Lists are taken whole.
func merge(into, from map[string]any) {
	for key, value := range from {
		have, there := into[key]
		below, ok := have.(map[string]any)
		more, isMap := value.(map[string]any)
		switch {
		case !there:
			into[key] = value
		case ok && isMap:
			below = maps.Clone(below)
			merge(below, more)
			into[key] = below
		}
	}
}

// remake deletes u and makes the object of c.
func (w *writer) remake(ctx context.Context, c Change, u *unstructured.Unstructured) (outcome, error) {
	stays, err := w.deleteOnce(ctx, u, w.Key.LiveOf(u))
	if err != nil && !apierrors.IsNotFound(err) {
		return outcome{}, err
	}
	if stays != nil {
		after := w.Key.LiveOf(stays)
		return outcome{live: &after, failure: &Failure{
			Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, "is being deleted to be replaced, and is made again when it is gone"),
		}}, nil
	}
	return w.create(ctx, c)
}

// unchangeable says whether err is about a field that cannot be changed on an existing object.
func unchangeable(err error) bool {
	return len(immutable(err)) > 0
}
