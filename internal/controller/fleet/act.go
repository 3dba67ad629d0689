package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/layout"
)

// writers is how many Apps are written at once: enough to hide the latency of the API server.
const writers = 16

// act performs a plan. Each step may be repeated: after a crash the next Reconcile finds what is left to do.
func (r *Reconciler) act(ctx context.Context, fleet *v1alpha1.Fleet, st *state, p plan) error {
	key := client.ObjectKeyFromObject(fleet)
	if len(p.Create)+len(p.Update) > 0 {
		r.Ledger.Moving(key)
	}
	if err := r.write(ctx, fleet, st, p); err != nil {
		return err
	}
	if st.compared == "" {
		for _, m := range st.roster.all().members {
			if !m.Settled {
				r.moved(fleet, m)
			}
		}
	}
	r.Ledger.Compared(key)
	return nil
}

// plan has the services that may have changed looked at. They go on when this Reconcile has ended.
func (r *Reconciler) plan(ctx context.Context, o observation) {
	key := client.ObjectKeyFromObject(o.fleet)
	if len(o.concerned) > 0 {
		o.look.st.planFailure.Store(nil)
	}
	q := question{o.revision, o.fleet.Generation}
	for service, suspect := range o.concerned {
		r.planner.start(ctx, task{key, service}, q, suspect,
			func(ctx context.Context) error { return o.look.plan(ctx, service) },
			func(err error) { r.planned(ctx, key, o.look.st, service, err) })
	}
}

// replan is how long a service waits that could not be looked at.
const replan = 5 * time.Second

// planned takes in that a service was looked at. What could not be finished is begun again.
func (r *Reconciler) planned(ctx context.Context, fleet types.NamespacedName, st *state, service string, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.Log.Warn("service not compared with its repository: it is tried again", "fleet", fleet.Name, "service", service, "error", err)
		text := fmt.Sprintf("service %s could not be compared with the branch, which is tried again: %v", service, err)
		st.planFailure.Store(&text)
		st.roster.suspect(service)
		r.waker.WakeAfter(fleet, replan)
	default:
		if r.planner.pending(fleet) == 0 {
			r.waker.Wake(fleet)
		}
	}
}

// moved tells the ledger that an App has to say anew what it wants.
func (r *Reconciler) moved(fleet *v1alpha1.Fleet, m member) {
	r.Ledger.Moved(client.ObjectKeyFromObject(fleet), types.NamespacedName{Namespace: fleet.Namespace, Name: m.Name}, m.Source.Cluster, m.Generation)
}

func (r *Reconciler) write(ctx context.Context, fleet *v1alpha1.Fleet, st *state, p plan) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for _, spec := range p.Create {
		group.Go(func() error { return r.create(ctx, fleet, st, spec) })
	}
	for _, u := range p.Update {
		group.Go(func() error { return r.update(ctx, fleet, st, u) })
	}
	for _, m := range p.Delete {
		group.Go(func() error { return r.delete(ctx, fleet, st, m) })
	}
	return group.Wait()
}

func (r *Reconciler) create(ctx context.Context, fleet *v1alpha1.Fleet, st *state, spec v1alpha1.AppSpec) error {
	app := &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fleet.Namespace,
			Name:      layout.NameOfApp(fleet.Name, spec.Service, spec.Environment),
		},
		Spec: spec,
	}
	err := r.Records.Create(ctx, app)
	if apierrors.IsAlreadyExists(err) {
		return r.exists(ctx, fleet, st, app)
	}
	if err != nil {
		return fmt.Errorf("create App %s: %w", app.Name, err)
	}
	r.note(fleet, st, memberOf(app))
	return nil
}

// note keeps what the API server answered.
func (r *Reconciler) note(fleet *v1alpha1.Fleet, st *state, m member) {
	st.roster.put(m)
	if !m.Settled {
		r.moved(fleet, m)
	}
}

// exists finds out whose App stands where one was to be created: ours, which the cache has not shown yet, or one
// that somebody wrote by hand.
func (r *Reconciler) exists(ctx context.Context, fleet *v1alpha1.Fleet, st *state, wanted *v1alpha1.App) error {
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, client.ObjectKeyFromObject(wanted), app); err != nil {
		return fmt.Errorf("read App %s: %w", wanted.Name, err)
	}
	if app.Spec.Fleet != wanted.Spec.Fleet || app.Spec.Service != wanted.Spec.Service || app.Spec.Environment != wanted.Spec.Environment {
		return fmt.Errorf("the App %s was not made by this fleet: delete or rename it (its objects stay)", app.Name)
	}
	r.note(fleet, st, memberOf(app))
	return nil
}

// update writes the part of the spec that the Fleet owns.
func (r *Reconciler) update(ctx context.Context, fleet *v1alpha1.Fleet, st *state, u update) error {
	key := types.NamespacedName{Namespace: fleet.Namespace, Name: u.Member.Name}
	generation, err := r.replace(ctx, key, u)
	if apierrors.IsConflict(err) {
		generation, err = r.patch(ctx, key, u)
	}
	if err != nil {
		if apierrors.IsNotFound(err) {
			st.roster.remove(u.Member.Name, u.Member.UID)
		}
		return fmt.Errorf("write App %s: %w", u.Member.Name, err)
	}
	r.note(fleet, st, u.Member.moved(u.Spec, generation))
	return nil
}

// replace writes the App as the cache shows it with its new spec, which is what costs the API server least. It is a
// conflict if the cache is behind.
func (r *Reconciler) replace(ctx context.Context, key types.NamespacedName, u update) (generation int64, err error) {
	app := &v1alpha1.App{}
	if err := r.Client.Get(ctx, key, app); err != nil || app.UID != u.Member.UID {
		return 0, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("apps").GroupResource(), key.Name, err)
	}
	app.Spec.Removal = u.Spec.Removal
	app.Spec.SelfHeal, app.Spec.ServiceAccountName = u.Spec.SelfHeal, u.Spec.ServiceAccountName
	meta, err := r.Records.Update(ctx, app)
	return meta.Generation, err
}

// patch writes only what the Fleet owns of the spec, whatever else of the App has changed.
func (r *Reconciler) patch(ctx context.Context, key types.NamespacedName, u update) (generation int64, err error) {
	spec := map[string]any{
		"selfHeal":           u.Spec.SelfHeal,
		"serviceAccountName": orNull(u.Spec.ServiceAccountName),
		"removal":            orNull(string(u.Spec.Removal)),
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": u.Member.UID}, "spec": spec})
	if err != nil {
		return 0, fmt.Errorf("encode App %s: %w", u.Member.Name, err)
	}
	meta, err := r.Records.Patch(ctx, key, body)
	return meta.Generation, err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// delete removes an App that has nothing left.
func (r *Reconciler) delete(ctx context.Context, fleet *v1alpha1.Fleet, st *state, m member) error {
	app := &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace, Name: m.Name}}
	err := r.Client.Delete(ctx, app, client.Preconditions{UID: &m.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete App %s, which has nothing left: %w", m.Name, err)
	}
	st.roster.remove(m.Name, m.UID)
	r.Ledger.Forget(types.NamespacedName{Namespace: fleet.Namespace, Name: m.Name})
	return nil
}
