package apply

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// reduced is the object of c without the fields that are left to others.
func reduced(c Change) *unstructured.Unstructured {
	return manifest.Drop(c.Item.Unstructured, c.Fields)
}

// update applies an object that is there and the App's. Its UID is the precondition: if it was deleted, or deleted and
// made anew by somebody else, nothing is written.
func (w *writer) update(ctx context.Context, c Change) (outcome, error) {
	switch {
	case c.uid() == "":
		return w.create(ctx, c) // which finds out whose it is
	case c.Item.Mode == manifest.ModeIfNotPresent:
		return w.keep(ctx, c)
	case c.Item.Mode == manifest.ModeReplace:
		return w.replace(ctx, c)
	}
	if len(c.Fields) > 0 {
		gone, err := w.leaveFields(ctx, c)
		if err != nil {
			return outcome{}, err
		}
		if gone {
			return w.create(ctx, c)
		}
	}
	u, err := w.apply(ctx, patch{object: reduced(c), manager: w.manager, force: c.Proven, uid: c.uid()})
	if otherUID(err) {
		c.Live, c.Known = manifest.Live{}, false
		return w.create(ctx, c)
	}
	if err != nil {
		return outcome{}, err
	}
	return w.done(c, u), nil
}

// keep notes an object that is made once and then left alone. If it carries the mark of an earlier App of this name, it
// gets this one's; nothing else of it is written.
func (w *writer) keep(ctx context.Context, c Change) (outcome, error) {
	u, err := w.get(ctx, c.Item.Unstructured)
	if apierrors.IsNotFound(err) {
		return w.create(ctx, c)
	}
	if err != nil {
		return outcome{}, err
	}
	if string(u.GetUID()) != c.uid() {
		return w.exists(ctx, c)
	}
	if owner, _ := manifest.OwnerOf(u); owner.UID != w.Owner.UID {
		if err := w.rename(ctx, c, u, nil); err != nil {
			return outcome{}, err
		}
		if u, err = w.get(ctx, c.Item.Unstructured); err != nil {
			return outcome{}, err
		}
	}
	return w.done(c, u), nil
}

// uid returns the UID that the object of c has, as far as is known.
func (c Change) uid() string {
	if c.Known {
		return c.Live.UID
	}
	return c.Entry.UID
}

// otherUID says whether a write was refused because the object is gone or another one of the same name.
func otherUID(err error) bool {
	if apierrors.IsConflict(err) {
		return strings.Contains(err.Error(), "uid mismatch") || strings.Contains(strings.ToLower(err.Error()), "precondition failed: uid")
	}
	if apierrors.IsInvalid(err) {
		for _, cause := range causes(err) {
			if cause.Field == "metadata.uid" {
				return true
			}
		}
	}
	return false
}
