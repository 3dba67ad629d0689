package apply

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Claims tell what other Apps of the Fleet want in this cluster. Without a function nobody else wants anything, and
// nobody gives anything away.
type Claims struct {
	// Rival returns another App that wants the object.
	Rival func(manifest.Ref) (app string, wanted bool)
	// Decided says whether the owner of an object has said, since its Fleet last moved it, what it wants, and whether
	// it wants this object.
	Decided func(owner manifest.Owner, ref manifest.Ref) (wants, decided bool)
	// Undecided says whether an App of the Fleet has yet to say what it wants in this cluster, and which. The name may
	// be empty.
	Undecided func() (app string, waits bool)
}

// Input is what a plan is made from.
type Input struct {
	// Owner is the App.
	Owner manifest.Owner
	// Set is what Git wants. An empty one deletes nothing unless Removal is approved.
	Set manifest.Set
	// Inventory is what the App has applied, as its status says.
	Inventory []v1alpha1.InventoryEntry
	// Live returns what the watches have seen of an object.
	Live func(manifest.Ref) (manifest.Live, bool)
	// Synced says whether the live state of a kind is complete. Until it is, nothing of the kind is judged missing and
	// nothing is deleted.
	Synced func(schema.GroupKind) bool
	// OwnedLive is every live object that carries this App's mark, also those that are not in the inventory, as after
	// a crash.
	OwnedLive []manifest.Live
	Claims    Claims
	// Confirmed is the token of the deletion that a person has confirmed.
	Confirmed string
	// Removal says how far the end of the App has come: while it is pending nothing is deleted; when it is approved
	// the Fleet has answered for it, and of the budget only what always needs a person remains.
	Removal v1alpha1.Removal
	// Prune says how the Delivery wants objects to be removed that Git no longer has.
	Prune Prune
	// Ignored lists the fields of objects that are left to others.
	Ignored map[manifest.Ref][]manifest.FieldPath
	// Resend sends every object again, whatever the hashes say.
	Resend bool
	Key    manifest.Key
}

// Prune is how objects are removed that Git no longer has.
type Prune string

// The ways to remove objects. The zero value is PruneNormal.
const (
	// PruneNormal deletes within the budget.
	PruneNormal Prune = ""
	// PruneNever lets them run on, no longer looked after.
	PruneNever Prune = "never"
	// PruneConfirm waits for a person each time.
	PruneConfirm Prune = "confirm"
)

// planner holds what is looked up while one plan is made.
type planner struct {
	Input
	listed map[manifest.Ref]v1alpha1.InventoryEntry
	owned  map[manifest.Ref]manifest.Live
}

// Plan decides what is to be done about every object that the App wants or has. It is pure. The error is that of an
// inventory which cannot be read, with which nothing may be done.
func Plan(in Input) (ChangeSet, error) {
	p := planner{
		Input:  in,
		listed: make(map[manifest.Ref]v1alpha1.InventoryEntry, len(in.Inventory)),
		owned:  make(map[manifest.Ref]manifest.Live, len(in.OwnedLive)),
	}
	for _, e := range in.Inventory {
		ref, err := manifest.ParseID(e.ID)
		if err != nil {
			return ChangeSet{}, fmt.Errorf("read the inventory of %s/%s: %w", in.Owner.Namespace, in.Owner.Name, err)
		}
		p.listed[ref] = e
	}
	for _, live := range in.OwnedLive {
		if p.mine(live) {
			p.owned[live.Ref] = live
		}
	}
	set := ChangeSet{Changes: make([]Change, 0, in.Set.Len())}
	for _, item := range in.Set.Items() {
		set.Changes = append(set.Changes, p.wanted(item))
	}
	removals, pending := p.removals()
	set.Changes, set.Pending = append(set.Changes, removals...), pending
	return set, nil
}

// mine says whether live carries the mark of this App.
func (p *planner) mine(live manifest.Live) bool { return live.Owned && live.Owner.UID == p.Owner.UID }

// namesake says whether live carries the mark of an App that had this one's name before it.
func (p *planner) namesake(live manifest.Live) bool {
	return live.Owned && live.Owner.UID != p.Owner.UID &&
		live.Owner.Namespace == p.Owner.Namespace && live.Owner.Name == p.Owner.Name
}

func (p *planner) live(ref manifest.Ref) (manifest.Live, bool) {
	if live, ok := p.owned[ref]; ok {
		return live, true
	}
	return p.Live(ref)
}

// wanted decides about an object that Git has.
func (p *planner) wanted(item manifest.Item) Change {
	c := Change{Ref: item.Ref, Wave: item.Wave, Stage: item.Stage, Wanted: true, Item: item, Fields: p.Ignored[item.Ref]}
	c.Entry = p.listed[item.Ref]
	c.Live, c.Known = p.live(item.Ref)
	c.Desired = p.Key.Hash(manifest.Drop(item.Unstructured, c.Fields))
	switch {
	case !c.Known:
		p.absent(&c)
	case c.Live.Deleting:
		c.Action, c.Reason = Wait, "is being deleted, and is made again when it is gone"
	case p.mine(c.Live):
		c.Proven = true
		p.present(&c)
	case p.namesake(c.Live):
		c.Action, c.Reason = Update, "was applied by an earlier App of the same name"
	case c.Live.Owned:
		p.foreign(&c)
	case c.Listed() && c.Entry.UID == c.Live.UID:
		c.Action, c.Reason, c.Proven = Update, "lost the mark that says whose it is", true
	default:
		c.Action, c.Reason = Conflict, notOurs
	}
	return c
}

// notOurs ends the sentence about an object that another tool, or a person, has made.
const notOurs = "exists already and was not applied by Sengu: take it over with `sengu adopt`, or leave it out of Git"

// absent decides about an object that the watches have not seen.
func (p *planner) absent(c *Change) {
	c.Proven = c.Listed()
	switch {
	case !c.Listed():
		c.Action, c.Reason = Create, "is new"
	case p.Synced(c.Ref.GroupKind()):
		c.Action, c.Reason = Create, "is gone from the cluster"
	case c.Entry.Desired == c.Desired && !p.Resend:
		// It was applied, and what has become of it since is not known yet.
		c.Action = Unchanged
	default:
		c.Action, c.Reason = Update, "changed in Git"
	}
}

// present decides about an object that is the App's.
func (p *planner) present(c *Change) {
	once := c.Item.Mode == manifest.ModeIfNotPresent
	switch {
	case once && c.Listed() && c.Entry.UID == c.Live.UID:
		c.Action = Unchanged
	case !c.Listed():
		c.Action, c.Reason = Update, "was applied and not noted down, as when Sengu is interrupted"
	case p.Resend:
		c.Action, c.Reason = Update, "is sent again because a sync was asked for"
	case c.Entry.Desired != c.Desired:
		c.Action, c.Reason = Update, "changed in Git"
	case c.Entry.UID != c.Live.UID || c.Entry.Baseline != c.Live.Baseline:
		c.Action, c.Reason = Update, "was changed in the cluster"
	default:
		c.Action = Unchanged
	}
}

// foreign decides about an object that another App owns.
func (p *planner) foreign(c *Change) {
	first := c.Live.Owner.Namespace + "/" + c.Live.Owner.Name
	wants, decided := true, true
	if p.Claims.Decided != nil {
		wants, decided = p.Claims.Decided(c.Live.Owner, c.Ref)
	}
	switch {
	case !decided:
		c.Action, c.Reason = Wait, "belongs to App "+first+", which has yet to say whether it still wants it"
	case wants:
		c.Action, c.Reason = Conflict, "belongs to App "+first+", which wants it too: keep it in one of the two"
	default:
		c.Action, c.Reason = HandOver, "is handed over by App "+first+", which no longer wants it"
	}
}
