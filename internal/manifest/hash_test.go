package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestNewKey(t *testing.T) {
	key, err := NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil || len(key) != keySize {
		t.Errorf("NewKey(...) = %d bytes, %v", len(key), err)
	}
	if _, err := NewKey(bytes.NewReader(nil)); err == nil {
		t.Error("NewKey without randomness has no error")
	}
}

func TestHash(t *testing.T) {
	cases := map[string]struct {
		reason string
		a, b   string
		same   bool
	}{
		"KeyOrder":   {"The order of keys means nothing.", "{a: 1, b: {c: 2, d: 3}}", "{b: {d: 3, c: 2}, a: 1}", true},
		"Whole":      {"1 and 1.0 are one number.", "{a: 1}", "{a: 1.0}", true},
		"ListOrder":  {"The order of lists counts.", "{a: [1, 2]}", "{a: [2, 1]}", false},
		"TextNumber": {"Text is no number.", "{a: 1}", `{a: "1"}`, false},
		"NullAbsent": {"Null is not absent.", "{a: null}", "{}", false},
		"Nesting":    {"Nesting counts.", "{a: {b: 1}}", "{a: [{b: 1}]}", false},
		"Quotes":     {"A quote in a text ends no text.", `{a: "x\",\"b\":\"y"}`, `{a: x, b: y}`, false},
		"Control":    {"Control characters count.", `{a: "x\ny\u0001"}`, `{a: "x\ny\u0002"}`, false},
		"Fraction":   {"Fractions count.", "{a: 1.5}", "{a: 1.25}", false},
		"Bool":       {"Booleans count.", "{a: true}", "{a: false}", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := testKey.Hash(parse(t, tc.a)), testKey.Hash(parse(t, tc.b))
			if (a == b) != tc.same || len(a) != 16 {
				t.Errorf("%s\nHash: %q, %q, want the same: %v", tc.reason, a, b, tc.same)
			}
		})
	}
	u := parse(t, "{a: 1}")
	if testKey.Hash(u) == Key("another").Hash(u) {
		t.Error("two keys make the same hash")
	}
	odd := &unstructured.Unstructured{Object: map[string]any{"a": int32(1), "b": 2, "c": uint64(3), "d": []string{"x"}}}
	even := &unstructured.Unstructured{Object: map[string]any{"a": int64(1), "b": int64(2), "c": int64(3), "d": []string{"x"}}}
	if testKey.Hash(odd) != testKey.Hash(even) {
		t.Error("the type of a number changes its hash")
	}
}

func TestBaseline(t *testing.T) {
	container := []string{"spec", "template", "spec", "containers"}
	firstContainer := func(t *testing.T, u *unstructured.Unstructured, change func(map[string]any)) {
		list, _, _ := unstructured.NestedSlice(u.Object, container...)
		change(list[0].(map[string]any))
		set(t, u, list, container...)
	}
	cases := map[string]struct {
		reason string
		change func(t *testing.T, u *unstructured.Unstructured)
		same   bool
	}{
		"Status": {"What we do not own does not count.", func(t *testing.T, u *unstructured.Unstructured) {
			set(t, u, int64(9), "status", "observedGeneration")
			set(t, u, "8", "metadata", "annotations", "deployment.kubernetes.io/revision")
		}, true},
		"Default": {"A default that changes is not ours.", func(t *testing.T, u *unstructured.Unstructured) {
			firstContainer(t, u, func(c map[string]any) { c["imagePullPolicy"] = "Always" })
		}, true},
		"Sidecar": {"A container that a webhook puts in front changes nothing of ours.", func(t *testing.T, u *unstructured.Unstructured) {
			list, _, _ := unstructured.NestedSlice(u.Object, container...)
			set(t, u, append([]any{map[string]any{"name": "sidecar"}}, list...), container...)
		}, true},
		"Image": {"An image that somebody sets is drift.", func(t *testing.T, u *unstructured.Unstructured) {
			firstContainer(t, u, func(c map[string]any) { c["image"] = "x" })
		}, false},
		"Replicas":  {"A number that somebody sets is drift.", func(t *testing.T, u *unstructured.Unstructured) { set(t, u, int64(3), "spec", "replicas") }, false},
		"Container": {"A container that is gone is drift.", func(t *testing.T, u *unstructured.Unstructured) { set(t, u, []any{}, container...) }, false},
		"Label": {"A label that is stripped is drift.", func(_ *testing.T, u *unstructured.Unstructured) {
			unstructured.RemoveNestedField(u.Object, "metadata", "labels", LabelApp)
		}, false},
		"Atomic": {"An atomic map is owned as a whole.", func(t *testing.T, u *unstructured.Unstructured) {
			set(t, u, "x", "spec", "selector", "matchLabels", "more")
		}, false},
		"PortName": {"A field within two keyed lists.", func(t *testing.T, u *unstructured.Unstructured) {
			firstContainer(t, u, func(c map[string]any) { c["ports"].([]any)[0].(map[string]any)["name"] = "web" })
		}, false},
	}
	before, ok := testKey.Baseline(liveDeployment(t), testManager)
	if !ok || len(before) != 16 {
		t.Fatalf("Baseline(...) = %q, %v", before, ok)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := liveDeployment(t)
			tc.change(t, u)
			after, ok := testKey.Baseline(u, testManager)
			if !ok || (before == after) != tc.same {
				t.Errorf("%s\nBaseline(...) = %q, %v; before %q, want the same: %v", tc.reason, after, ok, before, tc.same)
			}
		})
	}
	if got, ok := testKey.Baseline(liveDeployment(t), "kube-controller-manager"); ok {
		t.Errorf("Baseline of a manager that has applied nothing = %q", got)
	}
	if _, ok := testKey.Baseline(&unstructured.Unstructured{}, testManager); ok {
		t.Error("Baseline of an empty object is there")
	}
}

// listObject has one list of n items that one manager owns by the elements in elem.
func listObject(items []any, elems ...string) *unstructured.Unstructured {
	fields := map[string]any{}
	for _, elem := range elems {
		fields[elem] = map[string]any{}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"managedFields": []any{map[string]any{
			"manager": "m", "operation": "Apply", "fieldsV1": map[string]any{"f:list": fields},
		}}},
		"list": items,
	}}
}

func TestBaselineLists(t *testing.T) {
	item := func(name string, value any) any { return map[string]any{"name": name, "value": value} }
	cases := map[string]struct {
		reason string
		a, b   *unstructured.Unstructured
		same   bool
	}{
		"KeyedOrder": {"The order of a keyed list means nothing.",
			listObject([]any{item("a", "1"), item("b", "2")}, `k:{"name":"a"}`, `k:{"name":"b"}`),
			listObject([]any{item("b", "2"), item("a", "1")}, `k:{"name":"a"}`, `k:{"name":"b"}`), true},
		"KeyedValue": {"A value within a keyed list counts.",
			listObject([]any{item("a", "1")}, `k:{"name":"a"}`),
			listObject([]any{item("a", "2")}, `k:{"name":"a"}`), false},
		"SetOrder": {"The order of a set means nothing.",
			listObject([]any{"x", "y"}, `v:"x"`, `v:"y"`),
			listObject([]any{"y", "z", "x"}, `v:"x"`, `v:"y"`), true},
		"SetItem": {"An item that is gone from a set counts.",
			listObject([]any{"x", "y"}, `v:"x"`, `v:"y"`),
			listObject([]any{"y"}, `v:"x"`, `v:"y"`), false},
		"Place": {"By place, the order counts.",
			listObject([]any{"x", "y"}, "i:0"),
			listObject([]any{"y", "x"}, "i:0"), false},
		"EscapedKey": {"Keys with escapes are read.",
			listObject([]any{item("a\"b", "1")}, `k:{"name":"a\"b"}`),
			listObject([]any{item("a\"b", "2")}, `k:{"name":"a\"b"}`), false},
		"DefaultedKey": {"A key that an item lacks matches, because the API fills in defaults.",
			listObject([]any{map[string]any{"port": int64(80), "x": "1"}}, `k:{"port":80,"protocol":"TCP"}`),
			listObject([]any{map[string]any{"port": int64(80), "x": "2"}}, `k:{"port":80,"protocol":"TCP"}`), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := testKey.Baseline(tc.a, "m")
			b, _ := testKey.Baseline(tc.b, "m")
			if (a == b) != tc.same || a == "" {
				t.Errorf("%s\nBaseline: %q, %q, want the same: %v", tc.reason, a, b, tc.same)
			}
		})
	}
}

// TestBaselineLongLists holds the index of long lists to the search of short ones.
func TestBaselineLongLists(t *testing.T) {
	const n = 3000
	var items []any
	var elems []string
	for i := range n {
		items = append(items, map[string]any{"name": fmt.Sprint("n", i), "port": int64(i), "value": "x"})
		elems = append(elems, fmt.Sprintf(`k:{"name":"n%d","port":%d}`, i, i))
	}
	a, _ := testKey.Baseline(listObject(items, elems...), "m")
	turned := slices.Clone(items)
	slices.Reverse(turned)
	if b, _ := testKey.Baseline(listObject(turned, elems...), "m"); a != b {
		t.Error("the order of a long keyed list counts")
	}
	turned[5] = map[string]any{"name": fmt.Sprint("n", n-6), "port": int64(n - 6), "value": "y"}
	if b, _ := testKey.Baseline(listObject(turned, elems...), "m"); a == b {
		t.Error("a value within a long keyed list does not count")
	}
}

func FuzzBaseline(f *testing.F) {
	seed, err := json.Marshal(liveDeployment(f).Object)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	for _, u := range []*unstructured.Unstructured{
		listObject([]any{"x", 1.5, nil}, `v:"x"`, "v:1.5", "i:9", "k:{}", "k:", "v:", "f", "."),
		listObject(nil, `k:{"a":`, `k:{"a":1`, `k:{"a":1,`, `k:{"a":"`),
	} {
		data, _ := json.Marshal(u.Object)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var object map[string]any
		if json.Unmarshal(data, &object) != nil {
			return
		}
		u := &unstructured.Unstructured{Object: object}
		for _, manager := range []string{testManager, "m"} {
			a, ok := testKey.Baseline(u, manager)
			if b, _ := testKey.Baseline(&unstructured.Unstructured{Object: deepCopy(object).(map[string]any)}, manager); a != b {
				t.Errorf("two equal objects have the baselines %q and %q", a, b)
			}
			if !ok {
				continue
			}
			if drift := DriftOf(u, u, manager); len(drift) > 0 {
				t.Errorf("an object drifts from itself: %v", drift)
			}
			for _, path := range Owned(u, manager) {
				_ = path.String()
				Drop(u, []FieldPath{path})
				Extract(u, []FieldPath{path})
			}
		}
		_ = testKey.LiveOf(u)
	})
}

func BenchmarkHash(b *testing.B) {
	u := liveDeployment(b)
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(u.Object, "status")
	b.ReportAllocs()
	for b.Loop() {
		testKey.Hash(u)
	}
}

func BenchmarkBaseline(b *testing.B) {
	u := liveDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		testKey.Baseline(u, testManager)
	}
}

func BenchmarkLiveOf(b *testing.B) {
	u := liveDeployment(b)
	b.ReportAllocs()
	for b.Loop() {
		testKey.LiveOf(u)
	}
}
