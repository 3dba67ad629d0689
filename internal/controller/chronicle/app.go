package chronicle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/release"
)

// app writes down what people did to an App, also what was replaced since it was last asked.
func (r *Reconciler) app(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	for _, was := range r.replaced.of(req.NamespacedName) {
		if err := r.acts(ctx, was); err != nil {
			return ctrl.Result{}, err
		}
		r.replaced.written(req.NamespacedName, was)
	}
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, req.NamespacedName, app); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return ctrl.Result{}, r.acts(ctx, app)
}

// acts writes down what people did to an App as far as it tells.
func (r *Reconciler) acts(ctx context.Context, app *v1alpha1.App) error {
	releases, err := r.whoMayTell(ctx, app)
	if err != nil {
		return err
	}
	events, err := r.unrecorded(ctx, app, release.AppStory(app, releases))
	if err == nil {
		err = r.write(ctx, events)
	}
	if err != nil {
		return fmt.Errorf("write down what was done to App %s: %w", app.Name, err)
	}
	return nil
}

// whoMayTell lists the Releases of a service while one of them may tell of the end of a hold of its App.
func (r *Reconciler) whoMayTell(ctx context.Context, app *v1alpha1.App) ([]v1alpha1.Release, error) {
	h := app.Spec.Hold
	if app.Spec.Service == "" || h == nil || h.Ended == nil || h.Ended.By == "" {
		return nil, nil
	}
	var all v1alpha1.ReleaseList
	err := r.Client.List(ctx, &all, client.InNamespace(app.Namespace), origin.OfService(app.Spec.Fleet, app.Spec.Service), client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the Releases of %s: %w", app.Spec.Service, err)
	}
	return all.Items, nil
}

// unrecorded returns those of the events of an App that are to be written down. Their keys are made of a second, and their
// times are what a person wrote into the App:
//
//   - If something else is recorded under the key, the second hold of a second for one, what it tells becomes a part of the
//     key. The first keeps the key that it would have alone, which is that of all that was recorded before there was a second.
//   - A time so old that what happened then may have been pruned is taken for now, unless the event may indeed have been
//     recorded and pruned since.
func (r *Reconciler) unrecorded(ctx context.Context, app *v1alpha1.App, events []history.Event) ([]history.Event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	keys := make([]string, 0, len(events))
	for i := range events {
		keys = append(keys, events[i].Key)
	}
	recorded, pruned, err := r.Store.Recorded(ctx, keys...)
	if err != nil {
		return nil, err
	}
	fresh := make([]history.Event, 0, len(events))
	for _, e := range events {
		is, ok := recorded[e.Key]
		switch {
		case ok && said(is) == said(e):
			continue
		case ok:
			e.Key += "/" + digest(e)
		}
		if e.Time.Before(pruned) && !notBefore(app, e.Kind).Before(pruned) {
			e.Time = r.Now()
		}
		fresh = append(fresh, e)
	}
	return fresh, nil
}

// said is what an event tells of what was done. What runs changes while a hold goes on, and is no part of it.
func said(e history.Event) string {
	if e.Kind == history.Unpinned {
		e.By, e.Why = "", "" // a pin ends once, whoever is said to have ended it
	}
	return fmt.Sprintf("%q %q %q", e.By, e.Why, e.Images)
}

// digest is a short text of what an event tells.
func digest(e history.Event) string {
	sum := sha256.Sum256([]byte(said(e)))
	return hex.EncodeToString(sum[:8])
}

// notBefore is a time before which what an App tells cannot have happened, whatever time was written.
func notBefore(app *v1alpha1.App, kind history.Kind) time.Time {
	at := app.CreationTimestamp.Time
	switch {
	case kind == history.Resumed && app.Spec.Hold.At.After(at):
		at = app.Spec.Hold.At.Time
	case kind == history.Unpinned && app.Spec.Pin.At.After(at):
		at = app.Spec.Pin.At.Time
	}
	return at
}
