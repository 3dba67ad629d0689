package origin

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// byService is the index of the Apps and Releases of a service.
const byService = "service"

// IndexServices makes a cache find the Apps and Releases of a service without looking at those of others.
func IndexServices(ctx context.Context, cache client.FieldIndexer) error {
	apps := cache.IndexField(ctx, &v1alpha1.App{}, byService, func(obj client.Object) []string {
		if app, ok := obj.(*v1alpha1.App); ok && app.Spec.Service != "" {
			return []string{app.Spec.Fleet + "/" + app.Spec.Service}
		}
		return nil
	})
	if apps != nil {
		return fmt.Errorf("index Apps by service: %w", apps)
	}
	releases := cache.IndexField(ctx, &v1alpha1.Release{}, byService, func(obj client.Object) []string {
		if release, ok := obj.(*v1alpha1.Release); ok {
			return []string{release.Spec.Fleet + "/" + release.Spec.Service}
		}
		return nil
	})
	if releases != nil {
		return fmt.Errorf("index Releases by service: %w", releases)
	}
	return nil
}

// OfService selects the Apps or the Releases of a service of a Fleet, from a cache of IndexServices. A List needs the
// namespace of the Fleet beside it.
func OfService(fleet, service string) client.MatchingFields {
	return client.MatchingFields{byService: fleet + "/" + service}
}
