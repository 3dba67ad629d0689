package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// outage is how long the API server is gone.
const outage = 30 * time.Second

// TestAPIServerGone stops the control plane that holds Sengu's objects and the workloads of dev. It is not parallel: no
// other test may run meanwhile.
func TestAPIServerGone(t *testing.T) {
	s := newSengu(t)
	head := s.repo.commit(fourObjects(folder("web", "dev"), "web", "one").with(fourObjects(folder("web", "prod"), "web", "one")))
	s.synced(head, 2)
	dev, prod, pid := s.uids(s.dev), s.uids(s.prod), s.process.Process.Pid
	if err := s.dev.stop(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	head = s.repo.commit(files{
		folder("web", "dev") + "/config.yaml": configMap("web", "two"), folder("web", "prod") + "/config.yaml": configMap("web", "two"),
	})
	s.within(2*outage, "the outage is over", func() error {
		select {
		case <-s.ended:
			t.Fatalf("sengu ended when its API server did: see %s", s.log.Name())
		default:
		}
		if gone := time.Since(began); gone < outage {
			return fmt.Errorf("it has lasted %s", gone)
		}
		return nil
	})
	if err := s.dev.start(); err != nil {
		t.Fatal(err)
	}
	s.synced(head, 2)
	for _, p := range []*plane{s.dev, s.prod} {
		if err := s.holds(p, "web", "two"); err != nil {
			t.Error(err)
		}
	}
	s.kept(s.dev, dev, 4)
	s.kept(s.prod, prod, 4)
	if s.process.Process.Pid != pid {
		t.Error("sengu was started again")
	}
	// It also watches again.
	s.patch(s.dev, s.configMap("web"), `{"data":{"value":"by hand"}}`)
	s.eventually("drift is undone after the outage", func() error { return s.holds(s.dev, "web", "two") })
}

// TestRemoteGone takes the Git server away, and brings it back with a commit that nobody announced.
func TestRemoteGone(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "one")), 1)
	before := s.uids(s.dev)
	s.repo.away(true)
	s.eventually("the Fleet says that its remote is gone", func() error { return s.notFetched() })
	s.patch(s.dev, s.configMap("web"), `{"data":{"value":"by hand"}}`)
	s.eventually("drift is undone all the same", func() error { return s.holds(s.dev, "web", "one") })
	s.kill9()
	s.start() // an App has to get by with what is on the disk
	s.eventually("the Fleet says so after a restart, too", func() error { return s.notFetched() })
	s.kept(s.dev, before, 4)

	s.repo.hook.URL = ""
	head := s.repo.commit(files{folder("web", "dev") + "/config.yaml": configMap("web", "two")})
	s.repo.away(false)
	s.synced(head, 1)
	if _, _, ok := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionFetched); !ok {
		t.Error("the Fleet still says that its remote is gone")
	}
	s.kept(s.dev, before, 4)
}

// notFetched is nil if the Fleet says that the remote cannot be read, and names it.
func (s *sengu) notFetched() error {
	f := s.theFleet()
	reason, message, ok := condition(f.Status.Conditions, v1alpha1.ConditionFetched)
	if ok || reason != "FetchFailed" || !strings.Contains(message, s.repo.url()) || !strings.Contains(why(f.Status.Why), s.repo.url()) {
		return fmt.Errorf("Fetched is %s: %q; why: %q", reason, message, why(f.Status.Why))
	}
	return nil
}

// TestRewrittenAndEmptied replaces the history of the branch, and then deletes the branch.
func TestRewrittenAndEmptied(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	tree := files{}
	for i := range 4 {
		name := fmt.Sprintf("web%d", i)
		tree = tree.with(fourObjects(folder(name, "dev"), name, "one"))
	}
	s.synced(s.repo.commit(tree), 4)
	before := s.uids(s.dev)
	// The new history has one service less, and another value in a second.
	head := s.repo.rewrite(tree.with(files{folder("web0", "dev") + "/config.yaml": configMap("web0", "two")}).without("apps/web3"))
	s.eventually("the new history is followed", func() error {
		if err := s.compared(head); err != nil {
			return err
		}
		return s.holds(s.dev, "web0", "two")
	})
	if reason, message, ok := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionFetched); !ok || reason != "Rewritten" {
		t.Errorf("Fetched is %s: %q, which does not tell of the force-push", reason, message)
	}
	s.waitsBefore("web3", head, "dev", "removal")
	s.kept(s.dev, before, 16)
	s.approve("web3", head, "dev", false)
	s.eventually("the service that the new history lacks is removed once somebody approves", func() error {
		return s.absent(s.dev, s.configMap("web3"))
	})
	for id := range before {
		if strings.HasSuffix(id, "/web3") {
			delete(before, id)
		}
	}
	s.kept(s.dev, before, 12)

	s.repo.vanish()
	s.eventually("the Fleet says that the branch is gone", func() error { return s.notFetched() })
	s.kept(s.dev, before, 12)
	apps, err := s.apps()
	if err != nil || len(apps) != 3 {
		t.Errorf("there are %d Apps, not 3: %v", len(apps), err)
	}
	for i := range apps {
		if apps[i].Spec.Removal != "" {
			t.Errorf("App %s is being removed", apps[i].Name)
		}
	}
	s.synced(s.repo.commit(tree.without("apps/web3")), 3)
	s.kept(s.dev, before, 12)
}

// without is f without what lies below a folder.
func (f files) without(folder string) files {
	rest := files{}
	for path, content := range f {
		if path != folder && !strings.HasPrefix(path, folder+"/") {
			rest[path] = content
		}
	}
	return rest
}

// TestAnotherCluster leads the credentials of dev to another cluster: nothing is written there until a person says so.
func TestAnotherCluster(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("web", "dev"), "web", "one")), 1)
	before := s.uids(s.dev)
	secret := s.secret("dev", "kubeconfig", s.prod.token)
	if err := s.home.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	identity := s.identity(s.prod)
	s.eventually("the Cluster says that it is another", func() error {
		c := s.theCluster("dev")
		reason, message, ok := condition(c.Status.Conditions, v1alpha1.ConditionIdentified)
		if ok || reason != "AnotherCluster" || !strings.Contains(message, string(identity)) || !strings.Contains(message, "spec.identity") {
			return fmt.Errorf("Identified is %s: %q", reason, message)
		}
		return nil
	})
	head := s.repo.commit(files{folder("web", "dev") + "/config.yaml": configMap("web", "two")})
	s.eventually("the App says why it does not move", func() error {
		a := s.app("web", "dev")
		if err := s.compared(head); err != nil {
			return err
		}
		if a.Spec.Source.Revision != head || !strings.Contains(why(a.Status.Why), "another cluster") {
			return fmt.Errorf("it says %q", why(a.Status.Why))
		}
		return nil
	})
	if err := s.absent(s.prod, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.target}}); err != nil {
		t.Errorf("something was written to the other cluster: %v", err)
	}
	s.kept(s.dev, before, 4)
	if err := s.holds(s.dev, "web", "one"); err != nil {
		t.Error(err)
	}
	s.patch(s.home, s.theCluster("dev"), fmt.Sprintf(`{"spec":{"identity":%q}}`, identity))
	s.eventually("the other cluster is delivered to once it is confirmed", func() error { return s.holds(s.prod, "web", "two") })
	s.synced(head, 1)
	s.kept(s.dev, before, 4)
}

// TestAnotherRepository moves a Fleet to a repository that shares no history with the one before: what differs is a change
// like every other, and what is the same stays as it is.
func TestAnotherRepository(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	content := fourObjects(folder("web", "dev"), "web", "one").with(fourObjects(folder("api", "dev"), "api", "one"))
	s.synced(s.repo.commit(content), 2)
	before := s.uids(s.dev)
	s.repo = newRepository(t, s.repo.token)
	head := s.repo.commit(content.with(fourObjects(folder("web", "dev"), "web", "two")))
	s.patch(s.home, s.theFleet(), fmt.Sprintf(`{"spec":{"git":{"url":%q}}}`, s.repo.url()))
	s.eventually("what the other repository says is delivered", func() error { return s.holds(s.dev, "web", "two") })
	s.synced(head, 2)
	s.kept(s.dev, before, 8)
	s.synced(s.repo.commit(files{folder("api", "dev") + "/config.yaml": configMap("api", "three")}), 2)
	if err := s.holds(s.dev, "api", "three"); err != nil {
		t.Error(err)
	}
}

// identity of a cluster is the UID of its kube-system namespace.
func (s *sengu) identity(p *plane) types.UID {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}
	s.have(p, n)
	return n.UID
}

// TestForgedWebhook signs webhooks with the wrong secret, or not at all.
func TestForgedWebhook(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev)
	for name, signature := range map[string]string{"none": "", "wrong": "sha256=" + strings.Repeat("0", 64)} {
		body := strings.NewReader(`{"repository":"` + s.repo.url() + `","branch":"main"}`)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.repo.hook.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Sengu-Signature", signature)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("signature %s: %s", name, response.Status)
		}
	}
}
