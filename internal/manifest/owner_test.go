package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestOwnerOf(t *testing.T) {
	stamped := func(t *testing.T) Object {
		o := Object{Unstructured: parse(t, "{apiVersion: v1, kind: Service, metadata: {name: checkout, namespace: shop}}")}
		Stamp(o, testOwner)
		return o
	}
	type want struct {
		Owner Owner
		OK    bool
	}
	cases := map[string]struct {
		reason string
		change func(o Object)
		want   want
	}{
		"Stamped": {
			reason: "What was stamped is proven.",
			change: func(Object) {},
			want:   want{testOwner, true},
		},
		"CopiedToAnotherKind": {
			reason: "EndpointSlices copy the labels and annotations of their Service.",
			change: func(o Object) { o.SetKind("EndpointSlice"); o.SetAPIVersion("discovery.k8s.io/v1") },
		},
		"CopiedToAnotherName": {
			reason: "kubectl get -o yaml, renamed and applied, is not ours.",
			change: func(o Object) { o.SetName("checkout-copy") },
		},
		"AnotherVersion": {
			reason: "The version of the API is not part of the identity.",
			change: func(o Object) { o.SetAPIVersion("v2") },
			want:   want{testOwner, true},
		},
		"LabelOnly": {
			reason: "A label proves nothing.",
			change: func(o Object) { o.SetAnnotations(nil) },
		},
		"Garbled": {
			reason: "What cannot be read proves nothing.",
			change: func(o Object) {
				o.SetAnnotations(map[string]string{AnnotationOwner: "u-1 sengu /Service/shop/checkout"})
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := stamped(t)
			tc.change(o)
			owner, ok := OwnerOf(o.Unstructured)
			if diff := cmp.Diff(tc.want, want{owner, ok}); diff != "" {
				t.Errorf("%s\nOwnerOf(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestOwnerNames(t *testing.T) {
	long := Owner{Namespace: "sengu", Name: strings.Repeat("checkout.", 27) + "production"}
	other := Owner{Namespace: "sengu", Name: strings.Repeat("checkout.", 27) + "productiom"}
	if got, want := testOwner.Manager(), "sengu:sengu/checkout-develop"; got != want {
		t.Errorf("Manager() = %q, want %q", got, want)
	}
	if got, want := testOwner.Label(), "sengu.checkout-develop"; got != want {
		t.Errorf("Label() = %q, want %q", got, want)
	}
	if long.Manager() == other.Manager() || len(long.Manager()) > maxManager {
		t.Errorf("Manager() of two long names: %q, %q", long.Manager(), other.Manager())
	}
	if long.Label() == other.Label() {
		t.Errorf("Label() of two long names is %q", long.Label())
	}
	if problems := validation.IsValidLabelValue(long.Label()); len(problems) > 0 {
		t.Errorf("Label() = %q: %v", long.Label(), problems)
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"apps/Deployment/shop/checkout", "/Namespace//shop", "", "a/b/c", "rbac.authorization.k8s.io/ClusterRole//system:a/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		ref, err := ParseID(id)
		if err != nil {
			return
		}
		if got := ref.ID(); got != id {
			t.Errorf("ParseID(%q).ID() = %q", id, got)
		}
	})
}
