package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	digestC = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	digestD = "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		in    string
		want  Reference
		error string
	}{
		"Everything":       {in: "registry.example.com:5000/shop/checkout:1.2.3@" + digestA, want: Reference{"registry.example.com:5000/shop/checkout", "1.2.3", digestA}},
		"Name":             {in: "registry.example.com/checkout", want: Reference{Repository: "registry.example.com/checkout"}},
		"PortAndNoTag":     {in: "registry.example.com:5000/checkout", want: Reference{Repository: "registry.example.com:5000/checkout"}},
		"Official":         {in: "nginx:1.29", want: Reference{Repository: "docker.io/library/nginx", Tag: "1.29"}},
		"OfficialByHub":    {in: "docker.io/nginx", want: Reference{Repository: "docker.io/library/nginx"}},
		"HubByOtherName":   {in: "index.docker.io/shop/web", want: Reference{Repository: "docker.io/shop/web"}},
		"Hub":              {in: "shop/web@" + digestA, want: Reference{Repository: "docker.io/shop/web", Digest: digestA}},
		"Localhost":        {in: "localhost/web", want: Reference{Repository: "localhost/web"}},
		"IPv6":             {in: "[::1]:5000/web:a", want: Reference{Repository: "[::1]:5000/web", Tag: "a"}},
		"HostInCapitals":   {in: "Registry.Example.COM/web", want: Reference{Repository: "registry.example.com/web"}},
		"ManyParts":        {in: "r.example.com/a/b-c/d__e/f.g", want: Reference{Repository: "r.example.com/a/b-c/d__e/f.g"}},
		"SHA512":           {in: "a@sha512:" + strings.Repeat("0", 128), want: Reference{Repository: "docker.io/library/a", Digest: "sha512:" + strings.Repeat("0", 128)}},
		"Empty":            {error: `image "": it is empty`},
		"Scheme":           {in: "https://r.example.com/a", error: `image "https://r.example.com/a": leave out the scheme: a registry is named by its host alone`},
		"CapitalsInName":   {in: "r.example.com/Shop", error: "lower-case"},
		"EmptyTag":         {in: "r.example.com/shop:", error: "the tag must be"},
		"TagOfTemplate":    {in: "r.example.com/shop:${TAG}", error: "the tag must be"},
		"LongTag":          {in: "a:" + strings.Repeat("x", 129), error: "the tag must be"},
		"ShortDigest":      {in: "a@sha256:abc", error: "the digest must be"},
		"TwoDigests":       {in: "a@" + digestA + "@" + digestA, error: "the digest must be"},
		"UnknownAlgorithm": {in: "a@md5:" + strings.Repeat("0", 32), error: "the digest must be"},
		"PathUp":           {in: "r.example.com/../a", error: "lower-case"},
		"TrailingDot":      {in: "r.example.com/a./b", error: "lower-case"},
		"UserInHost":       {in: "user:secret@r.example.com/a", error: "the digest must be"},
		"BadHost":          {in: "-a.example.com/a", error: "the host of a registry"},
		"BadAddress":       {in: "[0]:0/a", error: "the host of a registry"},
		"LongName":         {in: strings.Repeat("a", 300), error: "longer than 255 bytes"},
		"Newline":          {in: "a\n", error: "lower-case"},
		"TagWithNewline":   {in: "a:b\n", error: "the tag must be"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.in)
			if (tc.error != "") != (err != nil) || (err != nil && !strings.Contains(err.Error(), tc.error)) {
				t.Fatalf("got error %v, want %q", err, tc.error)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHost(t *testing.T) {
	for in, want := range map[string]string{"docker.io/library/nginx": "docker.io", "r.example.com:5000/a/b": "r.example.com:5000"} {
		if got := Host(in); got != want {
			t.Errorf("Host(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"nginx", "r.example.com:5000/a/b:c@" + digestA, "[::1]:1/a", "a:b/c:d", "localhost/a", "docker.io/a/b", "A.b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Fatalf("%q is %q, which is read as %+v, %v", s, r, again, err)
		}
		if strings.ContainsAny(r.String(), " \n\t\"'\\$%#?") || Host(r.Repository) == "" {
			t.Fatalf("%q is read as %q", s, r)
		}
	})
}
