package origin

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// FleetsOn names the Fleets that deliver to a cluster.
func FleetsOn(ctx context.Context, c client.Reader, cluster types.NamespacedName) ([]types.NamespacedName, error) {
	var fleets v1alpha1.FleetList
	if err := c.List(ctx, &fleets, client.InNamespace(cluster.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the Fleets of cluster %s: %w", cluster.Name, err)
	}
	var names []types.NamespacedName
	for i := range fleets.Items {
		if fleet := &fleets.Items[i]; fleet.Spec.DeliversTo(cluster.Name) {
			names = append(names, client.ObjectKeyFromObject(fleet))
		}
	}
	return names, nil
}
