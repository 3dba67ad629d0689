package manifest

import (
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Live is the compact record that is kept of an object of a cluster. The object itself is not kept.
type Live struct {
	Ref
	// Version of the API that the object was read in.
	Version string
	// UID and ResourceVersion as the cluster gave them: the preconditions of a delete.
	UID, ResourceVersion string
	// Generation counts the changes of what is wanted of the object.
	Generation int64
	// Owner is the App that the object proves to belong to, if Owned.
	Owner Owner
	// Owned says that the object carries the mark of an App that names the object itself.
	Owned bool
	// Baseline stands for what the owner has applied: see [Key.Baseline]. Empty if it has applied nothing.
	Baseline string
	// Health and Message are filled in by whoever judges the object; this package does not.
	Health  v1alpha1.HealthStatus
	Message string
	// Deleting says that the object is on its way out.
	Deleting bool
	// Never says that the object itself asks never to be pruned.
	Never bool
}

// LiveOf makes the record of u, all but its health. The baseline is that of the App that owns u.
func (k Key) LiveOf(u *unstructured.Unstructured) Live {
	live := Live{
		Ref:             RefOf(u),
		Version:         u.GroupVersionKind().Version,
		UID:             string(u.GetUID()),
		ResourceVersion: u.GetResourceVersion(),
		Generation:      u.GetGeneration(),
		Deleting:        u.GetDeletionTimestamp() != nil,
		Never:           NeverPruned(u),
	}
	if live.Owner, live.Owned = OwnerOf(u); live.Owned {
		live.Baseline, _ = k.Baseline(u, live.Owner.Manager())
	}
	return live
}

// Newer says whether the resource version a of an object is from after b. Those of one kind grow as numbers do; of what
// is not a number nothing is said.
func Newer(a, b string) bool {
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	return errA == nil && errB == nil && x > y
}
