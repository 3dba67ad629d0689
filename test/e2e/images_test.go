package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

// hub is a real registry of container images.
type hub struct {
	t              testing.TB
	host           string
	user, password string
	lists          atomic.Int64 // requests for tags
}

// newHub starts a registry that lets one user in, and announces pushes to a URL.
func newHub(t testing.TB, announce string) *hub {
	t.Helper()
	h := &hub{t: t, user: "robot", password: "registry-" + rand.String(24)}
	theWorld(t).evidence.plant("the password of the registry", h.password)
	oci, err := ociserver.New(ociserver.Options{Users: map[string]string{h.user: h.password}, Notify: announce})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			h.lists.Add(1)
		}
		oci.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		oci.Close()
	})
	h.host = server.Listener.Addr().String()
	return h
}

// push pushes an image that is like no other under a tag, and returns its digest.
func (h *hub) push(tag string) string {
	h.t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		h.t.Fatal(err)
	}
	ref, err := name.NewTag(h.repository()+":"+tag, name.StrictValidation)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: h.user, Password: h.password})); err != nil {
		h.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		h.t.Fatal(err)
	}
	return digest.String()
}

func (h *hub) repository() string { return h.host + "/shop/web" }

// pullSecret is the Secret that lets Sengu read the registry.
func (s *sengu) pullSecret(h *hub) *corev1.Secret {
	s.Helper()
	data, err := json.Marshal(map[string]any{"auths": map[string]any{h.host: map[string]string{"username": h.user, "password": h.password}}})
	if err != nil {
		s.Fatal(err)
	}
	secret := s.secret("pull", corev1.DockerConfigJsonKey, data)
	secret.Type = corev1.SecretTypeDockerConfigJson
	return secret
}

// tracking is a Fleet that reads registries with a pull secret: as often as it may, or only when it is told to.
func tracking(interval time.Duration) func(*v1alpha1.FleetSpec) {
	return func(f *v1alpha1.FleetSpec) {
		f.Images = &v1alpha1.ImageRule{
			Interval: metav1.Duration{Duration: interval}, PullSecretRefs: []v1alpha1.SecretReference{{Name: "pull"}},
			WebhookSecretRef: &v1alpha1.SecretReference{Name: "images"},
		}
	}
}

// follower is a service of one Deployment in each environment, which tracks the image web. It is degraded while it runs a
// tag that ends in "bad".
func (h *hub) follower(service, track, tag string, environments ...string) files {
	tree := files{"apps/" + service + "/sengu.yaml": `apiVersion: sengu.dev/v1alpha1
kind: Delivery
images:
- name: web
  repository: ` + h.repository() + `
  track: ` + track + `
health:
- group: apps
  kind: Deployment
  degraded: self.spec.template.spec.containers[0].image.endsWith('bad')
  message: "'it runs ' + self.spec.template.spec.containers[0].image"
failAfter: 0s
`}
	for _, env := range environments {
		at := folder(service, env)
		tree[at+"/deployment.yaml"] = strings.Replace(deployment(service, "  replicas: 0"), "registry.example.com/app:1", "web", 1)
		tree[at+"/kustomization.yaml"] = kustomization(h, tag)
	}
	return tree
}

func kustomization(h *hub, tag string) string {
	return "resources: [deployment.yaml]\nimages:\n# who runs what\n- name: web # the shop\n  newName: " + h.repository() + "\n  newTag: " + tag + "\n"
}

// tip is the head of the branch, which Sengu moves as well.
func (r *repository) tip() string {
	r.t.Helper()
	r.head = r.git(nil, "rev-parse", branch)
	return r.head
}

// subjects are the first lines of the commits of the branch, the newest first.
func (r *repository) subjects() []string {
	r.t.Helper()
	return strings.Split(r.git(nil, "log", "--format=%s", branch), "\n")
}

// runs waits until both environments run an image.
func (s *sengu) runs(service, image string) {
	s.Helper()
	for _, p := range []*plane{s.dev, s.prod} {
		s.eventually(fmt.Sprintf("%s runs %s in %s", service, image, p.name), func() error { return s.imageIs(p, s.target, service, image) })
	}
}

// TestImageSemver notices a higher version in a registry that asks for a password, writes it to Git in one commit, and
// delivers it.
func TestImageSemver(t *testing.T) {
	t.Parallel()
	h := newHub(t, "")
	s := newSengu(t, tracking(10*time.Second))
	h.push("1.9.0")
	s.synced(s.repo.commit(h.follower("web", "{semver: 1.x}", "1.9.0", "dev", "prod")), 2)
	s.eventually("it is told that there is no pull secret", func() error { return s.told("PullSecretNotRead", "images.pullSecretRefs names pull") })
	s.create(s.home, s.pullSecret(h))
	h.push("1.10.0-rc.1")
	digest := h.push("1.10.0")
	h.push("2.0.0")
	s.runs("web", h.repository()+":1.10.0")

	s.repo.tip()
	if got, want := s.repo.subjects(), []string{"web: 1.9.0 → 1.10.0", "change"}; !slices.Equal(got, want) {
		t.Errorf("the commits are %q, not %q", got, want)
	}
	message := s.repo.git(nil, "log", "-1", "--format=%an <%ae>%n%B", branch)
	for _, want := range []string{"Sengu <sengu@localhost>", "1.10.0 is the highest version in 1.x", "In apps/web/dev/kustomization.yaml, for dev.", "Sengu-Image: " + h.repository() + ":1.10.0@" + digest} {
		if !strings.Contains(message, want) {
			t.Errorf("the commit does not say %q:\n%s", want, message)
		}
	}
	for _, env := range []string{"dev", "prod"} {
		if got := s.repo.git(nil, "show", branch+":"+folder("web", env)+"/kustomization.yaml") + "\n"; got != kustomization(h, "1.10.0") {
			t.Errorf("%s: more than the tag has changed:\n%s", env, got)
		}
	}
	s.eventually("it is told", func() error { return s.told("ImagesWritten", "web: 1.9.0 → 1.10.0, written to Git in ") })

	// A Fleet that is suspended is not written to.
	s.patch(s.home, s.theFleet(), `{"spec":{"suspend":true}}`)
	s.eventually("the Fleet is suspended", func() error {
		if reason, _, _ := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionReady); reason != "Suspended" {
			return fmt.Errorf("it is %s", reason)
		}
		return nil
	})
	head, looks := s.repo.tip(), h.lists.Load()
	h.push("1.11.0")
	s.patch(s.home, s.theFleet(), `{"spec":{"suspend":false}}`)
	s.runs("web", h.repository()+":1.11.0")
	if got := s.repo.git(nil, "rev-parse", branch+"~1"); got != head || h.lists.Load() == looks {
		t.Errorf("while the Fleet was suspended, %.7s was put on %.7s", got, head)
	}
}

// told is nil if an Event of the Fleet with that reason says so.
func (s *sengu) told(reason, words string) error {
	var list eventsv1.EventList
	if err := s.home.List(context.Background(), &list, client.InNamespace(s.namespace)); err != nil {
		return err
	}
	var others []string
	for _, e := range list.Items {
		if e.Reason == reason && strings.Contains(e.Note, words) {
			return nil
		}
		others = append(others, e.Reason+": "+e.Note)
	}
	return fmt.Errorf("it is not among %q", others)
}

// TestImageDigest follows a tag that is moved, at once, because the registry announces it.
func TestImageDigest(t *testing.T) {
	t.Parallel()
	s := newSengu(t, tracking(24*time.Hour))
	secret := "image-secret-" + rand.String(24)
	s.evidence.plant("the secret of the registry's webhook", secret)
	s.create(s.home, s.secret("images", "secret", []byte(secret)))
	h := newHub(t, "http://"+s.address+"/webhooks/"+fleetName+"/images/"+secret)
	s.create(s.home, s.pullSecret(h))
	first := h.push("live")
	s.repo.commit(h.follower("web", "{digest: live}", "live", "dev", "prod"))
	s.runs("web", h.repository()+":live@"+first)
	for range 2 {
		moved := h.push("live")
		s.runs("web", h.repository()+":live@"+moved)
	}
	if got := s.repo.subjects(); len(got) != 4 || !strings.HasPrefix(got[0], "web: live sha256:") {
		t.Errorf("the commits are %q", got)
	}
}

// TestImageAnnouncements shows the secret in each way, and does without it.
func TestImageAnnouncements(t *testing.T) {
	t.Parallel()
	s := newSengu(t, tracking(24*time.Hour))
	secret := "image-secret-" + rand.String(24)
	s.evidence.plant("the secret of the registry's webhook", secret)
	s.create(s.home, s.secret("images", "secret", []byte(secret)))
	const body = `{"image": "registry.example.com/shop/nobody:1.2.3"}`
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	header := func(key, value string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(key, value) } }
	password := func(p string) func(*http.Request) { return func(r *http.Request) { r.SetBasicAuth("registry", p) } }
	at := "/webhooks/" + fleetName + "/images"
	for what, tc := range map[string]struct {
		path, body string
		edit       func(*http.Request)
		want       int
	}{
		"signature":           {at, body, header("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil))), http.StatusAccepted},
		"bearer":              {at, body, header("Authorization", "Bearer "+secret), http.StatusAccepted},
		"basic":               {at, body, password(secret), http.StatusAccepted},
		"path":                {at + "/" + secret, body, nil, http.StatusAccepted},
		"nothing":             {at, body, nil, http.StatusForbidden},
		"wrong signature":     {at, body + " ", header("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil))), http.StatusForbidden},
		"wrong bearer":        {at, body, header("Authorization", "Bearer x"), http.StatusForbidden},
		"empty bearer":        {at, body, header("Authorization", "Bearer "), http.StatusForbidden},
		"wrong basic":         {at, body, password("x"), http.StatusForbidden},
		"wrong path":          {at + "/x", body, nil, http.StatusForbidden},
		"another fleet":       {"/webhooks/other/images/" + secret, body, nil, http.StatusForbidden},
		"no push":             {at + "/" + secret, `{"events": []}`, nil, http.StatusAccepted},
		"malformed":           {at + "/" + secret, `{`, nil, http.StatusBadRequest},
		"too large":           {at + "/" + secret, strings.Repeat(" ", 2<<20), nil, http.StatusRequestEntityTooLarge},
		"too large, no entry": {at, strings.Repeat(" ", 2<<20), nil, http.StatusRequestEntityTooLarge},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		if tc.edit != nil {
			tc.edit(request)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		_ = response.Body.Close()
		if response.StatusCode != tc.want {
			t.Errorf("%s: the answer is %d, not %d", what, response.StatusCode, tc.want)
		}
	}
}

// TestImageQuarantine writes an image that does not work. Nobody who takes it back is overruled, while another service
// goes on with it; a newer image is written.
func TestImageQuarantine(t *testing.T) {
	t.Parallel()
	s := newSengu(t, tracking(24*time.Hour))
	secret := "image-secret-" + rand.String(24)
	s.evidence.plant("the secret of the registry's webhook", secret)
	s.create(s.home, s.secret("images", "secret", []byte(secret)))
	h := newHub(t, "http://"+s.address+"/webhooks/"+fleetName+"/images/"+secret)
	s.create(s.home, s.pullSecret(h))
	const track = `{semver: ">=1.0.0-0"}`
	h.push("1.0.0")
	s.synced(s.repo.commit(h.follower("web", track, "1.0.0", "dev", "prod")), 2)

	h.push("1.1.0-bad")
	s.eventually("the image is written", func() error {
		if got := s.repo.subjects()[0]; got != "web: 1.0.0 → 1.1.0-bad" {
			return fmt.Errorf("the newest commit is %q", got)
		}
		return nil
	})
	s.becomes("web", s.repo.tip(), "dev", v1alpha1.StageRolledBack)
	s.runs("web", h.repository()+":1.0.0")

	// A person takes it back.
	revert := s.repo.commit(files{folder("web", "dev") + "/kustomization.yaml": kustomization(h, "1.0.0"), folder("web", "prod") + "/kustomization.yaml": kustomization(h, "1.0.0")})
	s.eventually("the revert is compared", func() error { return s.compared(revert) })
	s.looksAgain(h)
	if got := s.repo.tip(); got != revert {
		t.Fatalf("the revert was overruled: %q", s.repo.subjects())
	}
	// Another service has not failed with it.
	sibling := h.follower("mail", track, "1.0.0", "dev")
	delete(sibling, "apps/mail/sengu.yaml")
	sibling["apps/mail/sengu.yaml"] = strings.Split(h.follower("mail", track, "1.0.0")["apps/mail/sengu.yaml"], "health:")[0]
	s.repo.commit(sibling)
	s.eventually("the other service runs it", func() error { return s.imageIs(s.dev, s.target, "mail", h.repository()+":1.1.0-bad") })
	s.looksAgain(h)

	h.push("1.2.0")
	s.runs("web", h.repository()+":1.2.0")
	bad := slices.DeleteFunc(s.repo.subjects(), func(subject string) bool { return subject != "web: 1.0.0 → 1.1.0-bad" })
	if len(bad) != 1 {
		t.Errorf("it was written %d times: %q", len(bad), s.repo.subjects())
	}
}

// looksAgain waits until the registry has been looked at twice since: what the first look decided is then done.
func (s *sengu) looksAgain(h *hub) {
	s.Helper()
	for i := range 2 {
		before := h.lists.Load()
		h.push(fmt.Sprintf("other-%d", i)) // which no version is, and which is announced
		s.eventually("the registry is looked at", func() error {
			if h.lists.Load() == before {
				return fmt.Errorf("it was looked at %d times", before)
			}
			return nil
		})
	}
}

// TestImageRace has somebody else push to the branch between Sengu's fetch and its push, each time that it pushes.
func TestImageRace(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev, tracking(10*time.Second))
	h := newHub(t, "")
	s.create(s.home, s.pullSecret(h))
	h.push("1.0.0")
	target, err := url.Parse(s.repo.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	var mu sync.Mutex
	races := 0
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		// One that is in the way of the files of web as well.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if strings.HasSuffix(r.URL.Path, "/git-receive-pack") && bytes.Contains(body, []byte("refs/heads/"+branch)) && races < 3 {
			races++
			s.repo.tip()
			s.repo.commit(files{folder("web", "dev") + "/race.txt": fmt.Sprint(races), fmt.Sprintf("race/%d", races): "x"})
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	s.patch(s.home, s.theFleet(), fmt.Sprintf(`{"spec":{"git":{"url":%q}}}`, between.URL+"/"+repositoryName))
	s.synced(s.repo.commit(h.follower("web", "{semver: 1.x}", "1.0.0", "dev")), 1)
	h.push("1.1.0")
	s.eventually("the image is written", func() error {
		if got := s.repo.subjects(); !slices.Contains(got, "web: 1.0.0 → 1.1.0") {
			return fmt.Errorf("the commits are %q", got)
		}
		return nil
	})
	s.eventually("the image runs", func() error { return s.imageIs(s.dev, s.target, "web", h.repository()+":1.1.0") })
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i <= races; i++ {
		if got := s.repo.git(nil, "show", fmt.Sprintf("%s:race/%d", branch, i)); got != "x" {
			t.Errorf("race/%d is %q", i, got)
		}
	}
	if races < 3 {
		t.Errorf("there were %d races", races)
	}
	if got := s.repo.git(nil, "show", branch+":"+folder("web", "dev")+"/kustomization.yaml"); !strings.Contains(got, "newTag: 1.1.0") {
		t.Errorf("the image is lost:\n%s", got)
	}
}
