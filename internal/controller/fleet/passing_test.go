package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
)

func common(value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: common}\ndata: {value: \"" + value + "\"}\n"
}

// charted are the files of a service whose kustomization takes one object from a place, and then another from a folder that
// all share.
func charted(place string) map[string]string {
	content := tagged("web", "1")
	content["apps/web/base/kustomization.yaml"] = "resources: [\"" + place + "\", pod.yaml, ../../common/all]\n"
	content["apps/common/all/kustomization.yaml"] = "resources: [cm.yaml]\n"
	content["apps/common/all/cm.yaml"] = common("1")
	return content
}

// TestPlannedInPart commits twice while what a service takes from elsewhere cannot be had: both are released, although it is
// not known what the first is rendered from.
func TestPlannedInPart(t *testing.T) {
	away := true
	place := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: remote}\n"))
	}))
	t.Cleanup(place.Close)
	s := newStreet(t, charted(place.URL+"/cm.yaml"))
	s.fleet.Spec.Remotes = []v1alpha1.Remote{{Prefix: place.URL}}
	for _, env := range []string{"base", "develop", "staging"} { // the first of which is no environment
		m, _ := s.st.roster.member(layout.NameOfApp("shop", "web", env))
		m.Inputs = []string{"apps/web/" + env}
		s.st.roster.put(m)
	}
	one := s.push(map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
	if is := s.intends(one, "develop"); is.Digest != "" || is.Problem != "" {
		t.Fatalf("what cannot be had now is a problem of the commit: %+v", is)
	}
	head := s.commit("change", map[string]string{"apps/common/all/cm.yaml": common("2")})
	concerned := s.st.roster.concerned(s.changes(s.st.compared, head))
	if _, is := concerned["web"]; !is {
		t.Error("a commit is taken for none of the service's, and nobody knows what that reads")
	}
	away = false
	two := s.release(s.survey(head, "web"), "web")
	if is := s.intends(two, "develop"); is.Digest == "" || two.Spec.Revision != head {
		t.Errorf("it is released as %+v", is)
	}
}

// changes is what lies between two commits.
func (s *street) changes(from, to string) gitrepo.Changes {
	s.Helper()
	changes, err := s.repository.Diff(s.Context(), from, to)
	if err != nil {
		s.Fatal(err)
	}
	return changes
}

// secretsAre gives the Fleet a client that answers reads of Secrets with an error, until that is nil.
func (s *street) secretsAre(wrong *error) {
	s.Helper()
	all := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(all), corev1.AddToScheme(all)); err != nil {
		s.Fatal(err)
	}
	s.r.Client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(all).Build(), interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
			if secret, ok := into.(*corev1.Secret); ok && *wrong == nil {
				secret.Data = map[string][]byte{"token": []byte("t")}
				return nil
			}
			return *wrong
		},
	})
}

// TestASecretThatCannotBeRead is no fault of a commit: the look is repeated, and nothing is released until it can be read.
func TestASecretThatCannotBeRead(t *testing.T) {
	for name, wrong := range map[string]error{
		"Timeout": apierrors.NewTimeoutError("the API server is slow", 1),
		"Gone":    apierrors.NewNotFound(corev1.Resource("secrets"), "charts"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, tagged("web", "1"))
			s.fleet.Spec.Remotes = []v1alpha1.Remote{{Prefix: "https://charts.example.com", SecretRef: &v1alpha1.SecretReference{Name: "charts"}}}
			s.secretsAre(&wrong)
			head := s.commit("change", map[string]string{fileOf("web", "develop"): kustomized("web", "2")})
			look := s.survey(head, "web")
			chain := look.newChain("web")
			chain.quarantine = []string{}
			if environments, news, err := look.service(t.Context(), chain); err == nil || !strings.Contains(err.Error(), "Secret charts") {
				t.Fatalf("it is news %v, of %+v: %v", news, environments, err)
			}
			wrong = nil
			if one := s.release(s.survey(head, "web"), "web"); one == nil || s.intends(one, "develop").Digest == "" {
				t.Errorf("once it can be read, the commit is released as %+v", one)
			}
		})
	}
}

// TestWhatIsBrokenIsLookedAtAgain has what a Release lacks be allowed, or be there, without a commit.
func TestWhatIsBrokenIsLookedAtAgain(t *testing.T) {
	s := newStreet(t, tagged("web", "1"))
	s.st.roster.steer("web", course{Release: "a", Sequence: 1, Environments: map[string]v1alpha1.ReleaseEnvironment{"develop": {Name: "develop", Problem: "it is not allowed"}}})
	s.st.roster.steer("api", course{Release: "b", Sequence: 1, Environments: map[string]v1alpha1.ReleaseEnvironment{"develop": {Name: "develop", Digest: "d"}}})
	s.st.roster.suspectBroken()
	if is := s.st.roster.suspected(); len(is) != 1 || is["web"] != struct{}{} {
		t.Errorf("%v are looked at, want web", is)
	}
	if _, is := s.st.roster.suspected()["web"]; is {
		t.Error("it is looked at for ever")
	}
}

// TestLetIn points a Fleet at a repository that the mirror holds for another one: until the remote has let it in, it reads
// nothing of it, whatever keeps the remote from answering. One that was let in before goes on while the remote is away.
func TestLetIn(t *testing.T) {
	for name, tc := range map[string]struct {
		before bool
		want   bool
	}{"Never": {false, false}, "Before": {true, true}} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, tagged("web", "1"))
			s.r.Now, s.r.Repositories = time.Now, s.store
			s.fleet.Generation, s.fleet.Status.Revision = 2, "of another repository"
			if tc.before {
				s.fleet.Status.Repository = s.fleet.Spec.Git.URL
			}
			s.fleet.Spec.Git.SecretRef = &v1alpha1.SecretReference{Name: "none"}
			wrong := error(apierrors.NewNotFound(corev1.Resource("secrets"), "none"))
			s.secretsAre(&wrong)
			head, err := s.r.fetch(t.Context(), s.fleet, s.st)
			if got := head != ""; got != tc.want || got != (err == nil) {
				t.Errorf("it reads %q: %v", head, err)
			}
		})
	}
}

// TestFetchIsTriedAgain says when a Fleet looks again that could not: soon after the first time, whatever its interval.
func TestFetchIsTriedAgain(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	st := &state{}
	var waits []string
	for range 5 {
		st.nextPoll = start.Add(time.Minute)
		st.again(start)
		waits = append(waits, st.nextPoll.Sub(start).String())
	}
	if got := fmt.Sprint(waits); got != "[10s 20s 40s 1m0s 1m0s]" {
		t.Errorf("it looks again after %s", got)
	}
}
