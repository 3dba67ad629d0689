package scribe

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// The trailers of Sengu's commits. They are hints for people and for Sengu itself, and prove nothing.
const (
	// TrailerRelease names the Release that a commit is a step of.
	TrailerRelease = "Sengu-Release"
	// TrailerImage is an image that was written, with the digest that its tag led to.
	TrailerImage = "Sengu-Image"
)

// Draft returns a commit without edits, as a Fleet wants its commits: author, key.
func Draft(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet, message string, trailers ...gitrepo.Trailer) (gitrepo.Draft, error) {
	draft := gitrepo.Draft{
		Author:  gitrepo.Identity{Name: cmp.Or(fleet.Spec.Commits.Name, "Sengu"), Email: cmp.Or(fleet.Spec.Commits.Email, "sengu@localhost")},
		Message: message, Trailers: trailers,
	}
	ref := fleet.Spec.Commits.SigningKeySecretRef
	if ref == nil {
		return draft, nil
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: ref.Name}, secret); err != nil {
		return draft, fmt.Errorf("read Secret %s that commits.signingKeySecretRef names: %w", ref.Name, err)
	}
	key, err := gitrepo.ParseSigningKey(secret.Data["key"], secret.Data["passphrase"])
	if err != nil {
		return draft, fmt.Errorf("the Secret %s that commits.signingKeySecretRef names: %w", ref.Name, err)
	}
	draft.Key = key
	return draft, nil
}
