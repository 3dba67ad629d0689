package apply

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// The budget of deletions: more than half of the objects of an App that has at least budgetFrom.
const budgetFrom = 10

// maxExamples is how many objects a pending deletion names.
const maxExamples = 10

// precious kinds are never deleted without a person: what they hold does not come back.
var precious = map[schema.GroupKind]bool{
	{Kind: "Namespace"}:             true,
	{Kind: "PersistentVolumeClaim"}: true,
	{Kind: "PersistentVolume"}:      true,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: true,
}

// removals decides about the objects that the App has and Git has not, in the order in which they are removed: the
// reverse of the order in which they are applied, so that custom resources go before their definitions.
func (p *planner) removals() ([]Change, *v1alpha1.PendingRemoval) {
	has := map[manifest.Ref]bool{}
	for ref := range p.listed {
		has[ref] = true
	}
	for ref := range p.owned {
		has[ref] = true
	}
	var changes []Change
	for ref := range has {
		if _, wanted := p.Set.ByRef(ref); !wanted {
			changes = append(changes, p.unwanted(ref))
		}
	}
	p.shelter(changes)
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(b.Wave, a.Wave), cmp.Compare(b.Stage, a.Stage), a.Ref.Compare(b.Ref))
	})
	return changes, p.budget(changes, len(has))
}

// last puts namespaces and definitions of kinds behind all that lives in them, whatever their waves.
func last(c Change) int {
	if c.Stage == manifest.StageFoundation {
		return 1
	}
	return 0
}

// shelter keeps the namespaces and the definitions of kinds that hold something which is to stay: with them, the
// cluster would delete what is in them.
func (p *planner) shelter(changes []Change) {
	for i := range changes {
		c := &changes[i]
		if c.Action != Delete || c.Stage != manifest.StageFoundation {
			continue
		}
		_, group, _ := strings.Cut(c.Ref.Name, ".")
		holds := func(ref manifest.Ref) bool {
			if c.Ref.GroupKind() == definitions {
				return group != "" && ref.Group == group
			}
			return ref.Namespace == c.Ref.Name
		}
		for _, item := range p.Set.Items() {
			if holds(item.Ref) {
				c.Action, c.Reason = Wait, "is no longer in Git, and stays because "+item.Ref.String()+" in it is"
				break
			}
		}
		for _, other := range changes {
			if (other.Action == Wait || other.Action == Orphan) && c.Action == Delete && holds(other.Ref) {
				c.Action, c.Reason = Wait, "is no longer in Git, and stays because "+other.Ref.String()+" in it does"
			}
		}
	}
}

// unwanted decides about one object that Git does not have (any more).
func (p *planner) unwanted(ref manifest.Ref) Change {
	c := Change{Ref: ref, Stage: manifest.Stage(ref.GroupKind()), Entry: p.listed[ref]}
	c.Wave = c.Entry.Wave
	c.Live, c.Known = p.live(ref)
	rival, claimed := "", false
	if p.Claims.Rival != nil {
		rival, claimed = p.Claims.Rival(ref)
	}
	switch {
	case !p.Synced(ref.GroupKind()):
		c.Action, c.Reason = Wait, "is no longer in Git, and the live state of its kind is not known yet"
	case !c.Known:
		c.Action, c.Reason = Gone, "is no longer in Git and no longer there"
	case c.Live.Owned && !p.mine(c.Live) && !p.namesake(c.Live):
		c.Action, c.Reason = Gone, "belongs to App "+c.Live.Owner.Namespace+"/"+c.Live.Owner.Name+" now"
	case !p.mine(c.Live):
		c.Action, c.Reason = Orphan, "is no longer in Git, and stays because it does not carry the mark of this App"
	case c.Live.Deleting:
		c.Action, c.Reason = Wait, "is being deleted"
	case c.Live.Never:
		c.Action, c.Reason = Orphan, "is no longer in Git, and stays because it says that it is never pruned"
	case claimed:
		c.Action, c.Reason, c.Others = Wait, "is taken over by App "+rival, true
	case p.Prune == PruneNever:
		c.Action, c.Reason = Orphan, "is no longer in Git, and stays because sengu.yaml says that nothing is pruned"
	default:
		c.Proven = true
		p.mayDelete(&c)
	}
	return c
}

// mayDelete decides whether an object that is proven to be the App's may be deleted now.
func (p *planner) mayDelete(c *Change) {
	c.Action = Wait
	switch app, waits := p.undecided(); {
	case p.Removal == v1alpha1.RemovalPending:
		c.Reason = "is no longer in Git, and stays until the Fleet has approved the removal of the App"
	case p.Set.Len() == 0 && p.Removal != v1alpha1.RemovalApproved:
		c.Reason = "stays, because an App that renders nothing at all is taken for a mistake"
	case waits && app != "":
		c.Reason, c.Others = "is no longer in Git, and stays until App "+app+" has said whether it takes it over", true
	case waits:
		c.Reason, c.Others = "is no longer in Git, and stays until the Fleet has been compared with its repository", true
	default:
		c.Action, c.Reason = Delete, "is no longer in Git"
	}
}

func (p *planner) undecided() (app string, waits bool) {
	if p.Claims.Undecided == nil {
		return "", false
	}
	return p.Claims.Undecided()
}

// budget turns deletions that need a person, who has not confirmed them, into waits.
func (p *planner) budget(changes []Change, total int) *v1alpha1.PendingRemoval {
	var all, always []int
	for i, c := range changes {
		if c.Action != Delete {
			continue
		}
		all = append(all, i)
		if precious[c.Ref.GroupKind()] {
			always = append(always, i)
		}
	}
	held := always
	if p.Prune == PruneConfirm {
		held = all
	}
	if total >= budgetFrom && 2*len(all) > total && p.Removal != v1alpha1.RemovalApproved {
		held = all
	}
	if len(held) == 0 {
		return nil
	}
	live := make([]manifest.Live, 0, len(held))
	for _, i := range held {
		live = append(live, changes[i].Live)
	}
	pending := pendingRemoval(live)
	if pending.Token == p.Confirmed {
		return nil
	}
	for _, i := range held {
		changes[i].Action, changes[i].Reason = Wait, "is no longer in Git, and is deleted when a person has confirmed it"
	}
	return &pending
}

// pendingRemoval says what waits for a person. Its token changes with any object of it, also with one of the same name
// that was made anew.
func pendingRemoval(live []manifest.Live) v1alpha1.PendingRemoval {
	uids := make(map[manifest.Ref]string, len(live))
	for _, l := range live {
		uids[l.Ref] = l.UID
	}
	refs := slices.SortedFunc(maps.Keys(uids), manifest.Ref.Compare)
	sum := sha256.New()
	pending := v1alpha1.PendingRemoval{Count: int32(len(refs))} //nolint:gosec // bounded by what one App may hold
	for i, ref := range refs {
		sum.Write([]byte(ref.ID() + " " + uids[ref] + "\n"))
		if i < maxExamples {
			pending.Examples = append(pending.Examples, ref.String())
		}
	}
	pending.Token = hex.EncodeToString(sum.Sum(nil)[:5])
	return pending
}
