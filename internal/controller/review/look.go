package review

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/markdown"
)

// look lists the open pull requests of a Fleet, and wakes those that have changed. A forge that does not answer is asked
// again later: nothing waits for it.
func (r *Reconciler) look(ctx context.Context, fleet *v1alpha1.Fleet) error {
	key := client.ObjectKeyFromObject(fleet)
	r.watch(key)
	f, err := r.Forges.Of(ctx, fleet)
	if errors.Is(err, origin.ErrNoForge) {
		r.forget(key)
		return nil
	}
	var listing forge.Listing
	if err == nil {
		listing, err = f.OpenPullRequests(ctx, fleet.Spec.Git.Branch)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.unanswered(fleet, err)
		return nil
	}
	branch := r.branchOf(fleet)
	for _, number := range r.listed(fleet, listing.PullRequests, branch) {
		r.waker.Wake(nameOf(key, number))
	}
	if listing.Truncated {
		r.Log.Warn("there are more open pull requests than are looked at", "fleet", fleet.Name, "looked at", len(listing.PullRequests))
	}
	r.alarm.Set(key, r.Clock.Now().Add(interval(fleet)))
	return nil
}

func interval(fleet *v1alpha1.Fleet) time.Duration {
	if d := fleet.Spec.Git.Interval.Duration; d > 0 {
		return d
	}
	return time.Minute
}

// branchOf is where the branch of a Fleet was seen last; "" before it was.
func (r *Reconciler) branchOf(fleet *v1alpha1.Fleet) string {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return ""
	}
	head, _ := repository.Head(fleet.Spec.Git.Branch)
	return head
}

// watch begins to keep a Fleet in mind, if that is not done already.
func (r *Reconciler) watch(fleet types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.states[fleet] == nil {
		r.states[fleet] = &state{pulls: map[int]*pull{}}
	}
}

// listed takes down which pull requests are open, and returns those that have changed since they were looked at.
func (r *Reconciler) listed(fleet *v1alpha1.Fleet, open []forge.PullRequest, branch string) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKeyFromObject(fleet)
	st := r.states[key]
	if st == nil {
		return nil
	}
	before := st.pulls
	st.pulls, st.failures, st.told = map[int]*pull{}, 0, ""
	var changed []int
	for _, is := range open {
		p := before[is.Number]
		if p == nil {
			p = &pull{silent: !st.listed}
		}
		waits := p.again && p.is.HeadSHA == is.HeadSHA // for its alarm
		p.is = is
		st.pulls[is.Number] = p
		if !waits && !p.seen.covers(fleet, is, branch) {
			changed = append(changed, is.Number)
		}
	}
	for number, p := range before {
		if st.pulls[number] == nil {
			if p.asked { // it is newer than the list
				st.pulls[number] = p
				continue
			}
			r.alarm.Set(nameOf(key, number), time.Time{})
		}
	}
	st.listed = true
	return changed
}

// covers reports whether what was seen is still what there is.
func (s sight) covers(fleet *v1alpha1.Fleet, is forge.PullRequest, branch string) bool {
	return s.head == is.HeadSHA && s.branch == branch && s.generation == fleet.Generation
}

// unanswered notes that the forge of a Fleet cannot be used, tells it once, and comes back later.
func (r *Reconciler) unanswered(fleet *v1alpha1.Fleet, err error) {
	key := client.ObjectKeyFromObject(fleet)
	r.mu.Lock()
	st := r.states[key]
	if st == nil {
		r.mu.Unlock()
		return
	}
	st.failures++
	news := st.told != err.Error()
	st.told = err.Error()
	next := r.after(interval(fleet), st.failures, err)
	r.mu.Unlock()
	r.alarm.Set(key, next)
	if news && !errors.As(err, new(*forge.RateLimited)) {
		r.Log.Warn("pull requests cannot be looked at", "fleet", fleet.Name, "error", err)
		r.Events.Eventf(fleet, nil, "Warning", "ForgeNotUsable", "ReviewPullRequests", "%s", markdown.Clip(err.Error(), markdown.Sentence))
	}
}

// after is when to try again what has failed so often: when the forge says, or after a pause that grows.
func (r *Reconciler) after(first time.Duration, failures int, err error) time.Time {
	limited := (*forge.RateLimited)(nil)
	if errors.As(err, &limited) {
		return limited.Until
	}
	next := first
	for range failures - 1 {
		if next = 2 * next; next >= longestRetry {
			next = max(first, longestRetry)
			break
		}
	}
	return r.Clock.Now().Add(next)
}
