package herald

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/act"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/notify/slack"
)

// requestTimeout bounds one request in the name of a person.
const requestTimeout = 10 * time.Second

// presser is a person who has pressed a button.
type presser struct {
	r      *Reconciler
	action slack.Action
	client client.Client
	info   authenticationv1.UserInfo
}

// Act does what a person asked for by a button, as that person: whether they may, the API server says, as it does for the
// command line. The error is a sentence for the person.
func (r *Reconciler) Act(ctx context.Context, a slack.Action) error {
	config := rest.CopyConfig(r.Home)
	config.Impersonate = rest.ImpersonationConfig{UserName: a.Person, Groups: a.Groups}
	config.Timeout = requestTimeout
	c, err := client.New(config, client.Options{Scheme: r.Client.Scheme(), Mapper: r.Client.RESTMapper()})
	if err != nil {
		return fmt.Errorf("reach the home cluster as %s: %w", a.Person, err)
	}
	p := &presser{r: r, action: a, client: c}
	p.info, err = act.WhoAmI(ctx, c)
	switch {
	case apierrors.IsForbidden(err):
		r.Log.Warn("a person cannot be acted for", "person", a.Person, "error", err)
		return fmt.Errorf("Sengu may not act as %s in the home cluster: whoever runs it lists that user, and the groups, under slack in the values of the chart", a.Person) //nolint:staticcheck // a name begins the sentence
	case err != nil:
		return p.explain(err)
	case p.info.Username != a.Person:
		return fmt.Errorf("the home cluster takes %s for %s: nothing was done", a.Person, p.info.Username)
	}
	switch a.Verb {
	case slack.Approve:
		return p.approve(ctx)
	case slack.Hold:
		return p.hold(ctx)
	case slack.RollBack:
		return p.rollBack(ctx)
	}
	return fmt.Errorf("the button does %q, which is not known here", string(a.Verb))
}

// releases are those that the button is about.
func (p *presser) releases(ctx context.Context) ([]v1alpha1.Release, error) {
	a := p.action
	labels := client.MatchingLabels{v1alpha1.LabelFleet: a.Fleet}
	if a.Release != "" && a.Service != "" {
		labels[v1alpha1.LabelService] = a.Service
	}
	var list v1alpha1.ReleaseList
	if err := p.r.Client.List(ctx, &list, client.InNamespace(p.r.Namespace), labels); err != nil {
		return nil, err
	}
	// What a button carries went through Slack: it counts for the fleet that it was signed for, and no other.
	found := slices.DeleteFunc(list.Items, func(r v1alpha1.Release) bool {
		if a.Release != "" {
			return r.Spec.Fleet != a.Fleet || r.Name != a.Release
		}
		return r.Spec.Fleet != a.Fleet || r.Spec.Group != a.Group
	})
	slices.SortFunc(found, func(x, y v1alpha1.Release) int { return strings.Compare(x.Name, y.Name) })
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no %s any more", cmp.Or(a.Release, "Release of "+a.Group))
	}
	return found, nil
}

func (p *presser) may(ctx context.Context, verb v1alpha1.Verb) error {
	a := p.action
	allowed, err := act.May(ctx, p.client, p.r.Namespace, verb, a.Environment, a.Fleet)
	switch {
	case err != nil:
		return p.explain(err)
	case !allowed:
		return act.Denied(p.info.Username, p.r.Namespace, verb, a.Environment, a.Fleet)
	}
	return nil
}

// approve approves the Release, or all of the group that wait for it.
func (p *presser) approve(ctx context.Context) error {
	releases, err := p.releases(ctx)
	if err != nil {
		return err
	}
	if err := p.may(ctx, v1alpha1.VerbApprove); err != nil {
		return err
	}
	groups, err := p.groups(ctx)
	if err != nil {
		return err
	}
	group := p.action.Release == ""
	var idle error
	for i := range releases {
		r := &releases[i]
		is := act.At(r, p.action.Environment)
		if is == nil {
			continue
		}
		if idle = act.Idle(v1alpha1.VerbApprove, r, is); idle != nil || group && !act.Asks(is) {
			continue
		}
		action := v1alpha1.ReleaseAction{
			Verb: v1alpha1.VerbApprove, Environment: p.action.Environment, By: p.info.Username, Groups: groups,
			At: metav1.NewTime(p.r.Now().Truncate(time.Second)), Reason: p.action.Reason, Group: group,
		}
		return p.explain(act.OnRelease(ctx, p.client, client.ObjectKeyFromObject(r), action))
	}
	if idle != nil {
		return idle
	}
	return fmt.Errorf("nothing of it waits for an approval in %s", p.action.Environment)
}

// groups are those of the person that are recorded with the approval.
func (p *presser) groups(ctx context.Context) ([]string, error) {
	fleet := &v1alpha1.Fleet{}
	key := types.NamespacedName{Namespace: p.r.Namespace, Name: p.action.Fleet}
	if err := p.r.Client.Get(ctx, key, fleet); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read fleet %s: %w", key.Name, err)
	}
	return act.GroupsFor(v1alpha1.VerbApprove, fleet, p.action.Environment, p.info.Groups), nil
}

// hold holds the environment for the service of the Release, or for those of the group that have not passed it.
func (p *presser) hold(ctx context.Context) error {
	releases, err := p.releases(ctx)
	if err != nil {
		return err
	}
	if err := p.may(ctx, v1alpha1.VerbHold); err != nil {
		return err
	}
	held := 0
	var problems []error
	for i := range releases {
		r := &releases[i]
		is := act.At(r, p.action.Environment)
		if is == nil || p.action.Release == "" && (r.Status.Ended != nil || is.Stage == v1alpha1.StageDone) {
			continue
		}
		err := p.onApp(ctx, r.Spec.Service, func(app *v1alpha1.App) error {
			if err := p.overtaken(app); err != nil {
				return err
			}
			return act.Hold(app, v1alpha1.VerbHold, p.info.Username, p.action.Reason, "", p.r.Now())
		})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		held++
	}
	switch {
	case len(problems) == 1 && held == 0:
		return problems[0]
	case len(problems) > 0:
		return fmt.Errorf("%d of %d services are held now, and the others are not: %w", held, held+len(problems), problems[0])
	case held == 0:
		return fmt.Errorf("nothing of it is on its way into %s any more", p.action.Environment)
	}
	return nil
}

// rollBack brings the environment back to what ran before the Release, unless another runs there by now.
func (p *presser) rollBack(ctx context.Context) error {
	releases, err := p.releases(ctx)
	if err != nil {
		return err
	}
	if p.action.Release == "" {
		return errors.New("what is rolled back is decided service by service")
	}
	if err := p.may(ctx, v1alpha1.VerbRollback); err != nil {
		return err
	}
	var all v1alpha1.ReleaseList
	err = p.r.Client.List(ctx, &all, client.InNamespace(p.r.Namespace), client.MatchingLabels{
		v1alpha1.LabelFleet: p.action.Fleet, v1alpha1.LabelService: releases[0].Spec.Service,
	})
	if err != nil {
		return fmt.Errorf("list the Releases of %s: %w", releases[0].Spec.Service, err)
	}
	return p.onApp(ctx, releases[0].Spec.Service, func(app *v1alpha1.App) error {
		if err := p.overtaken(app); err != nil {
			return err
		}
		if app.Spec.Release != p.action.Release {
			return fmt.Errorf("%s does not run %s now: it runs %s", p.action.Environment, p.action.Release, cmp.Or(app.Spec.Release, "what no Release brought"))
		}
		to, err := act.GoodTarget(app, all.Items, "")
		if err != nil {
			return err
		}
		return act.Hold(app, v1alpha1.VerbRollback, p.info.Username, p.action.Reason, to, p.r.Now())
	})
}

// skew is how far Slack's clock may be behind ours.
const skew = 3 * time.Second

// overtaken refuses to hold anew what somebody has let go since the button was pressed: that one has seen what the press
// did, and another process may be told of it a second time.
func (p *presser) overtaken(app *v1alpha1.App) error {
	if h := app.Spec.Hold; h != nil && h.Ended != nil && p.action.Pressed.Add(skew).Before(h.Ended.At.Time) {
		return fmt.Errorf("%s has been resumed in %s since you pressed: press again if you want it all the same", app.Spec.Service, app.Spec.Environment)
	}
	return nil
}

// onApp changes the App of a service of the Fleet.
func (p *presser) onApp(ctx context.Context, service string, change func(*v1alpha1.App) error) error {
	a := p.action
	var refused error
	key := types.NamespacedName{Namespace: p.r.Namespace, Name: layout.NameOfApp(a.Fleet, service, a.Environment)}
	err := act.OnApp(ctx, p.client, key, func(app *v1alpha1.App) error {
		if app.Spec.Fleet != a.Fleet || app.Spec.Service != service || app.Spec.Environment != a.Environment {
			refused = fmt.Errorf("the App %s is another's", app.Name)
		} else {
			refused = change(app)
		}
		return refused
	})
	if refused != nil {
		return refused
	}
	return p.explain(err)
}

// explain leaves what the API server says, and hides where it is.
func (p *presser) explain(err error) error {
	var status apierrors.APIStatus
	if err == nil || errors.As(err, &status) {
		return err
	}
	p.r.Log.Error("a person cannot be acted for", "person", p.action.Person, "error", err)
	return errors.New("the home cluster does not answer: look at what became of it before you press again")
}
