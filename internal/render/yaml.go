package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// All returns the objects and the hooks together: what `kustomize build` or `helm template` prints.
func (r Result) All() []manifest.Object {
	all := slices.Clone(r.Objects)
	for _, h := range r.Hooks {
		all = append(all, h.Object)
	}
	return all
}

// WriteYAML writes objects as one YAML stream. They come sorted by kind, namespace, name and group, and their keys by
// name, so that the same objects are always the same bytes. It prints Secrets as they are.
func WriteYAML(w io.Writer, objects []manifest.Object) error {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(a, b manifest.Object) int {
		return cmp.Or(a.Ref().Compare(b.Ref()), cmp.Compare(a.GetAPIVersion(), b.GetAPIVersion()))
	})
	for i, o := range sorted {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return fmt.Errorf("write %s: %w", o.Ref(), err)
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := w.Write(text); err != nil {
			return fmt.Errorf("write %s: %w", o.Ref(), err)
		}
	}
	return nil
}
