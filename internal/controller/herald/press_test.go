package herald

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

// TestOvertaken presses Hold and Roll back, and has the press come once more when somebody has ended the hold.
func TestOvertaken(t *testing.T) {
	pressed := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ended *time.Duration
		want  string
	}{
		"never held":     {nil, ""},
		"ended before":   {new(-time.Minute), ""},
		"by their clock": {new(3 * time.Second), ""},
		"ended since":    {new(4 * time.Second), "web has been resumed in production since you pressed: press again if you want it all the same"},
	} {
		for _, verb := range []slack.Verb{slack.Hold, slack.RollBack} {
			t.Run(name+" "+string(verb), func(t *testing.T) {
				labels := map[string]string{v1alpha1.LabelFleet: "shop", v1alpha1.LabelService: "web"}
				r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web.shop.1", Labels: labels}}
				r.Spec.Fleet, r.Spec.Service = "shop", "web"
				r.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{Name: "production", Stage: v1alpha1.StageRunning}}
				app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: layout.NameOfApp("shop", "web", "production")}}
				app.Spec.Fleet, app.Spec.Service, app.Spec.Environment, app.Spec.Release = "shop", "web", "production", "web.shop.1"
				app.Spec.LastGood = &v1alpha1.GoodSource{Release: "web.shop.0", Source: v1alpha1.AppSource{Revision: "0"}}
				if c.ended != nil {
					app.Spec.Hold = &v1alpha1.Hold{By: "anna", At: metav1.NewTime(pressed), Ended: &v1alpha1.HoldEnd{By: "ben", At: metav1.NewTime(pressed.Add(*c.ended))}}
				}
				s := newStage(t, fleetWith("shop"), r, app)
				allows := interceptor.NewClient(s.Client.(client.WithWatch), interceptor.Funcs{
					Create: func(_ context.Context, _ client.WithWatch, obj client.Object, _ ...client.CreateOption) error {
						obj.(*authorizationv1.SelfSubjectAccessReview).Status.Allowed = true
						return nil
					},
				})
				p := &presser{r: s.Reconciler, client: allows, info: authenticationv1.UserInfo{Username: "anna"}, action: slack.Action{
					Verb: verb, Fleet: "shop", Service: "web", Release: "web.shop.1", Environment: "production", Pressed: pressed,
				}}
				press := p.hold
				if verb == slack.RollBack {
					press = p.rollBack
				}
				err := press(t.Context())
				if getErr := s.Client.Get(t.Context(), client.ObjectKeyFromObject(app), app); getErr != nil {
					t.Fatal(getErr)
				}
				if held := app.Spec.Hold.Active(); held != (c.want == "") || held != (err == nil) || err != nil && err.Error() != c.want {
					t.Errorf("it is held: %v, and the person is told %v, want %q", held, err, c.want)
				}
			})
		}
	}
}

// TestGroupsOfAnApproval records of a person who is in more groups than a Release takes those that the environment asks for.
func TestGroupsOfAnApproval(t *testing.T) {
	const most = 64 // what the kind Release takes
	var many []string
	for i := range most + 6 {
		many = append(many, fmt.Sprintf("team-%d", i))
	}
	many = append(many, "leads", "sre")
	fleet := fleetWith("shop")
	fleet.Spec.Environments = []v1alpha1.Environment{
		{Name: "staging", Approval: &v1alpha1.ApprovalRule{Required: 1}}, {Name: "free"},
		{Name: "production", Approval: &v1alpha1.ApprovalRule{Required: 1, Groups: []string{"sre", "board", "leads"}}},
	}
	for name, c := range map[string]struct {
		verb        v1alpha1.Verb
		fleet       *v1alpha1.Fleet
		environment string
		want        []string
	}{
		"asked for":   {v1alpha1.VerbApprove, fleet, "production", []string{"sre", "leads"}},
		"any person":  {v1alpha1.VerbApprove, fleet, "staging", nil},
		"no approval": {v1alpha1.VerbApprove, fleet, "free", nil},
		"gone":        {v1alpha1.VerbApprove, fleet, "develop", nil},
		"no fleet":    {v1alpha1.VerbApprove, nil, "production", nil},
		"abort":       {v1alpha1.VerbAbort, fleet, "production", nil},
		"promote":     {v1alpha1.VerbPromote, fleet, "production", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, act.GroupsFor(c.verb, c.fleet, c.environment, many)); diff != "" {
				t.Error(diff)
			}
		})
	}

	r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web.shop.1", Labels: map[string]string{
		v1alpha1.LabelFleet: "shop", v1alpha1.LabelService: "web",
	}}}
	r.Spec.Fleet, r.Spec.Service = "shop", "web"
	r.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{Name: "production", Stage: v1alpha1.StageWaiting, Gates: []v1alpha1.Gate{{Name: "approval"}}}}
	s := newStage(t, fleet, r)
	allows := interceptor.NewClient(s.Client.(client.WithWatch), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, obj client.Object, _ ...client.CreateOption) error {
			obj.(*authorizationv1.SelfSubjectAccessReview).Status.Allowed = true
			return nil
		},
	})
	p := &presser{
		r: s.Reconciler, client: allows, info: authenticationv1.UserInfo{Username: "anna", Groups: many},
		action: slack.Action{Verb: slack.Approve, Fleet: "shop", Service: "web", Release: "web.shop.1", Environment: "production"},
	}
	if err := p.approve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
		t.Fatal(err)
	}
	if a := r.Spec.Actions; len(a) != 1 || a[0].By != "anna" || !slices.Equal(a[0].Groups, []string{"sre", "leads"}) {
		t.Errorf("what is recorded is %+v", a)
	}
}
