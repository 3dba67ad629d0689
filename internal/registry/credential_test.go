package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/sengu-dev/sengu/internal/image"
)

func TestMatch(t *testing.T) {
	cases := map[string]struct {
		reason string
		keys   []string
		repo   string
		want   []string
	}{
		"Host":               {keys: []string{"registry.example.com", "ghcr.io"}, repo: "registry.example.com/shop/checkout", want: []string{"registry.example.com"}},
		"NoHost":             {keys: []string{"registry.example.com"}, repo: "registry.example.com.evil.org/shop", want: nil},
		"PartOfHost":         {keys: []string{"example.com"}, repo: "registry.example.com/shop", want: nil},
		"LongestPath":        {keys: []string{"r.example.com", "r.example.com/shop/checkout", "r.example.com/shop"}, repo: "r.example.com/shop/checkout", want: []string{"r.example.com/shop/checkout", "r.example.com/shop", "r.example.com"}},
		"OtherPath":          {keys: []string{"r.example.com/bank"}, repo: "r.example.com/shop/checkout", want: nil},
		"Beginning":          {reason: "Kubernetes does not end at a slash", keys: []string{"r.example.com/sho"}, repo: "r.example.com/shop", want: []string{"r.example.com/sho"}},
		"Scheme":             {keys: []string{"https://r.example.com/v2/", "http://r.example.com/v1/shop"}, repo: "r.example.com/shop/a", want: []string{"http://r.example.com/v1/shop", "https://r.example.com/v2/"}},
		"PathOfV1":           {reason: "v1beta is no version of the API", keys: []string{"r.example.com/v1beta"}, repo: "r.example.com/v1beta/a", want: []string{"r.example.com/v1beta"}},
		"Capitals":           {keys: []string{"R.Example.Com"}, repo: "r.example.com/a", want: []string{"R.Example.Com"}},
		"Wildcard":           {keys: []string{"*.example.com"}, repo: "r.example.com/a", want: []string{"*.example.com"}},
		"WildcardSpansNoDot": {keys: []string{"*.example.com", "*"}, repo: "a.b.example.com/a", want: nil},
		"WildcardInPart":     {keys: []string{"*.dkr.ecr.*.amazonaws.com"}, repo: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a", want: []string{"*.dkr.ecr.*.amazonaws.com"}},
		"WildcardOfPart":     {keys: []string{"reg*.example.com"}, repo: "registry.example.com/a", want: []string{"reg*.example.com"}},
		"WildcardLast":       {reason: "an exact host is before a pattern, whatever its path is", keys: []string{"*.example.com/shop", "r.example.com"}, repo: "r.example.com/shop", want: []string{"r.example.com", "*.example.com/shop"}},
		"WildcardWithPort":   {keys: []string{"*.example.com:5000"}, repo: "r.example.com:5000/a", want: []string{"*.example.com:5000"}},
		"Port":               {keys: []string{"r.example.com:5000", "r.example.com"}, repo: "r.example.com:5000/a", want: []string{"r.example.com:5000"}},
		"NoPort":             {keys: []string{"r.example.com:5000"}, repo: "r.example.com/a", want: nil},
		"IPv6":               {keys: []string{"[::1]:5000"}, repo: "[::1]:5000/a", want: []string{"[::1]:5000"}},
		"DockerHub":          {keys: []string{"https://index.docker.io/v1/"}, repo: "nginx", want: []string{"https://index.docker.io/v1/"}},
		"DockerHubByName":    {keys: []string{"docker.io", "registry-1.docker.io"}, repo: "shop/checkout", want: []string{"docker.io", "registry-1.docker.io"}},
		"DockerHubPath":      {keys: []string{"docker.io/shop"}, repo: "shop/checkout", want: []string{"docker.io/shop"}},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			var creds Credentials
			for _, key := range tc.keys {
				var err error
				creds, err = creds.WithPullSecret(PullSecret{Name: "s", Data: map[string][]byte{dockerCfg: fmt.Appendf(nil, `{%q:{"username":"u","password":"p"}}`, key)}})
				if err != nil {
					t.Fatal(err)
				}
			}
			written, err := image.ParseRepository(tc.repo)
			if err != nil {
				t.Fatal(err)
			}
			repo, err := name.NewRepository(written)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range creds.match(repo, image.Host(written), nil) {
				if c.entry != nil {
					got = append(got, c.entry.key)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(tc.reason, diff)
			}
		})
	}
}

func TestWithPullSecret(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	cases := map[string]struct {
		data  map[string][]byte
		want  []Login
		error string
	}{
		"Both":          {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"auth":"` + b64("robot:a:b") + `"}}}`), dockerCfg: []byte(`{}`)}, want: []Login{{Username: "robot", Password: "a:b"}}},
		"Legacy":        {data: map[string][]byte{dockerCfg: []byte(`{"https://r.example.com/v1/":{"username":"robot","password":"x","email":"a@example.com","auth":""}}`)}, want: []Login{{Username: "robot", Password: "x"}}},
		"AuthWins":      {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"username":"a","password":"b","auth":"` + b64("c:d") + `"}}}`)}, want: []Login{{Username: "c", Password: "d"}}},
		"NoPadding":     {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"auth":"` + strings.TrimRight(b64("ab:cd"), "=") + `"}}}`)}, want: []Login{{Username: "ab", Password: "cd"}}},
		"Padded":        {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"auth":"` + b64("ab:cd\x00\x00") + `"}}}`)}, want: []Login{{Username: "ab", Password: "cd"}}},
		"Tokens":        {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"identitytoken":"i","registrytoken":"r"}}}`)}, want: []Login{{Identity: "i", Token: "r"}}},
		"HelpersAreNot": {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{}},"credsStore":"evil","credHelpers":{"r.example.com":"evil"}}`)}},
		"Empty":         {data: map[string][]byte{dockerConfigJSON: []byte(`{}`)}},
		"NotJSON":       {data: map[string][]byte{dockerConfigJSON: []byte(`secret-text`)}, error: "pull secret shop-pull: .dockerconfigjson is not the JSON of a docker configuration: make it by kubectl create secret docker-registry"},
		"NotJSONLegacy": {data: map[string][]byte{dockerCfg: []byte(`["secret-text"]`)}, error: "pull secret shop-pull: .dockercfg is not the JSON"},
		"NoKey":         {data: map[string][]byte{"token": []byte("secret-text")}, error: "pull secret shop-pull: it has neither .dockerconfigjson nor .dockercfg"},
		"BadAuth":       {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"auth":"secret-text"}}}`)}, error: `pull secret shop-pull: the entry "r.example.com": auth is not the base64 of user:password`},
		"NoColon":       {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"r.example.com":{"auth":"` + b64("secret-text") + `"}}}`)}, error: "auth is not the base64 of user:password"},
		"BadKey":        {data: map[string][]byte{dockerConfigJSON: []byte(`{"auths":{"https://":{"username":"secret-text"}}}`)}, error: "it is not the host of a registry"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			creds, err := Credentials{}.WithPullSecret(PullSecret{Name: "shop-pull", Data: tc.data})
			if (tc.error != "") != (err != nil) || (err != nil && (!strings.Contains(err.Error(), tc.error) || strings.Contains(err.Error(), "secret-text"))) {
				t.Fatalf("got error %v, want %q", err, tc.error)
			}
			var got []Login
			for _, e := range creds.entries {
				got = append(got, e.login)
			}
			if len(got) != len(tc.want) || (len(got) > 0 && got[0] != tc.want[0]) {
				t.Errorf("got %d logins, or another one than is there", len(got))
			}
		})
	}
}

// TestCredentialsAreNotPrinted: by no way of printing that somebody could think of.
func TestCredentialsAreNotPrinted(t *testing.T) {
	const secret = "hunter2"
	creds, err := Credentials{}.WithPullSecret(PullSecret{Name: "pull", Data: map[string][]byte{dockerCfg: []byte(`{"r.example.com":{"username":"robot","password":"` + secret + `"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	values := []any{creds, &creds, creds.entries[0].login, &creds.entries[0].login, []Credentials{creds}, map[string]Login{"a": creds.entries[0].login}, struct{ C Credentials }{creds}}
	var log bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
			s := fmt.Sprintf(verb, v)
			if strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T prints %s", verb, v, s)
			}
		}
		data, err := json.Marshal(v)
		if err != nil || strings.Contains(string(data), secret) {
			t.Errorf("JSON of %T is %s, %v", v, data, err)
		}
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("logged: %s", log.String())
	}
}

func FuzzWithPullSecret(f *testing.F) {
	f.Add([]byte(`{"auths":{"r.example.com":{"auth":"YTpi"}}}`), "r.example.com/a")
	f.Add([]byte(`{"auths":{"*.example.com/a":{"username":"a","password":"b"},"[":{"username":"c"}}}`), "[::1]:5000/a")
	f.Fuzz(func(t *testing.T, data []byte, repo string) {
		for _, key := range []string{dockerConfigJSON, dockerCfg} {
			creds, err := Credentials{}.WithPullSecret(PullSecret{Name: "s", Data: map[string][]byte{key: data}})
			if err != nil {
				continue
			}
			written, err := image.ParseRepository(repo)
			if err != nil {
				continue
			}
			r, err := name.NewRepository(written)
			if err != nil {
				t.Fatalf("%s is a repository here, and not there: %v", written, err)
			}
			host, _ := splitPort(image.Host(written))
			for _, c := range creds.match(r, image.Host(written), nil) {
				if c.entry != nil && !strings.ContainsAny(c.entry.host, `*?[\`) && !strings.HasPrefix(c.entry.host, host) {
					t.Fatalf("%q is shown to %s", c.entry.host, written)
				}
			}
		}
	})
}
