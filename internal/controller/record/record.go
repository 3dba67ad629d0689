// Package record writes Apps and Releases to the cluster that holds them, with as little work for its API server as there can be.
//
// It is responsible for the form of those writes: what is sent, what is asked back, and what a write is conditional on.
// It refuses to decide what an App or its status says, and to read: the cache does that.
package record

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/kube"
)

// metadataOnly asks for an answer without spec and status, which the writer knows.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// Writer writes Apps and Releases. It is safe for concurrent use.
type Writer struct{ conn *kube.Conn }

// New returns a Writer to the cluster that conn leads to.
func New(conn *kube.Conn) *Writer { return &Writer{conn: conn} }

// Create makes an App or a Release and fills in what the API server gave it. One that exists already is an error of
// apierrors.
func (w *Writer) Create(ctx context.Context, obj client.Object) error {
	body, err := encode(obj)
	if err != nil {
		return err
	}
	meta, err := w.send(ctx, kube.Request{Verb: "create", Path: path(obj, obj.GetNamespace(), ""), Body: body, Accept: metadataOnly, Flow: obj.GetName()})
	if err != nil {
		return err
	}
	adopt(obj, meta)
	return nil
}

// Update writes all of an App but its status, and returns its metadata as they are then. It is a conflict if the App has
// been written to since it was read.
func (w *Writer) Update(ctx context.Context, app *v1alpha1.App) (metav1.ObjectMeta, error) {
	next := *app
	next.Status = v1alpha1.AppStatus{} // which this does not write
	body, err := encode(&next)
	if err != nil {
		return metav1.ObjectMeta{}, err
	}
	return w.send(ctx, kube.Request{Verb: "update", Path: path(app, app.Namespace, app.Name), Body: body, Accept: metadataOnly, Flow: app.Name})
}

// Patch changes parts of an App by a JSON merge patch, and returns its metadata as they are then.
func (w *Writer) Patch(ctx context.Context, app types.NamespacedName, patch []byte) (metav1.ObjectMeta, error) {
	return w.send(ctx, kube.Request{
		Verb: "patch", Path: path(&v1alpha1.App{}, app.Namespace, app.Name), Body: patch, ContentType: kube.MergePatch, Accept: metadataOnly, Flow: app.Name,
	})
}

// statusTries is how often a status is written that somebody else's write came before.
const statusTries = 5

// Status writes the status of an App or a Release and returns the object as the API server has it then. What somebody
// else has written to the rest of it meanwhile stays. An object of the same name that was made anew is never written to:
// that is a conflict.
func Status[T Object[T]](ctx context.Context, w *Writer, obj T) (T, error) {
	var none T
	at := path(obj, obj.GetNamespace(), obj.GetName())
	written := obj.DeepCopy()
	for try := 1; ; try++ {
		body, err := encode(written)
		if err != nil {
			return none, err
		}
		meta, err := w.send(ctx, kube.Request{Verb: "update", Path: at + "/status", Body: body, Accept: metadataOnly, Flow: obj.GetName()})
		if err == nil {
			adopt(written, meta)
			return written, nil
		}
		if !apierrors.IsConflict(err) || try == statusTries {
			return none, err
		}
		answer, readErr := w.conn.Do(ctx, kube.Request{Verb: "get", Path: at, Flow: obj.GetName()})
		if readErr != nil {
			return none, readErr
		}
		latest := blank(obj).(T)
		if err := json.Unmarshal(answer, latest); err != nil {
			return none, fmt.Errorf("read the answer about %s: %w", obj.GetName(), err)
		}
		if latest.GetUID() != obj.GetUID() {
			return none, err
		}
		latest.SetManagedFields(nil)
		withStatusOf(latest, obj)
		written = latest
	}
}

// Object is an App, a Release or a Fleet.
type Object[T any] interface {
	client.Object
	DeepCopy() T
}

// lenient spares the API server to look for unknown fields in what was encoded from the types of its schema.
var lenient = url.Values{"fieldValidation": {"Ignore"}}

func (w *Writer) send(ctx context.Context, r kube.Request) (metav1.ObjectMeta, error) {
	r.Query = lenient
	answer, err := w.conn.Do(ctx, r)
	if err != nil {
		return metav1.ObjectMeta{}, err
	}
	var partial metav1.PartialObjectMetadata
	if err := json.Unmarshal(answer, &partial); err != nil {
		return metav1.ObjectMeta{}, fmt.Errorf("read the answer to %s %s: %w", r.Verb, r.Path, err)
	}
	return partial.ObjectMeta, nil
}

// blank returns an empty object of the kind of obj.
func blank(obj client.Object) client.Object {
	if _, ok := obj.(*v1alpha1.Release); ok {
		return &v1alpha1.Release{}
	}
	return &v1alpha1.App{}
}

// withStatusOf gives obj the status of another of its kind.
func withStatusOf(obj, other client.Object) {
	switch obj := obj.(type) {
	case *v1alpha1.App:
		if from, ok := other.(*v1alpha1.App); ok {
			obj.TypeMeta, obj.Status = from.TypeMeta, *from.Status.DeepCopy()
		}
	case *v1alpha1.Release:
		if from, ok := other.(*v1alpha1.Release); ok {
			obj.TypeMeta, obj.Status = from.TypeMeta, *from.Status.DeepCopy()
		}
	}
}

func path(of client.Object, namespace, name string) string {
	at := "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + namespace + "/apps"
	if _, ok := of.(*v1alpha1.Release); ok {
		at = strings.TrimSuffix(at, "apps") + "releases"
	}
	if name != "" {
		at += "/" + name
	}
	return at
}

// encode writes obj without the managed fields: those that the API server has stay.
func encode(obj client.Object) ([]byte, error) {
	var whole any
	switch obj := obj.(type) {
	case *v1alpha1.App:
		app := *obj
		app.TypeMeta, app.ManagedFields = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "App"}, nil
		whole = &app
	case *v1alpha1.Release:
		release := *obj
		release.TypeMeta, release.ManagedFields = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Release"}, nil
		whole = &release
	default:
		return nil, fmt.Errorf("%T is neither an App nor a Release", obj)
	}
	body, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", obj.GetName(), err)
	}
	return body, nil
}

// adopt takes over what the API server has made of the metadata.
func adopt(obj client.Object, meta metav1.ObjectMeta) {
	meta.ManagedFields = nil
	switch obj := obj.(type) {
	case *v1alpha1.App:
		obj.ObjectMeta = meta
	case *v1alpha1.Release:
		obj.ObjectMeta = meta
	}
}
