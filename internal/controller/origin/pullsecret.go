package origin

import (
	"context"

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

// PullCredentials are what a Fleet may show to registries. What is wrong with a pull secret is returned by its name, and
// the others are shown all the same.
func PullCredentials(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet) (registry.Credentials, map[string]error) {
	var usable []registry.PullSecret
	wrong := map[string]error{}
	for _, ref := range PullSecrets(fleet) {
		secret := &corev1.Secret{}
		err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: ref.Name}, secret)
		if err == nil {
			one := registry.PullSecret{Name: ref.Name, Data: secret.Data}
			if _, err = registry.FromPullSecrets(one); err == nil {
				usable = append(usable, one)
				continue
			}
		}
		wrong[ref.Name] = err
	}
	creds, err := registry.FromPullSecrets(usable...)
	if err != nil {
		wrong[""] = err // of those that can each be read
	}
	if fleet.Spec.Images != nil && fleet.Spec.Images.Cloud {
		creds = creds.WithCloud()
	}
	return creds, wrong
}
