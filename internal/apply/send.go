package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// patch is one server-side apply.
type patch struct {
	object  *unstructured.Unstructured
	manager string
	force   bool
	dryRun  bool
	// uid and version are the preconditions, if not empty.
	uid, version string
}

// resource finds where the kind of u lives.
func (w *writer) resource(ctx context.Context, u *unstructured.Unstructured) (kube.Resource, error) {
	return w.conn.Mapping(ctx, u.GroupVersionKind())
}

// apply sends one server-side apply and returns the object as it is then.
func (w *writer) apply(ctx context.Context, p patch) (*unstructured.Unstructured, error) {
	r, err := w.resource(ctx, p.object)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(p.guarded())
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", manifest.RefOf(p.object), err)
	}
	query := url.Values{
		"fieldManager": {p.manager}, "force": {strconv.FormatBool(p.force)},
		// The other ways only look for keys that stand twice, by reading the body once more, and there are none: an
		// apply refuses a field that its schema does not have by itself.
		"fieldValidation": {"Ignore"},
	}
	if p.dryRun {
		query.Set("dryRun", "All")
	}
	answer, err := w.send(ctx, kube.Request{
		Verb: "patch", Path: r.Path(p.object.GetNamespace(), p.object.GetName()),
		Query: query, Body: body, ContentType: kube.ApplyPatch,
	})
	if err != nil {
		if kube.IsNotServed(err) {
			w.conn.Forget(r.Kind)
		}
		return nil, err
	}
	return kube.Decode(answer)
}

// guarded returns the object with its preconditions. Nothing is copied but what they change.
func (p patch) guarded() map[string]any {
	if p.uid == "" && p.version == "" {
		return p.object.Object
	}
	object := maps.Clone(p.object.Object)
	meta, _ := object["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if p.uid != "" {
		meta["uid"] = p.uid
	}
	if p.version != "" {
		meta["resourceVersion"] = p.version
	}
	object["metadata"] = meta
	return object
}

// get reads the object that u names.
func (w *writer) get(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := w.resource(ctx, u)
	if err != nil {
		return nil, err
	}
	w.requests.Add(1)
	return w.conn.Get(ctx, r, u.GetNamespace(), u.GetName(), w.As)
}

// send sends r as whom the App deploys as, counted and in the App's turn.
func (w *writer) send(ctx context.Context, r kube.Request) ([]byte, error) {
	w.requests.Add(1)
	r.As, r.Flow = w.As, w.Owner.UID
	return w.conn.Do(ctx, r)
}
