package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge/giteatest"
)

// forged is an installation whose repository is on a real Gitea.
type forged struct {
	*sengu
	server *giteatest.Server
	repo   giteatest.Repository
	// bot is whom Sengu writes as.
	bot   giteatest.User
	clone string
}

// newForged starts an installation with a repository that holds content.
func newForged(t *testing.T, content files, edit ...func(*v1alpha1.FleetSpec)) *forged {
	t.Helper()
	f := &forged{server: giteatest.Start(t), clone: t.TempDir()}
	owner := f.server.User(t, "owner")
	f.bot, f.repo = f.server.User(t, "bot"), f.server.Repository(t, owner, "manifests")
	f.server.Invite(t, f.repo, f.bot, "write")
	token := f.server.Token(t, f.bot, "write:repository", "write:issue", "read:user")
	f.sengu = prepareSengu(t, theWorld(t).dev, append([]func(*v1alpha1.FleetSpec){func(spec *v1alpha1.FleetSpec) {
		spec.Git.URL, spec.Git.SecretRef = f.repo.URL, &v1alpha1.SecretReference{Name: "gitea"}
		spec.Forge = &v1alpha1.ForgeSource{Kind: "gitea", API: f.server.URL + "/api/v1"}
	}}, edit...))
	f.evidence.plant("the token for Gitea", token)
	f.create(f.home, f.secret("gitea", "token", []byte(token)))
	f.server.Webhook(t, f.repo, "http://"+f.address+"/webhooks/"+fleetName, string(f.sengu.repo.hook.Secret), "push", "pull_request", "pull_request_sync")
	f.sengu.repo.gitIn(f.clone, nil, "clone", "--quiet", f.addressFor(f.repo, owner), ".")
	f.start()
	f.commit("main", content)
	return f
}

// addressFor is where git reads and writes a repository as a user.
func (f *forged) addressFor(r giteatest.Repository, u giteatest.User) string {
	return strings.Replace(r.URL, "://", "://"+url.UserPassword(u.Name, u.Token).String()+"@", 1)
}

// commit puts a commit with changes on a branch, which is made from main if there is none, and pushes it.
func (f *forged) commit(branch string, changes files) string {
	f.Helper()
	git := func(args ...string) string { return f.sengu.repo.gitIn(f.clone, nil, args...) }
	git("fetch", "--quiet", "origin")
	from := "origin/" + branch
	if git("branch", "--remotes", "--list", from) == "" {
		from = "origin/main"
	}
	git("checkout", "--quiet", "-B", branch, from)
	for path, content := range changes {
		full := filepath.Join(f.clone, path)
		if content == gone {
			if err := os.RemoveAll(full); err != nil {
				f.Fatal(err)
			}
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(content), 0o600)); err != nil {
			f.Fatal(err)
		}
	}
	git("add", "--all")
	git("commit", "--quiet", "-m", "change")
	git("push", "--quiet", "origin", branch)
	return git("rev-parse", "HEAD")
}

// propose opens a pull request into main.
func (f *forged) propose(u giteatest.User, head string) int {
	f.Helper()
	var made struct{ Number int }
	f.server.Call(f, u.Token, http.MethodPost, f.repo.API+"/pulls", map[string]string{"head": head, "base": "main", "title": "change"}, &made)
	return made.Number
}

// said is one comment of Sengu.
type said struct {
	ID   int64
	Body string
	User struct{ Login string }
}

// comments are those on a pull request.
func (f *forged) comments(number int) []said {
	f.Helper()
	var all []said
	f.server.Call(f, f.repo.Owner.Token, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", f.repo.API, number), nil, &all)
	for _, one := range all {
		f.keep(one.Body, "comment", fmt.Sprint(number))
	}
	return all
}

// status is what Sengu says of a commit: the state and the description.
func (f *forged) status(sha string) (state, description string) {
	f.Helper()
	var combined struct {
		Statuses []struct{ Status, Context, Description string }
	}
	f.server.Call(f, f.repo.Owner.Token, http.MethodGet, f.repo.API+"/commits/"+sha+"/status", nil, &combined)
	for _, one := range combined.Statuses {
		if one.Context == "sengu/"+fleetName {
			return one.Status, one.Description
		}
	}
	return "", ""
}

// reviewed waits until the one comment on a pull request is about a commit, and the status of that has a state, and
// returns both.
func (f *forged) reviewed(number int, sha, state string) (comment said, description string) {
	f.Helper()
	f.eventually(fmt.Sprintf("pull request %d is reviewed at %.7s", number, sha), func() error {
		all := f.comments(number)
		if len(all) != 1 {
			return fmt.Errorf("there are %d comments", len(all))
		}
		comment = all[0]
		is, text := f.status(sha)
		if description = text; is != state || !strings.Contains(comment.Body, sha[:12]) {
			return fmt.Errorf("it is %s (%s), and the comment says %s", is, text, comment.Body)
		}
		return nil
	})
	if comment.User.Login != f.bot.Name {
		f.Errorf("the comment is by %s", comment.User.Login)
	}
	return comment, description
}

// shows fails the test unless a comment has each text, and none of the others.
func (f *forged) shows(comment said, has, lacks []string) {
	f.Helper()
	for _, text := range has {
		if !strings.Contains(comment.Body, text) {
			f.Errorf("the comment lacks %q:\n%s", text, comment.Body)
		}
	}
	for _, text := range lacks {
		if strings.Contains(comment.Body, text) {
			f.Errorf("the comment has %q:\n%s", text, comment.Body)
		}
	}
}

// overlay is the kustomization of web in an environment, with the tag of its image.
func overlay(tag string) string {
	return "resources:\n- ../../../base/web\n- secret.yaml\nimages:\n- name: registry.example.com/app\n  newTag: \"" + tag + "\"\n"
}

func secretOf(value string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\nstringData:\n  password: " + value + "\n"
}

// shop is a repository with a base that two environments of one service share, and another service.
func shop(password string) files {
	content := files{
		"base/web/kustomization.yaml": "resources:\n- config.yaml\n- workload.yaml\n", "base/web/config.yaml": configMap("web", "one"),
		"base/web/workload.yaml": deployment("web", "  replicas: 0"), folder("other", "dev") + "/config.yaml": configMap("other", "same"),
	}
	for _, env := range []string{"dev", "prod"} {
		content[folder("web", env)+"/kustomization.yaml"] = overlay("1")
		content[folder("web", env)+"/secret.yaml"] = secretOf(password)
	}
	return content
}

// TestReview opens a pull request on a real Gitea, pushes to it, breaks it, mends it and merges it. Only webhooks tell
// Sengu of it: the next poll would be in an hour.
func TestReview(t *testing.T) {
	t.Parallel()
	password, next := "pw-"+rand.String(20), "pw-"+rand.String(20)
	f := newForged(t, shop(password), func(spec *v1alpha1.FleetSpec) { spec.Git.Interval = metav1.Duration{Duration: time.Hour} })
	f.evidence.plant("a password", password)
	f.evidence.plant("the next password", next)
	f.eventually("everything is delivered", func() error { return f.delivered(3) })

	head := f.commit("feature", files{
		"base/web/config.yaml": configMap("web", "two"), folder("web", "dev") + "/kustomization.yaml": overlay("2"), folder("web", "dev") + "/secret.yaml": secretOf(next),
	})
	number := f.propose(f.repo.Owner, "feature")
	comment, description := f.reviewed(number, head, "success")
	f.shows(comment, []string{
		"| `web` | `dev` | ~3 | `app` `1` → `2` |", "| `web` | `prod` | ~1 |  |", "<b>dev</b>", "<b>prod</b>", "after `dev`",
		"--- ConfigMap " + f.target + "/web", "-  value: one", "+  value: two", "-      - image: registry.example.com/app:1", "+      - image: registry.example.com/app:2",
		"--- Secret " + f.target + "/web", "***",
	}, []string{"other", password, next, "refused", "sengu.dev/owner"})
	if description != "changes 1 service in 2 environments" {
		t.Errorf("the status says %q", description)
	}

	head = f.commit("feature", files{"base/web/config.yaml": configMap("web", "three")})
	again, _ := f.reviewed(number, head, "success")
	f.shows(again, []string{"+  value: three"}, []string{"+  value: two"})

	head = f.commit("feature", files{folder("web", "dev") + "/kustomization.yaml": overlay("2") + "patches:\n- path: [\n"})
	broken, description := f.reviewed(number, head, "failure")
	f.shows(broken, []string{"Cannot be rendered", folder("web", "dev") + "/kustomization.yaml:"}, nil)
	if !strings.HasPrefix(description, "web/dev: "+folder("web", "dev")+"/kustomization.yaml:") {
		t.Errorf("the status says %q", description)
	}

	head = f.commit("feature", files{folder("web", "dev") + "/kustomization.yaml": overlay("2")})
	last, _ := f.reviewed(number, head, "success")
	if again.ID != comment.ID || broken.ID != comment.ID || last.ID != comment.ID {
		t.Errorf("the comment was made anew: %d, %d, %d, %d", comment.ID, again.ID, broken.ID, last.ID)
	}

	merged := f.server.Merge(t, f.repo, number)
	f.synced(merged, 3)
	if err := f.holds(f.prod, "web", "three"); err != nil {
		t.Error(err)
	}
}

// delivered is nil once there are so many Apps, all of which are as they should be.
func (f *forged) delivered(count int) error {
	apps, err := f.apps()
	if err != nil {
		return err
	}
	for i := range apps {
		if err := notSynced(&apps[i]); err != nil {
			return err
		}
	}
	if len(apps) != count {
		return fmt.Errorf("there are %d Apps", len(apps))
	}
	return nil
}

// TestReviewRefused has pull requests that a cluster would not take, that delete what is precious, and that come from a
// fork. No webhook tells of them but the poll finds them.
func TestReviewRefused(t *testing.T) {
	t.Parallel()
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\nspec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n"
	f := newForged(t, files{
		folder("web", "dev") + "/config.yaml": configMap("web", "one"), folder("web", "dev") + "/claim.yaml": claim,
		folder("other", "dev") + "/config.yaml": configMap("other", "one"),
	}, func(spec *v1alpha1.FleetSpec) { spec.Git.WebhookSecretRef = nil }, onlyDev)
	f.eventually("everything is delivered", func() error { return f.delivered(2) })
	f.forbid("forbidden")
	f.create(f.dev, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.target, Name: "theirs"}})

	head := f.commit("feature", files{
		folder("web", "dev") + "/config.yaml": configMap("web", "forbidden"), folder("web", "dev") + "/claim.yaml": gone,
		folder("web", "dev") + "/theirs.yaml": configMap("theirs", "ours"), folder("web", "dev") + "/shared.yaml": configMap("other", "ours"),
		folder("other", "dev"): gone, folder("new", "dev") + "/config.yaml": configMap("new", "one"),
	})
	comment, description := f.reviewed(f.propose(f.repo.Owner, "feature"), head, "failure")
	f.shows(comment, []string{
		"refused by the cluster: ConfigMap " + f.target + "/web", "this value is not for anybody",
		"ConfigMap " + f.target + "/theirs exists already", "the deletion of 1 object waits until it is confirmed: PersistentVolumeClaim " + f.target + "/data",
		"| `other` | `dev` | **removed**, −1, 1 to confirm |", "| `new` | `dev` | new, +1 |",
	}, []string{"belongs to App"})
	if !strings.HasPrefix(description, "web/dev: ") {
		t.Errorf("the status says %q", description)
	}

	stranger := f.server.User(t, "stranger")
	f.server.Invite(t, f.repo, stranger, "read")
	fork := f.server.Fork(t, f.repo, stranger)
	theirs := f.server.Commit(t, fork, "mine", folder("web", "dev")+"/more.yaml", configMap("theirs", "forbidden"))
	comment, _ = f.reviewed(f.propose(stranger, stranger.Name+"/"+fork.Name+":mine"), theirs, "success")
	f.shows(comment, []string{"It comes from a fork", "+  value: forbidden", "| `web` | `dev` | +1 |"}, []string{"refused", "exists already"})
}

// forbid makes the cluster dev refuse ConfigMaps of the target namespace with a value.
func (f *forged) forbid(value string) {
	f.Helper()
	fail := admissionv1.Fail
	operations := []admissionv1.OperationType{admissionv1.Create, admissionv1.Update}
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: f.target},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: f.onlyTarget(),
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("!has(object.data) || object.data.value != %q", value), Message: "this value is not for anybody"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: f.target},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: f.target, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	f.create(f.dev, policy)
	f.create(f.dev, binding)
	f.Cleanup(func() {
		if err := errors.Join(f.dev.Delete(context.Background(), binding), f.dev.Delete(context.Background(), policy)); err != nil {
			f.Errorf("take the policy away: %v", err)
		}
	})
	f.eventually("the policy is in force", func() error {
		trial := f.configMap("trial-" + rand.String(5))
		trial.Data = map[string]string{"value": value}
		if f.dev.Create(context.Background(), trial) == nil {
			return errors.New("it is not")
		}
		return nil
	})
}
