package drift

import (
	"sync"
	"unique"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// table holds the records of a cluster, and finds them by their owner. It knows which of two states of an object is the
// newer, and what of a new state is news. It is safe for concurrent use.
type table struct {
	mu      sync.RWMutex
	records map[manifest.Ref]manifest.Live
	owned   map[string]map[manifest.Ref]struct{} // by the UID of the App
	// last remembers whose an object was whose mark is gone, so that the App is told.
	last map[manifest.Ref]manifest.Owner
}

func newTable() *table {
	return &table{
		records: map[manifest.Ref]manifest.Live{},
		owned:   map[string]map[manifest.Ref]struct{}{},
		last:    map[manifest.Ref]manifest.Owner{},
	}
}

func (t *table) get(ref manifest.Ref) (manifest.Live, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	live, ok := t.records[ref]
	return live, ok
}

func (t *table) ownedBy(uid string) []manifest.Live {
	t.mu.RLock()
	defer t.mu.RUnlock()
	found := make([]manifest.Live, 0, len(t.owned[uid]))
	for ref := range t.owned[uid] {
		found = append(found, t.records[ref])
	}
	return found
}

// of returns the objects of a kind that were read in that version.
func (t *table) of(gvk schema.GroupVersionKind) []manifest.Live {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found []manifest.Live
	for ref, live := range t.records {
		if ref.Group == gvk.Group && ref.Kind == gvk.Kind && live.Version == gvk.Version {
			found = append(found, live)
		}
	}
	return found
}

// put notes what a watch or a GET has shown, and returns who has to be told: nobody if it is older than what is known,
// or differs in nothing that an App acts on. An object that only carries a copy of the label, and never was anybody's,
// is not kept.
func (t *table) put(live manifest.Live) []manifest.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.records[live.Ref]
	if known && manifest.Newer(before.ResourceVersion, live.ResourceVersion) {
		return nil
	}
	if !known && !live.Owned {
		return nil
	}
	whose := t.whose(before)
	t.set(before, live)
	if known && same(before, live) {
		return nil
	}
	return []manifest.Owner{whose, live.Owner}
}

// observe notes the answer to a write of our own, which is no news to anybody.
func (t *table) observe(live manifest.Live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.records[live.Ref]
	if known && manifest.Newer(before.ResourceVersion, live.ResourceVersion) {
		return
	}
	if live.Health == "" && before.UID == live.UID {
		live.Health, live.Message = before.Health, before.Message
	}
	t.set(before, live)
}

// drop forgets an object that is gone, unless another of its name has come meanwhile, and returns who has to be told.
func (t *table) drop(live manifest.Live) []manifest.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, known := t.records[live.Ref]
	if !known || before.UID != live.UID {
		return nil
	}
	whose := t.whose(before)
	t.unlink(before)
	delete(t.records, live.Ref)
	delete(t.last, live.Ref)
	return []manifest.Owner{whose}
}

// whose returns the App that an object belongs to, or belonged to before it lost its mark.
func (t *table) whose(live manifest.Live) manifest.Owner {
	if live.Owned {
		return live.Owner
	}
	return t.last[live.Ref]
}

// set replaces before, the record of the same object, which is empty if there was none.
func (t *table) set(before, after manifest.Live) {
	after = compact(after)
	if before.Owned {
		t.unlink(before)
		t.last[after.Ref] = before.Owner
	}
	if after.Owned {
		delete(t.last, after.Ref)
		refs := t.owned[after.Owner.UID]
		if refs == nil {
			refs = map[manifest.Ref]struct{}{}
			t.owned[after.Owner.UID] = refs
		}
		refs[after.Ref] = struct{}{}
	}
	t.records[after.Ref] = after
}

func (t *table) unlink(live manifest.Live) {
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

// compact lets records share the texts that many of them have.
func compact(live manifest.Live) manifest.Live {
	for _, s := range []*string{
		&live.Group, &live.Kind, &live.Namespace, &live.Version, &live.Owner.Namespace, &live.Owner.Name, &live.Owner.UID, &live.Message,
	} {
		*s = unique.Make(*s).Value()
	}
	return live
}
