package drift

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// How long a watch waits before it is tried again: from the first to the longest wait, doubling, with a spread so that
// the watches of all kinds do not come back at once.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 15 * time.Second
	// goneWait is between two looks for a kind that the cluster no longer has.
	goneWait = 30 * time.Second
	// shortWatch is how long a watch lasts at least that is begun again at once.
	shortWatch = time.Second
	// goneAfter is how often in a row the cluster has to say so.
	goneAfter = 2
)

// selected are the objects of Apps.
var selected = kube.Selector{Labels: manifest.LabelApp}

// kind watches one kind.
type kind struct {
	w   *Watcher
	gvk schema.GroupVersionKind
	// synced says that a list has been complete once; gone, that the cluster does not have the kind.
	synced, gone atomic.Bool
	nudge        chan struct{}

	// The rest belongs to run.
	resource kube.Resource
	version  string // the resource version to go on from; empty asks for a list
	absences int
}

// wake ends a wait.
func (k *kind) wake() {
	select {
	case k.nudge <- struct{}{}:
	default:
	}
}

// run lists and watches until the Watcher is closed.
func (k *kind) run() {
	wait := firstWait
	for k.w.ctx.Err() == nil {
		began := time.Now()
		err := k.once(k.w.ctx)
		if k.w.ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait = firstWait
		}
		if err == nil && time.Since(began) > shortWatch {
			wait = firstWait
			continue // the server ended the watch in good order
		}
		pause := wait
		wait = min(2*wait, lastWait)
		switch {
		case k.gone.Load():
			pause, wait = goneWait, firstWait
		case err == nil:
			// A server that ends watches as soon as they begin, as it does while a kind is being removed.
		default:
			k.w.Logger.Warn("watch is broken, its last state is kept", "kind", k.gvk.Kind, "group", k.gvk.Group, "error", err)
		}
		k.rest(pause/2 + rand.N(pause)) //nolint:gosec // it guards nothing
	}
}

// rest waits for d, or until it is woken.
func (k *kind) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.nudge:
	case <-k.w.ctx.Done():
	}
}

// once lists if it must, and watches until the watch ends.
func (k *kind) once(ctx context.Context) error {
	resource, err := k.w.conn.Mapping(ctx, k.gvk)
	if err != nil {
		return k.absent(err)
	}
	k.resource = resource
	if k.version == "" {
		err = k.list(ctx)
	} else {
		k.confirmStripped()
	}
	if err == nil {
		err = k.watch(ctx)
	}
	if kube.IsNotServed(err) {
		k.w.conn.Forget(k.gvk)
		k.version = ""
		_, mapped := k.w.conn.Mapping(ctx, k.gvk)
		return k.absent(errors.Join(err, mapped))
	}
	return err
}

// absent judges an error of finding the kind. That the cluster does not have it is believed when it was asked and said
// so more than once; then every object of the kind is gone with it, and nothing more is asked than whether it is back.
func (k *kind) absent(err error) error {
	var unknown *kube.UnknownKindError
	if !errors.As(err, &unknown) {
		k.absences = 0
		return err
	}
	if k.absences++; k.absences < goneAfter || k.gone.Load() {
		return err
	}
	k.gone.Store(true)
	k.version = ""
	var owners []manifest.Owner
	for _, live := range k.w.table.of(k.gvk) {
		owners = append(owners, k.w.table.drop(live)...)
		k.w.pods.release(live.Ref)
		k.w.found.drop(live.Ref)
	}
	k.synced.Store(true)
	k.w.Logger.Info("the cluster does not have the kind (any more)", "kind", k.gvk.Kind, "group", k.gvk.Group)
	k.w.tell(owners...)
	return err
}

// list reads every object of the kind. Only a list that was complete says anything of objects that it does not have,
// and even then each of them is asked for by name.
func (k *kind) list(ctx context.Context) error {
	known := map[manifest.Ref]manifest.Live{}
	for _, live := range k.w.table.of(k.gvk) {
		known[live.Ref] = live
	}
	first := !k.synced.Load()
	var owners []manifest.Owner
	version, err := k.w.conn.List(ctx, k.resource, "", selected, func(u *unstructured.Unstructured) error {
		delete(known, manifest.RefOf(u))
		told := k.see(u, 0)
		if first {
			owners = append(owners, told...)
		} else {
			k.w.tell(told...)
		}
		return nil
	})
	if err != nil {
		k.w.tell(owners...)
		return err
	}
	k.version, k.absences = version, 0
	k.gone.Store(false)
	k.synced.Store(true)
	k.w.tell(owners...)
	for _, live := range known {
		k.w.confirm(k.resource, live)
	}
	return nil
}

// watch follows the kind from the last known version on.
func (k *kind) watch(ctx context.Context) error {
	err := k.w.conn.Watch(ctx, k.resource, "", selected, k.version, func(e kube.Event) error {
		live, known := k.known(e)
		switch {
		case e.Type == kube.Bookmark:
		case e.Type == kube.Deleted:
			// It was deleted, or its label was taken off.
			if known {
				k.w.confirm(k.resource, live)
			}
		case known && live.ResourceVersion == e.Version && live.Health != "":
			// The echo of a state that is known already, as from the answer to a write of our own.
		default:
			u, err := e.Object()
			if err != nil {
				return err
			}
			k.w.tell(k.see(u, e.Size())...)
		}
		k.version = e.Version
		return nil
	})
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		k.version = "" // too old to go on from: list again, at once
		return nil
	}
	return err
}

// known returns the record of the object that an event is about.
func (k *kind) known(e kube.Event) (manifest.Live, bool) {
	live, ok := k.w.table.get(manifest.Ref{Group: k.gvk.Group, Kind: k.gvk.Kind, Namespace: e.Namespace, Name: e.Name})
	return live, ok && live.UID == e.UID
}

// see notes an object that carries the label, and returns who has to be told. An object of known size that has drifted
// is kept, until it is put back.
func (k *kind) see(u *unstructured.Unstructured, size int) []manifest.Owner {
	if k.judgedElsewhere(u) {
		return nil
	}
	live := k.w.recordOf(u)
	before, _ := k.w.table.get(live.Ref)
	owners := k.w.table.put(live)
	if size > 0 && len(owners) > 0 && before.Owned && before.UID == live.UID && before.Baseline != live.Baseline {
		k.w.found.keep(live.Ref, u, size)
	}
	k.w.followPods(live, u)
	return owners
}

// judgedElsewhere says whether u was applied in another version of its API, of which there is a watch too. Paths and
// values differ between versions, so only the watch of the version that was applied can compare.
func (k *kind) judgedElsewhere(u *unstructured.Unstructured) bool {
	owner, owned := manifest.OwnerOf(u)
	if !owned {
		return false
	}
	for _, e := range u.GetManagedFields() {
		if e.Manager != owner.Manager() || e.Operation != "Apply" || e.Subresource != "" {
			continue
		}
		gv, err := schema.ParseGroupVersion(e.APIVersion)
		return err == nil && gv != k.gvk.GroupVersion() && k.w.tracked(gv.WithKind(k.gvk.Kind))
	}
	return false
}

// confirmStripped asks again for the objects whose mark was taken off, which no watch tells of.
func (k *kind) confirmStripped() {
	for _, live := range k.w.table.of(k.gvk) {
		if !live.Owned {
			k.w.confirm(k.resource, live)
		}
	}
}

// recordOf makes the record of u. An object without our label proves nothing, whatever its annotation says.
func (w *Watcher) recordOf(u *unstructured.Unstructured) manifest.Live {
	live := w.Key.LiveOf(u)
	if live.Owned && label(u) != live.Owner.Label() {
		live.Owned, live.Owner = false, manifest.Owner{}
	}
	owner := live.Owner
	if !live.Owned {
		owner, _ = manifest.OwnerOf(u)
	}
	status := w.Health(owner, u)
	live.Health, live.Message = status.Status, status.Message
	return live
}

// label reads the label of an App without copying the others.
func label(u *unstructured.Unstructured) string {
	meta, _ := u.Object["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	value, _ := labels[manifest.LabelApp].(string)
	return value
}
