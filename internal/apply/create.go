package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// noVersion is a resource version that no object has, and the guard of every create.
//
// Server-side apply makes the object if it is not there, and merges into it if it is: also into one that somebody else
// has made, without a conflict if no field is set to two values. The watches cannot rule that out, because they see
// only what carries our label, and neither can a GET before, which would cost a second request for each object and
// leave a gap. What does is a resource version in the applied object. The API server takes it as a precondition on an
// object that exists: the patch is refused with 409 before anything is written, whether or not its fields conflict and
// also with force. On an object that does not exist there is nothing to compare with, and the version is dropped before
// the object is stored. So one request makes the object or changes nothing, decided by the server in one transaction.
// A UID would not do: with one, the create itself is refused. Tried on Kubernetes 1.37 with core kinds, workloads,
// Services, CRDs, custom resources and APIServices; the tests of this package hold it against the real server.
//
// The value is the largest that a resource version can be, which no store reaches.
const noVersion = "9223372036854775807"

// create makes an object that is not there, as far as is known. If it turns out to be there and this App's, because a
// crash kept it out of the inventory or its label was stripped, it is updated; if it is somebody else's, it is refused.
func (w *writer) create(ctx context.Context, c Change) (outcome, error) {
	u, err := w.apply(ctx, patch{object: c.Item.Unstructured, manager: w.manager, version: noVersion})
	if apierrors.IsConflict(err) {
		return w.exists(ctx, c)
	}
	if err != nil {
		return outcome{}, err
	}
	return w.leave(ctx, c, u)
}

// leave ends the making of an object: the fields that are left to others have been set once, so that an autoscaler
// begins with the replicas that Git says instead of one, and are given up now.
func (w *writer) leave(ctx context.Context, c Change, u *unstructured.Unstructured) (outcome, error) {
	if !w.owns(u, c.Fields) {
		return w.done(c, u), nil
	}
	err := w.giveUp(ctx, c, u)
	if apierrors.IsConflict(err) { // its controller has written a status since
		_, err = w.leaveFields(ctx, c)
	}
	if err != nil {
		return w.done(c, u), err
	}
	u, err = w.apply(ctx, patch{object: reduced(c), manager: w.manager, force: true, uid: string(u.GetUID())})
	if err != nil {
		return outcome{}, err
	}
	return w.done(c, u), nil
}

// exists decides about an object that should have been made and is there already.
func (w *writer) exists(ctx context.Context, c Change) (outcome, error) {
	u, err := w.get(ctx, c.Item.Unstructured)
	if apierrors.IsNotFound(err) {
		return outcome{failure: &Failure{Ref: c.Ref, Retryable: true, Sentence: sentence(c.Ref, "was deleted while it was being made")}}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	owner, owned := manifest.OwnerOf(u)
	ours := owned && owner.Namespace == w.Owner.Namespace && owner.Name == w.Owner.Name
	listed := !owned && c.Listed() && c.Entry.UID == string(u.GetUID())
	refuse := func(reason string, retryable bool) (outcome, error) {
		return outcome{failure: &Failure{Ref: c.Ref, Sentence: sentence(c.Ref, reason), Retryable: retryable, Conflict: !retryable}}, nil
	}
	switch {
	case u.GetDeletionTimestamp() != nil:
		return refuse("is being deleted, and is made again when it is gone", true)
	case c.Item.Mode == manifest.ModeIfNotPresent && !ours:
		return outcome{}, nil // It is present, which is all that was wanted.
	case ours || listed:
		c.Live, c.Known = w.Key.LiveOf(u), true
		c.Proven = listed || owner.UID == w.Owner.UID
		return w.update(ctx, c)
	case owned:
		// The watches have not seen it yet; when they have, it is handed over or refused for good.
		return refuse(fmt.Sprintf("belongs to App %s/%s", owner.Namespace, owner.Name), true)
	default:
		return refuse(notOurs, false)
	}
}
