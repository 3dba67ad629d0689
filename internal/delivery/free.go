package delivery

import (
	"math"

	"go.yaml.in/yaml/v3"
)

// free reads a value of any shape into what JSON knows: values for a chart.
func (d *decoder) free(n *yaml.Node, at string, depth int) any {
	line := n.Line
	if n = d.enter(n, at, depth); n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		d.pairs(n, at, func(key, value *yaml.Node) {
			m[key.Value] = d.free(value, join(at, key.Value), depth+1)
		})
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.free(item, at, depth+1)
		}
		return list
	default:
		return d.scalar(n, line, at)
	}
}

// scalar reads one value as Helm reads it in a values file, which is by the rules of YAML 1.1 for yes and no. A time
// stays as it is written.
func (d *decoder) scalar(n *yaml.Node, line int, at string) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!str":
		if b, ok := boolean(n); ok {
			return b
		}
		return n.Value
	case "!!timestamp":
		return n.Value
	case "!!bool", "!!int", "!!float", "!!binary":
	default:
		d.fail(line, "%s has a tag (!…) that is not read", place(at))
		return nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		d.fail(line, "%s cannot be read as what its tag says", place(at))
		return nil
	}
	switch t := v.(type) {
	case int:
		return int64(t)
	case uint64:
		return float64(t)
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			d.fail(line, "%s is not a number that JSON knows", place(at))
			return nil
		}
	}
	return v
}

// boolean reads true and false, and without quotes also yes, no, on and off.
func boolean(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		return false, false
	}
	switch n.Value {
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}
