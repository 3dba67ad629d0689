package health

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object reads single fields without copying what is around them. A field that is missing or of another type reads as
// empty.
type object struct{ *unstructured.Unstructured }

// at returns the value at a path with dots, nil if there is none.
func (o object) at(path string) any {
	var v any = o.Object
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (o object) text(path string) string {
	s, _ := o.at(path).(string)
	return s
}

func (o object) flag(path string) bool {
	b, _ := o.at(path).(bool)
	return b
}

func (o object) list(path string) []any {
	list, _ := o.at(path).([]any)
	return list
}

// number returns the whole number at path, or otherwise.
func (o object) number(path string, otherwise int64) int64 {
	switch n := o.at(path).(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case string: // Argo Rollouts writes its observedGeneration as text
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return i
		}
	}
	return otherwise
}

func (o object) deleting() bool { return o.text("metadata.deletionTimestamp") != "" }

// stale says that the controller has not seen the latest change yet.
func (o object) stale() bool {
	seen := o.number("status.observedGeneration", -1)
	return seen >= 0 && seen < o.number("metadata.generation", 0)
}

// unseen says that the controller has seen nothing of the object, or not its latest change.
func (o object) unseen() bool {
	return o.number("status.observedGeneration", -1) < o.number("metadata.generation", 0)
}

// changed returns when somebody last changed more than the status, as far as managedFields tell.
func (o object) changed() string {
	latest := ""
	for _, item := range o.list("metadata.managedFields") {
		entry, _ := item.(map[string]any)
		at, _ := entry["time"].(string)
		if subresource, _ := entry["subresource"].(string); subresource == "" {
			latest = max(latest, at)
		}
	}
	return latest
}

const waitsForController = "waits for its controller to see the latest change"

// condition is one entry of status.conditions.
type condition struct {
	status, reason, message string
	generation              int64
}

func (c condition) isTrue() bool  { return c.status == "True" }
func (c condition) isFalse() bool { return c.status == "False" }

// because returns the reason and the message of c, as far as there are any.
func (c condition) because() string {
	switch {
	case c.message == "" && c.reason == "":
		return "its controller gives no reason"
	case c.message == "":
		return c.reason
	case c.reason == "":
		return c.message
	default:
		return c.reason + ": " + c.message
	}
}

// condition finds an entry of status.conditions by its type.
func (o object) condition(kind string) (condition, bool) {
	return conditionOf(o.list("status.conditions"), kind)
}

func conditionOf(conditions []any, kind string) (condition, bool) {
	for _, item := range conditions {
		m, _ := item.(map[string]any)
		if m["type"] != kind {
			continue
		}
		c := condition{generation: -1}
		c.status, _ = m["status"].(string)
		c.reason, _ = m["reason"].(string)
		c.message, _ = m["message"].(string)
		if n, ok := m["observedGeneration"].(int64); ok {
			c.generation = n
		}
		return c, true
	}
	return condition{}, false
}
