package apply

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// defaultParallelism is how many objects of one App are written at once. The connection bounds all Apps together.
const defaultParallelism = 32

// Options say how a plan is carried out.
type Options struct {
	// Owner is the App of the plan.
	Owner manifest.Owner
	// Key makes the baselines. It is that of the plan.
	Key manifest.Key
	// As is whom the writes are made as.
	As kube.As
	// Parallelism is how many objects are written at once: 32 if zero.
	Parallelism int
	// Health judges the answers, so that they can be observed with their health. Nil leaves it empty.
	Health func(manifest.Owner, *unstructured.Unstructured) health.Status
}

// Do carries out changes, those of one wave or the removals, in their order: objects of one stage at once, and the next
// stage when the one before it has been written. If a write of a stage fails, the later stages are not tried, because
// they may need it; a conflict or a wait that was planned holds nobody up. Do never fails as a whole: what went wrong is
// told object by object, and what went right is in the Result. A cancelled ctx makes the rest fail, retryable.
func Do(ctx context.Context, conn *kube.Conn, changes []Change, o Options) Result {
	w := &writer{conn: conn, Options: o, manager: o.Owner.Manager()}
	for start := 0; start < len(changes); {
		end := start + 1
		for end < len(changes) && sameStage(changes[start], changes[end]) {
			end++
		}
		if w.broken {
			for _, c := range changes[start:end] {
				if c.Sends() {
					w.result.Skipped++
				}
			}
		} else {
			w.stage(ctx, changes[start:end])
		}
		start = end
	}
	w.result.Requests = int(w.requests.Load())
	return w.result
}

// sameStage says whether two changes may be made at once.
func sameStage(a, b Change) bool {
	return a.Wanted == b.Wanted && a.Wave == b.Wave && a.Stage == b.Stage
}

// writer carries out the changes of one App.
type writer struct {
	Options
	conn     *kube.Conn
	manager  string
	result   Result
	requests atomic.Int64
	// broken says that a write has failed, and that what comes after is not tried.
	broken bool
	// kept says that something should have been deleted and was not, so that what may hold it stays too.
	kept bool
}

// outcome is what came of one change.
type outcome struct {
	live    *manifest.Live
	entry   *v1alpha1.InventoryEntry
	dropped bool
	// restored is set if the change has a Before and fields of it were put back.
	restored *Restored
	failure  *Failure
}

// stage makes changes at once and notes the outcomes in their order.
func (w *writer) stage(ctx context.Context, changes []Change) {
	outcomes := make([]outcome, len(changes))
	slots := make(chan struct{}, max(1, cmp.Or(w.Parallelism, defaultParallelism)))
	var group sync.WaitGroup
	for i, c := range changes {
		if !c.Sends() || len(changes) == 1 {
			outcomes[i] = w.make(ctx, c)
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = w.make(ctx, c)
		})
	}
	group.Wait()
	for i, c := range changes {
		w.note(c, outcomes[i])
	}
}

func (w *writer) note(c Change, o outcome) {
	if o.entry != nil {
		w.result.Entries = append(w.result.Entries, *o.entry)
	}
	if o.live != nil {
		w.result.Live = append(w.result.Live, *o.live)
	}
	if o.restored != nil {
		w.result.Restored = append(w.result.Restored, *o.restored)
	}
	if o.dropped {
		w.result.Dropped = append(w.result.Dropped, c.Ref)
	}
	if o.failure != nil {
		w.result.Failed = append(w.result.Failed, *o.failure)
		if c.Sends() && c.Wanted {
			w.broken = true
		}
		if !c.Wanted {
			w.kept = true
		}
	}
}

// make makes one change.
func (w *writer) make(ctx context.Context, c Change) outcome {
	var o outcome
	var err error
	switch c.Action {
	case Create:
		o, err = w.create(ctx, c)
	case Update:
		o, err = w.update(ctx, c)
	case HandOver:
		o, err = w.handOver(ctx, c)
	case Delete:
		o, err = w.delete(ctx, c)
	case Orphan, Gone:
		o.dropped = c.Listed()
	case Conflict:
		o.failure = &Failure{Ref: c.Ref, Sentence: sentence(c.Ref, c.Reason), Conflict: true}
	case Unchanged, Wait:
	}
	if err != nil {
		o.failure = w.fail(c, err)
	}
	return o
}

// done is the outcome of a write whose answer is u.
func (w *writer) done(c Change, u *unstructured.Unstructured) outcome {
	live := w.Key.LiveOf(u)
	if w.Health != nil {
		status := w.Health(w.Owner, u)
		live.Health, live.Message = status.Status, status.Message
	}
	entry := v1alpha1.InventoryEntry{
		ID: c.Ref.ID(), V: c.Item.GroupVersionKind().Version, UID: live.UID,
		Desired: c.Desired, Baseline: live.Baseline, Wave: c.Wave,
	}
	if live.Health != v1alpha1.Healthy {
		entry.Health = live.Health
	}
	o := outcome{live: &live, entry: &entry}
	if c.Before != nil {
		if fields := manifest.DriftOf(c.Before, u, w.manager); len(fields) > 0 {
			o.restored = &Restored{Ref: c.Ref, APIVersion: u.GetAPIVersion(), Fields: fields}
		}
	}
	return o
}
