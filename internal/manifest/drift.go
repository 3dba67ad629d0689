package manifest

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// FieldDrift is a field that is not as Git says. Values are never part of it.
type FieldDrift struct {
	// Path of the field, for people.
	Path string
	// Manager that set the field last, as the API server recorded it. Empty if nobody holds it, as when it was taken
	// out.
	Manager string
}

// DriftOf names the fields in which live differs from wanted, which is what a dry run of applying as manager would
// make of it. Only fields that manager has applied, or would apply, are looked at: what webhooks, defaults and other
// controllers do to the others is no drift.
func DriftOf(live, wanted *unstructured.Unstructured, manager string) []FieldDrift {
	d := drifts{live: live, manager: manager}
	d.walk(nil, state{applied(live, manager), live.Object, true}, state{applied(wanted, manager), wanted.Object, true})
	return d.found
}

// state is one side of a comparison: what is owned of a value, and the value.
type state struct {
	fields  map[string]any
	value   any
	present bool
}

type drifts struct {
	live    *unstructured.Unstructured
	manager string
	found   []FieldDrift
}

func (d *drifts) walk(at FieldPath, live, wanted state) {
	if live.present != wanted.present {
		d.add(at)
		return
	}
	if !live.present {
		return
	}
	elems := children(live.fields, wanted.fields)
	if len(elems) == 0 {
		if !held(live.fields) && !held(wanted.fields) && !equal(live.value, wanted.value) {
			d.add(at)
		}
		return
	}
	left, right := container{value: live.value}, container{value: wanted.value}
	for _, elem := range elems {
		l, r := state{fields: below(live.fields, elem)}, state{fields: below(wanted.fields, elem)}
		l.value, l.present = left.get(elem, len(elems))
		r.value, r.present = right.get(elem, len(elems))
		d.walk(append(slices.Clip(at), elem), l, r)
	}
}

// held says that the container itself is owned, and not what is in it.
func held(fields map[string]any) bool {
	_, ok := fields["."]
	return ok
}

func below(fields map[string]any, elem string) map[string]any {
	m, _ := fields[elem].(map[string]any)
	return m
}

// children lists the elements below either of two nodes, in order.
func children(a, b map[string]any) []string {
	elems := make([]string, 0, len(a)+len(b))
	for _, m := range []map[string]any{a, b} {
		for elem := range m {
			if elem != "." {
				elems = append(elems, elem)
			}
		}
	}
	slices.Sort(elems)
	return slices.Compact(elems)
}

func (d *drifts) add(at FieldPath) {
	drift := FieldDrift{Path: at.String(), Manager: d.setter(at)}
	if !slices.Contains(d.found, drift) {
		d.found = append(d.found, drift)
	}
}

// setter returns the manager other than ours that holds the field at path in the live object, the latest if several.
func (d *drifts) setter(path FieldPath) (name string) {
	var latest string
	entries(d.live, func(entry map[string]any) bool {
		manager, _ := entry["manager"].(string)
		fields, _ := entry["fieldsV1"].(map[string]any)
		if (manager == d.manager && entry["operation"] == "Apply") || len(fields) == 0 || !holds(fields, path) {
			return true
		}
		// Times are RFC 3339 in UTC, which sorts as text.
		at, _ := entry["time"].(string)
		if name == "" || at > latest {
			name, latest = manager, at
		}
		return true
	})
	return name
}
