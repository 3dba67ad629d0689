package review

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// differ lists the objects that differ between what was rendered before and what is now: those that are applied, and the
// Jobs that are run as steps.
func (f *finding) differ() {
	for _, item := range f.old.Set.Items() {
		if next, stays := f.next.Set.ByRef(item.Ref); stays {
			f.note(item.Ref, item.Unstructured, next.Unstructured)
		} else {
			f.note(item.Ref, item.Unstructured, nil)
		}
	}
	for _, item := range f.next.Set.Items() {
		if _, was := f.old.Set.ByRef(item.Ref); !was {
			f.note(item.Ref, nil, item.Unstructured)
		}
	}
	names := maps.Clone(f.jobs[0])
	if names == nil {
		names = map[string]manifest.Object{}
	}
	maps.Copy(names, f.jobs[1])
	for name, job := range names {
		f.note(job.Ref(), f.jobs[1][name].Unstructured, f.jobs[0][name].Unstructured)
	}
	slices.SortFunc(f.Objects, func(a, b object) int { return a.Ref.Compare(b.Ref) })
}

// note adds an object if it would be seen to differ.
func (f *finding) note(ref manifest.Ref, before, after *unstructured.Unstructured) {
	if before != nil && after != nil && equality.Semantic.DeepEqual(before.Object, after.Object) {
		return
	}
	lines := manifest.Diff(manifest.Unmarked(before), manifest.Unmarked(after))
	if len(lines) == 0 {
		return
	}
	f.Objects = append(f.Objects, object{Ref: ref, Made: before == nil, Gone: after == nil, Lines: lines})
}
