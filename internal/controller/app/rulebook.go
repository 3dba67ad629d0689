package app

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// rulebook holds the health rules of the Apps that have some.
type rulebook struct {
	mu    sync.RWMutex
	rules map[types.NamespacedName]health.Rules
}

func (b *rulebook) set(app types.NamespacedName, rules health.Rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rules == nil {
		b.rules = map[types.NamespacedName]health.Rules{}
	}
	b.rules[app] = rules
}

func (b *rulebook) forget(app types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rules, app)
}

func (b *rulebook) of(app types.NamespacedName) health.Rules {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.rules[app]
}

// Health judges a live object: by the rules of its App, or else by what Sengu knows of its kind.
func (r *Reconciler) Health(owner manifest.Owner, u *unstructured.Unstructured) health.Status {
	rules := r.rules.of(types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name})
	if status, ruled := rules.Of(u); ruled {
		return status
	}
	return health.Of(u)
}
