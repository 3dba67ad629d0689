package tracker

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// headless is how long a Fleet is left alone whose branch this process has not seen yet.
const headless = 10 * time.Second

// reread is how long services are left alone whose folders cannot be read.
const reread = time.Minute

// Reconcile follows the images of one Fleet: it takes in what has been found out, reads what is tracked, decides, and
// starts what is to be asked and written. It waits for no registry and for no push.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	fleet := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, req.NamespacedName, fleet); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	st := r.state(req.NamespacedName)
	st.mu.Lock()
	defer st.mu.Unlock()
	r.open(fleet, st, st.mail.take())
	// A Fleet that has not been compared yet may have a record that says what it has to begin with.
	if fleet.Spec.Suspend || !fleet.DeletionTimestamp.IsZero() || fleet.Status.Revision == "" || !fleet.LetIn() {
		r.alarm.Set(req.NamespacedName, time.Time{})
		return ctrl.Result{}, nil
	}
	found, err := r.survey(ctx, fleet, st)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !found {
		r.alarm.Set(req.NamespacedName, r.Clock.Now().Add(headless))
		return ctrl.Result{}, nil
	}
	if err := r.recall(ctx, fleet, st); err != nil {
		return ctrl.Result{}, err
	}
	r.decide(fleet, st)
	r.look(ctx, fleet, st)
	r.write(fleet, st)
	r.alarm.Set(req.NamespacedName, st.next(r.Clock.Now()))
	return ctrl.Result{}, nil
}

// open takes in what has arrived.
func (r *Reconciler) open(fleet *v1alpha1.Fleet, st *state, in letters) {
	r.sees(fleet, st, in.seen)
	r.wrote(fleet, st, in.wrote)
	for service := range in.services {
		if _, known := st.pasts[service]; known {
			st.stale[service] = true
		}
	}
	for repository, tags := range in.pushed {
		if s := st.subjects[repository]; s != nil {
			s.pushed = append(s.pushed, tags...)
			s.pushed = s.pushed[max(len(s.pushed)-maxTags, 0):]
			s.hurry()
		}
	}
	if in.retry {
		for _, s := range st.subjects {
			if s.failed != nil {
				s.hurry()
			}
		}
	}
}

// tellReadings says which services cannot be read.
func (r *Reconciler) tellReadings(fleet *v1alpha1.Fleet, st *state, fresh map[string]reading) {
	for service, is := range fresh {
		if is.problem == "" {
			st.untell("service " + service)
		} else {
			r.tell(fleet, st, "service "+service, "ImagesNotFollowed", is.problem)
		}
	}
}

// next is when something is due by itself, zero if nothing is.
func (st *state) next(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, s := range st.subjects {
		if !s.looking {
			sooner(s.due)
		}
	}
	if st.misses() {
		sooner(now.Add(reread))
	}
	if !st.writing && len(st.commits()) > 0 {
		sooner(st.writeAfter)
	}
	return at
}

// Looks returns what is known of the images that a Fleet follows, by service and image.
func (r *Reconciler) Looks(fleet types.NamespacedName) []Look {
	r.mu.Lock()
	st := r.states[fleet]
	r.mu.Unlock()
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	looks := make([]Look, 0, len(st.slots))
	for _, s := range st.slots {
		l := Look{
			Service: s.service, Environments: slices.Clone(s.environments), Place: s.place, Image: s.image.Name, Repository: s.repository,
			Written: s.now, Why: s.why, Problem: s.problem,
		}
		if s.chosen != nil {
			l.Wanted = *s.chosen
		}
		if s.refuses() {
			l.Problem = s.refused.problem
		}
		if of := st.subjects[s.repository]; of != nil {
			l.At, l.Next = of.outcome.began, of.due
			if of.failed != nil {
				l.Problem = cmp.Or(l.Problem, of.failed.Error())
			}
		}
		looks = append(looks, l)
	}
	slices.SortFunc(looks, func(a, b Look) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Image, b.Image), strings.Compare(a.Place.File, b.Place.File))
	})
	return looks
}
