package apply

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Action is what is to be done about one object.
type Action string

// The actions.
const (
	// Create: the object is not there, as far as is known. It is made, unless it turns out to exist after all.
	Create Action = "Create"
	// Update: the object is the App's and not as Git says, or its baseline is to be renewed.
	Update Action = "Update"
	// HandOver: another App of the Fleet owns the object and no longer wants it. It becomes this App's, undeleted.
	HandOver Action = "HandOver"
	// Unchanged: nothing is sent.
	Unchanged Action = "Unchanged"
	// Conflict: somebody else owns the object. Nothing is sent; a person has to decide.
	Conflict Action = "Conflict"
	// Wait: something has to happen first, which Reason says. Nothing is sent.
	Wait Action = "Wait"
	// Delete: the object is proven to be the App's, and no longer wanted.
	Delete Action = "Delete"
	// Orphan: the object is no longer wanted and stays all the same. It leaves the inventory.
	Orphan Action = "Orphan"
	// Gone: the object is no longer wanted and not there. It leaves the inventory.
	Gone Action = "Gone"
)

// Change is what is to be done about one object, and what it was decided on.
type Change struct {
	Ref    manifest.Ref
	Action Action
	// Reason says why, as the end of a sentence that begins with the object.
	Reason string
	Wave   int32
	Stage  int
	// Wanted says that Git has the object; then Item holds it, Fields what of it is left to others, and Desired the
	// hash of what is sent.
	Wanted  bool
	Item    manifest.Item
	Fields  []manifest.FieldPath
	Desired string
	// Known says that Live is what the watch has seen of the object.
	Known bool
	Live  manifest.Live
	// Entry is the object in the inventory; its ID is empty if it is not there.
	Entry v1alpha1.InventoryEntry
	// Others says that what a Wait waits for is another App: to decide, or to take the object over.
	Others bool
	// Before is the object as it was found, if it is to be told what became of it. Do fills in Result.Restored from it.
	Before *unstructured.Unstructured
	// Proven says that the object is this App's by inventory or by mark, so that it is applied with force.
	Proven bool
}

// Listed says whether the object is in the inventory.
func (c Change) Listed() bool { return c.Entry.ID != "" }

// Sends says whether c costs a request.
func (c Change) Sends() bool {
	switch c.Action {
	case Create, Update, HandOver, Delete:
		return true
	default:
		return false
	}
}

// ChangeSet is a plan.
type ChangeSet struct {
	// Changes holds the wanted objects in the order in which they are applied, and then the unwanted ones in the order
	// in which they are removed.
	Changes []Change
	// Pending is the deletion that waits for a person, nil if none does.
	Pending *v1alpha1.PendingRemoval
}

// Wave is one wave of a plan.
type Wave struct {
	Number  int32
	Changes []Change
}

// Waves returns the wanted objects by wave, in order. A wave is applied when the one before it is healthy.
func (s ChangeSet) Waves() []Wave {
	var waves []Wave
	for _, c := range s.Changes {
		if !c.Wanted {
			continue
		}
		if n := len(waves); n == 0 || waves[n-1].Number != c.Wave {
			waves = append(waves, Wave{Number: c.Wave})
		}
		last := &waves[len(waves)-1]
		last.Changes = append(last.Changes, c)
	}
	return waves
}

// Removals returns the objects that are no longer wanted, in the order in which they are removed: after every wave.
func (s ChangeSet) Removals() []Change {
	i := slices.IndexFunc(s.Changes, func(c Change) bool { return !c.Wanted })
	if i < 0 {
		return nil
	}
	return s.Changes[i:]
}

// Of returns the changes with that action.
func (s ChangeSet) Of(action Action) []Change {
	var found []Change
	for _, c := range s.Changes {
		if c.Action == action {
			found = append(found, c)
		}
	}
	return found
}

// Sends returns how many changes cost a request.
func (s ChangeSet) Sends() int {
	n := 0
	for _, c := range s.Changes {
		if c.Sends() {
			n++
		}
	}
	return n
}

// Failure is one object that is not as it should be, after Do.
type Failure struct {
	Ref manifest.Ref
	// Sentence says why, beginning with the object. It carries no value of a Secret.
	Sentence string
	// Retryable says that the same may succeed later without anybody doing anything.
	Retryable bool
	// Conflict says that somebody else owns the object or a field of it.
	Conflict bool
}

// Restored is an object of which fields were put back as Git says.
type Restored struct {
	Ref manifest.Ref
	// APIVersion that the object was written in.
	APIVersion string
	Fields     []manifest.FieldDrift
}

// Result is what Do has done.
type Result struct {
	// Entries are the objects that are in the inventory now, as they are there, of those that were written.
	Entries []v1alpha1.InventoryEntry
	// Dropped are the objects that leave the inventory.
	Dropped []manifest.Ref
	// Live is how the objects were right after the write, to be observed before the watch tells.
	Live []manifest.Live
	// Restored tells which fields were put back, of the changes with a Before.
	Restored []Restored
	// Failed holds what is not as it should be, in the order of the changes.
	Failed []Failure
	// Skipped counts the changes that were not tried, because something that they may need has failed.
	Skipped int
	// Requests counts what was sent.
	Requests int
}

// Inventory returns old as it is after r: with what was written, without what was dropped, and with everything else as
// it was, sorted by ID. old stays as it is.
func (r Result) Inventory(old []v1alpha1.InventoryEntry) []v1alpha1.InventoryEntry {
	entries := make(map[string]v1alpha1.InventoryEntry, len(old)+len(r.Entries))
	for _, e := range old {
		entries[e.ID] = e
	}
	for _, ref := range r.Dropped {
		delete(entries, ref.ID())
	}
	for _, e := range r.Entries {
		entries[e.ID] = e
	}
	list := make([]v1alpha1.InventoryEntry, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b v1alpha1.InventoryEntry) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
