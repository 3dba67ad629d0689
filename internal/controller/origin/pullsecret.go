package origin

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/registry"
)

// PullSecrets names the Secrets with what a Fleet may show to registries.
func PullSecrets(fleet *v1alpha1.Fleet) []v1alpha1.SecretReference {
	if fleet.Spec.Images == nil {
		return nil
	}
	return fleet.Spec.Images.PullSecretRefs
}

// PullCredentials are what a Fleet may show to registries. What is wrong with its pull secrets is returned in the order of
// PullSecrets, nil for one that can be used, and the others are shown all the same.
func PullCredentials(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet) (registry.Credentials, []error) {
	var creds registry.Credentials
	refs := PullSecrets(fleet)
	wrong := make([]error, len(refs))
	for i, ref := range refs {
		secret := &corev1.Secret{}
		err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: ref.Name}, secret)
		if err == nil {
			creds, err = creds.WithPullSecret(registry.PullSecret{Name: ref.Name, Data: secret.Data})
		}
		if err != nil {
			wrong[i] = fmt.Errorf("images.pullSecretRefs names %s: %w", ref.Name, err)
		}
	}
	if fleet.Spec.Images != nil && fleet.Spec.Images.Cloud {
		creds = creds.WithCloud()
	}
	return creds, wrong
}
