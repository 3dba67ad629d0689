package tracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/cli/local"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
	"github.com/sengu-dev/sengu/internal/testenv"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	testenv.Main(m, testenv.Options{})
}

const patience = time.Minute

// hub is a real registry that counts what it is asked, and that somebody may answer for.
type hub struct {
	t    testing.TB
	host string

	mu       sync.Mutex
	requests []string
	instead  http.HandlerFunc
}

func newHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{t: t}
	oci, err := ociserver.New(ociserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		instead := h.instead
		if r.Header.Get("User-Agent") != "test" {
			h.requests = append(h.requests, r.Method+" "+r.URL.Path)
		}
		h.mu.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		oci.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		oci.Close()
	})
	h.host = s.Listener.Addr().String()
	return h
}

// answer sets who answers in place of the registry.
func (h *hub) answer(instead http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.instead = instead
}

// asked counts the requests with a method whose path ends so.
func (h *hub) asked(method, suffix string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.requests {
		if strings.HasPrefix(r, method+" ") && strings.HasSuffix(r, suffix) {
			n++
		}
	}
	return n
}

// push pushes an image that was built some hours after the beginning of 2026, and returns its digest.
func (h *hub) push(repository, tag string, hours int) string {
	h.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		h.t.Fatal(err)
	}
	if img, err = mutate.CreatedAt(img, v1.Time{Time: time.Date(2026, 1, 1, hours, 0, 0, 0, time.UTC)}); err != nil {
		h.t.Fatal(err)
	}
	ref, err := name.NewTag(h.host+"/"+repository+":"+tag, name.StrictValidation)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithUserAgent("test")); err != nil {
		h.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	h.requests = nil // of the test
	h.mu.Unlock()
	return digest.String()
}

// stage is one Fleet with its repository and its registry, and a Reconciler that follows its images.
type stage struct {
	testing.TB
	client.Client
	r     *Reconciler
	hub   *hub
	bare  string
	fleet *v1alpha1.Fleet
	clock *testenv.Clock
	store *gitrepo.Store
	// dir is the folder of the store.
	dir string
}

// files leads from paths to contents.
type files map[string]string

// newStage sets up everything, with a Fleet of the environments dev and prod.
func newStage(t testing.TB, content func(*hub) files, edit func(*v1alpha1.FleetSpec)) *stage {
	t.Helper()
	plane := testenv.Plane(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := errors.Join(os.WriteFile(kubeconfig, plane.Kubeconfig, 0o600), local.Install(t.Context(), kubeconfig)); err != nil {
		t.Fatal(err)
	}
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), v1alpha1.AddToScheme(types)); err != nil {
		t.Fatal(err)
	}
	s := &stage{TB: t, hub: newHub(t), clock: testenv.NewClock()}
	namespace, several := plane.Namespace(t), true
	mgr, err := ctrl.NewManager(plane.Config, ctrl.Options{
		Scheme: types, Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &several},
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Client = mgr.GetClient()
	url := s.repository(content)
	registries, err := registry.New(registry.Options{Clock: s.clock, Rate: 1e6, Burst: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registries.Close)
	s.dir = t.TempDir()
	if s.store, err = gitrepo.Open(s.dir, gitrepo.Options{}); err != nil {
		t.Fatal(err)
	}
	s.r = &Reconciler{
		Client: mgr.GetClient(), Repositories: s.store, Registries: registries, Pushed: func(context.Context, string) error { return s.observe(context.Background()) },
		Events: mgr.GetEventRecorder("test"), Log: slog.New(slog.DiscardHandler), Clock: s.clock,
	}
	if err := origin.IndexServices(t.Context(), mgr.GetFieldIndexer()); err != nil {
		t.Fatal(err)
	}
	if err := s.r.Setup(mgr); err != nil {
		t.Fatal(err)
	}
	s.fleet = &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}, Spec: v1alpha1.FleetSpec{
		Git: v1alpha1.GitSource{URL: url, Interval: metav1.Duration{Duration: time.Minute}}, Layout: "apps/{service}/{environment}",
		Environments: []v1alpha1.Environment{{Name: "dev", Cluster: "dev"}, {Name: "prod", Cluster: "prod", After: []string{"dev"}}},
	}}
	if edit != nil {
		edit(&s.fleet.Spec)
	}
	s.run(mgr)
	if err := errors.Join(s.Create(t.Context(), s.fleet), s.observe(t.Context())); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the controller until the test ends.
func (s *stage) run(mgr ctrl.Manager) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	s.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Errorf("the manager: %v", err)
		}
		s.r.Close()
		if err := s.store.Close(); err != nil {
			s.Error(err)
		}
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		s.Fatal("the cache does not sync")
	}
}

// repository serves a repository with content, and returns its URL.
func (s *stage) repository(content func(*hub) files) string {
	s.Helper()
	dir := s.TempDir()
	bare, err := gitserver.CreateBare(s.Context(), dir, "fleet.git", "main")
	if err != nil {
		s.Fatal(err)
	}
	s.bare = bare
	git := httptest.NewServer(gitserver.New(dir, gitserver.Options{}))
	s.Cleanup(git.Close)
	s.write(content(s.hub))
	return git.URL + "/fleet.git"
}

// write puts a commit on the branch.
func (s *stage) write(content files) {
	s.Helper()
	var stream bytes.Buffer
	fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter somebody <somebody@example.com> %d +0000\ndata 6\nchange\n", time.Now().Unix())
	if s.bare != "" && len(s.git(nil, "for-each-ref")) > 0 {
		fmt.Fprintf(&stream, "from refs/heads/main^0\n")
	}
	for path, text := range content {
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	stream.WriteString("\ndone\n")
	s.git(&stream, "fast-import", "--quiet", "--done")
}

// commit puts a commit on the branch, and lets the Fleet follow it.
func (s *stage) commit(content files) {
	s.Helper()
	s.write(content)
	if err := s.observe(s.Context()); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) git(input *bytes.Buffer, args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(context.Background(), "git", args...)
	cmd.Dir, cmd.Env = s.bare, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.bare, "GIT_CONFIG_NOSYSTEM=1"}
	if input != nil {
		cmd.Stdin = input
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// observe fetches the branch and says so in the status of the Fleet, as its controller does.
func (s *stage) observe(ctx context.Context) error {
	repository, err := s.store.Repository(s.fleet.Spec.Git.URL)
	if err != nil {
		return err
	}
	revision, err := repository.Fetch(ctx, "main", gitrepo.Auth{})
	if err != nil {
		return err
	}
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: s.fleet.Namespace, Name: s.fleet.Name}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"status":{"revision":%q,"repository":%q}}`, revision.Hash, s.fleet.Spec.Git.URL))
	return s.Status().Patch(ctx, fleet, patch)
}

// subjects are the first lines of the commits, the newest first.
func (s *stage) subjects() []string {
	return strings.Split(s.git(nil, "log", "--format=%s", "main"), "\n")
}

// says waits until a file of the branch has some words in it.
func (s *stage) says(path string, words ...string) {
	s.Helper()
	testenv.Eventually(s, patience, func() error {
		text := s.git(nil, "show", "main:"+path)
		for _, w := range words {
			if !strings.Contains(text, w) {
				return fmt.Errorf("%s does not say %q, after %q; %+v:\n%s", path, w, s.subjects(), s.r.Looks(nameOf(s.fleet)), text)
			}
		}
		return nil
	})
}

// looks waits until what is known of a service's image satisfies check.
func (s *stage) looks(service string, check func(Look) error) {
	s.Helper()
	testenv.Eventually(s, patience, func() error {
		all := s.r.Looks(nameOf(s.fleet))
		i := slices.IndexFunc(all, func(l Look) bool { return l.Service == service })
		if i < 0 {
			return fmt.Errorf("%s is not among %+v", service, all)
		}
		return check(all[i])
	})
}

// told waits until an Event says something.
func (s *stage) told(reason, words string) {
	s.Helper()
	testenv.Eventually(s, patience, func() error {
		var list eventsv1.EventList
		if err := s.List(s.Context(), &list, client.InNamespace(s.fleet.Namespace)); err != nil {
			return err
		}
		var others []string
		for _, e := range list.Items {
			if e.Reason == reason && strings.Contains(e.Note, words) {
				return nil
			}
			others = append(others, e.Reason+": "+e.Note)
		}
		return fmt.Errorf("no Event %s says %q, but %q; %+v", reason, words, others, s.r.Looks(nameOf(s.fleet)))
	})
}
