package manifest

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	masked     = "***"
	maskedDiff = "*** (changed)"
	// lastApplied is the copy of an object that kubectl apply leaves on it.
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
)

// MaskSecret returns u with the values of a Secret replaced by ***, and the copy of the object that kubectl leaves in
// an annotation as well, whatever the kind. The keys of the values stay. The object that is passed in stays as it is.
func MaskSecret(u *unstructured.Unstructured) *unstructured.Unstructured {
	out, _ := maskPair(u, nil)
	return out
}

// maskPair masks two states of an object so that it can be seen which values differ.
func maskPair(before, after *unstructured.Unstructured) (*unstructured.Unstructured, *unstructured.Unstructured) {
	a, b := shallow(before), shallow(after)
	if (before != nil && isSecret(before)) || (after != nil && isSecret(after)) {
		for _, field := range []string{"data", "stringData"} {
			maskField(a, b, field)
		}
	}
	maskField(annotationsOf(a), annotationsOf(b), lastApplied)
	return wrap(a), wrap(b)
}

// maskField masks what is at field of two maps, of which either may be nil: the values of a map one by one, anything
// else as a whole.
func maskField(a, b map[string]any, field string) {
	left, inLeft := a[field]
	right, inRight := b[field]
	leftMap, leftIsMap := left.(map[string]any)
	rightMap, rightIsMap := right.(map[string]any)
	if (inLeft && !leftIsMap && left != nil) || (inRight && !rightIsMap && right != nil) {
		if inLeft {
			a[field] = masked
		}
		if inRight {
			b[field] = changed(inLeft, left, right)
		}
		return
	}
	if leftIsMap {
		a[field] = maskValues(leftMap, nil)
	}
	if rightIsMap {
		b[field] = maskValues(rightMap, leftMap)
	}
}

// maskValues masks the values of m. Those that differ from what they were are marked.
func maskValues(m, was map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		old, had := was[key]
		out[key] = changed(had, old, value)
	}
	return out
}

func changed(had bool, old, value any) string {
	if had && !equal(old, value) {
		return maskedDiff
	}
	return masked
}

// shallow copies the parts of u that masking and cleaning change. It is nil for nil.
func shallow(u *unstructured.Unstructured) map[string]any {
	if u == nil {
		return nil
	}
	object := maps.Clone(u.Object)
	meta, ok := object["metadata"].(map[string]any)
	if !ok {
		return object
	}
	meta = maps.Clone(meta)
	object["metadata"] = meta
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		meta["annotations"] = maps.Clone(annotations)
	}
	return object
}

func annotationsOf(object map[string]any) map[string]any {
	meta, _ := object["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	return annotations
}

func wrap(object map[string]any) *unstructured.Unstructured {
	if object == nil {
		return nil
	}
	return &unstructured.Unstructured{Object: object}
}
