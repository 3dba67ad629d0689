package origin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// forgeOf serves the Fleet's repository /shop/fleet.git for one token and /platform/lib.git, which is a submodule of it, for
// another.
type forgeOf struct {
	url, revision string
	mu            sync.Mutex
	sent          map[string]bool // passwords that came for the submodule
}

func newForgeOf(t *testing.T) *forgeOf {
	t.Helper()
	root := t.TempDir()
	bare := func(name string) bareRepo {
		dir, err := gitserver.CreateBare(t.Context(), root, name, "main")
		if err != nil {
			t.Fatal(err)
		}
		return bareRepo{t, dir}
	}
	lib, fleet := bare("platform/lib.git"), bare("shop/fleet.git")
	lib.commit(true, write("x", "secret"))
	fleet.commit(true, "M 160000 "+lib.git("", "rev-parse", "main")+" vendor/lib\n",
		write(".gitmodules", "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../../platform/lib.git\n"))
	f := &forgeOf{revision: fleet.git("", "rev-parse", "main"), sent: map[string]bool{}}
	ofFleet, ofLib := gitserver.New(root, gitserver.Options{Token: "of-fleet"}), gitserver.New(root, gitserver.Options{Token: "of-lib"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/platform/") {
			ofFleet.ServeHTTP(w, r)
			return
		}
		_, password, _ := r.BasicAuth()
		f.mu.Lock()
		f.sent[password] = true
		f.mu.Unlock()
		ofLib.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// TestTreeFollowsWhatTheFleetAllows reads a submodule by what spec.remotes says. The first that may brings it into the
// mirror, which must be of no use to those that may not.
func TestTreeFollowsWhatTheFleetAllows(t *testing.T) {
	forge := newForgeOf(t)
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})
	client := secrets{"git": {"token": "of-fleet"}, "lib": {"token": "of-lib"}, "wrong": {"token": "of-nobody"}}
	remote := func(prefix, secret string) v1alpha1.Remote {
		one := v1alpha1.Remote{Prefix: forge.url + prefix}
		if secret != "" {
			one.SecretRef = &v1alpha1.SecretReference{Name: secret}
		}
		return one
	}
	for _, test := range []struct {
		name    string
		remotes []v1alpha1.Remote
		err     string
	}{
		{"allowed", []v1alpha1.Remote{remote("/platform", "lib")}, ""},
		{"by the longest prefix", []v1alpha1.Remote{remote("/platform/", "lib"), remote("", "wrong"), remote("/plat", "wrong")}, ""},
		{"nothing is allowed", nil, "submodule vendor/lib: " + forge.url + "/platform/lib.git is not allowed as a remote input: add it to spec.remotes"},
		{"another is allowed", []v1alpha1.Remote{remote("/shop", "lib")}, "is not allowed as a remote input"},
		{"without a credential", []v1alpha1.Remote{remote("/platform", "")}, "authentication refused"},
		{"with another one", []v1alpha1.Remote{remote("/platform", "wrong")}, "authentication refused"},
		{"by a longer prefix without one", []v1alpha1.Remote{remote("", "lib"), remote("/platform", "")}, "authentication refused"},
		{"with one that is not there", []v1alpha1.Remote{remote("/platform", "gone")}, "read Secret gone that remotes names"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fleet := fleetOf(forge.url+"/shop/fleet.git", "git", nil)
			fleet.Spec.Remotes = test.remotes
			repository, err := store.Repository(fleet.Spec.Git.URL)
			if err != nil {
				t.Fatal(err)
			}
			if err := origin.Have(t.Context(), client, fleet, repository, forge.revision); err != nil {
				t.Fatal(err)
			}
			tree, err := origin.Tree(t.Context(), client, fleet, repository, forge.revision)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tree.ReadFile("vendor/lib/x")
			switch {
			case test.err == "" && (err != nil || string(got) != "secret"):
				t.Errorf("%q, %v", got, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%q, %v; want an error with %q", got, err, test.err)
			}
		})
	}
	if forge.sent["of-fleet"] {
		t.Error("the credential of the Fleet was sent for another repository")
	}
}

// TestTreeOfSSH compares git@host:path with a prefix as the Fleet writes it. No host is asked, for want of a key.
func TestTreeOfSSH(t *testing.T) {
	bare := newRemote(t)
	bare.commit(true, "M 160000 1111111111111111111111111111111111111111 m\n",
		write(".gitmodules", "[submodule \"m\"]\n\tpath = m\n\turl = git@git.example.com:platform/lib.git\n"))
	store := gitrepotest.Open(t, t.TempDir(), gitrepo.Options{AllowFile: true})
	for prefix, want := range map[string]string{
		"ssh://git.example.com/platform": "an ssh URL needs a Secret",
		"ssh://git.example.com/shop":     "ssh://git.example.com/platform/lib.git is not allowed as a remote input",
	} {
		fleet := fleetOf(bare.dir, "", nil)
		fleet.Spec.Remotes = []v1alpha1.Remote{{Prefix: prefix}}
		repository, err := store.Repository(bare.dir)
		if err != nil {
			t.Fatal(err)
		}
		revision, err := repository.Fetch(t.Context(), "main", gitrepo.Auth{})
		if err != nil {
			t.Fatal(err)
		}
		tree, err := origin.Tree(t.Context(), secrets{}, fleet, repository, revision.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.ReadFile("m/x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", prefix, err, want)
		}
	}
}
