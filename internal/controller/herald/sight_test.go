package herald

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// faulty is a client whose Secrets cannot be read while fail gives an error, and that counts who tries.
type faulty struct {
	client.Client
	fail  func() error
	reads int
}

func (f *faulty) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*corev1.Secret); ok {
		f.reads++
		if f.fail != nil {
			return f.fail()
		}
	}
	return f.Client.Get(ctx, key, obj, opts...)
}

func (s *stage) faulty() *faulty {
	f := &faulty{Client: s.Client}
	s.Client = f
	return f
}

// TestARouteThatCannotBeLookedAt goes on as it is, and is looked at again; its condition is written once.
func TestARouteThatCannotBeLookedAt(t *testing.T) {
	n := 0
	for name, fail := range map[string]func() error{
		"5xx": func() error { n++; return apierrors.NewInternalError(fmt.Errorf("request %d failed", n)) },
		"429": func() error { n++; return apierrors.NewTooManyRequests(fmt.Sprint("request ", n), 1) },
		"network": func() error {
			n++
			return &url.Error{Op: "Get", URL: fmt.Sprintf("https://home:%d", n), Err: errors.New("connection refused")}
		},
		"deadline": func() error { return context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, fleetWith("shop", hook("a", "hook")), secretWith("hook", map[string]string{"url": "https://hooks.example.com"}))
			f := s.faulty()
			if result := s.reconcile("shop"); result.RequeueAfter != 0 {
				t.Errorf("it looks again after %s although nothing is wrong", result.RequeueAfter)
			}
			before := s.versions("shop")["shop/a"]
			f.fail = fail
			for range 2 {
				if result := s.reconcile("shop"); result.RequeueAfter != 30*time.Second {
					t.Errorf("it looks again after %s", result.RequeueAfter)
				}
				if now := s.versions("shop")["shop/a"]; now != before || now == "" {
					t.Errorf("the route was %q and is %q", before, now)
				}
			}
			said := s.get("shop").ResourceVersion
			s.reconcile("shop")
			if s.get("shop").ResourceVersion != said || !strings.Contains(s.says("shop"), "Secret hook that webhook.secretRef names cannot be read now") {
				t.Errorf("it is written again, or says %q", s.says("shop"))
			}
			f.fail = nil
			if s.reconcile("shop"); !strings.HasPrefix(s.says("shop"), "True") {
				t.Errorf("afterwards it says %q", s.says("shop"))
			}
		})
	}
}

// TestARouteThatIsWrong is off at once, and waits for somebody to mend it. So is one that says something else since it could
// be looked at: it must not tell on where nobody wants it told.
func TestARouteThatIsWrong(t *testing.T) {
	s := newStage(t, fleetWith("shop", hook("a", "hook")), secretWith("hook", map[string]string{"url": "https://hooks.example.com"}))
	f := s.faulty()
	s.reconcile("shop")
	fleet := s.get("shop")
	fleet.Spec.Notifications[0].Webhook.SecretRef.Name = "another"
	if err := s.Client.Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	f.fail = func() error { return apierrors.NewServiceUnavailable("away") }
	if result := s.reconcile("shop"); result.RequeueAfter != 30*time.Second || len(s.versions("shop")) > 0 {
		t.Errorf("after %s, and with the routes %v", result.RequeueAfter, s.versions("shop"))
	}
	for _, fail := range []error{
		apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "another"),
		apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "another", errors.New("no")),
		&url.Error{Op: "parse", URL: "x", Err: errors.New("no address")},
	} {
		f.fail = func() error { return fail }
		if result := s.reconcile("shop"); result.RequeueAfter != 0 || len(s.versions("shop")) > 0 {
			t.Errorf("%v: after %s, and with the routes %v", fail, result.RequeueAfter, s.versions("shop"))
		}
	}
}

// TestNewsWhileTheRecordIsAway: a route that was added meanwhile is told what happens from then on.
func TestNewsWhileTheRecordIsAway(t *testing.T) {
	s := newStage(t, fleetWith("shop", hook("a", "hook")), secretWith("hook", map[string]string{"url": "https://hooks.example.com"}))
	now := noon
	s.Now = func() time.Time { return now }
	s.registry.away = errors.New("the database is away")
	s.reconcile("shop")
	since := func() time.Time {
		t.Helper()
		all, err := s.all(t.Context(), map[string]bool{"shop/a": true})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].Since
	}
	now = noon.Add(2 * time.Hour)
	s.registry.away = nil
	s.registry.since["shop/a"] = now
	s.reconcile("shop")
	if got := since(); !got.Equal(noon.Add(-overlap)) {
		t.Errorf("it is told what happened since %s", got)
	}
	// A record that was lost takes in what was told already.
	s.registry.since["shop/a"] = noon.Add(5 * time.Hour)
	if got := since(); !got.Equal(noon.Add(5*time.Hour - overlap)) {
		t.Errorf("with a new record, it is told what happened since %s", got)
	}
	// One that knows the sink for longer than this process does has the last word.
	s.sights = nil
	s.registry.since["shop/a"] = noon.Add(-time.Hour)
	if got := since(); !got.Equal(noon.Add(-time.Hour - overlap)) {
		t.Errorf("of an old record, it is told what happened since %s", got)
	}
	// A route that is gone is new when it comes back.
	fleet := s.get("shop")
	fleet.Spec.Notifications = nil
	if err := s.Client.Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	if s.reconcile("shop"); len(s.sights) > 0 {
		t.Errorf("it still knows %v", s.sights)
	}
}

// TestDesksAreKept for a moment, and the error that one cannot be read too: strangers can ask for them.
func TestDesksAreKept(t *testing.T) {
	s := newStage(t, fleetWith("shop", chat("a", "slack"), chat("lost", "lost")), fleetWith("bank", hook("h", "hook")),
		secretWith("slack", map[string]string{"token": "xoxb-1", "signingSecret": "one"}))
	now := noon
	s.Now = func() time.Time { return now }
	f := s.faulty()
	ask := func(ctx context.Context, fleet string, want int) {
		t.Helper()
		desks, err := s.Desks(ctx, fleet)
		if len(desks) != want || (err != nil) != (fleet != "bank" && fleet != "nobody") {
			t.Errorf("%q has %d desks: %v", fleet, len(desks), err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ask(gone, "shop", 1) // who goes away spoils nobody's answer
	for range 100 {
		ask(t.Context(), "shop", 1)
		ask(t.Context(), "", 1)
		ask(t.Context(), "bank", 0)
		ask(t.Context(), "nobody", 0)
	}
	if f.reads != 2 {
		t.Errorf("%d Secrets were read", f.reads)
	}
	now = noon.Add(believed)
	if ask(t.Context(), "shop", 1); f.reads != 4 {
		t.Errorf("%d Secrets were read when some time had passed", f.reads)
	}
	// A Fleet that has changed is looked at anew, and so is one of which a Secret has.
	fleet := s.get("shop")
	fleet.Generation++
	fleet.Spec.Notifications = []v1alpha1.Notification{chat("a", "slack")}
	if desks, err := s.desksOf(t.Context(), fleet); len(desks) != 1 || err != nil || f.reads != 5 {
		t.Errorf("after a change: %d desks, %v, %d Secrets read", len(desks), err, f.reads)
	}
	s.reconcile("shop")
	before := f.reads
	if ask(t.Context(), "shop", 1); f.reads != before+2 {
		t.Errorf("after a Secret has changed, %d were read", f.reads-before)
	}
}
