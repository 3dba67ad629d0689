package manifest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// serverFields are the fields of metadata that only a cluster writes.
var serverFields = []string{
	"managedFields", "creationTimestamp", "resourceVersion", "uid", "generation", "selfLink",
	"deletionTimestamp", "deletionGracePeriodSeconds",
}

// complete turns one rendered object into an Item. It copies what it changes and shares the rest.
func (b *builder) complete(o Object) (Item, error) {
	if err := checkIdentity(o.Unstructured); err != nil {
		return Item{}, err
	}
	if err := b.checkMarks(o.Unstructured); err != nil {
		return Item{}, err
	}
	namespace, err := b.namespaceOf(o.Unstructured)
	if err != nil {
		return Item{}, err
	}
	if err := checkPrune(o.Unstructured); err != nil {
		return Item{}, err
	}
	wave, err := WaveOf(o.Unstructured)
	if err != nil {
		return Item{}, err
	}
	mode, err := ModeOf(o.Unstructured)
	if err != nil {
		return Item{}, err
	}
	clean, err := cleaned(o.Unstructured, namespace)
	if err != nil {
		return Item{}, err
	}
	o.Unstructured = clean
	Stamp(o, b.owner)
	ref := o.Ref()
	return Item{
		Object: o, Ref: ref, Wave: wave, Stage: Stage(ref.GroupKind()), Never: NeverPruned(clean), Mode: mode,
	}, nil
}

func checkIdentity(u *unstructured.Unstructured) error {
	if u == nil || len(u.Object) == 0 {
		return errors.New("is empty")
	}
	if u.GetKind() == "" {
		return errors.New("has no kind")
	}
	if u.GetAPIVersion() == "" {
		return errors.New("has no apiVersion")
	}
	gv, err := schema.ParseGroupVersion(u.GetAPIVersion())
	if err != nil || gv.Version == "" || !segment(gv.Group) || !segment(gv.Version) || !segment(u.GetKind()) {
		return errors.New("has an apiVersion or kind that no API could have")
	}
	meta, ok := u.Object["metadata"].(map[string]any)
	if !ok {
		return errors.New("has no metadata")
	}
	if err := checkMaps(meta); err != nil {
		return err
	}
	if u.GetGenerateName() != "" {
		return errors.New("has metadata.generateName, which would make a new object at each sync: give it a name")
	}
	if u.GetName() == "" {
		return errors.New("has no metadata.name")
	}
	if problems := content.IsPathSegmentName(u.GetName()); len(problems) > 0 {
		return fmt.Errorf("metadata.name %s", problems[0])
	}
	return nil
}

// segment says whether s can be part of a URL's path as it is.
func segment(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) < 0 && s != ".." && s != "."
}

// checkMaps refuses labels and annotations that are not text, which YAML makes of an unquoted number.
func checkMaps(meta map[string]any) error {
	for _, field := range []string{"labels", "annotations"} {
		switch m := meta[field].(type) {
		case nil:
		case map[string]any:
			for key, value := range m {
				if _, ok := value.(string); !ok && value != nil {
					return fmt.Errorf("metadata.%s[%q] must be text: put the value in quotes", field, key)
				}
			}
		default:
			return fmt.Errorf("metadata.%s must be a map", field)
		}
	}
	return nil
}

// checkMarks refuses an object that says that it belongs to somebody else.
func (b *builder) checkMarks(u *unstructured.Unstructured) error {
	if owners, _ := u.Object["metadata"].(map[string]any)["ownerReferences"].([]any); len(owners) > 0 {
		return errors.New("has metadata.ownerReferences: what another object owns in one cluster does not belong in Git")
	}
	if label := metaString(u, "labels", LabelApp); label != "" && label != b.owner.Label() {
		return fmt.Errorf("carries the label %s of another App (%s): leave the label out, Sengu sets it", LabelApp, label)
	}
	if value := annotation(u, AnnotationOwner); value != "" && value != mark(b.owner, RefOf(u)) {
		other, _, ok := parseMark(value)
		if !ok {
			return fmt.Errorf("carries the annotation %s: leave it out, Sengu sets it", AnnotationOwner)
		}
		return fmt.Errorf("carries the annotation %s of App %s/%s: leave it out, Sengu sets it", AnnotationOwner, other.Namespace, other.Name)
	}
	return nil
}

// namespaceOf returns the namespace that u belongs in, empty for a cluster-scoped kind.
func (b *builder) namespaceOf(u *unstructured.Unstructured) (string, error) {
	gk := RefOf(u).GroupKind()
	namespaced, known := b.scopes(gk)
	if !known {
		def, defined := b.defined[gk]
		if !defined {
			return "", fmt.Errorf("the cluster does not know the kind %s (%s), and no CustomResourceDefinition of this App defines it", gk.Kind, u.GetAPIVersion())
		}
		namespaced = def.namespaced
	}
	if !namespaced {
		return "", nil
	}
	namespace := u.GetNamespace()
	if namespace == "" {
		namespace = b.namespace
	}
	if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return "", errors.New("metadata.namespace must be the name of a namespace: lower-case letters, digits and dashes, at most 63")
	}
	return namespace, nil
}

// cleaned copies u without what only a cluster writes. Below metadata, labels and annotations nothing is copied.
func cleaned(u *unstructured.Unstructured, namespace string) (*unstructured.Unstructured, error) {
	object := maps.Clone(u.Object)
	status, _ := object["status"].(map[string]any)
	delete(object, "status")
	if len(status) > 0 && len(object) <= 3 && u.GetKind() != "Namespace" {
		return nil, errors.New("holds nothing but a status, which only a cluster writes")
	}
	meta := maps.Clone(object["metadata"].(map[string]any))
	object["metadata"] = meta
	for _, field := range serverFields {
		delete(meta, field)
	}
	delete(meta, "namespace")
	if namespace != "" {
		meta["namespace"] = namespace
	}
	for _, field := range []string{"labels", "annotations"} {
		m, _ := meta[field].(map[string]any)
		m = maps.Clone(m)
		// A null is an empty value to the API, and no value to server-side apply.
		maps.DeleteFunc(m, func(_ string, value any) bool { return value == nil })
		if m == nil {
			m = map[string]any{}
		}
		meta[field] = m
	}
	clean := &unstructured.Unstructured{Object: object}
	return clean, encodeStringData(clean)
}

// encodeStringData turns stringData of a Secret into data, as the API server does, because what is applied as
// stringData is owned by nobody afterwards and could never be removed.
func encodeStringData(u *unstructured.Unstructured) error {
	plain, ok := u.Object["stringData"]
	if !ok || !isSecret(u) {
		return nil
	}
	delete(u.Object, "stringData")
	if plain == nil {
		return nil
	}
	texts, ok := plain.(map[string]any)
	if !ok {
		return errors.New("stringData must be a map")
	}
	data, ok := u.Object["data"].(map[string]any)
	if !ok && u.Object["data"] != nil {
		return errors.New("data must be a map")
	}
	data = maps.Clone(data)
	if data == nil {
		data = make(map[string]any, len(texts))
	}
	for key, value := range texts {
		text, ok := value.(string)
		if !ok && value != nil {
			return fmt.Errorf("stringData[%q] must be text: put the value in quotes", key)
		}
		data[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	u.Object["data"] = data
	return nil
}

func isSecret(u *unstructured.Unstructured) bool {
	return u.GetKind() == "Secret" && u.GetAPIVersion() == "v1"
}
