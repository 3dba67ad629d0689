package drift

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Defaults of Options.
const (
	defaultPodWatches = 64
	defaultPodDelay   = 2 * time.Second
)

// Options say what a Watcher does with what it sees.
type Options struct {
	// Key makes the baselines.
	Key manifest.Key
	// Notify is called with the owner of an object of which baseline, health, deletion or ownership changed. It must
	// not block.
	Notify func(manifest.Owner)
	// Health judges an object. Nil means health.Of.
	Health func(manifest.Owner, *unstructured.Unstructured) health.Status
	// Logger gets what goes wrong with watches. Nil means the default one.
	Logger *slog.Logger
	// PodWatches is how many workloads' Pods are watched at once: 64 if zero. Others wait for their turn.
	PodWatches int
	// PodDelay is how long a workload may be unready before its Pods are watched: 2 s if zero, so that an ordinary
	// update costs nothing.
	PodDelay time.Duration
	// Now is the clock by which Pods are judged: time.Now if nil.
	Now func() time.Time
}

// Watcher holds the live state of one cluster. It is safe for concurrent use.
type Watcher struct {
	Options
	conn  *kube.Conn
	table *table
	pods  *podWatches
	found finds

	ctx    context.Context //nolint:containedctx // ends with Close, not with a call
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]*kind
	// confirming holds the objects that are being asked for by name.
	confirming map[manifest.Ref]bool
	slots      chan struct{}
}

// confirmations is how many objects are asked for by name at once.
const confirmations = 16

// New returns a Watcher that watches nothing yet. Close ends it.
func New(conn *kube.Conn, o Options) *Watcher {
	if o.Notify == nil {
		o.Notify = func(manifest.Owner) {}
	}
	if o.Health == nil {
		o.Health = func(_ manifest.Owner, u *unstructured.Unstructured) health.Status { return health.Of(u) }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PodWatches = cmp.Or(o.PodWatches, defaultPodWatches)
	o.PodDelay = cmp.Or(o.PodDelay, defaultPodDelay)
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{
		Options: o, conn: conn, table: newTable(), ctx: ctx, cancel: cancel,
		kinds:      map[schema.GroupVersionKind]*kind{},
		confirming: map[manifest.Ref]bool{}, slots: make(chan struct{}, confirmations),
	}
	w.pods = newPodWatches(w)
	return w
}

// Close ends every watch and waits until all is at rest. Notify is not called afterwards.
func (w *Watcher) Close() {
	w.mu.Lock()
	w.cancel()
	w.mu.Unlock()
	w.pods.close()
	w.group.Wait()
}

// Track begins to watch kinds, each once: the objects of all namespaces that carry the label of an App. It returns at
// once; Synced says when the state is complete. An object is judged in the version of its API that it was applied in,
// so a kind that is applied in two versions is tracked in both.
func (w *Watcher) Track(kinds ...schema.GroupVersionKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	for _, gvk := range kinds {
		if w.kinds[gvk] != nil {
			continue
		}
		k := &kind{w: w, gvk: gvk, nudge: make(chan struct{}, 1)}
		w.kinds[gvk] = k
		w.group.Go(k.run)
	}
}

// Synced says whether the live state of a kind is complete: it is tracked, and every object that there was has been
// seen. Once true it stays true: a watch that breaks keeps the state that it had, and goes on from there.
func (w *Watcher) Synced(gk schema.GroupKind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	synced := false
	for gvk, k := range w.kinds {
		if gvk.GroupKind() != gk {
			continue
		}
		if !k.synced.Load() {
			return false
		}
		synced = true
	}
	return synced
}

// Live returns what is known of an object: that it carries the label of an App, or did until somebody took it off.
func (w *Watcher) Live(ref manifest.Ref) (manifest.Live, bool) {
	live, ok := w.table.get(ref)
	if ok {
		live = w.withPods(live)
	}
	return live, ok
}

// OwnedBy returns every object that carries the mark of the App with that UID, in no order.
func (w *Watcher) OwnedBy(uid string) []manifest.Live {
	owned := w.table.ownedBy(uid)
	for i := range owned {
		owned[i] = w.withPods(owned[i])
	}
	return owned
}

// withPods adds to the message of a workload what keeps its Pods from being ready.
func (w *Watcher) withPods(live manifest.Live) manifest.Live {
	if live.Health == v1alpha1.Healthy || live.Health == "" {
		return live
	}
	reason := w.pods.reason(live.Ref)
	switch {
	case reason == "":
	case live.Message == "":
		live.Message = reason
	default:
		live.Message += "; " + reason
	}
	return live
}

// Found returns a drifted object as it was when its drift was seen, or nil if it was not kept.
func (w *Watcher) Found(ref manifest.Ref) *unstructured.Unstructured {
	return w.found.of(ref)
}

// Observe notes how objects were right after a write of our own, from the answer to it. The table is right at once,
// and the event that the write causes finds nothing changed.
func (w *Watcher) Observe(lives ...manifest.Live) {
	for _, live := range lives {
		w.table.observe(live)
		w.found.drop(live.Ref)
		w.mu.Lock()
		for gvk, k := range w.kinds {
			if gvk.GroupKind() == live.GroupKind() && k.gone.Load() {
				k.wake()
			}
		}
		w.mu.Unlock()
	}
}

// Rejudge reads the objects of the App with that UID again, because what judges their health has changed. What could not
// be read keeps its health until its next event.
func (w *Watcher) Rejudge(ctx context.Context, uid string) error {
	for _, live := range w.table.ownedBy(uid) {
		r, err := w.conn.Mapping(ctx, live.GroupKind().WithVersion(live.Version))
		if err != nil {
			return err
		}
		u, err := w.conn.Get(ctx, r, live.Namespace, live.Name, kube.As{})
		if apierrors.IsNotFound(err) {
			continue // the watch tells
		}
		if err != nil {
			return err
		}
		record := w.recordOf(u)
		owners := w.table.put(record)
		w.followPods(record, u)
		w.tell(owners...)
	}
	return nil
}

// tracked says whether a kind is watched in that version.
func (w *Watcher) tracked(gvk schema.GroupVersionKind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kinds[gvk] != nil
}

// tell notifies owners, each once.
func (w *Watcher) tell(owners ...manifest.Owner) {
	told := map[manifest.Owner]bool{}
	for _, owner := range owners {
		if owner.UID == "" || told[owner] || w.ctx.Err() != nil {
			continue
		}
		told[owner] = true
		w.Notify(owner)
	}
}
