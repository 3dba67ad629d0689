package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

const (
	// fetching bounds the fetch of a pull request. The fetch of the branch itself waits for it.
	fetching = time.Minute
	// pause before what has failed of one pull request is tried again, which grows, and maxTries how often what could not
	// be compared is tried. After that, only a change brings it back.
	pause    = 15 * time.Second
	maxTries = 5
)

// review brings the comment on one pull request, and the status of its commit, up to date.
func (r *Reconciler) review(ctx context.Context, fleet *v1alpha1.Fleet, number int) error {
	key := client.ObjectKeyFromObject(fleet)
	r.watch(key)
	f, err := r.Forges.Of(ctx, fleet)
	if errors.Is(err, origin.ErrNoForge) {
		r.forget(key)
		return nil
	}
	if err == nil {
		err = r.reviewAt(ctx, fleet, f, number)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errUnready) {
		return nil // the next look at the list, or the cluster, comes back to it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pullOf(key, number)
	if p == nil {
		return nil
	}
	p.failures++
	if err == nil || errors.Is(err, errAgain) && p.failures >= maxTries {
		p.again, p.failures = false, 0
		r.alarm.Set(nameOf(key, number), time.Time{})
		return nil
	}
	p.again = true
	r.alarm.Set(nameOf(key, number), r.after(pause, p.failures, err))
	r.Log.Info("a pull request is looked at again later", "fleet", fleet.Name, "number", number, "error", err)
	return nil
}

// errUnready says that what a review needs is not known yet, as after a start.
var errUnready = errors.New("not ready yet")

// errAgain says that what could not be compared may be later.
var errAgain = errors.New("something could not be compared")

// pullOf returns what is known of a pull request. The lock is held.
func (r *Reconciler) pullOf(fleet types.NamespacedName, number int) *pull {
	st := r.states[fleet]
	if st == nil {
		return nil
	}
	return st.pulls[number]
}

// current returns a pull request as it is now, and what was told of it. It is false if there is nothing to tell.
func (r *Reconciler) current(ctx context.Context, fleet *v1alpha1.Fleet, f forge.Forge, number int) (pull, bool, error) {
	key := client.ObjectKeyFromObject(fleet)
	r.mu.Lock()
	p := r.pullOf(key, number)
	if p == nil {
		r.mu.Unlock()
		return pull{}, false, nil
	}
	ask := p.asked || p.seen.head != p.is.HeadSHA // the list may be behind
	p.asked = false                               // a webhook from here on asks for another look
	was := *p
	r.mu.Unlock()
	if !ask {
		return was, true, nil
	}
	is, err := f.PullRequest(ctx, number)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(err, forge.ErrNotFound), err == nil && (is.State != forge.Open || is.Base != fleet.Spec.Git.Branch):
		if st := r.states[key]; st != nil {
			delete(st.pulls, number)
		}
		return pull{}, false, nil
	case err != nil:
		if p := r.pullOf(key, number); p != nil {
			p.asked = true
		}
		return pull{}, false, err
	}
	if p := r.pullOf(key, number); p != nil {
		p.is = is
	}
	was.is = is
	return was, true, nil
}

// reviewAt compares a pull request if it has changed, and tells what came out.
func (r *Reconciler) reviewAt(ctx context.Context, fleet *v1alpha1.Fleet, f forge.Forge, number int) error {
	was, open, err := r.current(ctx, fleet, f, number)
	if err != nil || !open {
		return err
	}
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return err
	}
	branch, known := repository.Head(fleet.Spec.Git.Branch)
	if !known || !fleet.LetIn() || r.clustersKnown(ctx, fleet) != nil {
		return errUnready
	}
	if !was.again && was.seen.covers(fleet, was.is, branch) {
		return nil
	}
	if err := r.bring(ctx, fleet, repository, was.is); err != nil {
		return err
	}
	base, err := repository.MergeBase(ctx, branch, was.is.HeadSHA)
	now := sight{head: was.is.HeadSHA, base: base, branch: branch, generation: fleet.Generation}
	if errors.Is(err, gitrepo.ErrUnrelated) {
		told := report{Fleet: fleet.Name, Head: was.is.HeadSHA, Failure: "it has no commit in common with the branch " + fleet.Spec.Git.Branch}
		return r.tell(ctx, fleet, f, number, told, now)
	}
	if err != nil {
		return err
	}
	if same := now; !was.again && r.Clock.Now().Sub(was.since) < fresh {
		if same.branch = was.seen.branch; same == was.seen {
			r.saw(fleet, number, now, false) // only the branch has moved, and a moment ago
			return nil
		}
	}
	if !was.silent && was.seen.head != was.is.HeadSHA {
		if err := r.judged(ctx, fleet, f, number, was.is, forge.Status{
			State: forge.StatusPending, Context: statusName(fleet.Name), Description: "what it would change is being worked out",
		}); err != nil {
			return err
		}
	}
	told, err := r.examine(ctx, fleet, repository, was.is, base)
	if err != nil {
		return err
	}
	return r.tell(ctx, fleet, f, number, told, now)
}

// bring fetches the head of a pull request: by its hash if it is here already, or else by the ref of the forge.
func (r *Reconciler) bring(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, is forge.PullRequest) error {
	if repository.Has(ctx, is.HeadSHA) {
		return nil
	}
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	if err := repository.FetchFrom(ctx, is.Ref, is.HeadSHA, auth); err != nil {
		return fmt.Errorf("fetch pull request %d: %w", is.Number, err)
	}
	return nil
}

// clustersKnown waits until every cluster of the Fleet has been connected to, or cannot be.
func (r *Reconciler) clustersKnown(ctx context.Context, fleet *v1alpha1.Fleet) error {
	for _, env := range fleet.Spec.Environments {
		name := types.NamespacedName{Namespace: fleet.Namespace, Name: env.Cluster}
		if t, reason := r.Targets.Get(name); t != nil || reason != "" {
			continue
		}
		err := r.Client.Get(ctx, name, &v1alpha1.Cluster{})
		if err == nil {
			return errUnready
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read cluster %s: %w", env.Cluster, err)
		}
	}
	return nil
}

// tell writes the comment, and then the status: whoever waits for the status finds the comment.
func (r *Reconciler) tell(ctx context.Context, fleet *v1alpha1.Fleet, f forge.Forge, number int, told report, now sight) error {
	text := told.markdown(f.Capabilities().Characters)
	r.mu.Lock()
	p := r.pullOf(client.ObjectKeyFromObject(fleet), number)
	if p == nil {
		r.mu.Unlock()
		return nil
	}
	is, same := p.is, p.text == text
	r.mu.Unlock()
	if !same {
		comment, err := f.EnsureComment(ctx, number, "plan/"+fleet.Name, text)
		if err != nil {
			return fmt.Errorf("comment on pull request %d: %w", number, err)
		}
		r.mu.Lock()
		p.text = text
		r.mu.Unlock()
		r.Log.Debug("pull request compared", "fleet", fleet.Name, "number", number, "head", told.Head, "written", comment.Written)
	}
	is.HeadSHA = told.Head
	if err := r.judged(ctx, fleet, f, number, is, told.status()); err != nil {
		return err
	}
	r.saw(fleet, number, now, true)
	if told.of(unknown) > 0 {
		return errAgain
	}
	return nil
}

// judged sets the status of the head, if it is not what was set last. A commit of a fork may be out of reach.
func (r *Reconciler) judged(ctx context.Context, fleet *v1alpha1.Fleet, f forge.Forge, number int, is forge.PullRequest, status forge.Status) error {
	key := client.ObjectKeyFromObject(fleet)
	r.mu.Lock()
	p := r.pullOf(key, number)
	done := p == nil || p.verdict == status && p.judged == is.HeadSHA
	r.mu.Unlock()
	if done {
		return nil
	}
	err := f.SetStatus(ctx, is.HeadSHA, status)
	if is.Fork && (errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrForbidden)) {
		r.Log.Debug("the commit of a fork gets no status", "fleet", fleet.Name, "number", number, "error", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("set the status of pull request %d: %w", number, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.verdict, p.judged = status, is.HeadSHA
	return nil
}

// saw notes what the comment is about, and whether that was compared just now.
func (r *Reconciler) saw(fleet *v1alpha1.Fleet, number int, now sight, compared bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pullOf(client.ObjectKeyFromObject(fleet), number)
	if p == nil {
		return
	}
	p.seen, p.silent = now, false
	if compared {
		p.since = r.Clock.Now()
	}
}
