package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// IgnoreRule names fields of objects that somebody else sets. Sengu neither writes nor compares them.
type IgnoreRule struct {
	Group     string   `json:"group,omitempty" doc:"API group of the objects, such as apps. Without it, every group."`
	Kind      string   `json:"kind,omitempty" doc:"Kind of the objects. Without it, every kind."`
	Name      string   `json:"name,omitempty" doc:"Name of the objects; * stands for any part of it. Without it, every name."`
	Namespace string   `json:"namespace,omitempty" doc:"Namespace of the objects; * stands for any part of it. Without it, every namespace."`
	Fields    []string `json:"fields" doc:"Paths of the fields: a JSON pointer (/spec/replicas), or names with dots (spec.template.spec.containers[name=app].image)." required:"true"`
}

// keptFields cannot be ignored, because an object without them is not the object, or proves nothing.
var keptFields = []FieldPath{
	{"f:apiVersion"}, {"f:kind"}, {"f:metadata", "f:name"}, {"f:metadata", "f:namespace"},
	{"f:metadata", "f:labels", "f:" + LabelApp}, {"f:metadata", "f:annotations", "f:" + AnnotationOwner},
}

// Validate refuses a rule without fields, with a path that cannot be read, or for a field that Sengu cannot do
// without.
func (r IgnoreRule) Validate() error {
	if len(r.Fields) == 0 {
		return errors.New("an ignore rule names at least one field")
	}
	for _, pattern := range []string{r.Name, r.Namespace} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("the pattern %q of an ignore rule cannot be read", pattern)
		}
	}
	for _, field := range r.Fields {
		p, err := ParseFieldPath(field)
		if err != nil {
			return err
		}
		for _, kept := range keptFields {
			n := min(len(p), len(kept))
			if slices.Equal(p[:n], kept[:n]) {
				return fmt.Errorf("field path %q: %s cannot be ignored", field, kept)
			}
		}
	}
	return nil
}

func (r IgnoreRule) matches(ref Ref) bool {
	return (r.Group == "" || r.Group == ref.Group) &&
		(r.Kind == "" || r.Kind == ref.Kind) &&
		glob(r.Name, ref.Name) && glob(r.Namespace, ref.Namespace)
}

func glob(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}

// replicas is the field that an autoscaler sets.
var replicas = FieldPath{"f:spec", "f:replicas"}

// Ignored returns the fields of each object of set that are left to others: those that rules name, and
// spec.replicas of a workload that a HorizontalPodAutoscaler or a KEDA ScaledObject of the set scales. A field is
// listed also where the object does not have it, because an earlier version of the object may have. Places in lists
// are turned into keys where Kubernetes merges the list by keys. Rules must have passed [IgnoreRule.Validate]; one
// that has not is passed over.
func Ignored(set Set, rules []IgnoreRule) map[Ref][]FieldPath {
	ignored := map[Ref][]FieldPath{}
	add := func(ref Ref, p FieldPath) {
		if !slices.ContainsFunc(ignored[ref], func(q FieldPath) bool { return slices.Equal(p, q) }) {
			ignored[ref] = append(ignored[ref], p)
		}
	}
	for _, rule := range rules {
		if rule.Validate() != nil {
			continue
		}
		for _, item := range set.items {
			if !rule.matches(item.Ref) {
				continue
			}
			for _, field := range rule.Fields {
				p, _ := ParseFieldPath(field)
				for _, found := range resolve(item.Object.Object, p) {
					add(item.Ref, found)
				}
			}
		}
	}
	for _, item := range set.items {
		if target, ok := scaled(item); ok {
			for _, ref := range set.targets(target) {
				add(ref, replicas)
			}
		}
	}
	return ignored
}

// scaled returns the workload that item scales. Its group is "*" if item does not say.
func scaled(item Item) (Ref, bool) {
	gk := item.Ref.GroupKind()
	hpa := gk == schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	keda := gk == schema.GroupKind{Group: "keda.sh", Kind: "ScaledObject"}
	if !hpa && !keda {
		return Ref{}, false
	}
	ref, _, _ := unstructured.NestedMap(item.Object.Object, "spec", "scaleTargetRef")
	apiVersion, _ := ref["apiVersion"].(string)
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	if keda && kind == "" {
		kind = "Deployment"
	}
	target := Ref{Group: "*", Kind: kind, Namespace: item.Ref.Namespace, Name: name}
	if gv, err := schema.ParseGroupVersion(apiVersion); err == nil && apiVersion != "" {
		target.Group = gv.Group
	}
	return target, kind != "" && name != ""
}

// targets finds the objects that target means.
func (s Set) targets(target Ref) []Ref {
	if target.Group != "*" {
		if _, ok := s.byRef[target]; ok {
			return []Ref{target}
		}
		return nil
	}
	var refs []Ref
	for _, item := range s.items {
		target.Group = item.Ref.Group
		if item.Ref == target {
			refs = append(refs, target)
		}
	}
	return refs
}

// mergeKeys holds, by the name of the field and then by a key that its items have, the keys by which Kubernetes
// merges the lists of its own kinds.
var mergeKeys = map[string][][]string{
	"containers": {{"name"}}, "initContainers": {{"name"}}, "ephemeralContainers": {{"name"}},
	"env": {{"name"}}, "volumes": {{"name"}}, "imagePullSecrets": {{"name"}}, "volumeMounts": {{"mountPath"}},
	"volumeDevices": {{"devicePath"}}, "hostAliases": {{"ip"}}, "resourceClaims": {{"name"}},
	"ports":                     {{"containerPort", "protocol"}, {"port", "protocol"}},
	"topologySpreadConstraints": {{"topologyKey", "whenUnsatisfiable"}},
	"webhooks":                  {{"name"}}, "secrets": {{"name"}},
}

// resolve turns p, as a person wrote it, into paths of this object: numbers on lists into places, places and loose
// keys into the keys of the list, and every item into each item. What the object does not have stays as it is written.
func resolve(object map[string]any, p FieldPath) []FieldPath {
	paths := []FieldPath{}
	var walk func(v any, field string, done, rest FieldPath)
	walk = func(v any, field string, done, rest FieldPath) {
		if len(rest) == 0 {
			paths = append(paths, slices.Clone(done))
			return
		}
		list, isList := v.([]any)
		elem := rest[0]
		if n, numeric := strings.CutPrefix(elem, "f:"); numeric && isList {
			if _, err := strconv.Atoi(n); err == nil {
				elem = "i:" + n
			}
		}
		if elem == anyItem {
			for i := range list {
				walk(list[i], "", append(done, keyed(field, list[i], i)), rest[1:])
			}
			if m, isMap := v.(map[string]any); isMap { // a pointer to a field that is named *
				if _, ok := m[anyItem]; ok {
					walk(m[anyItem], anyItem, append(done, "f:"+anyItem), rest[1:])
				}
			}
			return
		}
		node := container{value: v}
		next, ok := node.get(elem, 1)
		if ok && isList {
			elem = keyed(field, next, indexOf(list, next, elem))
		}
		name, _ := strings.CutPrefix(elem, "f:")
		walk(next, name, append(done, elem), rest[1:])
	}
	walk(object, "", nil, p)
	return paths
}

// indexOf returns the place of the item that elem has found in list.
func indexOf(list []any, item any, elem string) int {
	if n, ok := strings.CutPrefix(elem, "i:"); ok {
		i, _ := strconv.Atoi(n)
		return i
	}
	return slices.IndexFunc(list, func(other any) bool { return equal(other, item) })
}

// keyed returns the element for the item at place i of the list in field: by its keys where the list has some.
func keyed(field string, item any, i int) string {
	m, _ := item.(map[string]any)
	for _, names := range mergeKeys[field] {
		keys := map[string]any{}
		for _, name := range names {
			v, ok := m[name]
			if !ok && name == "protocol" {
				v, ok = "TCP", true
			}
			if ok {
				keys[name] = v
			}
		}
		if len(keys) == len(names) {
			return "k:" + canonical(keys)
		}
	}
	return "i:" + strconv.Itoa(i)
}
