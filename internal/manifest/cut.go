package manifest

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Drop returns u without fields, to apply it without them. Containers that become empty stay, because an empty one
// can mean something (emptyDir: {}). The object that is passed in stays as it is; what is not on the way to a
// dropped field is shared with it.
func Drop(u *unstructured.Unstructured, fields []FieldPath) *unstructured.Unstructured {
	object := any(u.Object)
	for _, field := range fields {
		if len(field) > 0 {
			object = without(object, field)
		}
	}
	return &unstructured.Unstructured{Object: object.(map[string]any)}
}

// without returns a copy of v that lacks the field at path, or v itself if it lacks it already.
func without(v any, path FieldPath) any {
	node := container{value: v}
	below, ok := node.get(path[0], 1)
	if !ok {
		return v
	}
	last := len(path) == 1
	if !last {
		if below = without(below, path[1:]); below == nil {
			return v
		}
	}
	switch t := v.(type) {
	case map[string]any:
		m := maps.Clone(t)
		if last {
			delete(m, path[0][2:])
		} else {
			m[path[0][2:]] = below
		}
		return m
	case []any:
		i := node.place(path[0])
		if last {
			return slices.Delete(slices.Clone(t), i, i+1)
		}
		list := slices.Clone(t)
		list[i] = below
		return list
	}
	return v
}

// place returns where in the list of c the item elem is, -1 if nowhere.
func (c *container) place(elem string) int {
	list, _ := c.value.([]any)
	item, ok := c.get(elem, 1)
	if !ok {
		return -1
	}
	return indexOf(list, item, elem)
}

// Extract returns the least object that holds fields at the values that they have in live: the identity of live, the
// fields, and the keys of the list items on the way. Applied by the hand-over manager it makes that manager a
// co-owner of the fields, so that they keep their values when the App stops naming them. A field within a list that
// has no keys takes the whole list along. It is false if live has none of the fields.
func Extract(live *unstructured.Unstructured, fields []FieldPath) (*unstructured.Unstructured, bool) {
	object := map[string]any{}
	found := false
	for _, field := range fields {
		if len(field) > 0 && graft(object, live.Object, field) {
			found = true
		}
	}
	if !found {
		return nil, false
	}
	out := &unstructured.Unstructured{Object: object}
	out.SetAPIVersion(live.GetAPIVersion())
	out.SetKind(live.GetKind())
	out.SetName(live.GetName())
	if namespace := live.GetNamespace(); namespace != "" {
		out.SetNamespace(namespace)
	}
	return out, true
}

// graft copies the field at path of from into the map to.
func graft(to, from map[string]any, path FieldPath) bool {
	if path[0][0] != 'f' {
		return false
	}
	name := path[0][2:]
	v, ok := from[name]
	if !ok {
		return false
	}
	list, isList := v.([]any)
	switch {
	case len(path) == 1:
	case isList && path[1][0] == 'k':
		items, ok := graftItem(to[name], list, path[1:])
		if ok {
			to[name] = items
		}
		return ok
	case !isList:
		below, ok := v.(map[string]any)
		if !ok {
			return false
		}
		into, ok := to[name].(map[string]any)
		if !ok {
			into = map[string]any{}
		}
		if !graft(into, below, path[1:]) {
			return false
		}
		to[name] = into
		return true
	default:
		node := container{value: v}
		if _, ok := node.get(path[1], 1); !ok {
			return false
		}
	}
	to[name] = deepCopy(v)
	return true
}

// graftItem copies a field of one item of list, or the whole item, into the list of items that is there already.
func graftItem(have any, list []any, path FieldPath) ([]any, bool) {
	node := container{value: any(list)}
	item, ok := node.get(path[0], 1)
	from, isMap := item.(map[string]any)
	keys, keysOK := parseKeys(path[0])
	if !ok || !isMap || !keysOK {
		return nil, false
	}
	items, _ := have.([]any)
	known := container{value: have}
	into, exists := known.get(path[0], 1)
	target, _ := into.(map[string]any)
	if !exists {
		target = map[string]any{}
		for _, key := range keys {
			target[key.name] = key.value
		}
	}
	switch {
	case len(path) == 1:
		maps.Copy(target, deepCopy(from).(map[string]any))
	case !graft(target, from, path[1:]):
		return nil, false
	}
	if !exists {
		items = append(items, target)
	}
	return items, true
}

// deepCopy copies what JSON can hold.
func deepCopy(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(t))
		for key, value := range t {
			m[key] = deepCopy(value)
		}
		return m
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			list[i] = deepCopy(item)
		}
		return list
	default:
		return v
	}
}
