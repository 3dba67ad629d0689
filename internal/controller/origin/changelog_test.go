package origin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

// push makes an image that says where it was built from.
func push(t *testing.T, image, source, revision string) {
	t.Helper()
	config, err := empty.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Labels = map[string]string{"org.opencontainers.image.source": source, "org.opencontainers.image.revision": revision}
	made, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, made, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// trap is a server to which nobody should be led.
func trap(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was asked, with the credential %q", r.Host, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// application is a repository with two commits, over HTTP, which anybody may read unless there is a token for it.
func application(t *testing.T, token string) (url, first, second string) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "app.git")
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=dev", "-c", "user.email=dev@example.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "--quiet", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	tree := git("hash-object", "-w", "-t", "tree", "/dev/null")
	first = git("commit-tree", tree, "-m", "begin")
	second = git("commit-tree", tree, "-p", first, "-m", "mend ``` the @everyone cart")
	git("update-ref", "refs/heads/main", second)
	git("config", "uploadpack.allowAnySHA1InWant", "true")
	server := httptest.NewServer(gitserver.New(root, gitserver.Options{Token: token}))
	t.Cleanup(server.Close)
	return server.URL + "/app.git", first, second
}

func TestChangelog(t *testing.T) {
	hub, err := ociserver.New(ociserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(hub)
	t.Cleanup(func() { server.Close(); hub.Close() })
	host := strings.TrimPrefix(server.URL, "http://")
	url, first, second := application(t, "")
	private, firstOf, secondOf := application(t, "t0ken")
	below := func(prefix, secret string) v1alpha1.Remote {
		if secret == "" {
			return v1alpha1.Remote{Prefix: prefix}
		}
		return v1alpha1.Remote{Prefix: prefix, SecretRef: &v1alpha1.SecretReference{Name: secret}}
	}
	place := strings.TrimSuffix(private, "/app.git")
	longer, nobody := fleetOf("https://git.example.com/fleet.git", "", nil), fleetOf("https://git.example.com/fleet.git", "", nil)
	longer.Spec.Remotes = []v1alpha1.Remote{below(place, "wrong"), below(private, "git")}
	nobody.Spec.Remotes = []v1alpha1.Remote{below(place, "git"), below(private, "")}
	image := func(tag string) string { return host + "/shop/web:" + tag }
	push(t, image("1"), url, first)
	push(t, image("2"), url, second)
	push(t, image("elsewhere"), "https://git.example.com/shop/web", second)
	push(t, image("elsewhere-1"), "https://git.example.com/shop/web", first)
	push(t, image("hostile"), "https://git.example.com/a) [@everyone](x", second)
	push(t, image("hostile-1"), "https://git.example.com/a) [@everyone](x", first)
	push(t, image("silent"), "", "")
	push(t, image("private-1"), private, firstOf)
	push(t, image("private"), private, secondOf)
	elsewhere := trap(t).URL + "/app.git"
	push(t, image("port"), elsewhere, second)
	push(t, image("port-1"), elsewhere, first)

	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})
	log := origin.Changelog{Client: secrets{"git": {"token": "t0ken"}, "wrong": {"token": "other"}}, Registry: client, Repositories: store}
	allowed := fleetOf("https://git.example.com/fleet.git", "", nil)
	allowed.Spec.Remotes = []v1alpha1.Remote{{Prefix: strings.TrimSuffix(url, "/app.git")}}
	for _, test := range []struct {
		name     string
		fleet    *v1alpha1.Fleet
		from, to string
		want     string
	}{
		{"allowed", allowed, "1", "2", fmt.Sprintf("Built from `%s`, `%s...%s`\n\n````text\n%.7s mend ``` the @everyone cart (dev)\n````\n", url, first[:12], second[:12], second)},
		{"back", allowed, "2", "1", "The newer one is built from an older commit."},
		{"the same", allowed, "2", "2", "Both were built from commit `" + second[:12] + "`\n"},
		{"not allowed", fleetOf("https://git.example.com/fleet.git", "", nil), "1", "2", fmt.Sprintf("Built from `%s`, `%s...%s`\n", url, first[:12], second[:12])},
		{"a page", allowed, "elsewhere-1", "elsewhere", fmt.Sprintf("[What changed](https://git.example.com/shop/web/compare/%s...%s)\n", first, second)},
		{"another repository", allowed, "1", "elsewhere", "They were built from different repositories: `" + url + "` and `https://git.example.com/shop/web`\n"},
		{"hostile", allowed, "hostile-1", "hostile", "Built from `https://git.example.com/a) [@everyone](x`, `"},
		{"silent", allowed, "silent", "2", ""},
		{"the Fleet's own, at another port", fleetOf(url, "git", nil), "port-1", "port", fmt.Sprintf("%.7s mend ``` the @everyone cart (dev)\n````\n", second)},
		{"the longest remote", longer, "private-1", "private", fmt.Sprintf("%.7s mend ``` the @everyone cart (dev)\n````\n", secondOf)},
		{"not allowed by the longest", nobody, "private-1", "private", "`" + private + "`"},
		{"not there", allowed, "1", "3", "What lies between them is not known: `"},
	} {
		got, err := log.Between(t.Context(), test.fleet, image(test.from), image(test.to))
		if err != nil || !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %v, %q; want %q", test.name, err, got, test.want)
		}
		if strings.HasPrefix(test.name, "not allowed") && strings.Contains(got, "mend") {
			t.Errorf("%s: a repository was read that is not allowed: %q", test.name, got)
		}
	}
}
