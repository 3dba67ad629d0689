// Package origin says what an App should be, from the repository of its Fleet.
//
// It is responsible for the credentials that a remote asks for, for the forge that it is on, for what a Delivery says about
// one environment, and for turning a revision into the objects that a cluster should hold. It refuses to keep credentials,
// and to compare with what runs.
package origin

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// Auth reads the credentials that a Fleet's remote asks for.
func Auth(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet) (gitrepo.Auth, error) {
	ref := fleet.Spec.Git.SecretRef
	if ref == nil {
		return gitrepo.Auth{}, nil
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: ref.Name}, secret); err != nil {
		return gitrepo.Auth{}, fmt.Errorf("read Secret %s that git.secretRef names: %w", ref.Name, err)
	}
	auth, err := gitrepo.AuthFromSecret(secret.Data)
	if err != nil {
		return gitrepo.Auth{}, fmt.Errorf("the Secret %s that git.secretRef names: %w", ref.Name, err)
	}
	return auth, nil
}

// Have makes sure that the mirror of a Fleet's repository holds a revision, and that the Fleet may read it. One that it does
// not hold, as after the disk was lost, is fetched; while the repository has not let the Fleet in, it is asked.
func Have(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, revision string) error {
	if fleet.LetIn() && repository.Has(ctx, revision) {
		return nil
	}
	auth, err := Auth(ctx, c, fleet)
	if err != nil {
		return err
	}
	if err := repository.FetchRevision(ctx, revision, auth); err != nil {
		return fmt.Errorf("revision %.7s cannot be had: %w", revision, err)
	}
	return nil
}
