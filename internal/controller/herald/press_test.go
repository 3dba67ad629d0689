package herald

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

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
