package review

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// tokenOf is an API server on which every Secret has the same token.
type tokenOf struct{ client.Client }

func (tokenOf) Get(_ context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	into.(*corev1.Secret).Data = map[string][]byte{"token": []byte("t0ken")}
	return nil
}

// TestSubmoduleOfPullRequest shows a private repository to who may write to that of the Fleet, and not to a fork, although
// the mirror has it by then.
func TestSubmoduleOfPullRequest(t *testing.T) {
	lib := newWork(t)
	commit := lib.commit(map[string]string{"x": "secret"}).Revision()
	server := httptest.NewServer(gitserver.New(filepath.Dir(lib.dir), gitserver.Options{Token: "t0ken"}))
	t.Cleanup(server.Close)
	url := server.URL + "/" + filepath.Base(lib.dir) + "/.git"
	w := newWork(t)
	w.commit(map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = lib\n\turl = " + url + "\n"})
	w.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",lib")
	w.git("commit", "--quiet", "-m", "a submodule")
	if _, err := w.mirror.Fetch(t.Context(), "main", gitrepo.Auth{}); err != nil {
		t.Fatal(err)
	}
	private := v1alpha1.Remote{Prefix: server.URL, SecretRef: &v1alpha1.SecretReference{Name: "lib"}}
	for _, test := range []struct {
		name    string
		fork    bool
		remotes []v1alpha1.Remote
		err     string
	}{
		{"a branch", false, []v1alpha1.Remote{private}, ""},
		{"a branch, of what is not allowed", false, nil, "is not allowed as a remote input"},
		{"a fork", true, []v1alpha1.Remote{private}, "is not allowed as a remote input"},
		{"a fork, of what is allowed without a credential", true, []v1alpha1.Remote{{Prefix: server.URL}, private}, "authentication refused"},
	} {
		fleet := &v1alpha1.Fleet{Spec: v1alpha1.FleetSpec{Remotes: test.remotes}}
		e := examination{Reconciler: &Reconciler{Client: tokenOf{}}, fleet: allowance(fleet, test.fork)}
		tree, err := e.tree(t.Context(), w.mirror, w.git("rev-parse", "HEAD"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tree.ReadFile("lib/x")
		switch {
		case test.err == "" && (err != nil || string(got) != "secret"):
			t.Errorf("%s: %q, %v", test.name, got, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: %q, %v; want an error with %q", test.name, got, err, test.err)
		}
	}
}
