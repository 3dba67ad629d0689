package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Labels and annotations that Sengu reads and writes.
const (
	// LabelApp is on every object that Sengu applies, so that one watch per kind finds them all. It is no proof of
	// ownership, because controllers copy labels to what they make.
	LabelApp = "sengu.dev/app"
	// AnnotationOwner names the App that applied the object, and the object itself: the proof of ownership.
	AnnotationOwner = "sengu.dev/owner"
	// AnnotationWave orders objects of one App: a whole number, lower first, 0 if absent.
	AnnotationWave = "sengu.dev/wave"
	// AnnotationPrune keeps an object for ever if it is "never".
	AnnotationPrune = "sengu.dev/prune"
	// AnnotationApply is "IfNotPresent" for an object that is made once and then left alone, "Replace" for one that
	// is replaced as a whole.
	AnnotationApply = "sengu.dev/apply"
	// AnnotationConfirm carries the token that confirms a deletion, on an App or a Fleet.
	AnnotationConfirm = "sengu.dev/confirm"
)

// Annotations of other tools that mean the same.
const (
	argoWave    = "argocd.argoproj.io/sync-wave"
	argoOptions = "argocd.argoproj.io/sync-options"
	helmPolicy  = "helm.sh/resource-policy"
	fluxPrune   = "kustomize.toolkit.fluxcd.io/prune"
	fluxApply   = "kustomize.toolkit.fluxcd.io/ssa"
)

const (
	maxManager = 128 // of a field manager's name, in the API server
	maxLabel   = 63  // of the value of a label
)

// Owner is the App that an object belongs to.
type Owner struct {
	// Namespace and Name of the App, in Sengu's own cluster.
	Namespace, Name string
	// UID of the App.
	UID string
}

// Manager returns the name of the field manager under which the objects of o are applied. It is the same for every
// App of that name, so that an App that was made again takes over what it applied before.
func (o Owner) Manager() string {
	return shorten("sengu:"+o.Namespace+"/"+o.Name, maxManager)
}

// Label returns the value of [LabelApp] for the objects of o. A namespace has no dots, so the first dot ends it.
func (o Owner) Label() string {
	return shorten(o.Namespace+"."+o.Name, maxLabel)
}

// shorten cuts s to limit bytes, and keeps it distinct by a hash of the whole.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	tail := "-" + hex.EncodeToString(sum[:8])
	return strings.TrimRight(s[:limit-len(tail)], "-._/") + tail
}

// mark is the value of [AnnotationOwner] on the object ref of owner.
func mark(owner Owner, ref Ref) string {
	return owner.UID + " " + owner.Namespace + "/" + owner.Name + " " + ref.ID()
}

// Stamp writes the label and the annotation that say that o belongs to owner. The object is changed in place.
func Stamp(o Object, owner Owner) {
	meta := child(o.Object, "metadata")
	child(meta, "labels")[LabelApp] = owner.Label()
	child(meta, "annotations")[AnnotationOwner] = mark(owner, o.Ref())
}

// Unmarked is u without the marks of an App, which are no change that a person makes.
func Unmarked(u *unstructured.Unstructured) *unstructured.Unstructured {
	if u == nil {
		return nil
	}
	u = u.DeepCopy()
	for field, name := range map[string]string{"labels": LabelApp, "annotations": AnnotationOwner} {
		unstructured.RemoveNestedField(u.Object, "metadata", field, name)
		if m, found, _ := unstructured.NestedMap(u.Object, "metadata", field); found && len(m) == 0 {
			unstructured.RemoveNestedField(u.Object, "metadata", field)
		}
	}
	return u
}

// child returns the map at key of m, made if there is none.
func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}

// OwnerOf reads who owns u. It is false unless the annotation names u itself, so that a copy of the annotation
// proves nothing.
func OwnerOf(u *unstructured.Unstructured) (Owner, bool) {
	value := annotation(u, AnnotationOwner)
	owner, id, ok := parseMark(value)
	if !ok || id != RefOf(u).ID() {
		return Owner{}, false
	}
	return owner, true
}

func parseMark(value string) (Owner, string, bool) {
	parts := strings.SplitN(value, " ", 3)
	if len(parts) != 3 || parts[0] == "" {
		return Owner{}, "", false
	}
	namespace, name, ok := strings.Cut(parts[1], "/")
	if !ok || namespace == "" || name == "" {
		return Owner{}, "", false
	}
	return Owner{Namespace: namespace, Name: name, UID: parts[0]}, parts[2], true
}

// annotation reads one annotation of u without copying the others.
func annotation(u *unstructured.Unstructured, name string) string {
	return metaString(u, "annotations", name)
}

func metaString(u *unstructured.Unstructured, field, name string) string {
	if u == nil {
		return ""
	}
	meta, _ := u.Object["metadata"].(map[string]any)
	m, _ := meta[field].(map[string]any)
	s, _ := m[name].(string)
	return s
}
