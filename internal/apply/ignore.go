package apply

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// handOverManager holds fields that an App has given up until somebody else sets them. Without it, a field that nobody
// applies any more is removed, and an autoscaler that has not scaled yet would find one replica.
const handOverManager = "sengu-handover"

// giveUpTries is how often the live values are read again because they changed in between.
const giveUpTries = 3

// leaveFields makes sure that the fields of c, which are left to others, keep their live values when the App stops
// applying them. gone says that the object is not there.
func (w *writer) leaveFields(ctx context.Context, c Change) (gone bool, err error) {
	for try := 1; ; try++ {
		u, err := w.get(ctx, c.Item.Unstructured)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if !w.owns(u, c.Fields) {
			return false, nil
		}
		err = w.giveUp(ctx, c, u)
		if !apierrors.IsConflict(err) || try == giveUpTries {
			return false, err
		}
	}
}

// owns says whether the App applies one of fields to u.
func (w *writer) owns(u *unstructured.Unstructured, fields []manifest.FieldPath) bool {
	for _, field := range fields {
		if manifest.Owns(u, w.manager, field) {
			return true
		}
	}
	return false
}

// giveUp makes the hand-over manager a co-owner of fields at the values that they have in u. The version of u is the
// precondition, so that the values are the live ones. Owned by the same value, no field conflicts.
func (w *writer) giveUp(ctx context.Context, c Change, u *unstructured.Unstructured) error {
	held, ok := manifest.Extract(u, c.Fields)
	if !ok {
		return nil
	}
	_, err := w.apply(ctx, patch{
		object: held, manager: handOverManager, force: true, uid: string(u.GetUID()), version: u.GetResourceVersion(),
	})
	return err
}
