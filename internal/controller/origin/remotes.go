package origin

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/render"
)

// Remotes returns what a Fleet lets a render fetch, with the credentials for it.
func Remotes(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet) (render.RemotePolicy, error) {
	var policy render.RemotePolicy
	for _, remote := range fleet.Spec.Remotes {
		allowed := render.RemoteSource{Prefix: remote.Prefix}
		if remote.SecretRef != nil {
			secret := &corev1.Secret{}
			if err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: remote.SecretRef.Name}, secret); err != nil {
				return render.RemotePolicy{}, fmt.Errorf("read Secret %s that remotes names for %s: %w", remote.SecretRef.Name, remote.Prefix, err)
			}
			allowed.Username, allowed.Password = string(secret.Data["username"]), string(secret.Data["password"])
			allowed.Token, allowed.CA = string(secret.Data["token"]), secret.Data["caFile"]
		}
		policy.Allow = append(policy.Allow, allowed)
	}
	return policy, nil
}
