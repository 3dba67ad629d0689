package record

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// Recent holds objects as the API server answered a write, until the cache shows the same or something newer. Without it
// a Reconcile right after a write would act on what was there before it. The zero value is ready. It is safe for
// concurrent use.
type Recent[T Object[T]] struct {
	mu      sync.Mutex
	objects map[types.NamespacedName]T
}

// Keep remembers obj as it was written.
func (m *Recent[T]) Keep(obj T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[types.NamespacedName]T{}
	}
	m.objects[client.ObjectKeyFromObject(obj)] = obj
}

// Latest returns the newer of the cached object and the one kept.
func (m *Recent[T]) Latest(cached T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(cached)
	kept, ok := m.objects[key]
	if !ok {
		return cached
	}
	if kept.GetUID() != cached.GetUID() || !manifest.Newer(kept.GetResourceVersion(), cached.GetResourceVersion()) {
		delete(m.objects, key)
		return cached
	}
	return kept.DeepCopy()
}

// Kept returns what is remembered under a name, which the cache may not show at all yet.
func (m *Recent[T]) Kept(name types.NamespacedName) (obj T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, ok := m.objects[name]
	if !ok {
		return obj, false
	}
	return kept.DeepCopy(), true
}

// Forget drops what is remembered under a name.
func (m *Recent[T]) Forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
}
