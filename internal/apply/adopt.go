package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Adoption is what taking over one object does.
type Adoption struct {
	Ref manifest.Ref
	// Found says that the object is there. One that is not is simply made at the next sync.
	Found bool
	// Already says that it is this App's, and nothing was to do.
	Already bool
	// Tools are the programs that have applied it: kubectl, Helm, Argo CD, Flux.
	Tools []string
	// Managers are the field managers whose fields become the App's. What of them Git does not name is removed at the
	// next sync.
	Managers []string
	// Removed are the labels and annotations by which the tools found the object, which are taken off.
	Removed []string
	// Fields will differ from what runs now once the object is applied.
	Fields []manifest.FieldDrift
	// Advice says what a person still has to do so that the tools leave the object alone.
	Advice []string
	// Failure says why the object was not taken over, nil if it was.
	Failure *Failure
}

// adoptTries is how often an object is read again because it changed in between.
const adoptTries = 5

// Adopt takes over objects that another tool, or a person, has applied: in one write each, bound to the version that
// was read, the tools' field managers are folded into the App's, what the tools find the object by is taken off, and the
// App's mark is put on. Nothing else of the object changes until the next sync applies it. With dryRun nothing is
// written, and the Adoptions say what would be. The order is that of items.
func Adopt(ctx context.Context, conn *kube.Conn, items []manifest.Item, ignored map[manifest.Ref][]manifest.FieldPath, dryRun bool, o Options) []Adoption {
	w := &writer{conn: conn, Options: o, manager: o.Owner.Manager()}
	adoptions := make([]Adoption, 0, len(items))
	for _, item := range items {
		c := Change{Ref: item.Ref, Action: Update, Wanted: true, Item: item, Fields: ignored[item.Ref]}
		a := Adoption{Ref: item.Ref}
		if err := w.adopt(ctx, c, &a, dryRun); err != nil {
			a.Failure = w.fail(c, err)
		}
		adoptions = append(adoptions, a)
	}
	return adoptions
}

func (w *writer) adopt(ctx context.Context, c Change, a *Adoption, dryRun bool) error {
	for try := 1; ; try++ {
		u, err := w.get(ctx, c.Item.Unstructured)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		next, ok := w.adopted(c, u, a)
		if !ok {
			return nil
		}
		if err := w.foresee(ctx, c, u, a); err != nil {
			return err
		}
		if dryRun {
			return nil
		}
		err = w.rewrite(ctx, c.Item.GetAPIVersion(), u, next)
		if !apierrors.IsConflict(err) || try == adoptTries {
			return err
		}
	}
}

// adopted returns u as it is when it is the App's, and says in a what was done. It is false if nothing is to be done.
func (w *writer) adopted(c Change, u *unstructured.Unstructured, a *Adoption) (*unstructured.Unstructured, bool) {
	*a = Adoption{Ref: c.Ref, Found: true}
	if owner, owned := manifest.OwnerOf(u); owned {
		if owner.UID == w.Owner.UID {
			a.Already = true
			return nil, false
		}
		if owner.Namespace != w.Owner.Namespace || owner.Name != w.Owner.Name {
			a.Failure = &Failure{Ref: c.Ref, Conflict: true, Sentence: sentence(c.Ref, "belongs to App "+owner.Namespace+"/"+owner.Name+": take it out of that one first")}
			return nil, false
		}
	}
	if u.GetDeletionTimestamp() != nil {
		a.Failure = &Failure{Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, "is being deleted")}
		return nil, false
	}
	found := tracesOn(u)
	next := u.DeepCopy()
	a.Tools, a.Advice = found.tools, found.advice
	a.Managers = slices.Compact(slices.Sorted(slices.Values(fold(next, w.manager, applier))))
	a.Removed = append(
		strip(next, "annotations", found.annotations, c.Item.GetAnnotations()),
		strip(next, "labels", found.labels, c.Item.GetLabels())...)
	manifest.Stamp(manifest.Object{Unstructured: next}, w.Owner)
	return next, true
}

// strip takes names off the labels or annotations of u, but those that Git wants, and returns what it took off.
func strip(u *unstructured.Unstructured, field string, names []string, wanted map[string]string) []string {
	have, _, _ := unstructured.NestedMap(u.Object, "metadata", field)
	var removed []string
	for _, name := range names {
		if _, keep := wanted[name]; !keep {
			delete(have, name)
			removed = append(removed, name)
		}
	}
	if len(removed) > 0 {
		_ = unstructured.SetNestedMap(u.Object, have, "metadata", field)
	}
	return removed
}

// foresee says which fields of u will change when it is applied.
func (w *writer) foresee(ctx context.Context, c Change, u *unstructured.Unstructured, a *Adoption) error {
	wanted, err := w.apply(ctx, patch{object: reduced(c), manager: w.manager, force: true, dryRun: true, uid: string(u.GetUID())})
	if unchangeable(err) && c.Item.Mode == manifest.ModeReplace {
		return nil
	}
	if err != nil {
		return err
	}
	for _, field := range manifest.DriftOf(u, wanted, w.manager) {
		if !ownMark(field.Path) {
			a.Fields = append(a.Fields, field)
		}
	}
	return nil
}

// ownMark says whether path is one of the label and the annotation that Sengu puts on every object.
func ownMark(path string) bool {
	mark := manifest.FieldPath{"f:metadata", "f:labels", "f:" + manifest.LabelApp}
	owner := manifest.FieldPath{"f:metadata", "f:annotations", "f:" + manifest.AnnotationOwner}
	return path == mark.String() || path == owner.String()
}
