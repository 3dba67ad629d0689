package scribe_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
)

func TestToldByACommit(t *testing.T) {
	one, two := "@sha256:"+strings.Repeat("1", 64), "@sha256:"+strings.Repeat("2", 64)
	told := scribe.ImagesOf("checkout: 1.4.2\n\nsome words\n\nSengu-Image: docker.io/library/nginx:1" + one +
		"\nSengu-Image: registry.example.com/shop/web:2" + two + "\nSengu-Image: not an image\nSengu-Release: x\n")
	if want := []string{"docker.io/library/nginx:1" + one, "registry.example.com/shop/web:2" + two}; !cmp.Equal(told, want) {
		t.Fatalf("the message tells of %v", told)
	}
	for name, tt := range map[string]struct{ rendered, want []string }{
		"AsRendered":  {[]string{"nginx:1", "registry.example.com/shop/web:2"}, []string{"nginx:1" + one, "registry.example.com/shop/web:2" + two}},
		"AnotherTag":  {[]string{"registry.example.com/shop/web:3"}, nil},
		"WithADigest": {[]string{"nginx:1" + two}, nil},
		"None":        {nil, nil},
	} {
		environments := []v1alpha1.ReleaseEnvironment{{Name: "dev", Images: tt.rendered}, {Name: "prod", Images: tt.rendered}}
		if got := scribe.Told(told, environments); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestSame(t *testing.T) {
	one, two := "@sha256:"+strings.Repeat("1", 64), "@sha256:"+strings.Repeat("2", 64)
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"nginx:1", "docker.io/library/nginx:1", true},
		{"nginx:1", "nginx:2", false},
		{"nginx:1" + one, "nginx:2" + one, true},
		{"nginx:1" + one, "nginx:1" + two, false},
		{"nginx:1" + one, "nginx:1", true},
		{"nginx:1", "other/nginx:1", false},
	} {
		if got := scribe.Same(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: %t", tt.a, tt.b, got)
		}
	}
}
