// Package record writes Apps to the cluster that holds them, with as little work for its API server as there can be.
//
// It is responsible for the form of those writes: what is sent, what is asked back, and what a write is conditional on.
// It refuses to decide what an App or its status says, and to read: the cache does that.
package record

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/kube"
)

// metadataOnly asks for an answer without spec and status, which the writer knows.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// Writer writes Apps. It is safe for concurrent use.
type Writer struct{ conn *kube.Conn }

// New returns a Writer to the cluster that conn leads to.
func New(conn *kube.Conn) *Writer { return &Writer{conn: conn} }

// Create makes an App and fills in what the API server gave it. One that exists already is an error of apierrors.
func (w *Writer) Create(ctx context.Context, app *v1alpha1.App) error {
	body, err := encode(app)
	if err != nil {
		return err
	}
	meta, err := w.send(ctx, kube.Request{Verb: "create", Path: path(app.Namespace, ""), Body: body, Accept: metadataOnly, Flow: app.Name})
	if err != nil {
		return err
	}
	adopt(app, meta)
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
	return w.send(ctx, kube.Request{Verb: "update", Path: path(app.Namespace, app.Name), Body: body, Accept: metadataOnly, Flow: app.Name})
}

// Patch changes parts of an App by a JSON merge patch, and returns its metadata as they are then.
func (w *Writer) Patch(ctx context.Context, app types.NamespacedName, patch []byte) (metav1.ObjectMeta, error) {
	return w.send(ctx, kube.Request{
		Verb: "patch", Path: path(app.Namespace, app.Name), Body: patch, ContentType: kube.MergePatch, Accept: metadataOnly, Flow: app.Name,
	})
}

// statusTries is how often a status is written that somebody else's write came before.
const statusTries = 5

// Status writes the status of app and returns the App as the API server has it then. What somebody else has written to
// the rest of the App meanwhile stays. An App of the same name that was made anew is never written to: that is a
// conflict.
func (w *Writer) Status(ctx context.Context, app *v1alpha1.App) (*v1alpha1.App, error) {
	at := path(app.Namespace, app.Name)
	written := app.DeepCopy()
	for try := 1; ; try++ {
		body, err := encode(written)
		if err != nil {
			return nil, err
		}
		meta, err := w.send(ctx, kube.Request{Verb: "update", Path: at + "/status", Body: body, Accept: metadataOnly, Flow: app.Name})
		if err == nil {
			adopt(written, meta)
			return written, nil
		}
		if !apierrors.IsConflict(err) || try == statusTries {
			return nil, err
		}
		answer, readErr := w.conn.Do(ctx, kube.Request{Verb: "get", Path: at, Flow: app.Name})
		if readErr != nil {
			return nil, readErr
		}
		latest := &v1alpha1.App{}
		if err := json.Unmarshal(answer, latest); err != nil {
			return nil, fmt.Errorf("read the answer about App %s: %w", app.Name, err)
		}
		if latest.UID != app.UID {
			return nil, err
		}
		latest.TypeMeta, latest.ManagedFields, latest.Status = app.TypeMeta, nil, app.Status
		written = latest.DeepCopy()
	}
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

func path(namespace, name string) string {
	at := "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + namespace + "/apps"
	if name != "" {
		at += "/" + name
	}
	return at
}

func encode(app *v1alpha1.App) ([]byte, error) {
	whole := *app
	whole.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "App"}
	whole.ManagedFields = nil // those that the API server has stay
	body, err := json.Marshal(&whole)
	if err != nil {
		return nil, fmt.Errorf("encode App %s: %w", app.Name, err)
	}
	return body, nil
}

// adopt takes over what the API server has made of the metadata.
func adopt(app *v1alpha1.App, meta metav1.ObjectMeta) {
	meta.ManagedFields = nil
	app.ObjectMeta = meta
}
