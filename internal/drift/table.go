package drift

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// table holds the compact records of live objects, and finds them by their owner. It is safe for concurrent use.
type table struct {
	mu      sync.RWMutex
	records map[manifest.Ref]record
	owned   map[string]map[manifest.Ref]struct{}
}

// record is an object, and the last App whose mark it carried: who is told when it changes without a mark.
type record struct {
	live  manifest.Live
	owner manifest.Owner
}

func newTable() *table {
	return &table{records: map[manifest.Ref]record{}, owned: map[string]map[manifest.Ref]struct{}{}}
}

func (t *table) get(ref manifest.Ref) (manifest.Live, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r, ok := t.records[ref]
	return r.live, ok
}

// of returns the objects of a kind that were read in that version.
func (t *table) of(gvk schema.GroupVersionKind) []manifest.Live {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []manifest.Live
	for ref, r := range t.records {
		if ref.GroupKind() == gvk.GroupKind() && r.live.Version == gvk.Version {
			found = append(found, r.live)
		}
	}
	return found
}

func (t *table) ownedBy(uid string) []manifest.Live {
	t.mu.RLock()
	defer t.mu.RUnlock()
	found := make([]manifest.Live, 0, len(t.owned[uid]))
	for ref := range t.owned[uid] {
		found = append(found, t.records[ref].live)
	}
	return found
}

// put notes what a watch or a GET has shown, and returns who has to be told: nobody if it is older than what is known,
// or differs in nothing that an App acts on.
func (t *table) put(live manifest.Live) []manifest.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.records[live.Ref]
	if known && before.live.UID == live.UID && newer(before.live.ResourceVersion, live.ResourceVersion) {
		return nil
	}
	if !known && !live.Owned {
		return nil // it never was ours
	}
	t.set(before, live)
	if known && same(before.live, live) {
		return nil
	}
	return []manifest.Owner{before.owner, t.records[live.Ref].owner}
}

// observe notes the answer to a write of our own, which is no news to anybody.
func (t *table) observe(live manifest.Live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.records[live.Ref]
	if known && before.live.UID == live.UID && newer(before.live.ResourceVersion, live.ResourceVersion) {
		return
	}
	t.set(before, live)
}

// set replaces before, the record of the same object.
func (t *table) set(before record, live manifest.Live) {
	t.unlink(before.live)
	owner := before.owner
	if live.Owned {
		owner = live.Owner
		if t.owned[owner.UID] == nil {
			t.owned[owner.UID] = map[manifest.Ref]struct{}{}
		}
		t.owned[owner.UID][live.Ref] = struct{}{}
	}
	t.records[live.Ref] = record{live, owner}
}

// drop forgets an object that is gone, unless another of its name has come meanwhile, and returns who has to be told.
func (t *table) drop(live manifest.Live) []manifest.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, known := t.records[live.Ref]
	if !known || r.live.UID != live.UID {
		return nil
	}
	t.unlink(r.live)
	delete(t.records, live.Ref)
	return []manifest.Owner{r.owner}
}

func (t *table) unlink(live manifest.Live) {
	if !live.Owned {
		return
	}
	refs := t.owned[live.Owner.UID]
	delete(refs, live.Ref)
	if len(refs) == 0 {
		delete(t.owned, live.Owner.UID)
	}
}

// same says whether two records of one object are the same to its App.
func same(a, b manifest.Live) bool {
	return a.UID == b.UID && a.Owned == b.Owned && a.Owner == b.Owner && a.Baseline == b.Baseline &&
		a.Health == b.Health && a.Message == b.Message && a.Deleting == b.Deleting && a.Never == b.Never
}

// newer compares resource versions of one object, which grow as numbers do. What is not a number is not newer.
func newer(a, b string) bool {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	return errA == nil && errB == nil && x > y
}
