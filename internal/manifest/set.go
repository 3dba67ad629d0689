package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// MaxObjects is the largest number of objects that one App may hold.
const MaxObjects = 5000

// maxProblems is how many problems one error of [NewSet] names.
const maxProblems = 10

// Scopes says of a kind whether its objects live in a namespace, and whether the cluster knows it at all.
type Scopes func(gk schema.GroupKind) (namespaced, known bool)

// Item is one object of a Set, with what its annotations say about its delivery.
type Item struct {
	Object
	// Ref is the identity of the object.
	Ref Ref
	// Wave orders the objects of an App: a wave is applied when the one before it is healthy.
	Wave int32
	// Stage orders the objects of a wave by what they need: see [Stage].
	Stage int
	// Never says that the object is never pruned.
	Never bool
	// Mode is how the object is written.
	Mode ApplyMode
}

// Set is what one App wants a cluster to hold: valid, complete, marked as the App's, and in the order in which it
// is applied.
type Set struct {
	items []Item
	byRef map[Ref]int
}

// Items returns the objects in the order in which they are applied: by wave, stage and name. The slice and the
// objects are shared and must not be changed.
func (s Set) Items() []Item { return s.items }

// Len returns the number of objects.
func (s Set) Len() int { return len(s.items) }

// ByRef finds an object by its identity.
func (s Set) ByRef(ref Ref) (Item, bool) {
	i, ok := s.byRef[ref]
	if !ok {
		return Item{}, false
	}
	return s.items[i], true
}

// NewSet makes a Set of what a render produced. Objects of a namespaced kind without a namespace get the given one,
// and objects of a cluster-scoped kind lose theirs; what only a cluster may write (status, managedFields, uid …) is
// taken out, stringData of a Secret becomes data, and owner is stamped. The objects that are passed in stay as they are.
//
// It refuses an App as a whole, naming up to ten problems with the file each is in: an object without a version, kind
// or name, twice the same object, a kind that the cluster does not know and no CRD of the App defines, generateName,
// an annotation of Sengu with a value that means nothing, an object that carries the mark of another App or an
// ownerReference, and more than [MaxObjects] objects.
func NewSet(objects []Object, namespace string, owner Owner, scopes Scopes) (Set, error) {
	if len(objects) > MaxObjects {
		return Set{}, fmt.Errorf("the App renders %d objects, and at most %d are delivered as one App: split it into several services", len(objects), MaxObjects)
	}
	defined := definitions(objects)
	b := builder{
		namespace: namespace, owner: owner, scopes: scopes, defined: defined,
		set: Set{items: make([]Item, 0, len(objects)), byRef: make(map[Ref]int, len(objects))},
	}
	for _, o := range objects {
		b.add(o)
	}
	b.checkDefinitionWaves()
	if err := b.err(); err != nil {
		return Set{}, err
	}
	slices.SortFunc(b.set.items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.Wave, y.Wave), cmp.Compare(x.Stage, y.Stage), x.Ref.Compare(y.Ref))
	})
	for i, item := range b.set.items {
		b.set.byRef[item.Ref] = i
	}
	return b.set, nil
}

// definition is what a CRD of the App says about the kind that it defines.
type definition struct {
	crd        *unstructured.Unstructured
	namespaced bool
}

// definitions reads which kinds the CRDs among objects define.
func definitions(objects []Object) map[schema.GroupKind]definition {
	defined := map[schema.GroupKind]definition{}
	for _, o := range objects {
		if o.Unstructured == nil || o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		if group != "" && kind != "" {
			defined[schema.GroupKind{Group: group, Kind: kind}] = definition{crd: o.Unstructured, namespaced: scope != "Cluster"}
		}
	}
	return defined
}

type builder struct {
	namespace string
	owner     Owner
	scopes    Scopes
	defined   map[schema.GroupKind]definition
	set       Set
	problems  []error
}

func (b *builder) add(o Object) {
	item, err := b.complete(o)
	if err != nil {
		b.problems = append(b.problems, fmt.Errorf("%s: %w", describe(o), err))
		return
	}
	if i, twice := b.set.byRef[item.Ref]; twice {
		first := b.set.items[i].Origin
		b.problems = append(b.problems, fmt.Errorf("%s is there twice: in %s and in %s",
			item.Ref, cmp.Or(first, "an unknown file"), cmp.Or(o.Origin, "an unknown file")))
		return
	}
	b.set.byRef[item.Ref] = len(b.set.items)
	b.set.items = append(b.set.items, item)
}

// checkDefinitionWaves refuses custom resources that would be applied before the cluster knows their kind.
func (b *builder) checkDefinitionWaves() {
	for _, item := range b.set.items {
		def, ok := b.defined[item.Ref.GroupKind()]
		if !ok {
			continue
		}
		if _, known := b.scopes(item.Ref.GroupKind()); known {
			continue
		}
		wave, err := WaveOf(def.crd)
		if err == nil && wave > item.Wave {
			b.problems = append(b.problems, fmt.Errorf("%s: its wave %d comes before wave %d of the CustomResourceDefinition %s that defines its kind",
				describe(item.Object), item.Wave, wave, def.crd.GetName()))
		}
	}
}

func (b *builder) err() error {
	if n := len(b.problems); n > maxProblems {
		b.problems = append(b.problems[:maxProblems], fmt.Errorf("and %d more", n-maxProblems))
	}
	return errors.Join(b.problems...)
}

// describe says which object is meant: its file where known, and as much of its identity as it has.
func describe(o Object) string {
	name := "an object without a kind"
	if o.Unstructured != nil && o.GetKind() != "" {
		name = o.GetKind() + " without a name"
		if o.GetName() != "" {
			name = o.Ref().String()
		}
	}
	if o.Origin == "" {
		return name
	}
	return o.Origin + ": " + name
}
