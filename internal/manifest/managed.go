package manifest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The notation of fieldsV1, as the API server writes it into managedFields: "f:name" is a field, `k:{"name":"app"}`
// the item of a list with these keys, `v:"x"` the item of a set, "i:0" an item by its place, "." the container itself.

// entries calls yield with each entry of managedFields of live until it returns false.
func entries(live *unstructured.Unstructured, yield func(entry map[string]any) bool) {
	if live == nil {
		return
	}
	meta, _ := live.Object["metadata"].(map[string]any)
	list, _ := meta["managedFields"].([]any)
	for _, item := range list {
		if entry, ok := item.(map[string]any); ok && !yield(entry) {
			return
		}
	}
}

// applied returns the fieldsV1 of what manager has applied to live, nil if nothing. What it has written to a
// subresource is not counted.
func applied(live *unstructured.Unstructured, manager string) (fields map[string]any) {
	entries(live, func(entry map[string]any) bool {
		subresource, _ := entry["subresource"].(string)
		if entry["manager"] != manager || entry["operation"] != "Apply" || subresource != "" {
			return true
		}
		fields, _ = entry["fieldsV1"].(map[string]any)
		return false
	})
	return fields
}

// indexFrom is the number of comparisons above which a list is indexed by its keys instead of searched.
const indexFrom = 256

// container finds the children of one value by the elements of fieldsV1.
type container struct {
	value any
	index map[string]any // by the canonical form of the keys, or of the value
}

// get finds the child elem. lookups is how many lookups to expect, so that long lists are not searched again and again.
func (c *container) get(elem string, lookups int) (any, bool) {
	if len(elem) < 2 || elem[1] != ':' {
		return nil, false
	}
	rest := elem[2:]
	if elem[0] == 'f' {
		m, _ := c.value.(map[string]any)
		v, ok := m[rest]
		return v, ok
	}
	list, _ := c.value.([]any)
	if list == nil {
		return nil, false
	}
	if elem[0] == 'i' {
		i, err := strconv.Atoi(rest)
		if err != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		return list[i], true
	}
	keys, ok := parseKeys(elem)
	if !ok {
		return nil, false
	}
	if len(list)*lookups > indexFrom {
		return c.indexed(list, keys)
	}
	for _, item := range list {
		if matches(item, keys, false) {
			return item, true
		}
	}
	for _, item := range list {
		if matches(item, keys, true) {
			return item, true
		}
	}
	return nil, false
}

// indexed finds an item by an index over list, made at the first use: the items of one list all have the same keys.
func (c *container) indexed(list []any, keys []listKey) (any, bool) {
	if c.index == nil {
		c.index = make(map[string]any, len(list))
		for _, item := range list {
			id, ok := identity(item, keys)
			if _, taken := c.index[id]; ok && !taken {
				c.index[id] = item
			}
		}
	}
	var id strings.Builder
	for _, key := range keys {
		id.WriteString(canonical(key.value))
	}
	item, ok := c.index[id.String()]
	return item, ok
}

// identity returns the values that item has for the names in keys, as text.
func identity(item any, keys []listKey) (string, bool) {
	var id strings.Builder
	for _, key := range keys {
		v := item
		if key.name != "" {
			m, _ := item.(map[string]any)
			var ok bool
			if v, ok = m[key.name]; !ok {
				return "", false
			}
		}
		id.WriteString(canonical(v))
	}
	return id.String(), true
}

// listKey is one key of the items of a list, with an empty name for the item itself.
type listKey struct {
	name  string
	value any
}

// matches says whether item has these keys. If lenient, a key that the item lacks matches: the API fills in defaults
// for the keys of a list.
func matches(item any, keys []listKey, lenient bool) bool {
	found := false
	for _, key := range keys {
		v := item
		if key.name != "" {
			m, ok := item.(map[string]any)
			if !ok {
				return false
			}
			if v, ok = m[key.name]; !ok {
				if lenient {
					continue
				}
				return false
			}
		}
		if !same(v, key.value) {
			return false
		}
		found = true
	}
	return found
}

// same compares a value with one of a key without allocating for what keys usually are.
func same(a, b any) bool {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return ok && x == y
	case int64:
		if y, ok := b.(int64); ok {
			return x == y
		}
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	}
	return equal(a, b)
}

// parseKeys reads the keys of a `k:{…}` element, or the value of a `v:…` element.
func parseKeys(elem string) ([]listKey, bool) {
	rest := elem[2:]
	switch elem[0] {
	case 'v':
		if v, after, ok := scalar(rest); ok && after == "" {
			return []listKey{{value: v}}, true
		}
		var v any
		if json.Unmarshal([]byte(rest), &v) != nil {
			return nil, false
		}
		return []listKey{{value: v}}, true
	case 'k':
		if keys, ok := plainKeys(rest); ok {
			return keys, true
		}
		var m map[string]any
		if json.Unmarshal([]byte(rest), &m) != nil || len(m) == 0 {
			return nil, false
		}
		keys := make([]listKey, 0, len(m))
		for name, value := range m {
			keys = append(keys, listKey{name, value})
		}
		slices.SortFunc(keys, func(a, b listKey) int { return strings.Compare(a.name, b.name) })
		return keys, true
	}
	return nil, false
}

// plainKeys reads an object of text, whole numbers and booleans without escapes or spaces, which is what keys are.
func plainKeys(s string) ([]listKey, bool) {
	if len(s) < 2 || s[0] != '{' {
		return nil, false
	}
	s = s[1:]
	keys := make([]listKey, 0, 2)
	for {
		name, after, ok := scalar(s)
		if !ok || after == "" || after[0] != ':' {
			return nil, false
		}
		value, after, ok := scalar(after[1:])
		text, isText := name.(string)
		if !ok || after == "" || !isText || text == "" {
			return nil, false
		}
		keys = append(keys, listKey{text, value})
		if after == "}" {
			return keys, true
		}
		if after[0] != ',' {
			return nil, false
		}
		s = after[1:]
	}
}

// scalar reads one simple JSON value from the front of s.
func scalar(s string) (v any, after string, ok bool) {
	if s == "" {
		return nil, "", false
	}
	if s[0] == '"' {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 || strings.IndexByte(s[1:end+1], '\\') >= 0 {
			return nil, "", false
		}
		return s[1 : end+1], s[end+2:], true
	}
	end := strings.IndexAny(s, ",:}")
	if end < 0 {
		end = len(s)
	}
	word := s[:end]
	if word == "true" || word == "false" {
		return word == "true", s[end:], true
	}
	n, err := strconv.ParseInt(word, 10, 64)
	return n, s[end:], err == nil
}
