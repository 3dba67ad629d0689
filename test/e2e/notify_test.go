package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
	"github.com/sengu-dev/sengu/internal/release"
)

// receiver is a program that takes webhooks, and checks their signatures as their documentation says.
type receiver struct {
	*httptest.Server
	key string

	mu    sync.Mutex
	keys  []string // of the events, in the order in which they came
	wrong []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{key: "signing-key-" + rand.String(24)}
	theWorld(t).evidence.plant("the signing key of a webhook", r.key)
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(_ http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, stamp := req.Header.Get("Webhook-Id"), req.Header.Get("Webhook-Timestamp")
	mac := hmac.New(sha256.New, []byte(r.key))
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	if req.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		r.wrong = append(r.wrong, "the signature of "+id)
	}
	if req.Header.Get("X-Team") != "payments" {
		r.wrong = append(r.wrong, "the header of "+id)
	}
	var in struct{ Data struct{ Key, Fleet string } }
	if err := json.Unmarshal(body, &in); err != nil || in.Data.Fleet != fleetName {
		r.wrong = append(r.wrong, "the body of "+id)
	}
	r.keys = append(r.keys, in.Data.Key)
}

// got is nil if the events of a Release have come, in order, each once.
func (r *receiver) got(one *v1alpha1.Release) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wrong) > 0 {
		return fmt.Errorf("wrong: %v", r.wrong)
	}
	var want, got []string
	for _, e := range release.Story(one) {
		want = append(want, e.Key)
	}
	for _, key := range r.keys {
		if strings.HasPrefix(key, string(one.UID)) {
			got = append(got, key)
		}
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// toWebhook is a route to a receiver.
func toWebhook(name, secret string) v1alpha1.Notification {
	return v1alpha1.Notification{Name: name, Webhook: &v1alpha1.WebhookNotification{SecretRef: v1alpha1.SecretReference{Name: secret}}}
}

// approved is a Fleet whose last environment asks for an approval.
func approved(e *v1alpha1.Environment) {
	if e.Name == "production" {
		e.Approval = &v1alpha1.ApprovalRule{Required: 1, Groups: []string{"sre"}}
	}
}

func (s *sengu) webhookSecret(name, url, key string) {
	s.Helper()
	secret := s.secret(name, "url", []byte(url))
	secret.Data["signingKey"], secret.Data["header.X-Team"] = []byte(key), []byte("payments\n")
	s.create(s.home, secret)
}

// notifying waits until the Fleet says that of its routes.
func (s *sengu) notifying(ok bool, words ...string) {
	s.Helper()
	s.eventually("the Fleet says whether its routes are right", func() error {
		_, text, is := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionNotifying)
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("it says %q, without %q", text, word)
			}
		}
		if is != ok || text == "" {
			return fmt.Errorf("it says %t: %q", is, text)
		}
		return nil
	})
}

// TestNotifiedByWebhook tells a receiver what happens to a Release: signed, in order, each event once, also when Sengu is
// stopped in the middle. Routes that are wrong, and a receiver that is down, hold up neither the others nor the delivery.
func TestNotifiedByWebhook(t *testing.T) {
	t.Parallel()
	good, down := newReceiver(t), newReceiver(t)
	down.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := newSenguWith(t, []string{"--allow-probe", good.URL, "--allow-probe", down.URL}, inOrder(approved, "staging", "production"), func(f *v1alpha1.FleetSpec) {
		forge := v1alpha1.Notification{Name: "forge", Deployments: &v1alpha1.DeploymentNotification{}}
		misspelt := toWebhook("misspelt", "good")
		misspelt.If = "event.kindd == 'failed'"
		f.Notifications = []v1alpha1.Notification{toWebhook("good", "good"), toWebhook("down", "down"), toWebhook("guarded", "guarded"), forge, misspelt}
	})
	s.notifying(false, "notification good: read Secret good", "notification forge: deployments are shown on a forge", "notification misspelt: if:", "kindd")
	s.webhookSecret("good", good.URL, good.key)
	s.webhookSecret("down", down.URL, down.key)
	s.webhookSecret("guarded", strings.Replace(good.URL, "127.0.0.1", "127.0.0.2", 1), good.key) // which nobody allowed
	s.eventually("the route is right when its Secret is there", func() error {
		if _, text, _ := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionNotifying); strings.Contains(text, "notification good") {
			return errors.New(text)
		}
		return nil
	})
	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	r := s.waitsBefore("web", head, "production", "approval")
	s.eventually("what happened so far is told", func() error { return good.got(s.release("web", head)) })
	s.stop()
	s.action(r, v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: "production", By: "operator", Groups: []string{"sre"}})
	s.start()
	s.becomes("web", head, "production", v1alpha1.StageDone)
	s.eventually("all of it is told", func() error {
		r := s.release("web", head)
		if r.Status.Ended == nil {
			return errors.New("the Release has not ended")
		}
		return good.got(r)
	})

	third := s.repo.commit(judged("web", "three", "staging", "production"))
	s.waitsBefore("web", third, "production", "approval")
	s.kill9()
	s.start()
	s.eventually("it is told after a crash, each event at least once", func() error {
		good.mu.Lock()
		var once []string
		for _, key := range good.keys { // as a receiver does that keeps the IDs
			if !slices.Contains(once, key) {
				once = append(once, key)
			}
		}
		good.keys = once
		good.mu.Unlock()
		return good.got(s.release("web", third))
	})
	good.Close()
	s.action(s.release("web", third), v1alpha1.ReleaseAction{Verb: v1alpha1.VerbApprove, Environment: "production", By: "operator", Groups: []string{"sre"}})
	s.becomes("web", third, "production", v1alpha1.StageDone) // with no receiver up at all
	s.patch(s.home, s.theFleet(), `{"spec":{"notifications":null}}`)
	s.eventually("nothing is said of routes that are gone", func() error {
		if _, text, _ := condition(s.theFleet().Status.Conditions, v1alpha1.ConditionNotifying); text != "" {
			return errors.New(text)
		}
		return nil
	})
}

const (
	slackChannel = "C0SENGU0001"
	slackAnna    = "U0ANNA00001"
	slackBen     = "U0BEN000001"
	slackOther   = "U0OTHER0001"
)

// office is a workspace of Slack.
type office struct {
	*slackserver.Server
	s       *sengu
	signing string
}

// message is the one message of the channel.
func (o *office) message() (slackserver.Message, error) {
	all := o.Messages()
	if wrong, pinged := o.Wrong(), o.Pinged(); len(wrong)+len(pinged) > 0 {
		return slackserver.Message{}, fmt.Errorf("not as Slack wants it: %v %v", wrong, pinged)
	}
	if len(all) != 1 {
		return slackserver.Message{}, fmt.Errorf("there are %d messages", len(all))
	}
	return all[0], nil
}

// button waits for a button, and returns what it carries.
func (o *office) button(verb, environment string) (id, value string) {
	o.s.Helper()
	o.s.eventually("there is a button to "+verb, func() error {
		m, err := o.message()
		if err != nil {
			return err
		}
		var blocks []struct {
			Elements []struct {
				ActionID string `json:"action_id"`
				Value    string
			}
		}
		if err := json.Unmarshal([]byte(m.Blocks), &blocks); err != nil {
			return err
		}
		for _, b := range blocks {
			for _, e := range b.Elements {
				if e.ActionID == "sengu."+verb+":"+environment {
					id, value = e.ActionID, e.Value
					return nil
				}
			}
		}
		return fmt.Errorf("there is none in %s", m.Blocks)
	})
	return id, value
}

// press presses a button as Slack tells of it, and returns what Sengu answers to Slack and then to the person.
func (o *office) press(user, id, value, secret string) (status int, told string) {
	o.s.Helper()
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": map[string]any{"id": user, "team_id": "T0SENGU0001"}, "channel": map[string]any{"id": slackChannel},
		"response_url": o.Hooks() + rand.String(20), "actions": []any{map[string]any{"action_id": id, "type": "button", "value": value}},
	})
	if err != nil {
		o.s.Fatal(err)
	}
	said := len(o.Said())
	body, stamp := url.Values{"payload": {string(payload)}}.Encode(), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	req, err := http.NewRequestWithContext(o.s.Context(), http.MethodPost, "http://"+o.s.address+"/slack/interactions", strings.NewReader(body))
	if err != nil {
		o.s.Fatal(err)
	}
	req.Header.Set("X-Slack-Request-Timestamp", stamp)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.s.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, ""
	}
	o.s.eventually("the person is told", func() error {
		if all := o.Said(); len(all) > said {
			told = all[said]
			return nil
		}
		return errors.New("nothing was said")
	})
	return resp.StatusCode, told
}

// impersonation gives Sengu the right to act as people that the chart gives it with these values.
func (s *sengu) impersonation(values string) {
	s.Helper()
	chart := filepath.Join(s.TempDir(), "sengu")
	file := filepath.Join(chart, "wanted.yaml")
	if err := errors.Join(os.CopyFS(chart, os.DirFS(chartFolder)), os.WriteFile(file, []byte(values), 0o600)); err != nil {
		s.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd := exec.Command(s.binary, "render", chart, "--namespace", s.namespace, "--helm-release", "sengu", "--helm-values", file)
	cmd.Stderr = &complaints
	rendered, err := cmd.Output()
	if err != nil {
		s.Fatalf("render the chart: %v: %s", err, complaints.String())
	}
	made := 0
	for documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := documents.Decode(u); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			s.Fatal(err)
		}
		if u.GetKind() == "ClusterRole" || u.GetKind() == "ClusterRoleBinding" {
			made++
			s.create(s.home, u)
			s.Cleanup(func() { _ = s.home.Delete(context.Background(), u) })
		}
	}
	if made != 2 {
		s.Fatalf("the chart has %d objects that let Sengu act as people", made)
	}
}

// TestNotifiedInSlack keeps one message up to date, and takes its buttons: from people whom the route knows, with their own
// rights, by Slack's signature.
func TestNotifiedInSlack(t *testing.T) {
	t.Parallel()
	token, signing := "xoxb-"+rand.String(24), rand.String(32)
	theWorld(t).evidence.plant("the token of Slack", token)
	theWorld(t).evidence.plant("the signing secret of Slack", signing)
	server := slackserver.New(token, slackChannel, time.Now)
	t.Cleanup(server.Close)
	s := newSengu(t, inOrder(approved, "staging", "production"), func(f *v1alpha1.FleetSpec) {
		f.Notifications = []v1alpha1.Notification{{Name: "chat", Slack: &v1alpha1.SlackNotification{
			Channel: slackChannel, SecretRef: v1alpha1.SecretReference{Name: "slack"}, Team: "T0SENGU0001", API: server.API(),
			Identities: []v1alpha1.SlackIdentity{
				{Slack: slackAnna, User: "anna@example.com", Groups: []string{"sre"}}, {Slack: "ben@example.com", User: "ben@example.com", Groups: []string{"dev"}},
			},
		}}}
	})
	server.Know(slackserver.User{ID: slackBen, Team: "T0SENGU0001", Email: "ben@example.com", Confirmed: true})
	server.Know(slackserver.User{ID: slackOther, Team: "T0SENGU0001", Email: "other@example.com", Confirmed: true})
	secret := s.secret("slack", "token", []byte(token))
	secret.Data["signingSecret"] = []byte(signing + "\n")
	s.create(s.home, secret)
	s.notifying(true)
	o := &office{server, s, signing}
	for _, u := range s.charted("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding") {
		s.create(s.home, u)
		t.Cleanup(func() { _ = s.home.Delete(context.Background(), u) })
	}
	for _, group := range []string{"sre", "dev"} {
		s.grant(group, "releases", []string{"get", "patch"})
		s.grant(group, "apps", []string{"get", "patch"})
	}
	s.grant("sre", "environments", []string{"approve", "hold", "rollback"}, "production."+fleetName)

	s.synced(s.repo.commit(judged("web", "one", "staging", "production")), 2)
	head := s.repo.commit(judged("web", "two", "staging", "production"))
	s.waitsBefore("web", head, "production", "approval")
	id, value := o.button("approve", "production")
	if status, _ := o.press(slackAnna, id, value, "another secret"); status != http.StatusUnauthorized {
		t.Errorf("a wrong signature is answered %d", status)
	}
	if status, _ := o.press(slackAnna, id, strings.Replace(value, fleetName, "other", 1), signing); status != http.StatusUnauthorized {
		t.Errorf("a press for another fleet is answered %d", status)
	}
	refused := func(user, says string) {
		t.Helper()
		if status, told := o.press(user, id, value, signing); status != http.StatusOK || !strings.Contains(told, says) {
			t.Errorf("%s is answered %d and told %q, without %q", user, status, told, says)
		}
	}
	s.eventually("presses are taken, which none is that may have been seen before the start", func() error {
		if status, _ := o.press(slackOther, id, value, signing); status == http.StatusServiceUnavailable {
			return errors.New("they are to be made again later")
		}
		return nil
	})
	refused(slackOther, "does not know you")
	refused(slackAnna, "Sengu may not act as anna@example.com")
	s.impersonation("slack:\n  enabled: true\n  users: [anna@example.com, ben@example.com]\n  groups: [sre, dev]\n")
	refused(slackBen, "ben@example.com may not approve in production")
	if r := s.release("web", head); len(r.Spec.Actions) > 0 {
		t.Fatalf("somebody who may not has done something: %+v", r.Spec.Actions)
	}
	if status, told := o.press(slackAnna, id, value, signing); status != http.StatusOK || !strings.Contains(told, "You approved web in production") {
		t.Errorf("who may is answered %d and told %q", status, told)
	}
	r := s.becomes("web", head, "production", v1alpha1.StageDone)
	if a := r.Spec.Actions; len(a) != 1 || a[0].By != "anna@example.com" || !slices.Contains(a[0].Groups, "sre") || !strings.Contains(a[0].Reason, slackAnna) {
		t.Errorf("it is recorded as %+v", a)
	}
	s.eventually("the one message says that it is done", func() error {
		m, err := o.message()
		if err != nil {
			return err
		}
		if m.Updates == 0 || len(o.Replies(m.TS)) < 3 || !strings.Contains(m.Blocks, "white_check_mark") || strings.Contains(m.Blocks, "hourglass") {
			return fmt.Errorf("after %d updates and with %d replies: %s", m.Updates, len(o.Replies(m.TS)), m.Blocks)
		}
		return nil
	})

	if status, told := o.press(slackAnna, id, value, signing); status != http.StatusOK || !strings.Contains(told, "has passed production already") {
		t.Errorf("a second approval is answered %d and told %q", status, told)
	}
	back, target := o.button("rollback", "production")
	if status, told := o.press(slackAnna, back, target, signing); status != http.StatusOK || !strings.Contains(told, "You rolled back web in production") {
		t.Errorf("a roll-back is answered %d and told %q", status, told)
	}
	s.eventually("production is back", func() error { return s.mapIs(s.prod, s.target+"-production", "web", "one") })
	if h := s.app("web", "production").Spec.Hold; h == nil || h.By != "anna@example.com" {
		t.Errorf("the roll-back is recorded as %+v", h)
	}
	if status, told := o.press(slackAnna, back, target, signing); status != http.StatusOK || !strings.Contains(told, "Not done") {
		t.Errorf("a roll-back of what runs no longer is answered %d and told %q", status, told)
	}
}
