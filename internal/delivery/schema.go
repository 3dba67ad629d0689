package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Schema returns the JSON Schema (draft 2020-12) of sengu.yaml, for editors. It is made from the same table as the
// parser, and ends with a line break.
func Schema() []byte {
	root := schemaOf(reflect.TypeFor[document]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "sengu.yaml"
	root["description"] = "How one service is delivered by Sengu."
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		panic(fmt.Sprintf("delivery: the schema is not JSON: %v", err)) // it holds only maps and text
	}
	return out.Bytes()
}

func schemaOf(t reflect.Type) map[string]any {
	if t == durationType {
		return map[string]any{"type": "string", "pattern": durationPattern}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return map[string]any{"type": "object"}
		}
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	default:
		return map[string]any{"type": "string"}
	}
}

func structSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	var required []string
	short := false
	for _, f := range fieldsOf(t) {
		property := schemaOf(f.typ)
		property["description"] = f.doc
		if f.constant != "" {
			property["const"] = f.constant
		}
		if len(f.enum) > 0 {
			property["enum"] = f.enum
		}
		switch {
		case f.standard == "":
		case property["type"] == "boolean":
			property["default"] = f.standard == "true"
		case property["type"] == "integer":
			property["default"] = f.number(f.typ, f.standard)
		default:
			property["default"] = f.standard
		}
		f.limit(property)
		short = short || f.short
		if f.required {
			required = append(required, f.name)
		}
		properties[f.name] = property
	}
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	if short {
		return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, schema}}
	}
	return schema
}

// limit adds the least and the largest number. A schema has no words for those of a duration.
func (f field) limit(property map[string]any) {
	t := f.typ
	if items, ok := property["items"].(map[string]any); ok {
		property, t = items, t.Elem()
	}
	if property["type"] == "integer" && f.max != "" {
		property["minimum"], property["maximum"] = f.number(t, f.min), f.number(t, f.max)
	}
}
