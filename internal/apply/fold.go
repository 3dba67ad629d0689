package apply

import (
	"bytes"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// entry is one entry of managedFields, as far as folding looks at it.
type entry struct {
	manager, operation, subresource string
}

// fold makes one Apply entry of manager out of its own and of those that chosen picks, in managedFields of u. The
// fields that the picked ones held are then manager's, so that the next apply of manager removes those that it does not
// name. It returns the names of the managers that were folded.
func fold(u *unstructured.Unstructured, manager string, chosen func(entry) bool) []string {
	meta, _ := u.Object["metadata"].(map[string]any)
	list, _ := meta["managedFields"].([]any)
	var kept []any
	var names []string
	var first map[string]any
	union := fieldpath.NewSet()
	for _, item := range list {
		e, raw := entryOf(item)
		own := e.manager == manager && e.operation == "Apply" && e.subresource == ""
		fields, ok := fieldsOf(raw)
		if !ok || (!own && !chosen(e)) {
			kept = append(kept, item)
			continue
		}
		if !own {
			names = append(names, e.manager)
		}
		if first == nil || own {
			first = raw
		}
		union = union.Union(fields)
	}
	if first == nil {
		return nil
	}
	data, err := union.ToJSON()
	if err != nil {
		return nil
	}
	var fields map[string]any
	if json.Unmarshal(data, &fields) != nil {
		return nil
	}
	folded := map[string]any{
		"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields,
		"apiVersion": first["apiVersion"], "time": first["time"],
	}
	meta["managedFields"] = append([]any{folded}, kept...)
	return names
}

func entryOf(item any) (entry, map[string]any) {
	raw, _ := item.(map[string]any)
	text := func(key string) string {
		s, _ := raw[key].(string)
		return s
	}
	return entry{manager: text("manager"), operation: text("operation"), subresource: text("subresource")}, raw
}

func fieldsOf(raw map[string]any) (*fieldpath.Set, bool) {
	data, err := json.Marshal(raw["fieldsV1"])
	if err != nil || raw["fieldsV1"] == nil {
		return nil, false
	}
	set := &fieldpath.Set{}
	if set.FromJSON(bytes.NewReader(data)) != nil {
		return nil, false
	}
	return set, true
}
