// Package act does to Releases and Apps what a person asks for: approve, abort, promote, hold, resume, roll back, pin.
//
// It is responsible for saying what makes no sense and what the person may not do in a sentence, before it is written, and
// for writing it with the person's own credentials, so that the API server, its roles and its policies judge it. It
// refuses to decide who somebody is or what they may: that is asked of the API server.
package act

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// WhoAmI asks the API server whom it takes the holder of the credentials of c for.
func WhoAmI(ctx context.Context, c client.Client) (authenticationv1.UserInfo, error) {
	review := &authenticationv1.SelfSubjectReview{}
	err := c.Create(ctx, review)
	return review.Status.UserInfo, err
}

// May asks the API server whether the holder of the credentials of c has a verb on an environment of a fleet.
func May(ctx context.Context, c client.Client, namespace string, verb v1alpha1.Verb, environment, fleet string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: string(verb), Group: v1alpha1.GroupVersion.Group, Resource: "environments", Name: resourceName(environment, fleet),
		},
	}}
	if err := c.Create(ctx, review); err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// Denied says what it takes to have a verb.
func Denied(person, namespace string, verb v1alpha1.Verb, environment, fleet string) error {
	return fmt.Errorf("%s may not %s in %s: it takes a Role in namespace %s with {apiGroups: [%s], resources: [environments], resourceNames: [%s], verbs: [%s]}",
		person, verb, environment, namespace, v1alpha1.GroupVersion.Group, resourceName(environment, fleet), verb)
}

func resourceName(environment, fleet string) string { return environment + "." + fleet }

// OnRelease adds an action to a Release. The error is the API server's.
func OnRelease(ctx context.Context, c client.Client, key types.NamespacedName, action v1alpha1.ReleaseAction) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		fresh := &v1alpha1.Release{}
		if err := c.Get(ctx, key, fresh); err != nil {
			return err
		}
		before := fresh.DeepCopy()
		fresh.Spec.Actions = append(fresh.Spec.Actions, action)
		return c.Patch(ctx, fresh, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

// OnApp writes an App as change leaves it. The error is that of change, with which nothing is written, or the API server's.
func OnApp(ctx context.Context, c client.Client, key types.NamespacedName, change func(*v1alpha1.App) error) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		fresh := &v1alpha1.App{}
		if err := c.Get(ctx, key, fresh); err != nil {
			return err
		}
		before := fresh.DeepCopy()
		if err := change(fresh); err != nil {
			return err
		}
		return c.Patch(ctx, fresh, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
}

// GroupsFor are those of a person's groups that are recorded with what the person does, by a button or a verb: of an
// approval the ones that the environment asks for, as nothing else is judged by them. A person may be in more groups than
// a Release takes, and then could do nothing; and the others are nobody's business. Without a fleet there are none.
func GroupsFor(verb v1alpha1.Verb, fleet *v1alpha1.Fleet, environment string, groups []string) []string {
	if verb != v1alpha1.VerbApprove || fleet == nil {
		return nil
	}
	env, _ := layout.Environment(fleet, environment)
	if env.Approval == nil {
		return nil
	}
	var asked []string
	for _, group := range env.Approval.Groups {
		if slices.Contains(groups, group) {
			asked = append(asked, group)
		}
	}
	return asked
}
