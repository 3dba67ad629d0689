package delivery

import (
	"reflect"
	"slices"
	"strings"
)

// field is one field of the file, read from the tags of a struct.
type field struct {
	name     string
	index    []int // as reflect.Value.FieldByIndex takes it
	typ      reflect.Type
	doc      string
	constant string
	enum     []string
	standard string // the default, for people
	min, max string // of numbers and durations, and of those in a list
	required bool
	short    bool // plain text in place of the struct is this field
}

// fieldsOf lists the fields of a struct in the order in which they are declared, those of embedded structs in place.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue // not a field of the file
		}
		next := field{
			name: name, index: []int{i}, typ: f.Type, doc: f.Tag.Get("doc"), constant: f.Tag.Get("const"),
			standard: f.Tag.Get("default"), required: f.Tag.Get("required") == "true", short: f.Tag.Get("short") == "true",
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			next.enum = strings.Split(enum, ",")
		}
		fields = append(fields, next)
	}
	return fields
}

// nearest returns the name in names that s is most likely meant to be, empty if none is near.
func nearest(s string, names []string) string {
	best, limit := "", max(len(s)/3, 1)+1
	for _, name := range names {
		if strings.EqualFold(s, name) {
			return name
		}
		if d := distance(strings.ToLower(s), strings.ToLower(name)); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next to make b of a (Damerau's
// distance of adjacent swaps). Long names are not compared.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func names(fields []field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return list
}

// find returns the field with that name.
func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}
