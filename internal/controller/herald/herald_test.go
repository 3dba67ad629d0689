package herald

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

const namespace = "sengu"

var noon = time.Date(2030, time.April, 1, 12, 0, 0, 0, time.UTC)

// registry is a record of sinks, which may be away.
type registry struct {
	notify.Store
	since map[string]time.Time
	away  error
}

func (r *registry) Register(_ context.Context, sink string) error {
	if _, known := r.since[sink]; !known && r.away == nil {
		r.since[sink] = noon
	}
	return r.away
}

func (r *registry) Unregister(_ context.Context, sink string) error {
	delete(r.since, sink)
	return r.away
}

func (r *registry) Sinks(context.Context) ([]history.Sink, error) {
	var sinks []history.Sink
	for name, at := range r.since {
		sinks = append(sinks, history.Sink{Name: name, Registered: at})
	}
	return sinks, r.away
}

func (r *registry) names() []string {
	var names []string
	for name := range r.since {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// stage is a Reconciler, and what is around it.
type stage struct {
	*testing.T
	*Reconciler
	registry *registry
}

func newStage(t *testing.T, objects ...client.Object) *stage {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	record := &registry{since: map[string]time.Time{}}
	d, err := notify.New(notify.Options{Store: record})
	if err != nil {
		t.Fatal(err)
	}
	there := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Fleet{}).WithObjects(objects...).Build()
	log, now := slog.New(slog.DiscardHandler), func() time.Time { return noon }
	return &stage{t, &Reconciler{
		Client: there, Home: &rest.Config{Host: "https://127.0.0.1:1"}, Namespace: namespace, Forges: origin.NewForges(there, nil, log, now),
		Store: record, Dispatcher: d, Allowed: func(string) bool { return false }, Log: log, Now: now,
		routes: map[client.ObjectKey][]notify.Subscription{},
	}, record}
}

func (s *stage) reconcile(name string) ctrl.Result {
	s.Helper()
	result, err := s.Reconcile(s.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}})
	if err != nil {
		s.Fatal(err)
	}
	return result
}

// says is the condition of a Fleet, "" if there is none.
func (s *stage) says(name string) string {
	s.Helper()
	c := meta.FindStatusCondition(s.get(name).Status.Conditions, v1alpha1.ConditionNotifying)
	if c == nil {
		return ""
	}
	return string(c.Status) + ": " + c.Message
}

func (s *stage) get(name string) *v1alpha1.Fleet {
	s.Helper()
	f := &v1alpha1.Fleet{}
	if err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: namespace, Name: name}, f); err != nil {
		s.Fatal(err)
	}
	return f
}

// versions are those of the routes of a Fleet.
func (s *stage) versions(name string) map[string]string {
	found := map[string]string{}
	for _, sub := range s.routes[client.ObjectKey{Namespace: namespace, Name: name}] {
		found[sub.Name] = sub.Version
	}
	return found
}

func fleetWith(name string, routes ...v1alpha1.Notification) *v1alpha1.Fleet {
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	f.Spec.Git.URL, f.Spec.Notifications = "https://git.example.com/"+name+"/manifests", routes
	return f
}

func secretWith(name string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

func hook(name, secret string) v1alpha1.Notification {
	return v1alpha1.Notification{Name: name, Webhook: &v1alpha1.WebhookNotification{SecretRef: v1alpha1.SecretReference{Name: secret}}}
}

func chat(name, secret string, people ...v1alpha1.SlackIdentity) v1alpha1.Notification {
	return v1alpha1.Notification{Name: name, Slack: &v1alpha1.SlackNotification{
		Channel: "C0123456789", SecretRef: v1alpha1.SecretReference{Name: secret}, Identities: people,
	}}
}

func TestWrongRoutes(t *testing.T) {
	secrets := []client.Object{
		secretWith("hook", map[string]string{"url": "https://hooks.example.com/pl4nted"}),
		secretWith("nourl", map[string]string{"signingKey": "0123456789abcdef"}),
		secretWith("typo", map[string]string{"url": "https://hooks.example.com", "signing-key": "pl4nted"}),
		secretWith("badurl", map[string]string{"url": "pl4nted"}),
		secretWith("shortkey", map[string]string{"url": "https://hooks.example.com", "signingKey": "pl4nted"}),
		secretWith("slack", map[string]string{"token": "xoxb-pl4nted", "signingSecret": "pl4nted"}),
		secretWith("mute", map[string]string{"token": "xoxb-pl4nted"}),
		secretWith("slacktypo", map[string]string{"token": "xoxb-pl4nted", "signingsecret": "pl4nted"}),
	}
	with := func(n v1alpha1.Notification, edit func(*v1alpha1.Notification)) v1alpha1.Notification {
		edit(&n)
		return n
	}
	for name, c := range map[string]struct {
		route v1alpha1.Notification
		says  string
	}{
		"Webhook":      {hook("r", "hook"), "True: every route"},
		"NoSecret":     {hook("r", "lost"), "notification r: read Secret lost that webhook.secretRef names"},
		"NoURL":        {hook("r", "nourl"), `no key "url"`},
		"UnknownKey":   {hook("r", "typo"), `the unknown key "signing-key": known are url, signingKey, caFile, header.NAME`},
		"NoSuchURL":    {hook("r", "badurl"), "must begin with https://"},
		"ShortKey":     {hook("r", "shortkey"), "shorter than 16 bytes"},
		"BadTemplate":  {with(hook("r", "hook"), func(n *v1alpha1.Notification) { n.Webhook.Template = "{{.Nothing}}" }), "template"},
		"BadIf":        {with(hook("r", "hook"), func(n *v1alpha1.Notification) { n.If = "event.kindd" }), "notification r: if: line 1"},
		"BadKind":      {with(hook("r", "hook"), func(n *v1alpha1.Notification) { n.Events = []string{"explodes"} }), `"explodes" is no kind`},
		"Slack":        {chat("r", "slack", v1alpha1.SlackIdentity{Slack: "U0123456789", User: "anna"}), "True: every route"},
		"SlackMute":    {chat("r", "mute"), "True: every route"},
		"SlackTypo":    {chat("r", "slacktypo"), `the unknown key "signingsecret"`},
		"SlackAddress": {chat("r", "slack", v1alpha1.SlackIdentity{Slack: "anna@example.com", User: "anna"}), "set slack.team"},
		"NoForge":      {v1alpha1.Notification{Name: "r", Deployments: &v1alpha1.DeploymentNotification{}}, "the fleet uses none: set forge.kind"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, append([]client.Object{fleetWith("shop", c.route, hook("other", "hook"))}, secrets...)...)
			s.reconcile("shop")
			text := s.says("shop")
			if !strings.Contains(text, c.says) || strings.HasPrefix(text, "True") != strings.HasPrefix(c.says, "True") {
				t.Errorf("it says %q, not %q", text, c.says)
			}
			if strings.Contains(text, "pl4nted") {
				t.Errorf("a secret is in %q", text)
			}
			if _, goesOn := s.versions("shop")["shop/other"]; !goesOn {
				t.Error("the other route does not go on")
			}
		})
	}
}

// TestVersions makes a sink anew when what it is made from changes, and not otherwise.
func TestVersions(t *testing.T) {
	secret := secretWith("hook", map[string]string{"url": "https://hooks.example.com"})
	s := newStage(t, fleetWith("shop", hook("a", "hook"), chat("b", "slack")), secret, secretWith("slack", map[string]string{"token": "xoxb-1"}))
	s.reconcile("shop")
	first := s.versions("shop")
	f := s.get("shop")
	f.Spec.Suspend = true
	f.Spec.Notifications[1].Events = []string{"failed"}
	if err := s.Client.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	s.reconcile("shop")
	second := s.versions("shop")
	if first["shop/a"] != second["shop/a"] || first["shop/b"] == second["shop/b"] {
		t.Errorf("after another route was changed: %v, then %v", first, second)
	}
	fresh := &corev1.Secret{}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(secret), fresh); err != nil {
		t.Fatal(err)
	}
	fresh.Data["url"] = []byte("https://elsewhere.example.com")
	if err := s.Client.Update(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	s.reconcile("shop")
	if third := s.versions("shop"); second["shop/a"] == third["shop/a"] || second["shop/b"] != third["shop/b"] {
		t.Errorf("after a Secret was changed: %v, then %v", second, third)
	}
}

// TestForgotten has the record forget the routes that no Fleet names, and no other: not those that are wrong, nor those of
// Fleets that were not looked at yet.
func TestForgotten(t *testing.T) {
	secret := secretWith("hook", map[string]string{"url": "https://hooks.example.com"})
	s := newStage(t, fleetWith("shop", hook("a", "hook"), hook("wrong", "lost")), fleetWith("bank", hook("b", "hook")), secret)
	for _, name := range []string{"shop/wrong", "bank/b", "gone/x"} {
		s.registry.since[name] = noon.Add(-time.Hour)
	}
	s.reconcile("shop")
	if diff := cmp.Diff([]string{"bank/b", "shop/a", "shop/wrong"}, s.registry.names()); diff != "" {
		t.Error(diff)
	}
	s.reconcile("bank")
	if err := s.Client.Delete(t.Context(), s.get("bank")); err != nil {
		t.Fatal(err)
	}
	s.reconcile("bank")
	if diff := cmp.Diff([]string{"shop/a", "shop/wrong"}, s.registry.names()); diff != "" {
		t.Error(diff)
	}
}

// TestRecordAway says what is wrong although the record is away, and looks again.
func TestRecordAway(t *testing.T) {
	s := newStage(t, fleetWith("shop", hook("a", "lost")))
	s.registry.away = errors.New("the database is away")
	s.registry.since["gone/x"] = noon
	if result := s.reconcile("shop"); result.RequeueAfter != again {
		t.Errorf("it looks again after %s", result.RequeueAfter)
	}
	if text := s.says("shop"); !strings.Contains(text, "read Secret lost") || strings.Contains(text, "database") {
		t.Errorf("it says %q", text)
	}
}

// TestConditionBesideOthers writes its own condition and no other, and none on what somebody has written meanwhile.
func TestConditionBesideOthers(t *testing.T) {
	s := newStage(t, fleetWith("shop", hook("a", "lost")))
	stale := s.get("shop")
	f := s.get("shop")
	meta.SetStatusCondition(&f.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Compared"})
	if err := s.Client.Status().Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	result, err := s.report(t.Context(), stale, []string{"wrong"}, ctrl.Result{})
	if err != nil || result.RequeueAfter != conflicted || s.says("shop") != "" {
		t.Errorf("what was read before another wrote: %v %v %q", result, err, s.says("shop"))
	}
	s.reconcile("shop")
	if !meta.IsStatusConditionTrue(s.get("shop").Status.Conditions, v1alpha1.ConditionReady) || s.says("shop") == "" {
		t.Errorf("the conditions are %v", s.get("shop").Status.Conditions)
	}
	before := s.get("shop").ResourceVersion
	s.reconcile("shop")
	if after := s.get("shop").ResourceVersion; after != before {
		t.Error("it is written although nothing has changed")
	}
}

func TestDesks(t *testing.T) {
	anna := v1alpha1.SlackIdentity{Slack: "U0123456789", User: "anna"}
	shop := fleetWith("shop", chat("a", "slack", anna), chat("mute", "mute"), chat("lost", "lost"), hook("h", "hook"))
	shop.Spec.Notifications[0].Slack.API = "https://slack.example.com/gateway/api/"
	s := newStage(t, shop, fleetWith("bank", chat("b", "slack2")),
		secretWith("slack", map[string]string{"token": "xoxb-1", "signingSecret": "one\n"}), secretWith("mute", map[string]string{"token": "xoxb-1"}),
		secretWith("slack2", map[string]string{"token": "xoxb-2", "signingSecret": "two"}))
	for fleet, want := range map[string]string{"shop": "one", "bank": "two", "": "two one", "nobody": ""} {
		desks, err := s.Desks(t.Context(), fleet)
		var secrets []string
		for _, d := range desks {
			secrets = append(secrets, string(d.SigningSecrets[0]))
		}
		if got := strings.Join(secrets, " "); got != want {
			t.Errorf("fleet %q has the secrets %q, want %q", fleet, got, want)
		}
		if lost := fleet == "shop" || fleet == ""; (err != nil) != lost {
			t.Errorf("fleet %q: %v", fleet, err)
		}
	}
	desks, _ := s.Desks(t.Context(), "shop")
	if got := desks[0].ResponsePrefix; got != "https://slack.example.com/" {
		t.Errorf("answers are taken at %q", got)
	}
	if p, known, err := desks[0].Identities.Person(t.Context(), "U0123456789"); err != nil || !known || p.User != "anna" {
		t.Errorf("anna is %v %t %v", p, known, err)
	}
}

// TestPressesOfOthers takes what a button names for the fleet that it names, and no other.
func TestPressesOfOthers(t *testing.T) {
	labels := func(fleet, service string) map[string]string {
		return map[string]string{v1alpha1.LabelFleet: fleet, v1alpha1.LabelService: service}
	}
	made := func(name, fleet, group string) *v1alpha1.Release {
		r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels(fleet, "web")}}
		r.Spec.Fleet, r.Spec.Service, r.Spec.Group = fleet, "web", group
		return r
	}
	s := newStage(t, made("web.shop.1", "shop", "g1"), made("web.bank.1", "bank", "g1"), made("web.shop.2", "shop", "g2"))
	for name, c := range map[string]struct {
		action slack.Action
		want   string
	}{
		"its own":    {slack.Action{Fleet: "shop", Service: "web", Release: "web.shop.1"}, "web.shop.1"},
		"another's":  {slack.Action{Fleet: "shop", Service: "web", Release: "web.bank.1"}, "there is no web.bank.1 any more"},
		"a group":    {slack.Action{Fleet: "shop", Group: "g1"}, "web.shop.1"},
		"lost group": {slack.Action{Fleet: "shop", Group: "g3"}, "there is no Release of g3 any more"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &presser{r: s.Reconciler, action: c.action}
			found, err := p.releases(t.Context())
			got := fmt.Sprint(err)
			if err == nil && len(found) == 1 {
				got = found[0].Name
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestForgeErrors(t *testing.T) {
	b := board{now: func() time.Time { return noon }}
	var busy *notify.BusyError
	if err := b.explain(&forge.RateLimited{Kind: forge.GitHub, Until: noon.Add(time.Minute)}); !errors.As(err, &busy) || busy.After != time.Minute {
		t.Errorf("a limit is %v", err)
	}
	var refused *notify.RefusedError
	if err := b.explain(&forge.Error{Op: "set a status", Reason: forge.ErrInvalid}); !errors.As(err, &refused) {
		t.Errorf("what is invalid is %v", err)
	}
	if err := b.explain(&forge.Error{Reason: forge.ErrUnavailable}); errors.As(err, &refused) || errors.As(err, &busy) || err == nil {
		t.Errorf("an outage is %v", err)
	}
	if err := b.explain(nil); err != nil {
		t.Error(err)
	}
}
