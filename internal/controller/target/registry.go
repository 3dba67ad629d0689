// Package target keeps the connections to the clusters that Sengu deploys to.
//
// It is responsible for the one question that every write begins with: may this cluster be written to, and through
// which connection? It refuses to connect by itself and to judge a cluster: that is for the Cluster controller, which
// puts what it has verified here.
package target

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/drift"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/render"
)

// Target is a verified connection to a cluster.
type Target struct {
	Name types.NamespacedName
	// Conn sends requests.
	Conn *kube.Conn
	// Live is what runs there of ours.
	Live *drift.Watcher
	// Capabilities are what charts may ask of the cluster.
	Capabilities render.Capabilities
	// Since is when the connection was verified, after which what runs there is read.
	Since time.Time

	mu         sync.Mutex
	namespaces map[string]bool
}

// Registry holds a Target, or the reason why there is none, for each Cluster. It is safe for concurrent use.
type Registry struct {
	client client.Client

	mu        sync.Mutex
	entries   map[types.NamespacedName]*entry
	listeners []func(types.NamespacedName)
}

type entry struct {
	target *Target
	// blocked is why nothing may be written, or "".
	blocked string

	// remembering guards kinds, and serialises writes of the list.
	remembering sync.Mutex
	kinds       map[string]bool
}

// NewRegistry returns a Registry that stores the kinds in use with c.
func NewRegistry(c client.Client) *Registry {
	return &Registry{client: c, entries: map[types.NamespacedName]*entry{}}
}

// Subscribe makes f hear of each Cluster that became usable or ceased to be. Call it before anything else.
func (r *Registry) Subscribe(f func(types.NamespacedName)) { r.listeners = append(r.listeners, f) }

// Get returns the Target of a Cluster. Without one, reason says why; it is empty while nothing has been found out since
// the start, which Subscribe tells the end of.
func (r *Registry) Get(name types.NamespacedName) (t *Target, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[name]
	switch {
	case e == nil:
		return nil, ""
	case e.blocked != "":
		return nil, e.blocked
	default:
		return e.target, ""
	}
}

// Put makes t the Target of its Cluster, with the kinds that its status lists.
func (r *Registry) Put(t *Target, kinds []string) {
	r.mu.Lock()
	e := r.entries[t.Name]
	if e == nil {
		e = &entry{}
		r.entries[t.Name] = e
	}
	changed := e.target != t
	news := changed || e.blocked != ""
	e.target, e.blocked = t, ""
	r.mu.Unlock()

	e.remembering.Lock()
	if changed {
		e.kinds = map[string]bool{}
	}
	for _, kind := range kinds {
		e.kinds[kind] = true
	}
	e.remembering.Unlock()
	if news {
		r.tell(t.Name)
	}
}

// Block stops every write to a Cluster, for a reason that ends a sentence.
func (r *Registry) Block(name types.NamespacedName, reason string) {
	r.mu.Lock()
	e := r.entries[name]
	if e == nil {
		e = &entry{kinds: map[string]bool{}}
		r.entries[name] = e
	}
	news := e.blocked != reason
	e.blocked = reason
	r.mu.Unlock()
	if news {
		r.tell(name)
	}
}

// Ready says which connected cluster has not been read whole since the start, if there is one.
func (r *Registry) Ready() error {
	r.mu.Lock()
	entries := maps.Clone(r.entries)
	r.mu.Unlock()
	for name, e := range entries {
		t, _ := r.Get(name)
		if t == nil {
			continue // it is blocked, which its status tells
		}
		e.remembering.Lock()
		kinds := slices.Collect(maps.Keys(e.kinds))
		e.remembering.Unlock()
		for _, kind := range kinds {
			if gvk, err := ParseKind(kind); err == nil && !t.Live.Synced(gvk.GroupKind()) {
				return fmt.Errorf("the %s objects of cluster %s have not been read yet", gvk.Kind, name.Name)
			}
		}
	}
	return nil
}

// Forget drops a Cluster that no longer exists.
func (r *Registry) Forget(name types.NamespacedName) {
	r.mu.Lock()
	delete(r.entries, name)
	r.mu.Unlock()
	r.tell(name)
}

func (r *Registry) tell(name types.NamespacedName) {
	for _, f := range r.listeners {
		f(name)
	}
}

// Remember stores, before the first object of a kind is applied, that the cluster may hold objects of it, and watches
// them. After a crash between applying an object and noting it, the watch finds the object by its mark.
func (r *Registry) Remember(ctx context.Context, t *Target, kinds []schema.GroupVersionKind) error {
	r.mu.Lock()
	e := r.entries[t.Name]
	r.mu.Unlock()
	if e == nil || e.target != t {
		return fmt.Errorf("cluster %s was disconnected", t.Name.Name)
	}
	e.remembering.Lock()
	defer e.remembering.Unlock()
	var names []string
	var fresh []schema.GroupVersionKind
	for _, gvk := range kinds {
		if name := KindName(gvk); !e.kinds[name] {
			names, fresh = append(names, name), append(fresh, gvk)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := r.store(ctx, t.Name, names); err != nil {
		return fmt.Errorf("note in cluster %s which kinds it holds: %w", t.Name.Name, err)
	}
	t.Live.Track(fresh...)
	for _, name := range names {
		e.kinds[name] = true
	}
	return nil
}

func (r *Registry) store(ctx context.Context, name types.NamespacedName, kinds []string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		cluster := &v1alpha1.Cluster{}
		if err := r.client.Get(ctx, name, cluster); err != nil {
			return err
		}
		before := cluster.DeepCopy()
		for _, kind := range kinds {
			if !slices.Contains(cluster.Status.Kinds, kind) {
				cluster.Status.Kinds = append(cluster.Status.Kinds, kind)
			}
		}
		slices.Sort(cluster.Status.Kinds)
		return r.client.Status().Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

// KindName returns gvk as Cluster.status.kinds writes it: Deployment.v1.apps, ConfigMap.v1.
func KindName(gvk schema.GroupVersionKind) string {
	name := gvk.Kind + "." + gvk.Version
	if gvk.Group != "" {
		name += "." + gvk.Group
	}
	return name
}

// ParseKind reads what KindName wrote.
func ParseKind(name string) (schema.GroupVersionKind, error) {
	gvk, _ := schema.ParseKindArg(name)
	if gvk != nil {
		return *gvk, nil
	}
	_, gk := schema.ParseKindArg(name)
	if gk.Kind != "" && gk.Group != "" {
		return schema.GroupVersionKind{Version: gk.Group, Kind: gk.Kind}, nil
	}
	return schema.GroupVersionKind{}, fmt.Errorf("status.kinds: %q is not of the form Kind.version.group", name)
}
