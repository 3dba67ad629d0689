package render

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render/wire"
)

// decode makes a Result of the payload of a worker, and refuses objects that no cluster could take.
func decode(payload []byte) (Result, error) {
	r := wire.NewReader(payload)
	out := r.Output()
	if err := r.Err(); err != nil {
		return Result{}, err
	}
	res := Result{Warnings: out.Warnings}
	seen := make(map[manifest.Ref]string, len(out.Objects))
	for _, o := range out.Objects {
		var u unstructured.Unstructured
		if err := json.Unmarshal(o.JSON, &u.Object); err != nil {
			return Result{}, &Error{Sentence: fmt.Sprintf("%s holds something that is no Kubernetes object", o.Origin), File: o.Origin}
		}
		obj := manifest.Object{Unstructured: &u, Origin: o.Origin}
		if h, ok := hookOf(obj); ok {
			if err := check(obj, map[manifest.Ref]string{}); err != nil { // a chart may have an object as a hook, too
				return Result{}, err
			}
			res.Hooks = append(res.Hooks, h)
			continue
		}
		if err := check(obj, seen); err != nil {
			return Result{}, err
		}
		res.Objects = append(res.Objects, obj)
	}
	slices.SortStableFunc(res.Objects, func(a, b manifest.Object) int { return a.Ref().Compare(b.Ref()) })
	slices.SortStableFunc(res.Hooks, func(a, b Hook) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), a.Ref().Compare(b.Ref()))
	})
	for _, h := range res.Hooks {
		if h.Phase == PhaseNone {
			res.Warnings = append(res.Warnings, h.NotRun())
		}
	}
	return res, nil
}

func isMap(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// isText says whether a field is text, or not there.
func isText(object map[string]any, path ...string) bool {
	v, found, err := unstructured.NestedFieldNoCopy(object, path...)
	_, ok := v.(string)
	return err == nil && (ok || !found || v == nil)
}

// check refuses an object without a name, a kind or a version of its API, and one that was seen before.
func check(o manifest.Object, seen map[manifest.Ref]string) error {
	where := o.Origin
	if where == "" {
		where = "the rendered output"
	}
	fail := func(format string, args ...any) error {
		file, line := splitOrigin(o.Origin)
		return &Error{Sentence: where + " " + fmt.Sprintf(format, args...), File: file, Line: line}
	}
	field := func(path ...string) string {
		s, _, _ := unstructured.NestedString(o.Object, path...)
		return s
	}
	switch {
	case field("apiVersion") == "" && field("kind") == "":
		return fail("holds something that is no Kubernetes object: apiVersion and kind are missing")
	case field("kind") == "":
		return fail("has an object without a kind")
	case field("apiVersion") == "":
		return fail("has a %s without an apiVersion", o.GetKind())
	case !isMap(o.Object["metadata"]) && o.Object["metadata"] != nil:
		return fail("has a %s whose metadata is no map", o.GetKind())
	case !isText(o.Object, "metadata", "name"):
		return fail("has a %s whose metadata.name is no text: put it in quotes", o.GetKind())
	case field("metadata", "name") == "" && field("metadata", "generateName") != "":
		return fail("has a %s with generateName: give it a metadata.name, as Sengu must find it again", o.GetKind())
	case field("metadata", "name") == "":
		return fail("has a %s without a metadata.name", o.GetKind())
	}
	if problem := manifest.CheckSecret(o.Unstructured); problem != "" {
		return fail("has a Secret %s %s", o.GetName(), problem)
	}
	ref := o.Ref()
	if first, ok := seen[ref]; ok {
		also := ""
		if first != "" && first != o.Origin {
			also = ", first in " + first
		}
		return fail("has %s a second time%s: an App may hold an object once", ref, also)
	}
	seen[ref] = o.Origin
	return nil
}
