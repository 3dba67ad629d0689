package release

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// byGroup is the index of Releases by the commit that they are of.
const byGroup = "group"

func groupOf(obj client.Object) []string {
	if one, ok := obj.(*v1alpha1.Release); ok {
		return []string{one.Spec.Group}
	}
	return nil
}

// decide says what to do about a service, and wakes the others that may go on because of it: also if it cannot be carried
// out then, since it counts from now on.
func (r *Reconciler) decide(ctx context.Context, key types.NamespacedName, fleet *v1alpha1.Fleet, world *release.Service) (release.Decision, error) {
	around := surroundings{
		places:  placesIn(fleet),
		members: func(group string) (map[types.NamespacedName]standing, error) { return r.members(ctx, fleet, group) },
	}
	decision, next, err := r.groups.decide(key, world.Releases, around, func(peers map[release.Peer]release.Peers, approvals map[string][]v1alpha1.ReleaseAction) release.Decision {
		world.Peers, world.Approvals = peers, approvals
		return release.Next(*world)
	})
	r.wake(next)
	return decision, err
}

// placesIn are how many services of one change may be brought to an environment of a Fleet at once, of those with a limit.
func placesIn(fleet *v1alpha1.Fleet) map[string]int {
	places := map[string]int{}
	for _, env := range fleet.Spec.Environments {
		if env.MaxConcurrent > 0 {
			places[env.Name] = int(env.MaxConcurrent)
		}
	}
	return places
}

// members reads how the services of a group fare. One whose App names its Release is at work, also if a crash came before
// the Release's status said so.
func (r *Reconciler) members(ctx context.Context, fleet *v1alpha1.Fleet, group string) (map[types.NamespacedName]standing, error) {
	var list v1alpha1.ReleaseList
	err := r.Client.List(ctx, &list, client.InNamespace(fleet.Namespace), client.MatchingFields{byGroup: group}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the Releases of %s: %w", group, err)
	}
	members := map[types.NamespacedName]standing{}
	for i := range list.Items {
		one := r.releases.Latest(&list.Items[i])
		is := standingOf(one, one.Status)
		for env := range is.waiting {
			app, err := r.app(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: layout.NameOfApp(one.Spec.Fleet, one.Spec.Service, env)})
			if err != nil {
				return nil, err
			}
			if app != nil && app.Spec.Release == one.Name {
				delete(is.waiting, env)
				delete(is.queued, env)
				is.busy[env] = true
			}
		}
		members[keyOf(fleet.Namespace, one.Spec.Fleet, one.Spec.Service)] = is
	}
	return members, nil
}
