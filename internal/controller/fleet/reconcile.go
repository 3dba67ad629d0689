package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// Reconcile brings the Apps of one Fleet to what its repository says.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, req.NamespacedName, fleet); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	fleet = r.written.Latest(fleet)
	if !fleet.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	before := fleet.DeepCopy()
	defer func() {
		if patchErr := r.patchStatus(ctx, before, fleet); patchErr != nil && err == nil {
			err = patchErr
		}
		r.state(req.NamespacedName).looked.Store(true)
	}()
	fleet.Status.ObservedGeneration = fleet.Generation
	if fleet.Spec.Suspend {
		r.settle(fleet, metav1.ConditionFalse, "Suspended", "the fleet is suspended: set spec.suspend to false to go on")
		return ctrl.Result{}, nil
	}

	st := r.state(req.NamespacedName)
	st.mu.Lock()
	defer st.mu.Unlock()
	revision, err := r.fetch(ctx, fleet, st)
	next := st.next(r.Now())
	r.reportFetch(fleet, st)
	if err != nil {
		r.fail(fleet, "FetchFailed", err)
		return next, nil
	}
	observed, err := r.observe(ctx, fleet, st, revision)
	if errors.Is(err, errClustersUnknown) {
		// The first word of the clusters wakes the Fleet.
		return next, nil
	}
	if err != nil {
		st.again(r.Now())
		r.fail(fleet, "DiscoveryFailed", err)
		return st.next(r.Now()), nil
	}
	if st.fetchErr == nil {
		st.failures = 0
	}
	decided := decide(observed)
	st.removing.Store(decided.Why != "" || decided.Removing)
	if err := r.act(ctx, fleet, st, decided); err != nil {
		st.roster.suspectAgain(observed.concerned)
		r.fail(fleet, "AppsNotWritten", err)
		return ctrl.Result{}, err
	}
	if observed.baseline || len(observed.concerned) > 0 {
		fleet.Status.Sequence = max(fleet.Status.Sequence, observed.look.sequence)
	}
	r.plan(ctx, observed)
	st.compared, st.decided = revision, fleet.Generation
	if observed.baseline && len(observed.standing) > 0 {
		st.compared = "" // what the branch says now is compared with what was brought back
		r.waker.Wake(req.NamespacedName)
	}
	r.report(fleet, st, revision, decided)
	return next, nil
}

// next has the Fleet looked at again at its next poll.
func (st *state) next(now time.Time) ctrl.Result {
	return ctrl.Result{RequeueAfter: max(st.nextPoll.Sub(now), time.Second)}
}

// interval returns the time between two polls, spread by a tenth so that many fleets do not poll together.
func interval(fleet *v1alpha1.Fleet) time.Duration {
	d := fleet.Spec.Git.Interval.Duration
	if d <= 0 {
		d = time.Minute
	}
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // spreads load, keeps no secret
}

// report writes what was found into the status.
func (r *Reconciler) report(fleet *v1alpha1.Fleet, st *state, revision string, p plan) {
	fleet.Status.Comparing = comparing(fleet, revision, r.planner.pending(client.ObjectKeyFromObject(fleet)))
	fleet.Status.Revision, fleet.Status.Repository = revision, fleet.Spec.Git.URL
	fleet.Status.Services = int32(min(st.census.services(), 1<<30)) //nolint:gosec // bounded
	fleet.Status.Apps = int32(min(st.census.apps, 1<<30))           //nolint:gosec // bounded
	fleet.Status.PendingRemoval = p.Waiting
	switch {
	case st.fetchErr != nil:
		r.fail(fleet, "FetchFailed", st.fetchErr)
	case st.planFailure.Load() != nil:
		r.settle(fleet, metav1.ConditionFalse, "NotCompared", *st.planFailure.Load())
	case st.unreadableWhy() != "":
		r.settle(fleet, metav1.ConditionFalse, "NotCompared", st.unreadableWhy()+withWhy(p.Why))
	case st.census.apps == 0:
		r.settle(fleet, metav1.ConditionFalse, "NothingFound",
			fmt.Sprintf("no folder of the repository matches the layout %s for an environment of this fleet", fleet.Spec.Layout)+withWhy(p.Why))
	case p.Waiting != nil:
		r.settle(fleet, metav1.ConditionFalse, "WaitsForConfirmation", p.Why)
	case p.Why != "":
		r.settle(fleet, metav1.ConditionTrue, "Removing", p.Why)
	default:
		r.settle(fleet, metav1.ConditionTrue, "Compared", "every App has been compared with the branch")
	}
}

// comparing is how many services are said to be compared. What has been compared once is looked at again after a start,
// and that is no news: nothing is written for it.
func comparing(fleet *v1alpha1.Fleet, revision string, pending int) int32 {
	if fleet.Status.Revision == revision && fleet.Status.Comparing == 0 {
		return 0
	}
	return int32(min(pending, 1<<30)) //nolint:gosec // bounded
}

func withWhy(why string) string {
	if why == "" {
		return ""
	}
	return "; " + why
}

// reportFetch says how the last try to read the remote ended.
func (r *Reconciler) reportFetch(fleet *v1alpha1.Fleet, st *state) {
	c := metav1.Condition{
		Type: v1alpha1.ConditionFetched, Status: metav1.ConditionTrue, Reason: "Fetched",
		Message: "the repository was read", ObservedGeneration: fleet.Generation,
	}
	switch {
	case st.fetchErr != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "FetchFailed", st.fetchErr.Error()
	case st.rewritten:
		c.Reason, c.Message = "Rewritten", "the branch was rewritten by a force-push: its new head no longer contains the one before it"
	}
	meta.SetStatusCondition(&fleet.Status.Conditions, c)
}

// fail reports err as the reason why the fleet does not go on. Nothing is changed: what runs stays as it is.
func (r *Reconciler) fail(fleet *v1alpha1.Fleet, reason string, err error) {
	r.settle(fleet, metav1.ConditionFalse, reason, err.Error())
	r.Log.Warn("fleet cannot go on", "namespace", fleet.Namespace, "fleet", fleet.Name, "reason", reason, "error", err)
}

// settle sets the Ready condition, and the why sentence unless all is well.
func (r *Reconciler) settle(fleet *v1alpha1.Fleet, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&fleet.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message, ObservedGeneration: fleet.Generation,
	})
	if status == metav1.ConditionTrue && reason == "Compared" {
		fleet.Status.Why = nil
		return
	}
	fleet.Status.Why = v1alpha1.Because(fleet.Status.Why, message, r.Now())
}

func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.Fleet) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("write status of fleet %s: %w", after.Name, err))
	}
	after.ManagedFields = nil
	r.written.Keep(after)
	return nil
}

// confirmed returns the token of the deletion that a person has confirmed on obj.
func confirmed(obj client.Object) string { return obj.GetAnnotations()[manifest.AnnotationConfirm] }
