// Package review says on every pull request into a Fleet's branch what it would change in each environment: one comment,
// which is kept up to date, and a status of the commit.
//
// It is responsible for finding the pull requests that have changed, for rendering at the head of each, and at the commit
// that it was made from, the services that it may concern, and for telling what differs, what would be refused and what
// would wait. It refuses to hold up a delivery: it has its own few workers and its own renderer, writes nothing to a
// cluster, and a forge that is away costs the comment and nothing else. It believes a pull request of a fork nothing:
// what that asks of the Fleet's credentials and of the clusters is not done.
package review

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/controller/wake"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

const (
	// workers is how many pull requests are looked at once.
	workers = 2
	// fresh is how long a comment stays as it is while only the branch moves that the pull request goes into.
	fresh = 10 * time.Minute
	// longestRetry bounds the pause between two tries at a forge that is away.
	longestRetry = 10 * time.Minute
)

// Reconciler reviews pull requests.
type Reconciler struct {
	// Client reads Fleets, Apps and Clusters from the cache and Secrets from the API server.
	Client client.Client
	// Repositories holds the mirrors.
	Repositories *gitrepo.Store
	// Forges are where the pull requests are.
	Forges *origin.Forges
	// Maker renders. Its renderer is not the one that delivers.
	Maker   origin.Maker
	Targets *target.Registry
	Events  events.EventRecorder
	Log     *slog.Logger
	// Clock tells the time, and wakes what waits for a time.
	Clock clock.WithDelayedExecution

	waker wake.Waker
	alarm *wake.Alarm

	mu     sync.Mutex
	states map[types.NamespacedName]*state
}

// state is what is kept in mind of one Fleet. All of it can be found out again.
type state struct {
	// listed is true once the pull requests have been listed.
	listed   bool
	failures int
	// told is what was said last about a forge that cannot be used.
	told  string
	pulls map[int]*pull
}

// pull is what is kept in mind of one pull request.
type pull struct {
	is forge.PullRequest
	// asked: a webhook told of it, so that what the list says of it may be old.
	asked bool
	// silent: it was there when Sengu started, and may have been judged before. It is not said to be worked on.
	silent bool
	// seen is what the comment is about, and since when.
	seen  sight
	since time.Time
	// text is the comment that was written last, and verdict the status, of the commit judged.
	text, judged string
	verdict      forge.Status
	// again: it is to be looked at whatever has been seen. failures in a row decide when.
	again    bool
	failures int
}

// sight is what a comment depends on.
type sight struct {
	head, base, branch string
	generation         int64
}

// Setup registers r with mgr.
func (r *Reconciler) Setup(mgr ctrl.Manager) error {
	r.states = map[types.NamespacedName]*state{}
	r.alarm = wake.NewAlarm(r.Clock, r.waker.Wake)
	r.Targets.Subscribe(r.clusterChanged)
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.waker.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// Close stops what wakes the controller.
func (r *Reconciler) Close() {
	if r.alarm != nil {
		r.alarm.Close()
	}
}

// clusterChanged wakes the Fleets of a cluster's namespace: what could not be compared may be now.
func (r *Reconciler) clusterChanged(cluster types.NamespacedName) {
	r.mu.Lock()
	var names []types.NamespacedName
	for fleet, st := range r.states {
		for number, p := range st.pulls {
			if fleet.Namespace == cluster.Namespace && p.again {
				names = append(names, nameOf(fleet, number))
			}
		}
	}
	r.mu.Unlock()
	for _, name := range names {
		r.waker.Wake(name)
	}
}

// Announced tells the Reconciler what a webhook of a Fleet's repository has said about a pull request.
func (r *Reconciler) Announced(fleet types.NamespacedName, event forge.Event) {
	switch event.Action {
	case forge.ActionOpened, forge.ActionReopened, forge.ActionPushed, forge.ActionEdited:
	case forge.ActionMerged, forge.ActionClosed, forge.ActionReviewed:
		return // nothing is said of it any more, or nothing else
	}
	r.mu.Lock()
	st := r.states[fleet]
	if st == nil {
		r.mu.Unlock()
		return // it has no forge, or will be listed as a whole
	}
	p := st.pulls[event.Number]
	if p == nil {
		p = &pull{}
		st.pulls[event.Number] = p
	}
	p.asked, p.silent = true, false
	r.mu.Unlock()
	r.waker.Wake(nameOf(fleet, event.Number))
}

// nameOf is how a pull request is queued: no name of a Fleet has a slash.
func nameOf(fleet types.NamespacedName, number int) types.NamespacedName {
	return types.NamespacedName{Namespace: fleet.Namespace, Name: fleet.Name + "/" + strconv.Itoa(number)}
}

// Reconcile looks for the pull requests of a Fleet, or at one of them.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	name, number, one := strings.Cut(req.Name, "/")
	key := types.NamespacedName{Namespace: req.Namespace, Name: name}
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, key, fleet); err != nil {
		r.forget(key)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !reviewed(fleet) {
		r.forget(key)
		return ctrl.Result{}, nil
	}
	if !one {
		return ctrl.Result{}, r.look(ctx, fleet)
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("%q is no pull request: %w", req.Name, err)
	}
	return ctrl.Result{}, r.review(ctx, fleet, n)
}

// reviewed says whether the pull requests of a Fleet are looked at.
func reviewed(fleet *v1alpha1.Fleet) bool {
	source := fleet.Spec.Forge
	return fleet.DeletionTimestamp.IsZero() && !fleet.Spec.Suspend && (source == nil || source.Comment == nil || *source.Comment)
}

// forget drops what is known of a Fleet.
func (r *Reconciler) forget(fleet types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.states[fleet]
	if st == nil {
		return
	}
	r.alarm.Set(fleet, time.Time{})
	for number := range st.pulls {
		r.alarm.Set(nameOf(fleet, number), time.Time{})
	}
	delete(r.states, fleet)
}
