package fleet

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/render"
)

// TestMain makes the test binary a render worker when it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.WorkerVerb {
		os.Exit(render.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// street is a Fleet with a real repository, the services of which are looked at commit by commit.
type street struct {
	*testing.T
	r          *Reconciler
	fleet      *v1alpha1.Fleet
	st         *state
	store      *gitrepo.Store
	repository *gitrepo.Repository
	bare       string
	sequence   int64
}

// newStreet promotes images by commit from develop to staging. Its first commit has been delivered.
func newStreet(t *testing.T, content map[string]string) *street {
	t.Helper()
	dir := t.TempDir()
	bare, err := gitserver.CreateBare(t.Context(), dir, "fleet.git", "main")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gitserver.New(dir, gitserver.Options{}))
	t.Cleanup(server.Close)
	s := &street{T: t, bare: bare, st: &state{roster: newRoster()}}
	s.fleet = &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop"}, Spec: v1alpha1.FleetSpec{
		Git: v1alpha1.GitSource{URL: server.URL + "/fleet.git", Branch: "main"}, Layout: "apps/{service}/{environment}", Promote: v1alpha1.PromoteCommit,
		Environments: []v1alpha1.Environment{{Name: "develop", Cluster: "dev"}, {Name: "staging", Cluster: "dev", After: []string{"develop"}}},
	}}
	s.store = gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})
	if s.repository, err = s.store.Repository(s.fleet.Spec.Git.URL); err != nil {
		t.Fatal(err)
	}
	renderer, err := render.New(render.Options{Workers: 1, MemoryLimit: 2 << 30}) // a worker that is this test may carry the race detector
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := renderer.Close(); err != nil {
			t.Error(err)
		}
	})
	targets := target.NewRegistry(nil)
	targets.Put(&target.Target{Name: types.NamespacedName{Namespace: "sengu", Name: "dev"}}, nil)
	s.r = &Reconciler{Repositories: s.store, Renderer: renderer, Targets: targets, Key: manifest.Key("key"), Log: slog.New(slog.DiscardHandler), planner: newPlanner()}
	s.st.compared = s.commit("first", content)
	for path := range content {
		if folder, ok := strings.CutSuffix(path, "/kustomization.yaml"); ok {
			parts := strings.Split(folder, "/")
			s.runs(parts[1], parts[2], s.st.compared)
		}
	}
	return s
}

// runs lets an App run a revision.
func (s *street) runs(service, environment, revision string) {
	s.st.roster.put(member{
		Name: layout.NameOfApp("shop", service, environment), Service: service, Environment: environment,
		Source: v1alpha1.AppSource{Revision: revision, Path: "apps/" + service + "/" + environment, Cluster: "dev", Namespace: service},
	})
}

// commit puts a commit on the branch, of files and of what else lines of git fast-import say, fetches it, and returns its hash.
func (s *street) commit(message string, content map[string]string, lines ...string) string {
	s.Helper()
	var stream bytes.Buffer
	fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter somebody <somebody@example.com> %d +0000\ndata %d\n%s\n", 1_800_000_000+s.sequence, len(message), message)
	if s.st.compared != "" {
		stream.WriteString("from refs/heads/main^0\n")
	}
	for _, line := range lines {
		stream.WriteString(line + "\n")
	}
	for path, text := range content {
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	stream.WriteString("\ndone\n")
	cmd := exec.CommandContext(context.Background(), "git", "fast-import", "--quiet", "--done")
	cmd.Dir, cmd.Env, cmd.Stdin = s.bare, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.bare, "GIT_CONFIG_NOSYSTEM=1"}, &stream
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("git fast-import: %v: %s", err, out)
	}
	revision, err := s.repository.Fetch(s.Context(), "main", gitrepo.Auth{})
	if err != nil {
		s.Fatal(err)
	}
	return revision.Hash
}

// survey begins to look at services at a revision.
func (s *street) survey(revision string, services ...string) *survey {
	s.Helper()
	tree, err := s.repository.Tree(s.Context(), revision)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.st.atlas.Follow(s.Context(), s.fleet, s.repository, tree); err != nil {
		s.Fatal(err)
	}
	s.sequence++
	look := &survey{Reconciler: s.r, fleet: s.fleet, st: s.st, repository: s.repository, tree: tree, revision: revision, sequence: s.sequence}
	asked := map[string]bool{}
	for _, service := range services {
		asked[service] = false
	}
	if err := look.begin(s.Context(), asked); err != nil {
		s.Fatal(err)
	}
	s.st.compared = revision
	return look
}

// release looks at a service to the end, and returns its Release, nil if there is none.
func (s *street) release(look *survey, service string) *v1alpha1.Release {
	s.Helper()
	chain := look.newChain(service)
	chain.quarantine = []string{}
	environments, news, err := look.service(s.Context(), chain)
	if err != nil {
		s.Fatal(err)
	}
	if !news {
		return nil
	}
	one := look.release(service, environments, stepsOf(chain.steps))
	s.st.roster.steer(service, courseOf(one))
	return one
}

// push puts a commit on the branch and returns the Release of web that it makes, nil if there is none.
func (s *street) push(content map[string]string) *v1alpha1.Release {
	s.Helper()
	return s.release(s.survey(s.commit("change", content), "web"), "web")
}

// intends returns what a Release intends for an environment.
func (s *street) intends(one *v1alpha1.Release, environment string) v1alpha1.ReleaseEnvironment {
	s.Helper()
	if one == nil {
		s.Fatal("there is no Release")
	}
	i := slices.IndexFunc(one.Spec.Environments, func(e v1alpha1.ReleaseEnvironment) bool { return e.Name == environment })
	if i < 0 {
		s.Fatalf("the Release has no %s: %+v", environment, one.Spec.Environments)
	}
	return one.Spec.Environments[i]
}

// imageOf is the image of a service as it is rendered.
func imageOf(service, tag string) string { return "registry.example.com/shop/" + service + ":" + tag }

// tagged are the files of a service, each of whose environments has a tag of its own.
func tagged(service, tag string) map[string]string {
	return map[string]string{
		"apps/" + service + "/sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nimages:\n- name: " + service +
			"\n  repository: registry.example.com/shop/" + service + "\n  track: {semver: \">=0\"}\n",
		"apps/" + service + "/base/kustomization.yaml": "resources: [pod.yaml]\n",
		"apps/" + service + "/base/pod.yaml":           "apiVersion: v1\nkind: Pod\nmetadata: {name: " + service + "}\nspec: {containers: [{name: main, image: " + service + "}]}\n",
		fileOf(service, "develop"):                     kustomized(service, tag),
		fileOf(service, "staging"):                     kustomized(service, tag),
	}
}

func fileOf(service, environment string) string {
	return "apps/" + service + "/" + environment + "/kustomization.yaml"
}

func kustomized(service, tag string) string {
	return "resources: [../base]\nimages:\n- {name: " + service + ", newName: registry.example.com/shop/" + service + ", newTag: \"" + tag + "\"}\n"
}
