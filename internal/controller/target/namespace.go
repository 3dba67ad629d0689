package target

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sengu-dev/sengu/internal/kube"
)

// HasNamespace reports whether a namespace is known to exist. One that somebody deleted since is noticed when an object
// cannot be applied in it.
func (t *Target) HasNamespace(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.namespaces[name]
}

// NoteNamespace remembers that a namespace exists.
func (t *Target) NoteNamespace(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.namespaces == nil {
		t.namespaces = map[string]bool{}
	}
	t.namespaces[name] = true
}

// ForgetNamespace drops what is known of a namespace.
func (t *Target) ForgetNamespace(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.namespaces, name)
}

// EnsureNamespace makes a namespace if it does not exist. It is nobody's: several Apps may share it, and none deletes it.
func (t *Target) EnsureNamespace(ctx context.Context, name string, as kube.As, flow string) error {
	if t.HasNamespace(name) {
		return nil
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
	if err != nil {
		return fmt.Errorf("encode namespace %s: %w", name, err)
	}
	_, err = t.Conn.Do(ctx, kube.Request{Verb: "create", Path: "/api/v1/namespaces", Body: body, As: as, Flow: flow})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		if apierrors.IsForbidden(err) && t.namespaceExists(ctx, name) {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("make namespace %s (set createNamespace: false in sengu.yaml if somebody else makes it): %w", name, err)
		}
	}
	t.NoteNamespace(name)
	return nil
}

func (t *Target) namespaceExists(ctx context.Context, name string) bool {
	_, err := t.Conn.Do(ctx, kube.Request{Verb: "get", Path: "/api/v1/namespaces/" + name})
	return err == nil
}
