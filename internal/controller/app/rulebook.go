package app

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// rulebook holds the health rules of the Apps that have some.
type rulebook struct {
	mu   sync.RWMutex
	apps map[types.NamespacedName]rules
}

type rules struct {
	written  []health.Rule
	compiled health.Rules
}

// set makes app be judged by rules, and reports whether that is news.
func (b *rulebook) set(app types.NamespacedName, next rules) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.apps[app].written
	changed = len(before)+len(next.written) > 0 && !reflect.DeepEqual(before, next.written)
	if len(next.written) == 0 {
		delete(b.apps, app)
		return changed
	}
	if b.apps == nil {
		b.apps = map[types.NamespacedName]rules{}
	}
	b.apps[app] = next
	return changed
}

func (b *rulebook) forget(app types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.apps, app)
}

// of returns the rules of app, if it has some.
func (b *rulebook) of(app types.NamespacedName) (health.Rules, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, ok := b.apps[app]
	return r.compiled, ok
}

// Health judges a live object: by the rules of its App, or else by what Sengu knows of its kind.
func (r *Reconciler) Health(owner manifest.Owner, u *unstructured.Unstructured) health.Status {
	if rules, ok := r.rules.of(types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}); ok {
		if status, ruled := rules.Of(u); ruled {
			return status
		}
	}
	return health.Of(u)
}

// judgeBy makes the objects of app be judged by the rules of its Delivery, also those that are running.
func (r *Reconciler) judgeBy(ctx context.Context, app *v1alpha1.App, written []health.Rule, t *target.Target) error {
	compiled, err := health.Compile(written)
	if err != nil {
		return err
	}
	app.Status.JudgedBy = health.Recorded(written)
	if !r.rules.set(client.ObjectKeyFromObject(app), rules{written, compiled}) {
		return nil
	}
	if err := t.Live.Rejudge(ctx, string(app.UID)); err != nil {
		return fmt.Errorf("judge the health of what runs anew: %w", err)
	}
	return nil
}

// recallRules takes the rules of an App that has some from its status, after a start: nothing has to be read then.
func (r *Reconciler) recallRules(ctx context.Context, app *v1alpha1.App, t *target.Target) error {
	if len(app.Status.JudgedBy) == 0 {
		return nil
	}
	if _, known := r.rules.of(client.ObjectKeyFromObject(app)); known {
		return nil
	}
	return r.judgeBy(ctx, app, health.Recalled(app.Status.JudgedBy), t)
}
